/**
 * What every sandbox backend does, and what holds after death. One contract suite (test/worker/sandbox/contract.ts)
 * runs against each of them, the fake included.
 *
 * The agent never uses a backend bare: `safe.ts` wraps it and gives it order, idempotence and death on first error.
 */
import type { Readable, Writable } from 'node:stream';

export interface SandboxSpec {
  /** Slot of the instance on its worker, 0 … instanceCountMax-1. Names its user id and its cgroup. */
  readonly slot: number;
  /** Folder on the host with the unpacked code of the function; read-only inside, at /var/task. */
  readonly codeDir: string;
  /** The runtime's folder on the host (see runtimes/); read-only inside, at /var/runtime. */
  readonly runtimeDir: string;
  /** The interpreter on the host (the pinned node); inside at /var/lang/bin/<its name>. */
  readonly interpreter: string;
  /**
   * Arguments of the interpreter. The placeholders {runtime} and {code} stand for where the two folders appear to
   * the instance, since a backend without a mount namespace shows them where they are.
   */
  readonly args: readonly string[];
  /** The environment, whole: nothing of the platform's own is added to it or inherited. {runtime} and {code} as in args. */
  readonly env: Readonly<Record<string, string>>;
  readonly memoryMb: number;
  /** CPUs (kernel numbers) to start on; empty: wherever. */
  readonly cpus: readonly number[];
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
   * Stops every process in it until `thaw`: none of them uses a CPU. It can be pinned and killed meanwhile, and what is
   * written to its channel waits. Nothing happens where the machine has no freezer (`check` says so), or it is dead.
   */
  freeze(): void;
  /** Returns when they may run again. */
  thaw(): void;
  /** Ends every process in the sandbox. Idempotent; `onExit` follows. */
  kill(): void;
  /** Highest resident memory of all processes in it so far, bytes; 0 where it is unknown. */
  memoryPeakBytes(): number;
  /**
   * Called once, when every process in the sandbox is gone and its cgroup and folders are removed.
   * After it the slot may be used again; `channel` and `answers` are closed, `pin` answers false, `memoryPeakBytes` the last value.
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
  /** After every sandbox is gone: removes what `open` made. */
  close(): Promise<void>;
}
