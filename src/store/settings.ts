/**
 * Settings that the Lambda API has no field for, given so that an ordinary Lambda client can set them: as environment
 * variables, which are versioned with the configuration, and isolation as a tag of the function as well. Tags are not
 * versioned: they hold for every version whose environment says nothing.
 *
 * A bad value never gets into the store (see `settingsFault`); what an older Perch stored unchecked counts as absent.
 */
import type { NetworkPolicy } from '../worker/sandbox/contract.ts';
import type { FunctionConfig } from './store.ts';

export const ISOLATIONS = ['reuse', 'fresh', 'process'] as const;
/**
 * `reuse`: an instance serves one invocation after the other; all are copies of one that was initialised. `fresh`: every invocation in a
 * clean copy of its own. `process`: as `reuse`, and every instance is a process that initialises itself, as on Lambda.
 */
export type Isolation = (typeof ISOLATIONS)[number];
export const ISOLATION_DEFAULT: Isolation = 'reuse';
export const ISOLATION_VARIABLE = 'PERCH_ISOLATION';
export const ISOLATION_TAG = 'perch:isolation';

export const NETWORKS = ['none', 'outbound', 'host'] as const satisfies readonly NetworkPolicy[];
export const NETWORK_DEFAULT: NetworkPolicy = 'outbound';
export const NETWORK_VARIABLE = 'PERCH_NETWORK';

export const CORES_VARIABLE = 'PERCH_CORES';
export const CORES_DEFAULT = 1;
/** Those of one lease are bits of one word. */
export const CORES_MAX = 32;

export const SHARINGS = ['shared', 'dedicated', 'spare'] as const;
/**
 * `shared`: its cores are shared as the worker shares them. `dedicated`: each invocation has a core of its own from its start to its end,
 * asleep or awake. `spare`: where a worker shares cores, it runs only on what all others leave of them.
 */
export type FunctionSharing = (typeof SHARINGS)[number];
export const SHARING_VARIABLE = 'PERCH_SHARING';

export const SETTING_VARIABLES: readonly string[] = [
  ISOLATION_VARIABLE,
  NETWORK_VARIABLE,
  CORES_VARIABLE,
  SHARING_VARIABLE,
];

const SHOWN_LENGTH = 64;

type Environment = Pick<FunctionConfig, 'environment'>;
type Texts = Readonly<Record<string, string>>;

/** The environment variable wins over the tag. */
export function isolationOf(config: Environment, tags: Texts = {}): Isolation {
  const asked = [config.environment[ISOLATION_VARIABLE], tags[ISOLATION_TAG]];
  return (
    ISOLATIONS.find((value) => value === asked[0]) ??
    ISOLATIONS.find((value) => value === asked[1]) ??
    ISOLATION_DEFAULT
  );
}

export function networkOf(config: Environment): NetworkPolicy {
  const asked = config.environment[NETWORK_VARIABLE];
  return NETWORKS.find((value) => value === asked) ?? NETWORK_DEFAULT;
}

export const SHARING_DEFAULT: FunctionSharing = 'shared';

export function sharingOf(config: Environment): FunctionSharing {
  const asked = config.environment[SHARING_VARIABLE];
  return SHARINGS.find((value) => value === asked) ?? SHARING_DEFAULT;
}

/**
 * It is granted a core's own seat, and no extra one. For a spare function too: there are never more of its kind than cores, and all
 * extra seats are for others.
 */
export function hasOwnSeat(config: Environment): boolean {
  return sharingOf(config) !== 'shared';
}

/** How many cores each invocation gets, all at once: 1 to 32. */
export function coresOf(config: Environment): number {
  return coreCountIn(config.environment[CORES_VARIABLE]) ?? CORES_DEFAULT;
}

/** Null where it says none. */
function coreCountIn(text: string | undefined): number | null {
  if (text === undefined || !/^[1-9]\d?$/.test(text)) return null;
  const count = Number(text);
  return count <= CORES_MAX ? count : null;
}

/** What is wrong with the settings among these environment variables, in words; null if nothing is. */
export function settingsFault(environment: Texts): string | null {
  return (
    fault(`environment variable ${ISOLATION_VARIABLE}`, environment[ISOLATION_VARIABLE], ISOLATIONS) ??
    fault(`environment variable ${NETWORK_VARIABLE}`, environment[NETWORK_VARIABLE], NETWORKS) ??
    coresFault(environment[CORES_VARIABLE]) ??
    fault(`environment variable ${SHARING_VARIABLE}`, environment[SHARING_VARIABLE], SHARINGS) ??
    spareFault(environment)
  );
}

/** The same of tags. */
export function settingTagsFault(tags: Texts): string | null {
  return fault(`tag ${ISOLATION_TAG}`, tags[ISOLATION_TAG], ISOLATIONS);
}

function fault(name: string, value: string | undefined, allowed: readonly string[]): string | null {
  if (value === undefined || allowed.includes(value)) return null;
  return `The ${name} has the value '${shown(value)}'; it has to be one of ${allowed.join(', ')}.`;
}

function coresFault(value: string | undefined): string | null {
  if (value === undefined || coreCountIn(value) !== null) return null;
  const right = `it has to be a whole number from 1 to ${CORES_MAX}`;
  return `The environment variable ${CORES_VARIABLE} has the value '${shown(value)}'; ${right}.`;
}

/** Cores that are one invocation's alone are not left over by others. */
function spareFault(environment: Texts): string | null {
  const coreCount = coreCountIn(environment[CORES_VARIABLE]) ?? CORES_DEFAULT;
  if (environment[SHARING_VARIABLE] !== 'spare' || coreCount === 1) return null;
  const why = 'an invocation of several cores has them for itself. One of the two has to go.';
  return `${SHARING_VARIABLE} is spare and ${CORES_VARIABLE} is ${coreCount}: ${why}`;
}

function shown(value: string): string {
  return value.length > SHOWN_LENGTH ? `${value.slice(0, SHOWN_LENGTH)}…` : value;
}
