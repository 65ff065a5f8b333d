/** The door to time. Machines never see it: their shells read it and pass the moment in. */
export interface Clock {
  /** Microseconds since an arbitrary start; never goes back. */
  nowUs(): number;
  /** Milliseconds since the epoch; may jump. */
  wallMs(): number;
}

export const realClock: Clock = {
  nowUs: () => performance.now() * 1000,
  wallMs: () => Date.now(),
};

/** The simulated twin: time moves only when told to. */
export class SimulatedClock implements Clock {
  #us = 0;
  readonly #epochMs: number;

  constructor(epochMs = 0) {
    this.#epochMs = epochMs;
  }

  nowUs(): number {
    return this.#us;
  }

  wallMs(): number {
    return this.#epochMs + Math.floor(this.#us / 1000);
  }

  advanceUs(us: number): void {
    this.#us += us;
  }
}
