/** One simulated sandbox: a process of its own, or a copy. */
import { type Duplex, duplexPair, PassThrough, type Readable, Writable } from 'node:stream';
import type { CopySpec, ExitReason, Sandbox, SandboxSpec, SandboxTasks } from '../contract.ts';
import type { FakeCell } from './cell.ts';

/** What a copy comes from, and as what. */
export interface FakeOrigin {
  readonly cell: FakeCell;
  readonly spec: CopySpec;
}

/** The instance's side of a fake sandbox, for the script that plays it. */
export interface FakeInstance {
  /** Of a copy: what its cell was started with and adopted, with the slot and the memory of its own. */
  readonly spec: SandboxSpec;
  /** Null: it is a process of its own. */
  readonly origin: FakeOrigin | null;
  /** What a real instance has as descriptor 3. */
  readonly channel: Readable;
  /** What a real instance has as descriptor 4. */
  readonly answers: Writable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Every set of CPUs that it was pinned to, the one at start included. */
  readonly pins: readonly (readonly number[])[];
  /** Whether it runs only where nobody else wants the CPU. */
  readonly isBackground: boolean;
  readonly isFirst: boolean;
  /** Whether it may not run at the moment. */
  readonly frozen: boolean;
  /** Something was written to its channel while it was frozen. */
  readonly toldFrozen: boolean;
  readonly ended: boolean;
  /** It ends by itself. Later calls do nothing. */
  exit(reason: ExitReason): void;
  setMemoryPeakBytes(bytes: number): void;
  /** Called once when it ends, whoever ended it: the place to cancel timers. */
  onEnd(listener: () => void): void;
}

/** Plays one instance. Called a turn after `start` or `fork`, as a real instance's first sign of life would come. */
export type FakeScript = (instance: FakeInstance) => void;

export class FakeSandbox implements Sandbox {
  readonly channel: Writable;
  readonly answers: Readable;
  readonly output: readonly Readable[];
  readonly instance: FakeInstance;
  ended = false;
  readonly #once: boolean;
  readonly #pins: (readonly number[])[] = [];
  readonly #exitListeners: ((reason: ExitReason) => void)[] = [];
  readonly #endListeners: (() => void)[] = [];
  readonly #instanceStreams: readonly Writable[];
  #memoryPeakBytes = 0;
  #frozen = false;
  #toldFrozen = false;
  #isBackground = false;
  #isFirst = false;

  constructor(spec: SandboxSpec, origin: FakeOrigin | null) {
    const [channel, channelInside] = duplexPair();
    const [answersInside, answers] = duplexPair();
    const stdout = new PassThrough();
    const stderr = new PassThrough();
    this.channel = this.#noting(channel);
    this.answers = answers;
    this.output = [stdout, stderr];
    this.#once = origin?.spec.once ?? false;
    this.#instanceStreams = [channelInside, answersInside, stdout, stderr];
    for (const stream of [channel, this.channel, answers, ...this.#instanceStreams]) stream.on('error', () => {});
    if (spec.cpus.length > 0) this.#pins.push(spec.cpus.slice());
    const isBackground = (): boolean => this.#isBackground;
    const isFirst = (): boolean => this.#isFirst;
    const isFrozen = (): boolean => this.#frozen;
    const wasToldFrozen = (): boolean => this.#toldFrozen;
    const hasEnded = (): boolean => this.ended;
    this.instance = {
      spec,
      origin,
      channel: channelInside,
      answers: answersInside,
      stdout,
      stderr,
      pins: this.#pins,
      get isBackground() {
        return isBackground();
      },
      get isFirst() {
        return isFirst();
      },
      get frozen() {
        return isFrozen();
      },
      get toldFrozen() {
        return wasToldFrozen();
      },
      get ended() {
        return hasEnded();
      },
      exit: (reason) => this.#end(reason),
      setMemoryPeakBytes: (bytes) => {
        this.#memoryPeakBytes = Math.max(this.#memoryPeakBytes, bytes);
      },
      onEnd: (listener) => this.#endListeners.push(listener),
    };
  }

  /** A kill that comes first leaves nothing to play. */
  play(script: FakeScript): this {
    queueMicrotask(() => {
      if (!this.ended) script(this.instance);
    });
    return this;
  }

  pin(cpus: readonly number[]): boolean {
    if (this.ended || cpus.length === 0) return false;
    this.#pins.push(cpus.slice());
    return true;
  }

  /** An observer that is simulated too has something to watch. */
  tasks(): SandboxTasks | null {
    return this.ended ? null : { cgroup: null, processIds: () => [] };
  }

  background(isBackground: boolean): boolean {
    if (this.ended) return false;
    this.#isBackground = isBackground;
    this.#isFirst = false;
    return true;
  }

  goFirst(): boolean {
    if (this.ended) return false;
    this.#isFirst = true;
    return true;
  }

  place(cpus: readonly number[], isBackground: boolean): boolean {
    return this.pin(cpus) && this.background(isBackground);
  }

  /** What is written to its channel from now on waits, and is noted. */
  freeze(): void {
    if (this.#frozen) return;
    this.#frozen = true;
    this.instance.channel.pause();
  }

  thaw(): void {
    if (!this.#frozen) return;
    this.#frozen = false;
    this.instance.channel.resume();
  }

  /** The platform's side of its channel. */
  #noting(channel: Duplex): Writable {
    const noting = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        if (this.#frozen) this.#toldFrozen = true;
        channel.write(chunk);
        done();
      },
      final: (done) => void channel.end(done),
      destroy: (error, done) => {
        channel.destroy();
        done(error);
      },
    });
    channel.on('error', (error) => noting.destroy(error));
    channel.on('close', () => noting.destroy());
    return noting;
  }

  kill(): void {
    this.#end({ kind: 'killed' });
  }

  /** What was made for one answer ends by itself, and at once. */
  retire(): void {
    this.#end(this.#once ? { kind: 'exit', code: 0 } : { kind: 'killed' });
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
