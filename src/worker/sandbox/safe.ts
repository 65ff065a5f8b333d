/**
 * The wrapper in which the agent uses every backend. The backends may be naive; through it holds, whatever they do:
 *
 * - Order: nothing starts before `open` is done or once `close` has begun; `close` waits until every sandbox is gone.
 * - One sandbox per slot at a time; a second one is a bug of the caller and crashes.
 * - Idempotence: `open`, `close`, `freeze`, `thaw` and `kill` may be called again; `onExit` is called once for each listener, also for one that comes late.
 * - Death on first error: an exception at start or fork, or an error on the channel, ends the sandbox, with a reason.
 * - A zygote's end is told after those of its copies.
 * - After `kill`, `freeze` and `thaw` do nothing: whatever holds a cgroup then lets the dying die.
 * - After death: `pin`, `background` and `place` are false, the channel is closed, the memory peak keeps its last value.
 */
import { PassThrough, type Readable, type Writable } from 'node:stream';
import { assert, AssertionError } from '../../base/assert.ts';
import type {
  AdoptSpec,
  CellSpec,
  CopySpec,
  ExitReason,
  Finding,
  Sandbox,
  SandboxBackend,
  SandboxSpec,
  SandboxTasks,
  Zygote,
  ZygoteReport,
} from './contract.ts';

type Phase = 'new' | 'opening' | 'open' | 'closing' | 'closed';

export class SafeBackend implements SandboxBackend {
  readonly name: SandboxBackend['name'];
  readonly #backend: SandboxBackend;
  readonly #slotCount: number;
  readonly #live = new Map<number, { kill(): void }>();
  #phase: Phase = 'new';
  #opening: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #emptied: (() => void) | undefined;

  constructor(backend: SandboxBackend, slotCount: number) {
    this.#backend = backend;
    this.#slotCount = slotCount;
    this.name = backend.name;
  }

  check(): Promise<readonly (Finding & { readonly required: boolean })[]> {
    return this.#backend.check();
  }

  open(): Promise<void> {
    assert(this.#phase !== 'closing' && this.#phase !== 'closed', 'sandbox backend: open after close');
    this.#opening ??= this.#open();
    return this.#opening;
  }

  start(spec: SandboxSpec): Sandbox {
    return this.#add(spec.slot, () => attempt('the sandbox', () => this.#backend.start(spec)));
  }

  canCopy(): boolean {
    return this.#phase === 'open' && this.#backend.canCopy();
  }

  startCell(spec: CellSpec): Zygote {
    this.#checkSlot(spec.slot);
    const inner =
      this.#phase === 'open'
        ? attempt('the cell', () => this.#backend.startCell(spec))
        : `the backend is ${this.#phase}`;
    const zygote = new SafeZygote(typeof inner === 'string' ? new FailedZygote(inner) : inner, {
      release: () => this.#remove(spec.slot),
      add: (slot, fork) => this.#add(slot, fork),
    });
    this.#live.set(spec.slot, zygote);
    return zygote;
  }

  #add(slot: number, start: () => Sandbox | string): Sandbox {
    this.#checkSlot(slot);
    const inner = this.#phase === 'open' ? start() : `the backend is ${this.#phase}`;
    const sandbox = new SafeSandbox(inner, () => this.#remove(slot));
    this.#live.set(slot, sandbox);
    return sandbox;
  }

  #checkSlot(slot: number): void {
    assert(Number.isInteger(slot) && slot >= 0 && slot < this.#slotCount, `sandbox slot out of range: ${slot}`);
    assert(!this.#live.has(slot), `sandbox slot ${slot} is in use`);
  }

  #remove(slot: number): void {
    this.#live.delete(slot);
    if (this.#live.size === 0) this.#emptied?.();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #open(): Promise<void> {
    this.#phase = 'opening';
    await this.#backend.open();
    // `close` may have come meanwhile.
    if (this.#phase === 'opening') this.#phase = 'open';
  }

  async #close(): Promise<void> {
    const wasOpened = this.#opening;
    this.#phase = 'closing';
    // A failed opening was told to who asked for it.
    await wasOpened?.catch(() => {});
    const emptied = new Promise<void>((resolve) => {
      this.#emptied = resolve;
    });
    if (this.#live.size > 0) {
      for (const sandbox of this.#live.values()) sandbox.kill();
      await emptied;
    }
    if (wasOpened !== undefined) await this.#backend.close();
    this.#phase = 'closed';
  }
}

/** What `make` makes, or why it does not. */
function attempt<T>(what: string, make: () => T): T | string {
  try {
    return make();
  } catch (error) {
    if (error instanceof AssertionError) throw error;
    return `${what} could not be started: ${(error as Error).message}`;
  }
}

class SafeSandbox implements Sandbox {
  readonly channel: Writable;
  readonly answers: Readable;
  readonly output: readonly Readable[];
  readonly #inner: Sandbox | undefined;
  readonly #release: () => void;
  readonly #listeners: ((reason: ExitReason) => void)[] = [];
  #reason: ExitReason | undefined;
  #killed = false;
  #frozen = false;

  /** Takes the backend's sandbox, or why there is none. `release` is called at its death, before the listeners. */
  constructor(inner: Sandbox | string, release: () => void) {
    this.#release = release;
    this.#inner = typeof inner === 'string' ? undefined : inner;
    this.channel = this.#inner?.channel ?? new PassThrough();
    this.answers = this.#inner?.answers ?? new PassThrough();
    this.output = this.#inner?.output ?? [];
    // An instance may close or break its side at any moment; that is its end, not the platform's.
    for (const stream of [this.channel, this.answers]) stream.on('error', () => this.kill());
    for (const stream of this.output) stream.on('error', () => {});
    if (typeof inner === 'string') process.nextTick(() => this.#die({ kind: 'start-failed', message: inner }));
    else inner.onExit((reason) => this.#die(reason));
  }

  pin(cpus: readonly number[]): boolean {
    return this.#reason === undefined && !this.#killed && this.#inner?.pin(cpus) === true;
  }

  background(isBackground: boolean): boolean {
    return this.#reason === undefined && !this.#killed && this.#inner?.background(isBackground) === true;
  }

  goFirst(): boolean {
    return this.#reason === undefined && !this.#killed && this.#inner?.goFirst() === true;
  }

  place(cpus: readonly number[], isBackground: boolean): boolean {
    return this.#reason === undefined && !this.#killed && this.#inner?.place(cpus, isBackground) === true;
  }

  tasks(): SandboxTasks | null {
    return this.#inner?.tasks() ?? null;
  }

  freeze(): void {
    if (this.#frozen || this.#killed || this.#reason !== undefined) return;
    this.#frozen = true;
    this.#inner?.freeze();
  }

  thaw(): void {
    if (!this.#frozen || this.#killed || this.#reason !== undefined) return;
    this.#frozen = false;
    this.#inner?.thaw();
  }

  kill(): void {
    if (this.#killed || this.#reason !== undefined) return;
    this.#killed = true;
    this.#inner?.kill();
  }

  /** After it as after `kill`, which may still follow for one that does not end. */
  retire(): void {
    if (this.#killed || this.#reason !== undefined) return;
    this.#killed = true;
    this.#inner?.retire();
  }

  memoryPeakBytes(): number {
    return this.#inner?.memoryPeakBytes() ?? 0;
  }

  onExit(listener: (reason: ExitReason) => void): void {
    const reason = this.#reason;
    if (reason === undefined) this.#listeners.push(listener);
    else queueMicrotask(() => listener(reason));
  }

  #die(reason: ExitReason): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.channel.destroy();
    this.answers.destroy();
    this.#release();
    for (const listener of this.#listeners.splice(0)) listener(reason);
  }
}

interface ZygoteEvents {
  /** At its death, before the listeners. */
  readonly release: () => void;
  /** Gives a copy its slot. */
  readonly add: (slot: number, fork: () => Sandbox | string) => Sandbox;
}

/**
 * Keeps a zygote's slot until it is gone, and hands its copies out as sandboxes like any others. It is gone when its
 * copies are: a backend may see its end before theirs.
 */
class SafeZygote implements Zygote {
  readonly output: readonly Readable[];
  readonly #inner: Zygote;
  readonly #events: ZygoteEvents;
  readonly #copies = new Set<Sandbox>();
  readonly #listeners: ((reason: ExitReason) => void)[] = [];
  #innerReason: ExitReason | undefined;
  /** Once its copies are gone too. */
  #reason: ExitReason | undefined;
  #killed = false;
  #frozen = false;

  constructor(inner: Zygote, events: ZygoteEvents) {
    this.#inner = inner;
    this.#events = events;
    this.output = inner.output;
    for (const stream of this.output) stream.on('error', () => {});
    inner.onExit((reason) => {
      this.#innerReason ??= reason;
      for (const copy of this.#copies) copy.kill();
      this.#endIfGone();
    });
  }

  #endIfGone(): void {
    if (this.#innerReason === undefined || this.#copies.size > 0 || this.#reason !== undefined) return;
    const reason = this.#innerReason;
    this.#reason = reason;
    this.#events.release();
    for (const listener of this.#listeners.splice(0)) listener(reason);
  }

  onReport(listener: (report: ZygoteReport) => void): void {
    this.#inner.onReport((report) => {
      if (!this.#isOver) listener(report);
    });
  }

  onHeard(listener: (bytes: number) => void): void {
    this.#inner.onHeard(listener);
  }

  /** Also while it dies: what it sent before may be much. */
  pause(): void {
    this.#inner.pause();
  }

  resume(): void {
    this.#inner.resume();
  }

  adopt(spec: AdoptSpec): void {
    if (!this.#isOver) this.#inner.adopt(spec);
  }

  /** Of one that is killed: a sandbox that says that it could not be started. */
  fork(spec: CopySpec): Sandbox {
    const copy = this.#events.add(spec.slot, () =>
      this.#isOver ? 'its zygote has ended' : attempt('the copy', () => this.#inner.fork(spec)),
    );
    // One that comes too late keeps nobody waiting.
    if (this.#reason !== undefined) return copy;
    this.#copies.add(copy);
    copy.onExit(() => {
      this.#copies.delete(copy);
      // After whoever else listens to the copy.
      queueMicrotask(() => this.#endIfGone());
    });
    return copy;
  }

  pin(cpus: readonly number[]): boolean {
    return !this.#isOver && this.#inner.pin(cpus);
  }

  background(isBackground: boolean): boolean {
    return !this.#isOver && this.#inner.background(isBackground);
  }

  tasks(): SandboxTasks | null {
    return this.#isOver ? null : this.#inner.tasks();
  }

  freeze(): void {
    if (this.#frozen || this.#isOver) return;
    this.#frozen = true;
    this.#inner.freeze();
  }

  thaw(): void {
    if (!this.#frozen || this.#isOver) return;
    this.#frozen = false;
    this.#inner.thaw();
  }

  kill(): void {
    if (this.#isOver) return;
    this.#killed = true;
    this.#inner.kill();
  }

  memoryBytes(): number {
    return this.#isOver ? 0 : this.#inner.memoryBytes();
  }

  onExit(listener: (reason: ExitReason) => void): void {
    const reason = this.#reason;
    if (reason === undefined) this.#listeners.push(listener);
    else queueMicrotask(() => listener(reason));
  }

  get #isOver(): boolean {
    return this.#killed || this.#innerReason !== undefined;
  }
}

/** What there is of a cell that could not be started. */
class FailedZygote implements Zygote {
  readonly output: readonly Readable[] = [];
  readonly #reason: ExitReason;

  constructor(message: string) {
    this.#reason = { kind: 'start-failed', message };
  }

  onExit(listener: (reason: ExitReason) => void): void {
    process.nextTick(() => listener(this.#reason));
  }

  fork(): Sandbox {
    throw new AssertionError('a cell that could not be started was asked for a copy');
  }

  pin(): boolean {
    return false;
  }

  background(): boolean {
    return false;
  }

  tasks(): null {
    return null;
  }

  memoryBytes(): number {
    return 0;
  }

  onReport(): void {}
  onHeard(): void {}
  pause(): void {}
  resume(): void {}
  adopt(): void {}
  freeze(): void {}
  thaw(): void {}
  kill(): void {}
}
