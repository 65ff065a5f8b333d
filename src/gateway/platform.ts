/** What the HTTP face needs of the platform behind it. Composed in cli/; tests compose it with fakes of the doors. */
import type { UserError } from '../base/errors.ts';
import type { ChainProgress, FunctionVersion, Store } from '../store/store.ts';
import type { LogStore } from '../store/logs.ts';
import type { WakerKind } from '../workflow/sleep-plans.ts';
import type { CopyState, InvocationRecord, ProvisionedState } from '../worker/agent/contract.ts';
import type { ResidentState } from '../worker/agent/sharing-view.ts';
import type { Admission } from './admission.ts';
import type { FunctionUse, Overview } from './overview.ts';

export interface InvokeRequest {
  readonly requestId: string;
  readonly fn: FunctionVersion;
  readonly payload: Buffer;
  /** JSON text (decoded from the header's base64), '' if none. */
  readonly clientContext: string;
  readonly traceId: string;
  /** The ARN that the client named, with its qualifier; '' for the plain one, which the instance knows. */
  readonly invokedArn: string;
  readonly tail: boolean;
  /** A later step of a chain: nobody new, so nobody is refused for it, and it is not refused for those who come. */
  readonly goesOn?: boolean;
  /** How long the steps before it have run, µs: where who has used least goes first, it goes on from there. */
  readonly usedUs?: number;
  /** Of a step of a chain: what it may sleep on until it answers. */
  readonly sleepsOn?: readonly WakerKind[];
  /** Of such a step: since when it counts as waiting, clock microseconds. It goes before those who came later. */
  readonly sinceUs?: number;
  /**
   * What is asked for as its result is told: an instance of it may be made while this runs, and the core is given to nobody else before that.
   */
  readonly next?: FunctionVersion;
  /** What comes after that. In a cluster it is named to the scheduler ahead, so that a worker can be told of it when it is the next. */
  readonly afterNext?: FunctionVersion;
}

export type InvokeResult =
  | {
      readonly kind: 'response' | 'error';
      readonly payload: Buffer;
      readonly record: InvocationRecord;
      /** Lambda's log text (START … REPORT), its last 4 KiB; '' unless `tail` was asked for. */
      readonly tail: string;
      /** True: the worker was lost while it ran, and it may have run in part. */
      readonly isLost?: boolean;
    }
  | { readonly kind: 'refused'; readonly error: UserError };

export interface ChainRequest {
  /** Of the whole; each step has one of its own, made from it. */
  readonly requestId: string;
  readonly chain: ChainProgress;
  /** Of the step that it begins with. */
  readonly payload: Buffer;
  /** Of every step. */
  readonly clientContext: string;
  readonly traceId: string;
  /** Of the log of the step that ends it. */
  readonly tail: boolean;
}

/** What is known of a step that has run. */
export interface StepRecord {
  readonly record: InvocationRecord;
  /** From its predecessor's result to the start of its handler; of the first one, from the acceptance of the chain. */
  readonly betweenUs: number;
}

export interface ChainResult {
  /** Of the step that ended it: the last one, or the one that failed, or was refused, or was missing before any ran. */
  readonly result: InvokeResult;
  /** Its index; 0 is the first. */
  readonly step: number;
  /** What it was given; of one that was missing before any ran, what the first one would have been. */
  readonly input: Buffer;
  /** Of all that have run, in order. */
  readonly records: readonly StepRecord[];
}

/** Where cores are shared: what the holder of a core or seat does, and where. */
export interface CoreResident {
  readonly state: ResidentState;
  /** The core on which it is now; null: it has none any longer. */
  readonly core: number | null;
  /** The core or seat of who is in the foreground there, if that is somebody else. */
  readonly behind: number | null;
}

/** What one core does now, for `perch cores`. */
export interface CoreView {
  readonly core: number;
  /** Kernel numbers of its hardware threads; none where they are not known here, or change. */
  readonly cpus: readonly number[];
  readonly state: 'idle' | 'leased' | 'withdrawn';
  /** 'name:version' of the holder; '' if idle. */
  readonly functionName: string;
  readonly requestId: string;
  /** How long it has been so, microseconds. */
  readonly sinceUs: number;
  readonly invocationCount: number;
  /** It is no core, but a seat beside those of the cores, which are shared; shown while somebody has it. */
  readonly isExtra: boolean;
  /** Null: nobody has it, or nobody goes before anybody there, or its worker has not said so. */
  readonly resident: CoreResident | null;
}

/** What brings invocations to workers: on one machine, or over a cluster. */
export interface Dispatch {
  /** `done` is called exactly once, perhaps before this returns. The function returned withdraws what still waits. */
  invoke(request: InvokeRequest, done: (result: InvokeResult) => void): () => void;
  provisionedState(fn: FunctionVersion): ProvisionedState;
  copyState(fn: FunctionVersion): CopyState | Promise<CopyState>;
  /** Of the versions in use, what of them is there. */
  uses(): readonly FunctionUse[];
  /** Nothing is done by itself any more. */
  stop(): void;
  /** Nothing waits or runs. */
  readonly isIdle: boolean;
}

export interface Platform {
  readonly store: Store;
  readonly logs: LogStore;
  readonly admission: Admission;
  /** Answers through `done`, exactly once. The returned function withdraws it, if it has not been granted a core yet. */
  invoke(request: InvokeRequest, done: (result: InvokeResult) => void): () => void;
  /** The same for a chain; what is withdrawn is the step that waits for a core, and all that would come after one that runs. */
  invokeChain(request: ChainRequest, done: (result: ChainResult) => void): () => void;
  /** On disk when the promise resolves. */
  invokeChainAsync(request: ChainRequest): Promise<UserError | null>;
  /** On disk when the promise resolves. */
  invokeAsync(request: InvokeRequest): Promise<UserError | null>;
  /** Of all workers that there are. */
  coreCount(): number;
  /** In order of their numbers: those after `after`, `max` at most. */
  cores(after: number, max: number): readonly CoreView[] | Promise<readonly CoreView[]>;
  /** What may be provisioned, all together. */
  readonly capacity: { readonly memoryMb: number; readonly instanceCount: number };
  /** How far the agent is with the provisioned concurrency that the store has for a version. */
  provisionedState(fn: FunctionVersion): ProvisionedState;
  copyState(fn: FunctionVersion): CopyState | Promise<CopyState>;
  overview(): Promise<Overview>;
  /** Prometheus text. */
  metrics(): string;
}
