/**
 * What became of the jobs of a simulation. Counted are those that arrive from `warmUpUs` on and before `endUs`; the simulation
 * goes on under the same load until all of them have ended.
 *
 *   latency    from the gateway and back to it
 *   alone      how long the function itself takes on a core of its own: CPU time and sleep
 *   slowdown   latency / alone, as in the papers: 1 is best
 *   wait       latency − alone: all that the platform and others made of it
 *   start      until it has a core for the first time
 */
import type { Jobs } from '../jobs.ts';
import { Samples } from './samples.ts';

/** Classes of jobs by what they need of a core; the upper bound of each, microseconds. */
export const DEMAND_CLASSES: readonly { readonly name: string; readonly belowUs: number }[] = [
  { name: '< 10 ms', belowUs: 1e4 },
  { name: '10–100 ms', belowUs: 1e5 },
  { name: '0.1–1 s', belowUs: 1e6 },
  { name: '1–10 s', belowUs: 1e7 },
  { name: '10–100 s', belowUs: 1e8 },
  { name: '≥ 100 s', belowUs: Infinity },
];

export interface RecorderSetup {
  readonly warmUpUs: number;
  readonly endUs: number;
  /** All cores of the cluster. */
  readonly coreCount: number;
  /** Virtual time between two looks at how many wait. */
  readonly sampleUs: number;
}

export interface Moment {
  readonly timeUs: number;
  readonly waiting: number;
  readonly busyCores: number;
}

export class Recorder {
  readonly setup: RecorderSetup;
  readonly latencyUs = new Samples();
  readonly slowdown = new Samples();
  readonly waitUs = new Samples();
  readonly startUs = new Samples();
  readonly byDemand: readonly Samples[] = DEMAND_CLASSES.map(() => new Samples());
  /** Of whole chains, where there are any of more than one step: from the first step's arrival. */
  readonly chainUs = new Samples();
  /** Of each step of a chain but the first: from the end of the one before to its own start. */
  readonly betweenUs = new Samples();
  readonly moments: Moment[] = [];
  arrivedCount = 0;
  refusedCount = 0;
  lostCount = 0;
  /** Times that one was run again after it was lost. */
  retriedCount = 0;
  /** Counted ones that have not ended. */
  openCount = 0;
  #busyCores = 0;
  /** Less the moments in which cores began to be busy, plus those in which they ended. */
  #busyUs = 0;
  readonly #waiting = { sum: 0, max: 0, count: 0 };

  constructor(setup: RecorderSetup) {
    this.setup = setup;
  }

  arrived(jobs: Jobs, job: number): void {
    if (!this.#isCounted(jobs, job)) return;
    this.arrivedCount++;
    this.openCount++;
  }

  /** `isLast`: no step of a chain follows. */
  finished(jobs: Jobs, job: number, endUs: number, isLast: boolean): void {
    if (!this.#isCounted(jobs, job)) return;
    this.openCount--;
    const latencyUs = endUs - jobs.arrivalUs(job);
    this.#add(jobs, job, latencyUs);
    const isStep = jobs.chainUs(job) !== jobs.arrivalUs(job);
    if (isStep) this.betweenUs.add(Math.max(0, jobs.startedUs(job) - jobs.arrivalUs(job)));
    if (isStep && isLast) this.chainUs.add(endUs - jobs.chainUs(job));
  }

  refused(jobs: Jobs, job: number): void {
    if (!this.#isCounted(jobs, job)) return;
    this.openCount--;
    this.refusedCount++;
  }

  lost(jobs: Jobs, job: number): void {
    if (!this.#isCounted(jobs, job)) return;
    this.openCount--;
    this.lostCount++;
  }

  retried(jobs: Jobs, job: number): void {
    if (this.#isCounted(jobs, job)) this.retriedCount++;
  }

  /** So many cores more (or fewer) are at work for a job: its own or the platform's for it. */
  coresBusy(change: number, atUs: number): void {
    this.#busyUs -= change * this.#counted(atUs);
    this.#busyCores += change;
  }

  sample(nowUs: number, waiting: number): void {
    this.moments.push({ timeUs: nowUs, waiting, busyCores: this.#busyCores });
    if (nowUs < this.setup.warmUpUs || nowUs > this.setup.endUs) return;
    this.#waiting.sum += waiting;
    this.#waiting.count++;
    this.#waiting.max = Math.max(this.#waiting.max, waiting);
  }

  /** Share of the cluster's cores that were at work while jobs were counted. */
  utilisation(nowUs: number): number {
    const { warmUpUs, endUs, coreCount } = this.setup;
    return (this.#busyUs + this.#busyCores * this.#counted(nowUs)) / ((Math.min(nowUs, endUs) - warmUpUs) * coreCount);
  }

  get waitingMean(): number {
    return this.#waiting.count === 0 ? 0 : this.#waiting.sum / this.#waiting.count;
  }

  get waitingMax(): number {
    return this.#waiting.max;
  }

  #add(jobs: Jobs, job: number, latencyUs: number): void {
    const demandUs = jobs.demandUs(job);
    const aloneUs = demandUs + jobs.sleepUs(job);
    const slowdown = aloneUs > 0 ? latencyUs / aloneUs : 1;
    this.latencyUs.add(latencyUs);
    this.slowdown.add(slowdown);
    // Sums of floats may come out below what they stand for.
    this.waitUs.add(Math.max(0, latencyUs - aloneUs));
    this.startUs.add(Math.max(0, jobs.startedUs(job) - jobs.arrivalUs(job)));
    let at = 0;
    while (demandUs >= DEMAND_CLASSES[at]!.belowUs) at++;
    this.byDemand[at]!.add(slowdown);
  }

  #isCounted(jobs: Jobs, job: number): boolean {
    const arrivalUs = jobs.arrivalUs(job);
    return arrivalUs >= this.setup.warmUpUs && arrivalUs < this.setup.endUs;
  }

  /** The moment, or the bound of the counted time that it lies beyond. */
  #counted(atUs: number): number {
    return Math.min(Math.max(atUs, this.setup.warmUpUs), this.setup.endUs);
  }
}
