/** One simulated stem cell, later zygote. What its user may not do with it is a bug, and crashes. */
import { PassThrough, type Readable, type Writable } from 'node:stream';
import { assert } from '../../../base/assert.ts';
import { ZYGOTE_HEADER_BYTES } from '../../../wire/zygote-frame.ts';
import type { AdoptSpec, CellSpec, CopySpec, ExitReason, Sandbox, Zygote, ZygoteReport } from '../contract.ts';
import { type FakeInstance, FakeSandbox } from './instance.ts';

/** The cell's side, for the script that plays it. */
export interface FakeCell {
  readonly spec: CellSpec;
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** The function that it was given; null before. */
  readonly adopted: AdoptSpec | null;
  /** Every copy that was forked from it, oldest first. */
  readonly copies: readonly FakeInstance[];
  readonly pins: readonly (readonly number[])[];
  readonly isBackground: boolean;
  readonly frozen: boolean;
  readonly paused: boolean;
  readonly ended: boolean;
  /** Arrives a turn later, before its end, and not while nobody listens. */
  report(report: ZygoteReport): void;
  /** So many bytes of frames that count for nothing, which arrive likewise. */
  babble(bytes: number): void;
  /** It ends by itself, and its copies with it. Later calls do nothing. */
  exit(reason: ExitReason): void;
  setMemoryBytes(bytes: number): void;
  onAdopt(listener: (spec: AdoptSpec) => void): void;
  /** Called once when it ends, whoever ended it. */
  onEnd(listener: () => void): void;
}

/** Plays one cell. Called a turn after `startCell`. */
export type FakeCellScript = (cell: FakeCell) => void;

export class FakeZygote implements Zygote {
  readonly output: readonly Readable[];
  readonly cell: FakeCell;
  ended = false;
  readonly #fork: (copy: FakeSandbox) => FakeSandbox;
  readonly #copies: FakeSandbox[] = [];
  readonly #pins: (readonly number[])[] = [];
  readonly #said = new Set<ZygoteReport['kind']>();
  readonly #reportListeners: ((report: ZygoteReport) => void)[] = [];
  readonly #heardListeners: ((bytes: number) => void)[] = [];
  /** On its way to whoever listens. */
  readonly #sent: { readonly bytes: number; readonly report: ZygoteReport | null }[] = [];
  readonly #adoptListeners: ((spec: AdoptSpec) => void)[] = [];
  readonly #exitListeners: ((reason: ExitReason) => void)[] = [];
  readonly #endListeners: (() => void)[] = [];
  #adopted: AdoptSpec | null = null;
  #memoryBytes = 0;
  #frozen = false;
  #isBackground = false;
  #paused = false;

  /** `fork` is given each copy, to have it played. */
  constructor(spec: CellSpec, fork: (copy: FakeSandbox) => FakeSandbox) {
    const stdout = new PassThrough();
    const stderr = new PassThrough();
    this.output = [stdout, stderr];
    this.#fork = fork;
    if (spec.cpus.length > 0) this.#pins.push(spec.cpus.slice());
    const seen = {
      adopted: (): AdoptSpec | null => this.#adopted,
      copies: (): readonly FakeInstance[] => this.#copies.map(({ instance }) => instance),
      frozen: (): boolean => this.#frozen,
      isBackground: (): boolean => this.#isBackground,
      paused: (): boolean => this.#paused,
      ended: (): boolean => this.ended,
    };
    this.cell = {
      spec,
      stdout,
      stderr,
      pins: this.#pins,
      get adopted() {
        return seen.adopted();
      },
      get copies() {
        return seen.copies();
      },
      get isBackground() {
        return seen.isBackground();
      },
      get frozen() {
        return seen.frozen();
      },
      get paused() {
        return seen.paused();
      },
      get ended() {
        return seen.ended();
      },
      report: (report) => this.#report(report),
      babble: (bytes) => this.#send(bytes, null),
      exit: (reason) => this.#end(reason),
      setMemoryBytes: (bytes) => (this.#memoryBytes = bytes),
      onAdopt: (listener) => this.#adoptListeners.push(listener),
      onEnd: (listener) => this.#endListeners.push(listener),
    };
  }

  play(script: FakeCellScript): this {
    queueMicrotask(() => {
      if (!this.ended) script(this.cell);
    });
    return this;
  }

  onReport(listener: (report: ZygoteReport) => void): void {
    this.#reportListeners.push(listener);
  }

  onHeard(listener: (bytes: number) => void): void {
    this.#heardListeners.push(listener);
  }

  pause(): void {
    this.#paused = true;
    for (const stream of this.output) stream.pause();
  }

  resume(): void {
    this.#paused = false;
    for (const stream of this.output) stream.resume();
    this.#arrive();
  }

  adopt(spec: AdoptSpec): void {
    assert(this.#said.has('cell'), 'a cell was given a function before it had booted');
    assert(this.#adopted === null, 'a cell was given a second function');
    assert(!this.#frozen, 'a cell that is frozen was given a function');
    this.#adopted = spec;
    for (const listener of this.#adoptListeners) listener(spec);
  }

  fork(spec: CopySpec): Sandbox {
    const function_ = this.#adopted;
    assert(function_ !== null && this.#said.has('initialised'), 'a copy was asked for before there was a zygote');
    assert(!this.#frozen, 'a zygote that is frozen was asked for a copy');
    // One that has ended between its report and what comes of it could not be brought back.
    assert(this.ended || !this.#isBackground, 'a copy would begin in the background, as its zygote is');
    const { cell } = this;
    assert(spec.slot !== cell.spec.slot, 'a copy has the slot of its zygote');
    const whole = { ...cell.spec, ...function_, slot: spec.slot, memoryMb: spec.memoryMb, cpus: [] };
    const copy = new FakeSandbox(whole, { cell, spec });
    if (this.ended) copy.kill();
    this.#copies.push(copy);
    return this.#fork(copy);
  }

  pin(cpus: readonly number[]): boolean {
    if (this.ended || cpus.length === 0) return false;
    this.#pins.push(cpus.slice());
    return true;
  }

  background(isBackground: boolean): boolean {
    if (this.ended) return false;
    this.#isBackground = isBackground;
    return true;
  }

  tasks(): null {
    return null;
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

  memoryBytes(): number {
    return this.ended ? 0 : this.#memoryBytes;
  }

  onExit(listener: (reason: ExitReason) => void): void {
    this.#exitListeners.push(listener);
  }

  #report(report: ZygoteReport): void {
    if (this.ended) return;
    this.#said.add(report.kind);
    this.#send(ZYGOTE_HEADER_BYTES + (report.kind === 'log' ? report.bytes : 0), report);
  }

  #send(bytes: number, report: ZygoteReport | null): void {
    if (this.ended) return;
    this.#sent.push({ bytes, report });
    queueMicrotask(() => this.#arrive());
  }

  #arrive(): void {
    while (!this.#paused) {
      const next = this.#sent.shift();
      if (next === undefined) return;
      for (const listener of this.#heardListeners) listener(next.bytes);
      if (next.report !== null) for (const listener of this.#reportListeners) listener(next.report);
    }
  }

  #end(reason: ExitReason): void {
    if (this.ended) return;
    this.ended = true;
    for (const listener of this.#endListeners) listener();
    for (const copy of this.#copies) copy.kill();
    for (const stream of [this.cell.stdout, this.cell.stderr]) stream.end();
    // After the ends of its copies, which were asked for first.
    setImmediate(() => {
      for (const listener of this.#exitListeners) listener(reason);
    });
  }
}
