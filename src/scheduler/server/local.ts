/**
 * The scheduler on one machine: the frames between gateway, scheduler and agent are calls, and every event is
 * followed by the grants that it caused. A grant may lead to the next event at once (a refused lease, an answer);
 * what that grants is carried out in turn by the same loop, never inside another grant.
 */
import { Grant } from '../machine/actions.ts';
import { type Outcome, Scheduler } from '../machine/scheduler.ts';
import type { SchedulerLimits } from '../machine/limits.ts';

export { outcome, type Outcome } from '../machine/scheduler.ts';

/** `mask`: all cores of the lease, as bits of the word of `core`, their lead; 0: that core alone. */
export type GrantListener = (requestIndex: number, core: number, sequence: number, mask: number) => void;

/** The worker's index where there is only one. */
const WORKER = 0;
const TAKEN_STRIDE = 4;
/** Wide enough for the queue's ticks to tell a wait of 38 hours, narrow enough to tell the requests of a burst apart. */
const TICK_US = 64;

export class LocalScheduler {
  readonly machine: Scheduler;
  readonly #grant = new Grant();
  /** Grants that were taken from the machine and are being carried out: request, core, sequence and mask of each. */
  readonly #taken: Int32Array;
  #listener: GrantListener = () => {
    throw new Error('a grant, and nobody listens');
  };
  #draining = false;

  constructor(limits: SchedulerLimits, worker: { readonly coreCount: number; readonly memoryMb: number }) {
    this.machine = new Scheduler(limits);
    // Each has a core of its own.
    this.#taken = new Int32Array(worker.coreCount * TAKEN_STRIDE);
    this.machine.addWorker(worker.coreCount, worker.memoryMb);
  }

  onGrant(listener: GrantListener): void {
    this.#listener = listener;
  }

  setVersion(
    versionIndex: number,
    functionIndex: number,
    { memoryMb, coreCount }: { readonly memoryMb: number; readonly coreCount: number },
  ): void {
    this.machine.setVersion(versionIndex, functionIndex, memoryMb, { coreCount });
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
  release(core: number, sequence: number, warm: boolean): boolean {
    const released = this.machine.release(core, sequence | 0, warm);
    this.#drain();
    return released;
  }

  noMemory(core: number, sequence: number): void {
    this.machine.noMemory(core, sequence | 0);
    this.#drain();
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

  #drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    const taken = this.#taken;
    // The machine has room for one grant of each core until all are taken, and those that are carried out here may
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
      this.#taken[at + 1] = grant.core;
      this.#taken[at + 2] = grant.sequence;
      this.#taken[at + 3] = grant.mask;
    }
    return at;
  }
}
