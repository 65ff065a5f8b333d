/** `--sharing`: who may have a core while its holder sleeps, and how many are admitted for each. */
import { InvalidArgumentError, Option } from 'commander';
import { isSharingPolicy, PER_CORE_MAX, type SharingChoice } from '../worker/agent/default-sharing.ts';
import { SOURCE_NAMES, type SourceName } from '../worker/agent/sharing-setting.ts';
import { OBSERVERS } from '../worker/observers/contract.ts';

const FORM = `It has to be dedicated, lend:N, packed:N, preempt:N or fair:N, where N invocations are admitted for each core: 2 to ${PER_CORE_MAX}, or nothing, as in 'lend', for what suits the machine.`;

export function knowledgeOption(): Option {
  return new Option(
    '--knowledge <sources>',
    'whose word counts on who sleeps: directed, learning, collaborative, or none',
  )
    .argParser(parseSources)
    .default(SOURCE_NAMES, SOURCE_NAMES.join(','));
}

export function parseSources(text: string): readonly SourceName[] {
  const names = text === 'none' ? [] : text.split(',');
  const sources = SOURCE_NAMES.filter((source) => names.includes(source));
  if (sources.length === names.length) return sources;
  throw new InvalidArgumentError(`It has to be none, or of ${SOURCE_NAMES.join(', ')}, with commas between them.`);
}

export function observerOption(): Option {
  return new Option('--observer <kind>', 'how it is seen which functions sleep, where cores are shared')
    .choices(OBSERVERS)
    .default('auto');
}

/** Where it is absent, the machine decides: worker/agent/default-sharing.ts. */
export function sharingOption(): Option {
  return new Option(
    '--sharing <policy>',
    'who has a core while its holder sleeps: dedicated, lend:N, packed:N, preempt:N, fair:N (default: lend, or dedicated where this machine cannot)',
  ).argParser(parseSharing);
}

export function parseSharing(text: string): SharingChoice {
  const choice = sharingChoiceOf(text);
  if (choice === null) throw new InvalidArgumentError(FORM);
  return choice;
}

/** Null where it is none. */
export function sharingChoiceOf(text: string): SharingChoice | null {
  const [, name = '', count] = /^([a-z]+)(?::([1-9]\d?))?$/.exec(text) ?? [];
  if (!isSharingPolicy(name)) return null;
  if (count === undefined) return { policy: name, perCore: null };
  const perCore = Number(count);
  if (name === 'dedicated' || perCore < 2 || perCore > PER_CORE_MAX) return null;
  return { policy: name, perCore };
}
