/**
 * Requests on their way into the machine. Most enter at once. Those that come again after a line or a scheduler was lost are collected
 * until the end of the turn, and enter the queue in the order in which they have waited; a young scheduler keeps those that ask
 * more memory than any worker has that has come so far, since more workers are on their way.
 *
 * The machine knows one bound of the queue for all. Those that come again pass it, so here the others are counted.
 */
import { outcome, type Outcome, type Scheduler } from '../machine/scheduler.ts';
import { CollectedRequests } from './collected.ts';
import type { Asking, GatewayPort, Refusal } from './ports.ts';
import type { Requester, Requests } from './requests.ts';
import type { LineNames, VersionNames } from './version-names.ts';

export interface Gateway extends Requester {
  readonly name: string;
  readonly sinceMs: number;
  readonly port: GatewayPort;
  readonly versions: LineNames;
}

interface Parts {
  readonly machine: Scheduler;
  readonly requests: Requests<Gateway>;
  readonly names: VersionNames;
  readonly queueMax: number;
  /** Sweeps in which workers are believed to be on their way still. */
  readonly startSweeps: number;
}

export class Intake {
  readonly #machine: Scheduler;
  readonly #requests: Requests<Gateway>;
  readonly #names: VersionNames;
  readonly #queueMax: number;
  readonly #startSweeps: number;
  readonly #collected = new CollectedRequests();
  #onCollected: () => void = () => {};
  #isTurnAsked = false;
  #sweepCount = 0;

  constructor({ machine, requests, names, queueMax, startSweeps }: Parts) {
    this.#machine = machine;
    this.#requests = requests;
    this.#names = names;
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
    if (!again && !this.#waitsForWorkers(version, again)) return this.#enter(index, version, again);
    if (!again && this.#collected.count >= this.#queueMax) return this.refuse(index, outcome.refusedQueueFull);
    this.#collected.add({ index, version, again, waitedMs, sweep: this.#sweepCount });
    this.#names.hold(version);
    this.#askTurn();
  }

  /** The end of a turn in which something was collected. */
  turn(): void {
    this.#isTurnAsked = false;
    for (const request of this.#collected.take()) {
      const { index, version, again } = request;
      if (this.#waitsForWorkers(version, again)) {
        this.#collected.add(request);
        continue;
      }
      this.#enter(index, version, again);
      this.#names.letGo(version);
    }
  }

  /** A worker was given a place: some request may have waited for one of its size. */
  workerPlaced(): void {
    if (this.#collected.count > 0) this.#askTurn();
  }

  sweep(): void {
    this.#sweepCount++;
    if (this.#sweepCount === this.#startSweeps && this.#collected.count > 0) this.#askTurn();
  }

  /** Its number is still in use. False: it does not wait. */
  takeBack(index: number): boolean {
    const version = this.#requests.version(index);
    if (this.#collected.remove(index)) this.#names.letGo(version);
    else if (this.#machine.cancel(index)) this.#names.ended(version);
    else return false;
    return true;
  }

  refuse(index: number, why: Refusal): void {
    const gateway = this.#requests.requester(index)!;
    const number = this.#requests.number(index);
    this.#requests.remove(index);
    gateway.port.refused(number, why);
  }

  #enter(index: number, version: number, again: boolean): void {
    const answer = again ? this.#enterAgain(index, version) : this.#machine.request(index, version);
    if (answer === outcome.granted) return;
    if (answer !== outcome.queued) return this.refuse(index, answer);
    if (again || this.#machine.queue.length <= this.#queueMax) return this.#requests.queued(index);
    this.#machine.cancel(index);
    this.refuse(index, outcome.refusedQueueFull);
  }

  /** Without regard to reserved concurrency: it was accepted under it once. */
  #enterAgain(index: number, version: number): Outcome {
    const functionIndex = this.#machine.versions.functionOf(version);
    const max = this.#machine.functions.max(functionIndex);
    this.#machine.setConcurrency(functionIndex, -1);
    const answer = this.#machine.request(index, version);
    this.#machine.setConcurrency(functionIndex, max);
    return answer;
  }

  #waitsForWorkers(version: number, again: boolean): boolean {
    if (this.#sweepCount >= this.#startSweeps) return false;
    if (this.#machine.versions.memoryMb(version) <= this.#machine.workers.memoryMbMax) return false;
    return again || this.#machine.workerCount === 0;
  }

  #askTurn(): void {
    if (this.#isTurnAsked) return;
    this.#isTurnAsked = true;
    this.#onCollected();
  }
}
