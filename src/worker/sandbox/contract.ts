/**
 * What every sandbox backend does, and what holds after death. One contract suite (test/worker/sandbox/contract.ts)
 * runs against each of them, the fake included.
 *
 * The agent never uses a backend bare: `safe.ts` wraps it and gives it order, idempotence and death on first error.
 */
import type { Readable, Writable } from 'node:stream';

/**
 * What an instance reaches over the network. `none`: its own loopback. `outbound`: that, and what lies beyond the
 * server; neither the server itself nor other instances. `host`: all that the server reaches.
 */
export type NetworkPolicy = 'none' | 'outbound' | 'host';

/** Of a cell, which has it before it has a function: one of its own, for `none` and `outbound`, or the host's. */
export type CellNetwork = 'own' | 'host';

export function cellNetworkOf(policy: NetworkPolicy): CellNetwork {
  return policy === 'host' ? 'host' : 'own';
}

export interface SandboxSpec {
  /** Slot of the instance on its worker, 0 … instanceCountMax-1. Names its user id and its cgroup. */
  readonly slot: number;
  /** Folder on the host with the unpacked code of the function; read-only inside, at /var/task. */
  readonly codeDir: string;
  /** Folder on the host with the content of the function's layers, merged; read-only inside, at /opt. '' if there are none. */
  readonly layersDir: string;
  /** The runtime's folder on the host (see runtimes/); read-only inside, at /var/runtime. */
  readonly runtimeDir: string;
  /** The interpreter on the host (the pinned node); inside at /var/lang/bin/<its name>. */
  readonly interpreter: string;
  /**
   * Arguments of the interpreter. The placeholders {runtime}, {code} and {layers} stand for where the folders appear to
   * the instance, since a backend without a mount namespace shows them where they are.
   */
  readonly args: readonly string[];
  /** The environment, whole: nothing of the platform's own is added to it or inherited. Placeholders as in args. */
  readonly env: Readonly<Record<string, string>>;
  readonly memoryMb: number;
  /** CPUs (kernel numbers) to start on; empty: wherever. */
  readonly cpus: readonly number[];
  readonly network: NetworkPolicy;
}

/** A stem cell: a sandbox with a runtime booted and no code of any function. */
export interface CellSpec {
  readonly slot: number;
  readonly runtimeDir: string;
  readonly interpreter: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly memoryMb: number;
  readonly cpus: readonly number[];
  readonly network: CellNetwork;
}

/** The function that a cell becomes the zygote of. */
export interface AdoptSpec {
  readonly codeDir: string;
  readonly layersDir: string;
  /** The environment of the function, whole, placeholders filled in as everywhere. */
  readonly env: Readonly<Record<string, string>>;
  readonly memoryMb: number;
  readonly network: NetworkPolicy;
}

export interface CopySpec {
  /** A slot of its own, other than the zygote's. */
  readonly slot: number;
  readonly memoryMb: number;
  /** It ends by itself after its one answer. */
  readonly once: boolean;
}

/** What a zygote says of itself. It is hostile once it has code: nothing of this is believed beyond its own function. */
export type ZygoteReport =
  /** The runtime has booted: it can adopt. */
  | { readonly kind: 'cell' }
  /** The function is initialised: it can be copied. */
  | { readonly kind: 'initialised' }
  /** Initialisation failed; a Lambda error object as JSON. */
  | { readonly kind: 'init-error'; readonly payload: Buffer }
  /** The initialised function holds what a copy cannot have; each reason in words for its owner. */
  | { readonly kind: 'uncopyable'; readonly reasons: readonly string[] }
  /** A log frame. */
  | { readonly kind: 'log'; readonly text: string; readonly bytes: number }
  | { readonly kind: 'breach'; readonly message: string };

/** First a stem cell, after `adopt` the zygote of one function. Runs no invocation. */
export interface Zygote {
  readonly output: readonly Readable[];
  onReport(listener: (report: ZygoteReport) => void): void;
  /** Bytes of frames as they come, headers and such frames too as count for nothing: reading them is work. */
  onHeard(listener: (bytes: number) => void): void;
  /** Nothing of its frames and its output is read until `resume`, but for what tells how a copy ended. May be called again. */
  pause(): void;
  resume(): void;
  /** Once, after `cell` was reported; the function's network has to be of the cell's kind. */
  adopt(spec: AdoptSpec): void;
  /** After `initialised`. A copy is a sandbox like any other; it dies with its zygote. Thaw the zygote first. */
  fork(spec: CopySpec): Sandbox;
  pin(cpus: readonly number[]): boolean;
  /** As of a sandbox. What it forks begins as it is itself. */
  background(isBackground: boolean): boolean;
  tasks(): SandboxTasks | null;
  freeze(): void;
  thaw(): void;
  kill(): void;
  /** What it uses now, bytes; 0 where it is unknown. */
  memoryBytes(): number;
  /** Once, when every process in it is gone; its copies went before. */
  onExit(listener: (reason: ExitReason) => void): void;
}

export type ExitReason =
  /** Ended by itself. */
  | { readonly kind: 'exit'; readonly code: number }
  /** Ended by a signal that was not ours. */
  | { readonly kind: 'signal'; readonly signal: string }
  /** The kernel killed it at its memory limit. */
  | { readonly kind: 'oom' }
  /** We killed it: `kill()` was called. */
  | { readonly kind: 'killed' }
  /** It never came to life. The message says why and what to do. */
  | { readonly kind: 'start-failed'; readonly message: string };

/** Where an observer finds what runs in a sandbox. */
export interface SandboxTasks {
  /** Folder of the version 2 cgroup in which it is alone; null where it has none. */
  readonly cgroup: string | null;
  /** Every process of it, as the platform sees their ids. */
  processIds(): readonly number[];
}

export interface Sandbox {
  /** To the instance's descriptor 3. See wire/instance-frame.ts. */
  readonly channel: Writable;
  /** From its descriptor 4. Two descriptors, since reading from one socket would wake whoever waits on its other end. */
  readonly answers: Readable;
  /** What the instance and its children write to descriptors 1 and 2. */
  readonly output: readonly Readable[];
  /** Moves every thread of the instance to these CPUs. False where the machine cannot pin, or it is dead. */
  pin(cpus: readonly number[]): boolean;
  /**
   * Every thread of it, and whatever they make from then on, runs only where nobody in the foreground wants the CPU
   * (`SCHED_IDLE`); or as all others do again. It starts in the foreground. Nothing happens where it is so already. False
   * where the machine cannot put it there and back (`check` says so), or it is dead; what is frozen can be changed too.
   */
  background(isBackground: boolean): boolean;
  /**
   * Every thread of it is in real time, before whoever is on its CPUs but the platform, until `background` or `place` is called; what they
   * make is not. False, and nothing happens, where the machine lets nobody be in real time, or it is dead.
   */
  goFirst(): boolean;
  /** Both at once, for less, or what the machine can do of it. False where it was not pinned. */
  place(cpus: readonly number[], isBackground: boolean): boolean;
  /** Null where there is nothing to be seen. */
  tasks(): SandboxTasks | null;
  /**
   * Stops every process in it until `thaw`: none of them uses a CPU. It can be pinned and killed meanwhile, and what is
   * written to its channel waits. Nothing happens where the machine has no freezer (`check` says so), or it is dead.
   */
  freeze(): void;
  /** Returns when they may run again. */
  thaw(): void;
  /** Ends every process in the sandbox. Idempotent; `onExit` follows. */
  kill(): void;
  /** It has given its last answer: it may end by itself, if it does so at once, else it is killed. `onExit` follows. */
  retire(): void;
  /** Highest resident memory of all processes in it so far, bytes; 0 where it is unknown. */
  memoryPeakBytes(): number;
  /**
   * Called once, when every process in the sandbox is gone and its cgroup and folders are removed.
   * After it the slot may be used again; `channel` and `answers` are closed, `pin`, `background` and `place` answer false, `memoryPeakBytes` the last value.
   */
  onExit(listener: (reason: ExitReason) => void): void;
}

/** One thing that the machine lacks or has; `perch doctor` prints them. */
export interface Finding {
  readonly topic: string;
  readonly ok: boolean;
  /** What is there, or what is missing. */
  readonly detail: string;
  /** What to do about it; empty where nothing needs doing. */
  readonly fix: string;
}

export interface SandboxBackend {
  readonly name: 'bubblewrap' | 'none' | 'fake';
  /** What it needs and what it can do on this machine. A finding that is not ok and `required` forbids its use. */
  check(): Promise<readonly (Finding & { readonly required: boolean })[]>;
  /** Once, before the first start: stages folders, makes cgroups, removes what a killed predecessor left. */
  open(): Promise<void>;
  /** Returns at once; what goes wrong arrives in `onExit` as `start-failed`. */
  start(spec: SandboxSpec): Sandbox;
  /** Whether this machine can fork copies, once it is open; without, every instance is a process of its own. */
  canCopy(): boolean;
  /** Only where it can. */
  startCell(spec: CellSpec): Zygote;
  /** After every sandbox is gone: removes what `open` made. */
  close(): Promise<void>;
}
