/** What the worker machine tells its shell, in a fixed array of integers: nothing is allocated for an action. */
import { ActionBuffer, type PresentAction } from './action-buffer.ts';

/**
 * What a slot is. An instance (a process of its own, or a copy forked from a zygote) is starting, readying, awaiting,
 * busy or idle; a stem cell is booting or a cell; once it has adopted a function it is initialising, then a zygote.
 */
export const SlotState = {
  free: 0,
  /** An instance is being made for a lease. */
  starting: 1,
  /** An instance is being made ahead, for no lease yet. */
  readying: 2,
  /** Kept for a lease until the zygote is initialised. No process exists. */
  awaiting: 3,
  busy: 4,
  idle: 5,
  dying: 6,
  booting: 7,
  cell: 8,
  initialising: 9,
  zygote: 10,
} as const;
export type SlotState = (typeof SlotState)[keyof typeof SlotState];

/** How an assignment came to its result. */
export const Ending = { answered: 0, exited: 1, timedOut: 2, initTimedOut: 3, broke: 4, initFailed: 5 } as const;
export type Ending = (typeof Ending)[keyof typeof Ending];

/** Why an instance, cell or zygote is killed. */
export const Kill = { evicted: 0, timedOut: 1, broke: 2, ended: 3, lost: 4, spent: 5, uncopyable: 6 } as const;
export type Kill = (typeof Kill)[keyof typeof Kill];

const ActionKind = {
  start: 0,
  run: 1,
  complete: 2,
  release: 3,
  kill: 4,
  evicted: 5,
  freeze: 6,
  thaw: 7,
  boot: 8,
  adopt: 9,
  fork: 10,
  take: 11,
  roomAvailable: 12,
  warmed: 13,
} as const;

/** A core of -1 stands for none: what is made ahead has no lease, and runs wherever the shell wants. */
export interface ActionHandler {
  /** Start a process of its own for the version in the slot, on the core (-1: ahead). */
  start(slot: number, core: number, versionIndex: number): void;
  /** Start a stem cell of the kind in the slot. `booted` follows, or `exited`. */
  boot(slot: number, cellKind: number): void;
  /** The cell becomes the zygote of the version, and initialises on the core. It is thawed before. */
  adopt(cellSlot: number, core: number, versionIndex: number): void;
  /** Fork a copy of the zygote into the slot, to run on the core. The zygote is thawed before. */
  fork(slot: number, zygoteSlot: number, core: number): void;
  /** What is being made ahead in the slot is now for the core's lease: pin it there. Its `run` follows `ready`. */
  take(slot: number, core: number): void;
  /** Pin the instance to the core and hand it the core's invocation. */
  run(slot: number, core: number): void;
  /**
   * The core's invocation has its result now. Where the lease awaited a zygote that failed, the slot is the zygote's:
   * what went wrong is found there.
   */
  complete(core: number, slot: number, ending: Ending): void;
  /** The lease is over; `warm`: an idle instance or an initialised zygote of its version stays. */
  release(core: number, sequence: number, warm: boolean): void;
  /** End every process in the slot; `exited` follows. A zygote's copies end with it, each with its own `exited`. */
  kill(slot: number, why: Kill): void;
  /** The idle instance, cell or zygote may use no CPU until `thaw`. */
  freeze(slot: number): void;
  /** It may run again, on this core alone (-1: anywhere): pin it first. Its `run`, `adopt` or `fork` follows. */
  thaw(slot: number, core: number): void;
  /** An instance that was made ahead of a provisioned version is idle. */
  warmed(versionIndex: number): void;
  /** Neither an idle instance nor an initialised zygote of the version is left, and it was said to be warm. */
  evicted(versionIndex: number): void;
  /** A lease was refused for want of a slot or memory, and something has changed since: it may fit now. */
  roomAvailable(): void;
}

export class Actions {
  readonly #pending: ActionBuffer<ActionHandler>;

  constructor(capacity: number) {
    this.#pending = new ActionBuffer(capacity, carryOut);
  }

  get count(): number {
    return this.#pending.count;
  }

  start(slot: number, core: number, versionIndex: number): void {
    this.#pending.push(ActionKind.start, slot, core, versionIndex);
  }

  boot(slot: number, cellKind: number): void {
    this.#pending.push(ActionKind.boot, slot, cellKind);
  }

  adopt(cellSlot: number, core: number, versionIndex: number): void {
    this.#pending.push(ActionKind.adopt, cellSlot, core, versionIndex);
  }

  fork(slot: number, zygoteSlot: number, core: number): void {
    this.#pending.push(ActionKind.fork, slot, zygoteSlot, core);
  }

  take(slot: number, core: number): void {
    this.#pending.push(ActionKind.take, slot, core);
  }

  run(slot: number, core: number): void {
    this.#pending.push(ActionKind.run, slot, core);
  }

  complete(core: number, slot: number, ending: Ending): void {
    this.#pending.push(ActionKind.complete, core, slot, ending);
  }

  release(core: number, sequence: number, warm: boolean): void {
    this.#pending.push(ActionKind.release, core, sequence | 0, warm ? 1 : 0);
  }

  kill(slot: number, why: Kill): void {
    this.#pending.push(ActionKind.kill, slot, why);
  }

  freeze(slot: number): void {
    this.#pending.push(ActionKind.freeze, slot);
  }

  thaw(slot: number, core: number): void {
    this.#pending.push(ActionKind.thaw, slot, core);
  }

  warmed(versionIndex: number): void {
    this.#pending.push(ActionKind.warmed, versionIndex);
  }

  evicted(versionIndex: number): void {
    this.#pending.push(ActionKind.evicted, versionIndex);
  }

  roomAvailable(): void {
    this.#pending.push(ActionKind.roomAvailable);
  }

  /** Carries out what is pending, in order, and what that adds. False: such a loop runs. */
  drain(handler: ActionHandler): boolean {
    return this.#pending.drain(handler);
  }
}

function carryOut(handler: ActionHandler, { kind, a, b, c }: PresentAction): void {
  switch (kind) {
    case ActionKind.start:
      return handler.start(a, b, c);
    case ActionKind.boot:
      return handler.boot(a, b);
    case ActionKind.adopt:
      return handler.adopt(a, b, c);
    case ActionKind.fork:
      return handler.fork(a, b, c);
    case ActionKind.take:
      return handler.take(a, b);
    case ActionKind.run:
      return handler.run(a, b);
    case ActionKind.complete:
      return handler.complete(a, b, c as Ending);
    case ActionKind.release:
      return handler.release(a, b >>> 0, c === 1);
    case ActionKind.kill:
      return handler.kill(a, b as Kill);
    case ActionKind.freeze:
      return handler.freeze(a);
    case ActionKind.thaw:
      return handler.thaw(a, b);
    case ActionKind.warmed:
      return handler.warmed(a);
    case ActionKind.evicted:
      return handler.evicted(a);
    default:
      return handler.roomAvailable();
  }
}
