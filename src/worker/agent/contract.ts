/** What the gateway asks of an agent. On one machine these are calls; across machines, frames. */
import type { UserError } from '../../base/errors.ts';
import type { Isolation } from '../../store/settings.ts';
import type { FunctionVersion } from '../../store/store.ts';
import type { WakerKind } from '../../workflow/sleep-plans.ts';

/** The right of one invocation to its cores, as the scheduler granted it. It is named by the lowest of them, its lead. */
export interface Lease {
  readonly epoch: number;
  /** Index of the lead on its worker. */
  readonly core: number;
  readonly sequence: number;
  /** Bit i stands for core (core & ~31) + i; none or 0: the lead alone. */
  readonly mask?: number;
}

export interface Invocation {
  /** A UUID, 36 characters. */
  readonly requestId: string;
  /** Small integer that stands for (function, version, revision) between gateway, scheduler and agent. */
  readonly versionIndex: number;
  readonly fn: FunctionVersion;
  readonly payload: Buffer;
  /** JSON text, '' if none. */
  readonly clientContext: string;
  readonly traceId: string;
  readonly invokedArn: string;
  /** Keep the last 4 KiB of its log for the answer. */
  readonly tail: boolean;
  /** What goes before it in its chain has run for so long, µs. */
  readonly usedUs?: number;
  /** What it may sleep on until it answers, as the sleep plan of its chain's step says. */
  readonly sleepsOn?: readonly WakerKind[];
  /** Another step of its chain is asked for as soon as it has its result, here. */
  readonly isFollowed?: boolean;
  /** The scheduler shard in whose queue it waited; -1 if a core was granted at once. */
  readonly queuedAt: number;
  /** When the request was accepted, clock microseconds. */
  readonly acceptedUs: number;
  readonly done: (result: InvocationResult) => void;
}

/**
 * What an invocation met. `warm`: an instance or copy that waited. `copy`: the function's zygote, from which one was forked for it or was
 * being forked ahead. `cold`: nothing but its code, or what was initialising it still.
 */
export type StartKind = 'cold' | 'copy' | 'warm';

/** Times in microseconds. */
export interface InvocationRecord {
  /** Index of the core it ran on; of several the lowest. */
  readonly core: number;
  readonly coreCount: number;
  readonly start: StartKind;
  /** The scheduler shard in whose queue it waited; -1 if a core was granted at once. */
  readonly queuedAt: number;
  /** From acceptance to grant. */
  readonly queuedUs: number;
  /** From grant to the handler's start: sandbox, boot, initialisation; near zero when warm. */
  readonly startUs: number;
  /** Of that, the function's own initialisation; 0 unless cold. */
  readonly initUs: number;
  readonly runUs: number;
  /** Milliseconds, rounded up, as Lambda bills. */
  readonly billedMs: number;
  /** Highest resident memory of the instance so far, MB. */
  readonly memoryPeakMb: number;
}

export type InvocationResult =
  | { readonly kind: 'response'; readonly payload: Buffer; readonly record: InvocationRecord; readonly tail: string }
  | { readonly kind: 'error'; readonly payload: Buffer; readonly record: InvocationRecord; readonly tail: string }
  /** The payload was no JSON; the handler did not run. */
  | { readonly kind: 'bad-payload'; readonly message: string }
  /** Its code could not be supplied, now or until it is deployed again; the handler did not run. */
  | { readonly kind: 'not-started'; readonly error: UserError }
  /** The agent had no memory for it, or no longer knows the lease; the handler did not run. Ask the scheduler again. */
  | { readonly kind: 'refused'; readonly why: 'no-memory' | 'stale-lease' | 'stopping' };

/** What the agent is told of a version before its first invocation. */
export interface VersionTarget {
  readonly versionIndex: number;
  readonly fn: FunctionVersion;
  readonly isolation: Isolation;
}

/** Where a function's files lie on this worker. */
export interface CodeFolders {
  readonly codeDir: string;
  /** '' where the function has no layers. */
  readonly layersDir: string;
}

/** The worker's code cache, as the agent uses it. */
export interface CodeSupply {
  /** At once where they are here, else when they are. What is given is there until it is released. */
  acquire(fn: FunctionVersion): CodeFolders | Promise<CodeFolders | UserError>;
  release(folders: CodeFolders): void;
}

/** How far the agent is with what `provision` asked for. */
export interface ProvisionedState {
  /** Instances that exist for it or are being made, at most as many as were asked for. */
  readonly allocated: number;
  /** Of those, initialised: idle or at work. */
  readonly available: number;
  /** Why it got no further, in words for the function's owner; null while nothing went wrong. */
  readonly failed: string | null;
}

export interface CopyState {
  /** Null: not known yet, since nothing was initialised. */
  readonly copyable: boolean | null;
  /** Why it cannot be copied, each in words for its owner. */
  readonly reasons: readonly string[];
  readonly zygote: 'none' | 'initialising' | 'ready';
  /** What keeps its zygote from being made, in words; '' where there is one, or nothing does. */
  readonly lacks: string;
  /** What its last initialisation failed with, on one line; '' where that succeeded, or none has been tried. */
  readonly failure: string;
  /** Instances that wait for an invocation. */
  readonly waiting: number;
}

/** Instances made ahead of invocations. The gateway holds the version's index from `provision` until it provisions 0. */
export interface Provisioner {
  /** From now on `count` instances of the version are kept ready; 0: no more than any other version's. */
  provision(versionIndex: number, count: number): void;
  provisionedState(versionIndex: number): ProvisionedState;
  copyState(versionIndex: number): CopyState;
  /** Why the version will not be copied, as far as that is known of one that has no index. */
  copyReasons(fn: FunctionVersion, isolation: Isolation): readonly string[];
}
