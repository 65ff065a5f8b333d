/**
 * What a policy has of its simulation: virtual time, the jobs, the cluster that it schedules, what things cost, random numbers
 * of its own, and whom it tells what became of a job.
 */
import { assert } from '../base/assert.ts';
import type { Costs } from './costs.ts';
import type { Foresight } from './engine/calendar.ts';
import { Engine, type Handler } from './engine/engine.ts';
import type { Lane } from './engine/lane.ts';
import { Random } from './engine/random.ts';
import type { FaultSetup } from './faults/fault-spec.ts';
import { Faults } from './faults/faults.ts';
import type { Way } from './faults/messages.ts';
import { Jobs } from './jobs.ts';
import type { Recorder } from './measure/recorder.ts';
import type { Policy } from './policy.ts';
import { Arrival, type Arrivals, type Workload } from './workload.ts';

/** Servers that are all the same. */
export interface Cluster {
  readonly serverCount: number;
  /** Of each server. */
  readonly coreCount: number;
  /** Of each server. */
  readonly memoryMb: number;
}

/** What is counted of every policy, so that they can be compared. */
export interface Counters {
  coldStarts: number;
  /** Jobs that had begun on one server and went on at another. */
  migrations: number;
  /** A core went on with another job than before, while that one had not ended. */
  preemptions: number;
  /** Messages between hosts, but for the client's. */
  messages: number;
}

export interface WorldSetup {
  readonly cluster: Cluster;
  readonly costs: Costs;
  readonly workload: Workload;
  readonly ratePerUs: number;
  readonly seed: number;
  readonly recorder: Recorder;
  /** Nothing goes wrong unless given. */
  readonly faults?: FaultSetup | null;
}

/** Streams of random numbers: each user has its own. */
export const stream = { arrivals: 0, policy: 1, servers: 2, faults: 3, network: 4, steps: 5 } as const;
export type Stream = keyof typeof stream;

const NONE = -1;

export class World {
  readonly engine = new Engine();
  readonly jobs: Jobs;
  readonly cluster: Cluster;
  readonly costs: Costs;
  readonly workload: Workload;
  readonly recorder: Recorder;
  /** null: nothing goes wrong. */
  readonly faults: Faults | null;
  readonly counters: Counters = { coldStarts: 0, migrations: 0, preemptions: 0, messages: 0 };
  readonly #seed: number;
  readonly #arrivals: Arrivals;
  /** Of chains, with random numbers of their own: when a step is drawn depends on the policy, and what arrives must not. */
  readonly #steps: Arrivals;
  /** The one that is awaited. */
  readonly #arrival: Arrival;
  readonly #step: Arrival;
  readonly #arrivalLane: Lane;
  readonly #arrived: number;
  readonly #followed: number;
  #policy: Policy | null = null;

  constructor({ cluster, costs, workload, ratePerUs, seed, recorder, faults = null }: WorldSetup) {
    this.jobs = new Jobs(workload.phaseMax);
    this.cluster = cluster;
    this.costs = costs;
    this.workload = workload;
    this.recorder = recorder;
    this.#seed = seed;
    this.#arrivals = workload.start(ratePerUs, this.random('arrivals'));
    const hasSteps = workload.functions.some(({ next }) => next >= 0);
    this.#steps = hasSteps ? workload.start(ratePerUs, this.random('steps')) : this.#arrivals;
    this.#arrival = new Arrival(workload.phaseMax);
    this.#step = new Arrival(workload.phaseMax);
    this.#arrivalLane = this.engine.lane();
    this.#arrived = this.engine.kind(() => this.#arrive());
    this.#followed = this.engine.kind((job) => this.#deliver(job, NONE));
    this.faults = faults === null ? null : new Faults(this, faults);
  }

  get nowUs(): number {
    return this.engine.nowUs;
  }

  /** Whether the first invocation of a function on a server costs more than another. */
  get hasColdStarts(): boolean {
    return this.costs.coldStartUs > 0 || this.workload.functions.some(({ initUs }) => initUs > 0);
  }

  /** Numbers that depend on the seed and on who asks. */
  random(of: Stream): Random {
    return new Random(this.#seed, stream[of]);
  }

  /**
   * The kind of events that are arrivals of messages between hosts: as `engine.kind`, and where faults are, they may be late. `way`: which
   * server it is for, or from, by the two numbers of the event.
   */
  message(handler: Handler, way: Way, foresight?: Foresight): number {
    if (this.faults === null) return this.engine.kind(handler, foresight);
    return this.faults.messages.kind(handler, way, foresight);
  }

  /** From now on invocations arrive, for this policy. */
  open(policy: Policy): void {
    this.#policy = policy;
    this.faults?.start(policy);
    this.#awaitNext();
  }

  /** It has a core for the first time, or again after it was lost. */
  started(job: number, atUs = this.nowUs): void {
    if (this.jobs.startedUs(job) < 0) this.jobs.setStartedUs(job, atUs);
  }

  /** Its answer leaves the worker now, and reaches the gateway after the delay. The next step of its chain, if there is one, arrives then. */
  finish(job: number, delayUs = 0): void {
    assert(delayUs >= 0, 'an answer takes a time of 0 or more to reach the gateway');
    const lateUs = this.faults === null ? 0 : this.faults.answerDelayUs(job);
    if (lateUs >= 0) this.#finish(job, this.nowUs + delayUs + lateUs, this.#policy?.handsOver === true);
  }

  /** Its answer left the worker long ago, and reaches the gateway after the delay. */
  finishLate(job: number, delayUs: number): void {
    this.#finish(job, this.nowUs + delayUs, false);
  }

  /** It was told that there is no room (HTTP 429). */
  refuse(job: number): void {
    this.recorder.refused(this.jobs, job);
    this.#remove(job);
  }

  /** Its server is gone. It is run again where that was asked for, and `arrive` hears of it once more; else it has ended. */
  lose(job: number): void {
    if (this.faults?.retries(job) === true) {
      this.recorder.retried(this.jobs, job);
      return;
    }
    this.recorder.lost(this.jobs, job);
    this.#remove(job);
  }

  /** It is lost for its gateway, and its worker goes on with it: in the end `discard` follows. */
  abandon(job: number): void {
    const copy = this.jobs.copy(job);
    this.faults?.pass(job, copy);
    this.jobs.disown(job);
    this.lose(copy);
  }

  /** Of one that was abandoned. */
  discard(job: number): void {
    this.jobs.remove(job);
  }

  #finish(job: number, endUs: number, handsOver: boolean): void {
    const next = this.workload.functions[this.jobs.functionOf(job)]!.next;
    this.recorder.finished(this.jobs, job, endUs, next < 0);
    if (next >= 0) this.#goOn(job, next, { atUs: endUs, handsOver });
    this.#remove(job);
  }

  #remove(job: number): void {
    this.jobs.remove(job);
    this.faults?.forget(job);
  }

  #awaitNext(): void {
    if (this.#arrivals.next(this.#arrival)) this.#arrivalLane.push(this.#arrival.timeUs, this.#arrived, 0, 0);
  }

  #arrive(): void {
    const { functionIndex, timeUs, phasesUs, phaseCount } = this.#arrival;
    const job = this.jobs.add(functionIndex, timeUs, phasesUs, phaseCount);
    this.#awaitNext();
    this.recorder.arrived(this.jobs, job);
    this.#deliver(job, NONE);
  }

  #goOn(after: number, functionIndex: number, { atUs, handsOver }: { atUs: number; handsOver: boolean }): void {
    const step = this.#step;
    this.#steps.step(functionIndex, step);
    const job = this.jobs.add(functionIndex, atUs, step.phasesUs, step.phaseCount);
    this.jobs.setChainUs(job, this.jobs.chainUs(after));
    this.recorder.arrived(this.jobs, job);
    if (handsOver) this.#deliver(job, after);
    else this.engine.at(atUs, this.#followed, job);
  }

  #deliver(job: number, after: number): void {
    assert(this.#policy !== null, 'a job arrives before there is a policy');
    this.#policy.arrive(job, after);
  }
}
