/**
 * The scheduler on one machine: the frames between gateway, scheduler and agent are calls, and every event is
 * followed by the grants that it caused. A grant may lead to the next event at once (a refused lease, an answer);
 * what that grants is carried out in turn by the same loop, never inside another grant.
 */
import { Grant } from '../machine/actions.ts';
import { type Outcome, Scheduler } from '../machine/scheduler.ts';
import type { SchedulerLimits } from '../machine/limits.ts';

export { outcome, type Outcome } from '../machine/scheduler.ts';

export type GrantListener = (requestIndex: number, core: number, sequence: number) => void;

/** The worker's index where there is only one. */
const WORKER = 0;

export class LocalScheduler {
  readonly machine: Scheduler;
  readonly #grant = new Grant();
  #listener: GrantListener = () => {
    throw new Error('a grant, and nobody listens');
  };
  #draining = false;

  constructor(limits: SchedulerLimits, worker: { readonly coreCount: number; readonly memoryMb: number }) {
    this.machine = new Scheduler(limits);
    this.machine.addWorker(worker.coreCount, worker.memoryMb);
  }

  onGrant(listener: GrantListener): void {
    this.#listener = listener;
  }

  setVersion(versionIndex: number, functionIndex: number, memoryMb: number): void {
    this.machine.setVersion(versionIndex, functionIndex, memoryMb);
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

  evicted(versionIndex: number): void {
    this.machine.evicted(WORKER, versionIndex);
  }

  #drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    const grant = this.#grant;
    while (this.machine.actions.take(grant)) this.#listener(grant.request, grant.core, grant.sequence);
    this.#draining = false;
  }
}
