/** The simulated twin of the sandbox door: no processes, no time. See README.md beside this file. */
import { duplexPair, PassThrough, type Readable, type Writable } from 'node:stream';
import type { ExitReason, Finding, Sandbox, SandboxBackend, SandboxSpec } from '../contract.ts';

/** The instance's side of a fake sandbox, for the script that plays it. */
export interface FakeInstance {
  readonly spec: SandboxSpec;
  /** What a real instance has as descriptor 3. */
  readonly channel: Readable;
  /** What a real instance has as descriptor 4. */
  readonly answers: Writable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Every set of CPUs that it was pinned to, the one at start included. */
  readonly pins: readonly (readonly number[])[];
  /** Whether it may not run at the moment. */
  readonly frozen: boolean;
  /** It ends by itself. Later calls do nothing. */
  exit(reason: ExitReason): void;
  setMemoryPeakBytes(bytes: number): void;
  /** Called once when it ends, whoever ended it: the place to cancel timers. */
  onEnd(listener: () => void): void;
}

/** Plays one instance. Called a turn after `start`, as a real instance's first sign of life would come. */
export type FakeScript = (instance: FakeInstance) => void;

export class FakeBackend implements SandboxBackend {
  readonly name = 'fake';
  readonly #script: FakeScript;
  /** Every instance that was started, oldest first. */
  readonly instances: FakeInstance[] = [];

  constructor(script: FakeScript) {
    this.#script = script;
  }

  async check(): Promise<readonly (Finding & { readonly required: boolean })[]> {
    return [{ topic: 'isolation', ok: true, required: false, detail: 'simulated', fix: '' }];
  }

  async open(): Promise<void> {}

  start(spec: SandboxSpec): Sandbox {
    const sandbox = new FakeSandbox(spec);
    this.instances.push(sandbox.instance);
    // A kill that comes first leaves nothing to play.
    queueMicrotask(() => {
      if (!sandbox.ended) this.#script(sandbox.instance);
    });
    return sandbox;
  }

  canCopy(): boolean {
    return false;
  }

  startCell(): never {
    throw new Error('the fake cannot copy');
  }

  async close(): Promise<void> {}
}

class FakeSandbox implements Sandbox {
  readonly channel: Writable;
  readonly answers: Readable;
  readonly output: readonly Readable[];
  readonly instance: FakeInstance;
  ended = false;
  readonly #pins: (readonly number[])[] = [];
  readonly #exitListeners: ((reason: ExitReason) => void)[] = [];
  readonly #endListeners: (() => void)[] = [];
  readonly #instanceStreams: readonly Writable[];
  #memoryPeakBytes = 0;
  #frozen = false;

  constructor(spec: SandboxSpec) {
    const [channel, channelInside] = duplexPair();
    const [answersInside, answers] = duplexPair();
    const stdout = new PassThrough();
    const stderr = new PassThrough();
    this.channel = channel;
    this.answers = answers;
    this.output = [stdout, stderr];
    this.#instanceStreams = [channelInside, answersInside, stdout, stderr];
    for (const stream of [channel, answers, ...this.#instanceStreams]) stream.on('error', () => {});
    if (spec.cpus.length > 0) this.#pins.push(spec.cpus.slice());
    const isFrozen = (): boolean => this.#frozen;
    this.instance = {
      spec,
      channel: channelInside,
      answers: answersInside,
      stdout,
      stderr,
      pins: this.#pins,
      get frozen() {
        return isFrozen();
      },
      exit: (reason) => this.#end(reason),
      setMemoryPeakBytes: (bytes) => {
        this.#memoryPeakBytes = Math.max(this.#memoryPeakBytes, bytes);
      },
      onEnd: (listener) => this.#endListeners.push(listener),
    };
  }

  pin(cpus: readonly number[]): boolean {
    if (this.ended || cpus.length === 0) return false;
    this.#pins.push(cpus.slice());
    return true;
  }

  freeze(): void {
    this.#frozen = true;
  }

  thaw(): void {
    this.#frozen = false;
  }

  kill(): void {
    this.#end({ kind: 'killed' });
  }

  retire(): void {
    this.kill();
  }

  memoryPeakBytes(): number {
    return this.#memoryPeakBytes;
  }

  onExit(listener: (reason: ExitReason) => void): void {
    this.#exitListeners.push(listener);
  }

  #end(reason: ExitReason): void {
    if (this.ended) return;
    this.ended = true;
    for (const listener of this.#endListeners) listener();
    for (const stream of this.#instanceStreams) stream.end();
    // What the instance wrote before it ended still arrives first.
    setImmediate(() => {
      this.channel.destroy();
      this.answers.destroy();
      for (const listener of this.#exitListeners) listener(reason);
    });
  }
}
