/** The door to time. Machines never see it: their shells read it and pass the moment in. */
export interface Clock {
  /** Microseconds since an arbitrary start; never goes back. */
  nowUs(): number;
  /** Milliseconds since the epoch; may jump. */
  wallMs(): number;
  /** Calls the listener again and again, until the function returned is called. */
  every(intervalMs: number, listener: () => void): () => void;
}

export const realClock: Clock = {
  nowUs: () => performance.now() * 1000,
  wallMs: () => Date.now(),
  every(intervalMs, listener) {
    const timer = setInterval(listener, intervalMs);
    return () => clearInterval(timer);
  },
};

export interface Waiting {
  readonly everyMs: number;
  /** It is not waited for longer. */
  readonly graceMs: number;
  readonly isDone: () => boolean;
}

/** Calls `then` when it is done, as far as that is seen by looking so often, or the time is over. */
export function waitFor(clock: Clock, { everyMs, graceMs, isDone }: Waiting, then: () => void): void {
  const untilUs = clock.nowUs() + graceMs * 1000;
  const stopWaiting = clock.every(everyMs, () => {
    if (!isDone() && clock.nowUs() < untilUs) return;
    stopWaiting();
    then();
  });
}

interface Alarm {
  readonly intervalUs: number;
  readonly listener: () => void;
  dueUs: number;
}

/** The simulated twin: time moves only when told to. */
export class SimulatedClock implements Clock {
  #us = 0;
  readonly #alarms = new Set<Alarm>();
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

  every(intervalMs: number, listener: () => void): () => void {
    const intervalUs = intervalMs * 1000;
    const alarm = { intervalUs, listener, dueUs: this.#us + intervalUs };
    this.#alarms.add(alarm);
    return () => void this.#alarms.delete(alarm);
  }

  /** However far it goes, a listener that became due on the way is called once, at its end. */
  advanceUs(us: number): void {
    this.#us += us;
    for (const alarm of this.#alarms) {
      if (alarm.dueUs > this.#us) continue;
      alarm.dueUs = this.#us + alarm.intervalUs;
      alarm.listener();
    }
  }
}
