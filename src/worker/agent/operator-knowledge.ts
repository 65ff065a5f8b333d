/** What an operator says of a function, made ready: which sources count, and the program that is asked at each event. */
import type { FunctionKnowledge } from '../../store/store.ts';
import type { WakerKind } from '../../workflow/sleep-plans.ts';
import type { Program } from '../machine/directed.ts';
import { Source } from '../machine/knowledge.ts';
import { PLUGIN_LIMITS } from '../machine/plugin-verifier.ts';
import { parseRules, type Rule, RULE_TEXT_LENGTH_MAX, RuleTable } from '../machine/rules.ts';
import { loadPlugin } from './plugins.ts';
import { SOURCE_NAMES, type SourceName } from './sharing-setting.ts';

export interface OperatorKnowledge {
  /** Bits; null: as the platform has it. */
  readonly sources: number | null;
  readonly program: Program | null;
}

/**
 * What a sleep plan says, as rules. Nobody sees what a poller waits for before it comes, so a response is what ends polling, or something that
 * it does itself; a timer is seen by whoever blocks, and found by a poller in its slices.
 */
const PLAN_RULES = ['while blocked sleep', 'while polling sleep'].join('\n');

/** In words, for who has sent more than all of it together may be. */
export const KNOWLEDGE_LIMITS = `rules have at most ${RULE_TEXT_LENGTH_MAX} characters, a plug-in at most ${PLUGIN_LIMITS.bytesMax} bytes`;

let planTable: RuleTable | null = null;

/** Null: nothing is known that it may sleep on. */
export function planProgram(sleepsOn: readonly WakerKind[]): Program | null {
  if (!sleepsOn.includes('response') && !sleepsOn.includes('timer')) return null;
  planTable ??= new RuleTable(parseRules(PLAN_RULES) as readonly Rule[]);
  return planTable;
}

/** What is wrong with it, in words that name what would be right; null: it can be used. */
export function knowledgeFault(said: FunctionKnowledge): string | null {
  const twice = said.sources?.find((name, index, all) => all.indexOf(name) < index);
  if (twice !== undefined) return `'${twice}' is among the sources twice; each is named once at most.`;
  const ready = readyKnowledge(said, () => {});
  return typeof ready === 'string' ? ready : null;
}

/** The same of what may be too large to be sent, where that is what is wrong with it. */
export function sizeFault({ rules = null, plugin = null }: Partial<FunctionKnowledge>): string | null {
  const pluginBytes = plugin === null ? 0 : Buffer.byteLength(plugin, 'base64');
  if ((rules?.length ?? 0) <= RULE_TEXT_LENGTH_MAX && pluginBytes <= PLUGIN_LIMITS.bytesMax) return null;
  return knowledgeFault({ sources: null, rules, plugin });
}

/** There are rules, but no rule is in them: all of it is comment. */
export function hasNoRule({ rules }: Pick<FunctionKnowledge, 'rules'>): boolean {
  const parsed = rules === null ? null : parseRules(rules);
  return parsed !== null && !('message' in parsed) && parsed.length === 0;
}

/** Or what is wrong with it. `trapped`: a plug-in ended so, and is asked no more. */
export function readyKnowledge(
  said: FunctionKnowledge,
  trapped: (message: string) => void,
): OperatorKnowledge | string {
  const { rules, plugin } = said;
  if (rules !== null && plugin !== null) return 'There are rules and a plug-in; a function has one of them.';
  const sources = sourceBits(said.sources);
  if (typeof sources === 'string') return sources;
  if (rules !== null) {
    const parsed = parseRules(rules);
    if ('message' in parsed) return `Line ${parsed.line} of the rules: ${parsed.message}`;
    return { sources, program: new RuleTable(parsed) };
  }
  if (plugin === null) return { sources, program: null };
  const program = loadPlugin(Buffer.from(plugin, 'base64'), trapped);
  return typeof program === 'string' ? `The plug-in, ${program}` : { sources, program };
}

function sourceBits(names: readonly string[] | null): number | null | string {
  if (names === null) return null;
  let bits = 0;
  for (const name of names) {
    if (!SOURCE_NAMES.includes(name as SourceName))
      return `'${name}' is no source of knowledge; there are ${SOURCE_NAMES.join(', ')}.`;
    bits |= Source[name as SourceName];
  }
  return bits;
}
