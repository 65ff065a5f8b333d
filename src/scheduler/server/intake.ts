/**
 * Requests on their way into the machine. Most enter at once. Those that come again after a line or a scheduler was lost are collected
 * until the end of the turn, and enter the queue where they belong by how long they have waited; a young scheduler keeps those that ask
 * more memory or cores than any worker has that has come so far, since more workers are on their way.
 *
 * The machine knows one bound of the queue for all. Those that come again pass it, so here the others are counted. As many as the cluster has cores may
 * wait, since so many releases may be on their way already.
 */
import { outcome, type Scheduler } from '../machine/scheduler.ts';
import { CollectedRequests, SWEEP_MS } from './collected.ts';
import type { LineNames } from './line-names.ts';
import type { Asking, GatewayPort, Refusal } from './ports.ts';
import type { Requester, Requests } from './requests.ts';
import type { ControlPort } from './shard-ports.ts';

/** Times wrap: who says more than this, half of all that can be told apart, is believed this much. */
const WAITED_MS_MAX = 2 ** 30;

export interface Gateway extends Requester {
  readonly line: number;
  readonly port: GatewayPort;
  readonly versions: LineNames;
  /** The worker event up to which it was told when it came. */
  asOf: number;
}

interface Parts {
  readonly machine: Scheduler;
  readonly requests: Requests<Gateway>;
  readonly control: Pick<ControlPort, 'hold' | 'letGo' | 'ended'>;
  /** At least; more where there are more cores. */
  readonly queueMax: number;
  /** Sweeps in which workers are believed to be on their way still. */
  readonly startSweeps: number;
}

export class Intake {
  readonly #machine: Scheduler;
  readonly #requests: Requests<Gateway>;
  readonly #control: Parts['control'];
  readonly #queueMax: number;
  readonly #startSweeps: number;
  readonly #collected = new CollectedRequests();
  /** How many of each version are collected; the control knows whether there are any. */
  readonly #held = new Map<number, number>();
  #onCollected: () => void = () => {};
  #isTurnAsked = false;
  #sweepCount = 0;
  #hasTime = false;

  constructor({ machine, requests, control, queueMax, startSweeps }: Parts) {
    this.#machine = machine;
    this.#requests = requests;
    this.#control = control;
    this.#queueMax = queueMax;
    this.#startSweeps = startSweeps;
  }

  get collectedCount(): number {
    return this.#collected.count;
  }

  onCollected(listener: () => void): void {
    this.#onCollected = listener;
  }

  /** The gateway has named the version, and the number is free. */
  ask(gateway: Gateway, number: number, version: number, { again, waitedMs }: Asking): void {
    const index = this.#requests.add(gateway, number, version);
    if (index < 0) return gateway.port.refused(number, outcome.refusedQueueFull);
    if (!again && !this.#waitsForWorkers(version, again)) return this.#enter(index, version, null);
    if (!again && this.#collected.count >= this.#queueMax) return this.refuse(index, outcome.refusedQueueFull);
    this.#collected.add({ index, version, again, waitedMs, sweep: this.#sweepCount });
    this.#hold(version);
    this.#askTurn();
  }

  /** The end of a turn in which something was collected. */
  turn(): void {
    this.#isTurnAsked = false;
    for (const request of this.#collected.take()) {
      const { index, version, again, waitedMs, sweep } = request;
      if (this.#waitsForWorkers(version, again)) {
        this.#collected.add(request);
        continue;
      }
      // Since it was told here it has waited too.
      const waited = again ? waitedMs + (this.#sweepCount - sweep) * SWEEP_MS : null;
      this.#enter(index, version, waited);
      this.#letGo(version);
    }
  }

  /** A worker was given a place: some request may have waited for one of its size. */
  workerPlaced(): void {
    if (this.#collected.count > 0) this.#askTurn();
  }

  /** In whole ms of the shell's own: those that come again are put in their places by it. Once it was told, sweeps do not count for that any more. */
  tellTime(nowMs: number): void {
    this.#hasTime = true;
    this.#machine.tellTime(nowMs);
  }

  sweep(): void {
    this.#sweepCount++;
    if (!this.#hasTime) this.#machine.tellTime(this.#sweepCount * SWEEP_MS);
    if (this.#sweepCount === this.#startSweeps && this.#collected.count > 0) this.#askTurn();
  }

  /** Its number is still in use. False: it does not wait. */
  takeBack(index: number): boolean {
    const version = this.#requests.version(index);
    if (this.#collected.remove(index)) this.#letGo(version);
    else if (this.#machine.cancel(index)) this.#control.ended(version);
    else return false;
    return true;
  }

  refuse(index: number, why: Refusal): void {
    const gateway = this.#requests.requester(index)!;
    const number = this.#requests.number(index);
    this.#requests.remove(index);
    gateway.port.refused(number, why);
  }

  /** `waitedMs`: of one that comes again, which was accepted under its function's reserved concurrency once; else null. */
  #enter(index: number, version: number, waitedMs: number | null): void {
    const again = waitedMs !== null;
    const answer = again
      ? this.#machine.requestAgain(index, version, Math.min(waitedMs, WAITED_MS_MAX))
      : this.#machine.request(index, version);
    if (answer === outcome.granted) return;
    if (answer !== outcome.queued) return this.refuse(index, answer);
    if (again || !this.#isFull()) return this.#requests.queued(index);
    this.#machine.cancel(index);
    this.refuse(index, outcome.refusedQueueFull);
  }

  #isFull(): boolean {
    const { queue, registeredCount } = this.#machine;
    return queue.length > Math.max(this.#queueMax, registeredCount);
  }

  #hold(version: number): void {
    const count = this.#held.get(version) ?? 0;
    this.#held.set(version, count + 1);
    if (count === 0) this.#control.hold(version);
  }

  #letGo(version: number): void {
    const count = this.#held.get(version)! - 1;
    if (count > 0) return void this.#held.set(version, count);
    this.#held.delete(version);
    this.#control.letGo(version);
  }

  #waitsForWorkers(version: number, again: boolean): boolean {
    if (this.#sweepCount >= this.#startSweeps) return false;
    const { versions, workers, workerCount } = this.#machine;
    const coreCount = versions.coreCount(version);
    const memoryMbMax = coreCount === 1 ? workers.memoryMbMax : workers.memoryMbMaxOf(coreCount);
    return versions.memoryMb(version) > memoryMbMax && (again || workerCount === 0);
  }

  #askTurn(): void {
    if (this.#isTurnAsked) return;
    this.#isTurnAsked = true;
    this.#onCollected();
  }
}
