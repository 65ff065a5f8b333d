/**
 * Chains on their way: since when each counts as waiting, and whether its next step may have the core of the one before it
 * (gateway/cluster/handing-on.ts, workflow/chain-runner.ts). By job; columns grow with the jobs.
 */
import { LIMITS } from '../../base/limits.ts';
import type { World } from '../world.ts';
import type { ResidentKinds } from './resident-kinds.ts';

export class Chains {
  readonly #world: World;
  readonly #kinds: ResidentKinds;
  #sinceUs = new Float64Array(0);
  #usedUs = new Float64Array(0);
  #inRow = new Int32Array(0);

  constructor(world: World, kinds: ResidentKinds) {
    this.#world = world;
    this.#kinds = kinds;
  }

  /** It is no step, or the first. */
  begin(job: number): void {
    this.#fit();
    this.#sinceUs[job] = this.#world.nowUs;
    this.#usedUs[job] = 0;
    this.#inRow[job] = 0;
  }

  /** It comes after that one, which has run for so long. After so many in a row it counts as waiting from now on. */
  follow(job: number, after: number, ranUs: number): void {
    this.#fit();
    const inRow = this.#inRow[after]! + 1;
    const isNew = inRow > LIMITS.chainStepsInRowMax;
    this.#inRow[job] = isNew ? 0 : inRow;
    this.#sinceUs[job] = isNew ? this.#world.nowUs : this.#sinceUs[after]!;
    this.#usedUs[job] = this.#usedUs[after]! + ranUs;
  }

  sinceUs(job: number): number {
    return this.#sinceUs[job]!;
  }

  /** What the steps before it ran for. */
  usedUs(job: number): number {
    return this.#usedUs[job]!;
  }

  /** Another step comes after it. */
  isFollowed(job: number): boolean {
    return this.#shapeOf(job).next >= 0;
  }

  /** `leased`: the function whose lease it is in the scheduler's books; `assignedUs`: when the step before it was given to the worker. */
  mayHandOn(job: number, leased: number, assignedUs: number): boolean {
    const asks = this.#shapeOf(job);
    const had = this.#world.workload.functions[leased]!;
    const fits = asks.memoryMb <= had.memoryMb && asks.coreCount === had.coreCount;
    const kinds = this.#kinds;
    const isSameSeat = kinds.hasOwnSeat(this.#world.jobs.functionOf(job)) === kinds.hasOwnSeat(leased);
    return fits && isSameSeat && this.#sinceUs[job]! <= assignedUs;
  }

  #shapeOf(job: number): World['workload']['functions'][number] {
    const { workload, jobs } = this.#world;
    return workload.functions[jobs.functionOf(job)]!;
  }

  #fit(): void {
    const { capacity } = this.#world.jobs;
    if (this.#sinceUs.length === capacity) return;
    const { sinceUs, usedUs, inRow } = { sinceUs: this.#sinceUs, usedUs: this.#usedUs, inRow: this.#inRow };
    this.#sinceUs = new Float64Array(capacity);
    this.#sinceUs.set(sinceUs);
    this.#usedUs = new Float64Array(capacity);
    this.#usedUs.set(usedUs);
    this.#inRow = new Int32Array(capacity);
    this.#inRow.set(inRow);
  }
}
