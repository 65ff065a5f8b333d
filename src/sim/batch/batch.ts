/**
 * Many simulations on all cores of this machine. Each is one run in one thread; what comes out is in the order of what went in, and does not depend on
 * how many threads there were or which of them ran what. A run that fails fails alone.
 */
import { Worker } from 'node:worker_threads';
import type { Result } from '../measure/result.ts';
import type { SimulationSpec } from '../spec.ts';

export interface Run {
  readonly spec: SimulationSpec;
  /** null: it failed, or was stopped before its end. */
  readonly result: Result | null;
  readonly error: RunError | null;
}

export interface RunError {
  readonly message: string;
  /** Where in the code. */
  readonly details: string;
  /** The set-up is wrong, and the code did what it should. */
  readonly isSpec?: boolean;
}

export interface BatchOptions {
  readonly threadCount: number;
  readonly policyFiles?: readonly string[];
  /** Called after each run that has ended. */
  readonly progressed?: (endedCount: number) => void;
  /** Of each thread: how much of its run is over, from 0 to 1; more: it waits for the last ones. Shared memory, to be read at any time; `sharesFor` makes it. */
  readonly shares?: Float64Array;
  /** Called as the thread begins with a run, and with null as that has ended. */
  readonly running?: (threadIndex: number, spec: SimulationSpec | null) => void;
  /** Runs that have not ended by then are left out. */
  readonly signal?: AbortSignal;
}

export interface ThreadData {
  readonly policyFiles: readonly string[];
  readonly shares: Float64Array;
  /** Of the thread, in the shares. */
  readonly index: number;
}

export type Answer = { readonly kind: 'result'; readonly result: Result } | ({ readonly kind: 'error' } & RunError);

export function sharesFor(threadCount: number): Float64Array {
  return new Float64Array(new SharedArrayBuffer(threadCount * Float64Array.BYTES_PER_ELEMENT));
}

export async function runBatch(specs: readonly SimulationSpec[], options: BatchOptions): Promise<readonly Run[]> {
  const threadCount = Math.max(1, Math.min(options.threadCount, specs.length));
  const batch = new Batch(specs, options);
  await Promise.all(Array.from({ length: threadCount }, (_, index) => batch.work(index)));
  return batch.runs;
}

class Batch {
  readonly runs: Run[];
  readonly #options: BatchOptions;
  readonly #shares: Float64Array;
  /** Indices of runs that have not begun, the next one last. */
  readonly #waiting: number[];
  #endedCount = 0;

  constructor(specs: readonly SimulationSpec[], options: BatchOptions) {
    this.runs = specs.map((spec) => ({ spec, result: null, error: null }));
    this.#options = options;
    this.#shares = options.shares ?? sharesFor(options.threadCount);
    // The longest first, so that no core has nothing to do while the last of them goes on.
    this.#waiting = specs.map((_, index) => index).sort((a, b) => sizeOf(specs[a]!) - sizeOf(specs[b]!) || b - a);
  }

  /** One thread's worth of work: until nothing waits. */
  async work(threadIndex: number): Promise<void> {
    const { policyFiles = [] } = this.#options;
    let thread: RunThread | null = null;
    for (;;) {
      const index = this.#options.signal?.aborted === true ? undefined : this.#waiting.pop();
      if (index === undefined) break;
      thread ??= new RunThread(this.#options, { policyFiles, shares: this.#shares, index: threadIndex });
      const { spec } = this.runs[index]!;
      this.#options.running?.(threadIndex, spec);
      const answer = await thread.run(spec);
      this.#options.running?.(threadIndex, null);
      if (answer === null) break;
      if (thread.isGone) thread = null;
      this.#put(index, answer);
    }
    await thread?.close();
  }

  #put(index: number, answer: Answer): void {
    const { spec } = this.runs[index]!;
    this.runs[index] =
      answer.kind === 'result'
        ? { spec, result: answer.result, error: null }
        : { spec, result: null, error: errorIn(answer) };
    this.#options.progressed?.(++this.#endedCount);
  }
}

function errorIn({ message, details, isSpec = false }: RunError): RunError {
  return { message, details, isSpec };
}

/** Roughly how long it takes. */
function sizeOf({ servers, cores, seconds, load }: SimulationSpec): number {
  return servers * cores * seconds * (load ?? 1);
}

class RunThread {
  isGone = false;
  readonly #worker: Worker;
  readonly #signal: AbortSignal | undefined;
  #answer: (answer: Answer | null) => void = () => undefined;
  readonly #stop = (): void => void this.#worker.terminate();

  constructor({ signal }: BatchOptions, data: ThreadData) {
    this.#worker = new Worker(new URL('./run-thread.ts', import.meta.url), { workerData: data, name: 'perch-sim' });
    this.#signal = signal;
    this.#worker.on('message', (answer: Answer) => this.#answer(answer));
    this.#worker.on('error', (error: Error) =>
      this.#end({ kind: 'error', message: error.message, details: error.stack ?? '' }),
    );
    this.#worker.on('exit', (code) => this.#end(this.#endOf(code)));
    signal?.addEventListener('abort', this.#stop);
  }

  /** null: it was stopped. */
  run(spec: SimulationSpec): Promise<Answer | null> {
    return new Promise((resolve) => {
      this.#answer = resolve;
      this.#worker.postMessage(spec);
    });
  }

  async close(): Promise<void> {
    this.#signal?.removeEventListener('abort', this.#stop);
    await this.#worker.terminate();
  }

  #endOf(code: number): Answer | null {
    if (this.#signal?.aborted === true) return null;
    return { kind: 'error', message: `its thread ended with ${code}`, details: '' };
  }

  #end(answer: Answer | null): void {
    this.isGone = true;
    this.#signal?.removeEventListener('abort', this.#stop);
    this.#answer(answer);
  }
}
