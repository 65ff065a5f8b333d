/** The instances of all servers: which of them are there when a lease begins, and what it takes where none is. */

/** What becomes of the leases; by seat, as numbered through all servers. */
export interface FleetEvents {
  /** The handler of the seat's invocation runs from now on. */
  run(seat: number): void;
  /** The seat's core works so long for its instance; `worked` of the fleet follows. */
  work(seat: number, workUs: number): void;
  /** The seat has nothing to do until more is said. */
  waits(seat: number): void;
  /** The invocation has its result. */
  complete(seat: number): void;
  /** Nothing of it runs any more. */
  release(seat: number, isWarm: boolean): void;
  /** Something has happened there that nobody here knows of: `carryOut` follows. */
  changed(server: number): void;
  roomAvailable(server: number): void;
  warmed(server: number, version: number): void;
  evicted(server: number, version: number): void;
}

export interface Fleet {
  /** Whether it wants to be ticked at the start, and as often as the agent looks while something is on the server. */
  readonly wantsTicks: boolean;
  /** A lease begins; false: it cannot, for want of memory. What follows comes with `carryOut`. */
  assign(seat: number, sequence: number, mask: number, version: number): boolean;
  carryOut(server: number): void;
  /** So many more (or fewer) invocations of the function are about to come. */
  want(server: number, version: number, change: number): void;
  /** What `work` asked for is done. */
  worked(seat: number): void;
  /** The handler has ended. */
  answered(seat: number): void;
  /** Everything that was on the server is gone. */
  clear(server: number): void;
  /** False: nothing waits for another tick. */
  tick(server: number): boolean;
  check(): void;
}

/** Every function is warm everywhere. */
export class WarmFleet implements Fleet {
  readonly wantsTicks = false;
  readonly #events: FleetEvents;
  #assigned = -1;

  constructor(events: FleetEvents) {
    this.#events = events;
  }

  assign(seat: number): boolean {
    this.#assigned = seat;
    return true;
  }

  carryOut(): void {
    const seat = this.#assigned;
    this.#assigned = -1;
    if (seat >= 0) this.#events.run(seat);
  }

  want(): void {}

  worked(): void {}

  answered(seat: number): void {
    this.#events.complete(seat);
    this.#events.release(seat, true);
  }

  clear(): void {}

  tick(): boolean {
    return false;
  }

  check(): void {}
}
