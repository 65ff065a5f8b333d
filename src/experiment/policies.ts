/** The settings that the experiment compares, and how `perch up` is told. */
import type { Build } from './pipelines.ts';
import type { PlatformStarter } from './platform.ts';

/**
 * How the cores are shared, as `perch up --sharing` has it. `dedicated` is what a platform without sharing does; `fair` leaves it all to the
 * kernel. The number is that of the functions admitted for each core.
 */
export const POLICIES = ['dedicated', 'lend', 'packed:3', 'packed:6', 'preempt:6', 'fair:6'] as const;
export type Policy = string;

const SOURCE_MARK = '+';

export function isPolicy(text: string): boolean {
  const [policy = '', source, ...more] = text.split(SOURCE_MARK);
  if (more.length > 0 || !/^(?:dedicated|(?:lend|packed|preempt|fair)(?::\d{1,2})?)$/.test(policy)) return false;
  return source === undefined || (!needsNoSource(policy) && isSource(source));
}

/** Without the source that it may bring. */
export function policyOf(text: string): Policy {
  return text.split(SOURCE_MARK)[0] ?? '';
}

function isSource(text: string): text is Source {
  return (SOURCES as readonly string[]).includes(text);
}

/** Under these nobody asks who sleeps. */
function needsNoSource(policy: Policy): boolean {
  return policy === 'dedicated' || policy.startsWith('fair');
}

/** Each policy with each source that can make a difference; one that names a source, as `lend+learning`, with that alone. */
export function settingsOf(policies: readonly Policy[], sources: readonly Source[]): readonly Setting[] {
  return policies.flatMap((text) => {
    const [policy = '', own] = text.split(SOURCE_MARK);
    if (own !== undefined && isSource(own)) return [{ policy, source: own }];
    return (needsNoSource(policy) ? (['none'] as const) : sources).map((source) => ({ policy, source }));
  });
}

/** Where the platform knows from that a function sleeps. `collaborative`: from the function, in its polling build. */
export const SOURCES = ['none', 'directed', 'collaborative', 'learning'] as const;
export type Source = (typeof SOURCES)[number];

export const LATENCIES_US = { none: 0, local: 500, remote: 20_000 } as const;
export type Latency = keyof typeof LATENCIES_US;

const SHARING_OPTION = '--sharing';
const KNOWLEDGE_OPTION = '--knowledge';
/** What a setting is told with. */
export const SETTING_OPTIONS = [SHARING_OPTION, KNOWLEDGE_OPTION] as const;

export interface Setting {
  readonly policy: Policy;
  readonly source: Source;
}

/** What `perch up` is started with; an Error that says what it lacks. */
export function argumentsOf({ policy, source }: Setting, starter: PlatformStarter): readonly string[] | Error {
  const args: string[] = [];
  if (starter.takes(SHARING_OPTION)) args.push(SHARING_OPTION, policy);
  else if (policy !== 'dedicated') return new Error(`policy '${policy}': this platform has no ${SHARING_OPTION}`);
  if (starter.takes(KNOWLEDGE_OPTION)) args.push(KNOWLEDGE_OPTION, source);
  else if (source === 'directed' || source === 'learning') {
    return new Error(`source '${source}': this platform has no ${KNOWLEDGE_OPTION}`);
  }
  return args;
}

/** A function that blocks has nothing to say that the kernel does not know. */
export function functionBuild(build: Build, source: Source): Build | 'hint' {
  return build === 'poll' && source === 'collaborative' ? 'hint' : build;
}
