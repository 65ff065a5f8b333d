/** A stem cell, later the zygote of a version, as the agent sees it. */
import { StringDecoder } from 'node:string_decoder';
import type { UserError } from '../../base/errors.ts';
import type { AdoptSpec, CopySpec, ExitReason, Sandbox, SandboxTasks, Zygote } from '../sandbox/contract.ts';
import type { VersionTarget } from './contract.ts';
import { FLOOD_BYTES } from './flood.ts';

const NOWHERE: readonly number[] = [];
const NEVER = -Infinity;
/** How often it is looked what a zygote uses, which runs nothing, where copies of it have to know. */
const MEMORY_INTERVAL_US = 10_000_000;

export interface CellEvents {
  /** The first that it sends since its last `tick`: it wants the next one. */
  heard?(cell: Cell): void;
  booted(cell: Cell): void;
  initialised(cell: Cell): void;
  initFailed(cell: Cell): void;
  uncopyable(cell: Cell, reasons: readonly string[]): void;
  log(cell: Cell, text: string, bytes: number): void;
  broke(cell: Cell, message: string): void;
  exited(cell: Cell, reason: ExitReason): void;
}

export class Cell {
  readonly slot: number;
  /** The version that it was given; null before. */
  target: VersionTarget | null = null;
  /** Why its function did not initialise; a Lambda error object as JSON. */
  initError: Buffer | null = null;
  /** Why the code of its function did not come. */
  refusal: UserError | null = null;
  initUs = 0;
  exit: ExitReason | null = null;
  /** Bytes that it has logged: its initialisation is bounded as an invocation is. */
  loggedBytes = 0;
  readonly #zygote: Zygote;
  #adoptedUs = NEVER;
  #memoryMb = 0;
  #memoryReadUs = NEVER;
  /** Where it was pinned last. */
  #cpus = NOWHERE;
  /** Null: not known, since not all of it could be changed. */
  #isBackground: boolean | null = false;
  /** In this tick. Frames count with their headers, and those count too that are none of ours. */
  #heardBytes = 0;
  #paused = false;

  constructor(slot: number, zygote: Zygote, events: CellEvents) {
    this.slot = slot;
    this.#zygote = zygote;
    zygote.onReport((report) => {
      switch (report.kind) {
        case 'cell':
          return events.booted(this);
        case 'initialised':
          // What it forks begins as it is.
          this.background(false);
          return events.initialised(this);
        case 'init-error':
          this.initError = report.payload;
          return events.initFailed(this);
        case 'uncopyable':
          return events.uncopyable(this, report.reasons);
        case 'log':
          return events.log(this, report.text, report.bytes);
        case 'breach':
          return events.broke(this, report.message);
      }
    });
    zygote.onHeard((bytes) => this.#hear(bytes, events));
    for (const stream of zygote.output) {
      const decoder = new StringDecoder('utf8');
      stream.on('data', (chunk: Buffer) => {
        // Once it is gone, its slot may be another's.
        if (this.exit !== null) return;
        events.log(this, decoder.write(chunk), chunk.length);
        this.#hear(chunk.length, events);
      });
      stream.on('error', () => {});
    }
    zygote.onExit((reason) => {
      this.exit = this.refusal === null ? reason : { kind: 'start-failed', message: this.refusal.message };
      events.exited(this, this.exit);
    });
  }

  /** '' for a stem cell. */
  get functionName(): string {
    return this.target?.fn.functionName ?? '';
  }

  /** It is to have a function, and has not been given it yet. */
  get awaitsCode(): boolean {
    return this.target !== null && this.#adoptedUs === NEVER;
  }

  adopt(spec: AdoptSpec, nowUs: number): void {
    this.#adoptedUs = nowUs;
    this.#zygote.adopt(spec);
  }

  /** Since it adopted. */
  noteInitialised(nowUs: number): void {
    this.initUs = nowUs - this.#adoptedUs;
  }

  fork(spec: CopySpec): Sandbox {
    return this.#zygote.fork(spec);
  }

  /** True if it was moved: nothing is done where it was given this very array last. */
  pin(cpus: readonly number[]): boolean {
    if (cpus === this.#cpus || cpus.length === 0) return false;
    this.#cpus = this.#zygote.pin(cpus) ? cpus : NOWHERE;
    return this.#cpus === cpus;
  }

  tasks(): SandboxTasks | null {
    return this.#zygote.tasks();
  }

  /** While it initialises. */
  background(isBackground: boolean): void {
    if (isBackground === this.#isBackground) return;
    this.#isBackground = this.#zygote.background(isBackground) ? isBackground : null;
  }

  /** To the CPUs of several cores: what it forks next is for any of them. */
  spread(cpus: readonly number[]): void {
    this.#cpus = NOWHERE;
    this.#zygote.pin(cpus);
  }

  freeze(): void {
    this.#zygote.freeze();
  }

  thaw(): void {
    this.#zygote.thaw();
  }

  kill(): void {
    this.#zygote.kill();
  }

  fail(refusal: UserError): void {
    this.refusal = refusal;
    this.#zygote.kill();
  }

  retire(): void {
    this.#zygote.kill();
  }

  memoryMb(): number {
    return Math.ceil(this.#zygote.memoryBytes() / (1024 * 1024));
  }

  memoryPeakMb(): number {
    return this.memoryMb();
  }

  /** What a copy shares with it: as `memoryMb`, of a while ago perhaps. */
  sharedMb(nowUs: number): number {
    if (nowUs - this.#memoryReadUs < MEMORY_INTERVAL_US) return this.#memoryMb;
    this.#memoryReadUs = nowUs;
    this.#memoryMb = this.memoryMb();
    return this.#memoryMb;
  }

  /** Listens again to one that had sent too much in the last tick. */
  tick(): void {
    this.#heardBytes = 0;
    if (!this.#paused) return;
    this.#paused = false;
    this.#zygote.resume();
  }

  /** Also where it is paused: it is listened to once more where a copy of it has ended. */
  #hear(bytes: number, events: CellEvents): void {
    if (this.#heardBytes === 0) events.heard?.(this);
    this.#heardBytes += bytes;
    if (this.#heardBytes < FLOOD_BYTES) return;
    this.#paused = true;
    this.#zygote.pause();
  }
}
