/**
 * The scheduler on one machine: the frames between gateway, scheduler and agent are calls, and every event is
 * followed by the grants that it caused. A grant may lead to the next event at once (a refused lease, an answer);
 * what that grants is carried out in turn by the same loop, never inside another grant.
 *
 * What is granted is a *seat*, and callers know no other number: those from 0 up are the cores, as many as there are, and the extra seats
 * come after them. An extra seat is closed until it is opened (docs/decisions/012-sharing-cores.md).
 */
import { assert } from '../../base/assert.ts';
import { Grant } from '../machine/actions.ts';
import type { SchedulerLimits } from '../machine/limits.ts';
import { type CoreState, type Outcome, Scheduler } from '../machine/scheduler.ts';

export { outcome, type Outcome } from '../machine/scheduler.ts';

/** `mask`: all cores of the lease, as bits of the word of the seat, which is their lead; 0: that seat alone, as of each extra seat. */
export type GrantListener = (requestIndex: number, seat: number, sequence: number, mask: number) => void;

export interface LocalWorker {
  readonly coreCount: number;
  readonly memoryMb: number;
  readonly extraSeatCount?: number;
}

export interface LocalVersion {
  readonly memoryMb: number;
  readonly coreCount: number;
  /** Has it cores only, and no extra seat? */
  readonly isDedicated?: boolean;
}

/** The core indices that a scheduler of so many cores and extra seats needs: `coreCountMax` of its limits. */
export function seatSpaceOf(coreCount: number, extraSeatCount: number): number {
  return (Math.ceil(coreCount / WORD_SEATS) + Math.ceil(extraSeatCount / WORD_SEATS)) * WORD_SEATS;
}

const WORD_SEATS = 32;

/** The worker's index where there is only one. */
const WORKER = 0;
const TAKEN_STRIDE = 4;
/** Wide enough for the queue's ticks to tell a wait of 38 hours, narrow enough to tell the requests of a burst apart. */
const TICK_US = 64;

export class LocalScheduler {
  readonly machine: Scheduler;
  readonly coreCount: number;
  readonly seatCount: number;
  /** What the machine calls the first extra seat. */
  readonly #firstExtra: number;
  readonly #grant = new Grant();
  /** Grants that were taken from the machine and are being carried out: request, seat, sequence and mask of each. */
  readonly #taken: Int32Array;
  #listener: GrantListener = () => {
    throw new Error('a grant, and nobody listens');
  };
  #draining = false;

  constructor(limits: SchedulerLimits, { coreCount, memoryMb, extraSeatCount = 0 }: LocalWorker) {
    this.machine = new Scheduler(limits);
    this.coreCount = coreCount;
    this.seatCount = coreCount + extraSeatCount;
    // Each has a seat of its own.
    this.#taken = new Int32Array(this.seatCount * TAKEN_STRIDE);
    this.machine.addWorker(coreCount, memoryMb, false, extraSeatCount);
    const { cores, workers } = this.machine;
    assert(workers.homeOf(WORKER) === 0, 'the cores of the only worker are not the first');
    this.#firstExtra = cores.firstExtra(workers.homeOf(WORKER));
  }

  onGrant(listener: GrantListener): void {
    this.#listener = listener;
  }

  setVersion(versionIndex: number, functionIndex: number, { memoryMb, ...cores }: LocalVersion): void {
    this.machine.setVersion(versionIndex, functionIndex, memoryMb, cores);
  }

  removeVersion(versionIndex: number): void {
    this.machine.removeVersion(versionIndex);
  }

  /** -1: no limit of its own. */
  setConcurrency(functionIndex: number, max: number): void {
    this.machine.setConcurrency(functionIndex, max);
    this.#drain();
  }

  request(requestIndex: number, versionIndex: number): Outcome {
    const outcome = this.machine.request(requestIndex, versionIndex);
    this.#drain();
    return outcome;
  }

  /** The time, for those who come again. */
  tellTime(nowUs: number): void {
    this.machine.tellTime(nowUs / TICK_US);
  }

  /** As `request`, of one that has waited so long elsewhere: it goes before those who have waited less, or as long, and counts against no reserved concurrency. */
  requestAgain(requestIndex: number, versionIndex: number, waitedUs: number): Outcome {
    const outcome = this.machine.requestAgain(requestIndex, versionIndex, Math.ceil(waitedUs / TICK_US) + 1);
    this.#drain();
    return outcome;
  }

  cancel(requestIndex: number): boolean {
    const cancelled = this.machine.cancel(requestIndex);
    this.#drain();
    return cancelled;
  }

  /** False: no such lease; nothing changed. */
  release(seat: number, sequence: number, warm: boolean): boolean {
    const released = this.machine.release(this.#coreOf(seat), sequence | 0, warm);
    this.#drain();
    return released;
  }

  noMemory(seat: number, sequence: number): void {
    this.machine.noMemory(this.#coreOf(seat), sequence | 0);
    this.#drain();
  }

  /** There is a use for the seat from now on; false: there was already, and nothing changed. Grants may come before this returns. */
  openSeat(seat: number): boolean {
    const opened = this.machine.giveBack(this.#coreOf(seat));
    this.#drain();
    return opened;
  }

  /** Nobody comes to the seat any more; whoever has it keeps it. False: it was closed already. */
  closeSeat(seat: number): boolean {
    const closed = this.machine.withdraw(this.#coreOf(seat)) !== 'already';
    this.#drain();
    return closed;
  }

  stateOf(seat: number): CoreState {
    return this.machine.stateOf(this.#coreOf(seat));
  }

  memoryAvailable(): void {
    this.machine.memoryAvailable(WORKER);
    this.#drain();
  }

  /** The worker keeps so many instances of the version. */
  provision(versionIndex: number, count: number): void {
    this.machine.provision(versionIndex, count);
    this.#drain();
  }

  warmed(versionIndex: number): void {
    this.machine.warmed(WORKER, versionIndex);
    this.#drain();
  }

  evicted(versionIndex: number): void {
    this.machine.evicted(WORKER, versionIndex);
  }

  /** What the machine calls the seat: the extra ones begin at a word of their own. */
  #coreOf(seat: number): number {
    return seat < this.coreCount ? seat : this.#firstExtra + seat - this.coreCount;
  }

  #seatOf(core: number): number {
    return core < this.#firstExtra ? core : core - this.#firstExtra + this.coreCount;
  }

  #drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    const taken = this.#taken;
    // The machine has room for one grant of each seat until all are taken, and those that are carried out here may
    // bring any number of others: so all are taken before the first is carried out.
    for (let end = this.#take(); end > 0; end = this.#take()) {
      for (let at = 0; at < end; at += TAKEN_STRIDE)
        this.#listener(taken[at]!, taken[at + 1]!, taken[at + 2]!, taken[at + 3]!);
    }
    this.#draining = false;
  }

  /** Answers where in `#taken` they end. */
  #take(): number {
    const grant = this.#grant;
    let at = 0;
    for (; this.machine.takeGrant(grant); at += TAKEN_STRIDE) {
      this.#taken[at] = grant.request;
      this.#taken[at + 1] = this.#seatOf(grant.core);
      this.#taken[at + 2] = grant.sequence;
      this.#taken[at + 3] = grant.mask;
    }
    return at;
  }
}
