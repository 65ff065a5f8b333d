/**
 * When the places are looked at: at every tick while things happen, and not at all while nothing does.
 *
 *     ticks ──nothing seen for QUIET_TICKS──▶ has the places ring, and looks once more ──▶ listens
 *       ▲                                                                                    │
 *       └──────────────── a place rings, which is looked at at once; or somebody asks ───────┘
 *
 * Where much happens a tick costs no more than to be rung for. Where little does, as with functions that wait for seconds, ticks would use
 * some hundredths of a CPU. While it listens all places are looked at seldom, whatever might have been missed.
 */
import type { Clock } from '../../../base/clock.ts';
import type { BellListener } from './bell.ts';

const TICK_MS = 1;
const QUIET_TICKS = 3;
const SELDOM_MS = 100;

export interface LooksHandler {
  /** True: something was seen. `isTurnOver`: what could be read in this turn of the event loop has been. */
  look(isTurnOver: boolean): boolean;
  /** The places ring from now on, or do not. */
  listen(isListening: boolean): void;
}

export class Looks implements BellListener {
  readonly #clock: Clock;
  readonly #handler: LooksHandler;
  #isListening = false;
  #quietTicks = 0;
  #stop: (() => void) | null = null;

  constructor(clock: Clock, handler: LooksHandler) {
    this.#clock = clock;
    this.#handler = handler;
  }

  /** Something may happen that nobody listens for. */
  begin(): void {
    this.#quietTicks = 0;
    if (this.#stop !== null && !this.#isListening) return;
    this.#ignore();
    this.#every(TICK_MS, () => this.#tick());
  }

  end(): void {
    this.#ignore();
    this.#stop?.();
    this.#stop = null;
  }

  heard(): void {
    if (!this.#isListening) return;
    this.begin();
    this.#handler.look(true);
  }

  #tick(): void {
    if (this.#handler.look(false)) this.#quietTicks = 0;
    else if (++this.#quietTicks >= QUIET_TICKS) this.#listen();
  }

  #listen(): void {
    this.#isListening = true;
    this.#handler.listen(true);
    this.#every(SELDOM_MS, () => this.#lookListening());
    // What happened before they rang.
    this.#lookListening();
  }

  /** What a place rings for depends on what was seen of it. */
  #lookListening(): void {
    if (this.#handler.look(false)) this.begin();
  }

  #ignore(): void {
    if (this.#isListening) this.#handler.listen(false);
    this.#isListening = false;
  }

  #every(intervalMs: number, listener: () => void): void {
    this.#stop?.();
    this.#stop = this.#clock.every(intervalMs, listener);
  }
}
