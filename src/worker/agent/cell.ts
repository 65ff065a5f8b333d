/** A stem cell, later the zygote of a version, as the agent sees it. */
import type { AdoptSpec, CopySpec, ExitReason, Sandbox, Zygote } from '../sandbox/contract.ts';
import type { VersionTarget } from './contract.ts';
import { StringDecoder } from 'node:string_decoder';

const NOWHERE = -2;

export interface CellEvents {
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
  initUs = 0;
  exit: ExitReason | null = null;
  /** Bytes that it has logged: its initialisation is bounded as an invocation is. */
  loggedBytes = 0;
  readonly #zygote: Zygote;
  #failure: ExitReason | null = null;
  #adoptedUs = 0;
  #core = NOWHERE;

  constructor(slot: number, zygote: Zygote, events: CellEvents) {
    this.slot = slot;
    this.#zygote = zygote;
    zygote.onReport((report) => {
      switch (report.kind) {
        case 'cell':
          return events.booted(this);
        case 'initialised':
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
    for (const stream of zygote.output) {
      const decoder = new StringDecoder('utf8');
      stream.on('data', (chunk: Buffer) => {
        // Once it is gone, its slot may be another's.
        if (this.exit === null) events.log(this, decoder.write(chunk), chunk.length);
      });
      stream.on('error', () => {});
    }
    zygote.onExit((reason) => {
      this.exit = this.#failure ?? reason;
      events.exited(this, this.exit);
    });
  }

  /** '' for a stem cell. */
  get functionName(): string {
    return this.target?.fn.functionName ?? '';
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

  /** `core` -1: what no lease asked for. True if it was moved. */
  pin(core: number, cpus: readonly number[]): boolean {
    if (core === this.#core || cpus.length === 0) return false;
    this.#core = this.#zygote.pin(cpus) ? core : NOWHERE;
    return this.#core === core;
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

  /** Kills it for a reason that is the platform's. */
  fail(message: string): void {
    this.#failure = { kind: 'start-failed', message };
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

  tick(): void {}
}
