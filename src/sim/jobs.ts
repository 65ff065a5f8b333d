/**
 * The invocations that are under way in a simulation. A job's number is used again once it has ended. What is known of a job lies in one record of
 * 64 bytes, a line of the cache: with half a million of them each line that is read costs as much as all that is done with it.
 *
 * A job has *phases*: it runs, sleeps, runs, sleeps, …, runs, each for a time of its own; `phaseMax` of them at most, an odd number.
 * Most workloads have 1, and nothing is kept of phases then but what is left of the only one.
 */
import { assert } from '../base/assert.ts';
import { LINE_OFFSET, lineBuffer } from '../base/cache-lines.ts';

const NONE = -1;
const FIRST_CAPACITY = 1024;

/** Floats of a record, then its integers, all of which lie behind the floats. */
const FLOATS_LOG2 = 3;
const ARRIVAL = 0;
const CHAIN = 1;
const STARTED = 2;
const DEMAND = 3;
const LEFT = 4;
const INTS_LOG2 = 4;
const FUNCTION = 10;
const SERVER = 11;
const MARK = 12;
const LIFE = 13;
const IS_LIVE = 14;

export class Jobs {
  readonly phaseMax: number;
  #floats = new Float64Array(0);
  #ints = new Int32Array(0);
  /** What has more than one phase has these, too. */
  #phases = new Float64Array(0);
  #sleeps = new Float64Array(0);
  /** Which phase a job is in (even ones run, odd ones sleep), and how many it has. */
  #phase = new Uint16Array(0);
  #phaseCounts = new Uint16Array(0);
  /** Numbers that are free: a stack. */
  #free = new Int32Array(0);
  #count = 0;

  constructor(phaseMax: number) {
    assert(phaseMax % 2 === 1, `${phaseMax} phases: an odd number, since a job ends running`);
    this.phaseMax = phaseMax;
    this.#allot(FIRST_CAPACITY);
  }

  /** How many are under way. */
  get count(): number {
    return this.#count;
  }

  get capacity(): number {
    return this.#free.length;
  }

  isLive(job: number): boolean {
    return this.#ints[(job << INTS_LOG2) + IS_LIVE] === 1;
  }

  /** Whether what was put off in that life of the job's number is still for it. */
  isSame(job: number, life: number): boolean {
    return this.isLive(job) && this.life(job) === life;
  }

  /** Index in the workload's functions. */
  functionOf(job: number): number {
    return this.#ints[(job << INTS_LOG2) + FUNCTION]!;
  }

  /** When it reached the platform. */
  arrivalUs(job: number): number {
    return this.#floats[(job << FLOATS_LOG2) + ARRIVAL]!;
  }

  /** Of a step of a chain: when the first step reached the platform. */
  chainUs(job: number): number {
    return this.#floats[(job << FLOATS_LOG2) + CHAIN]!;
  }

  setChainUs(job: number, us: number): void {
    this.#floats[(job << FLOATS_LOG2) + CHAIN] = us;
  }

  /** When it had a core for the first time; -1: not yet. */
  startedUs(job: number): number {
    return this.#floats[(job << FLOATS_LOG2) + STARTED]!;
  }

  setStartedUs(job: number, us: number): void {
    this.#floats[(job << FLOATS_LOG2) + STARTED] = us;
  }

  /** CPU time that it needs in all. */
  demandUs(job: number): number {
    return this.#floats[(job << FLOATS_LOG2) + DEMAND]!;
  }

  /** Time that it sleeps in all. */
  sleepUs(job: number): number {
    return this.phaseMax === 1 ? 0 : this.#sleeps[job]!;
  }

  /** What is left of its present phase. */
  leftUs(job: number): number {
    return this.#floats[(job << FLOATS_LOG2) + LEFT]!;
  }

  setLeftUs(job: number, us: number): void {
    this.#floats[(job << FLOATS_LOG2) + LEFT] = us;
  }

  /** Its server, where the policy says so; for the policy and its servers. */
  server(job: number): number {
    return this.#ints[(job << INTS_LOG2) + SERVER]!;
  }

  setServer(job: number, server: number): void {
    this.#ints[(job << INTS_LOG2) + SERVER] = server;
  }

  /** Of the policy: whatever it wants to know of a job. */
  mark(job: number): number {
    return this.#ints[(job << INTS_LOG2) + MARK]!;
  }

  setMark(job: number, mark: number): void {
    this.#ints[(job << INTS_LOG2) + MARK] = mark;
  }

  /** Grows each time that the number is given to a job, or a job begins anew: an event for an earlier life counts for nothing. */
  life(job: number): number {
    return this.#ints[(job << INTS_LOG2) + LIFE]!;
  }

  /** `phasesUs`: run, sleep, run, …; as many as `phaseCount`. */
  add(functionIndex: number, arrivalUs: number, phasesUs: Float64Array, phaseCount: number): number {
    assert(phaseCount % 2 === 1 && phaseCount <= this.phaseMax, 'a job of an even number of phases, or of too many');
    if (this.#count === this.#free.length) this.#grow();
    const job = this.#free[this.#free.length - 1 - this.#count]!;
    const float = job << FLOATS_LOG2;
    const int = job << INTS_LOG2;
    this.#count++;
    this.#floats[float + ARRIVAL] = arrivalUs;
    this.#floats[float + CHAIN] = arrivalUs;
    this.#floats[float + STARTED] = NONE;
    this.#floats[float + DEMAND] = phasesUs[0]!;
    this.#floats[float + LEFT] = phasesUs[0]!;
    this.#ints[int + FUNCTION] = functionIndex;
    this.#ints[int + SERVER] = NONE;
    this.#ints[int + MARK] = 0;
    this.#ints[int + LIFE]!++;
    this.#ints[int + IS_LIVE] = 1;
    if (this.phaseMax > 1) this.#keepPhases(job, phasesUs, phaseCount);
    return job;
  }

  /** Its number may be used again from now on. */
  remove(job: number): void {
    assert(this.isLive(job), 'a job ends twice');
    this.#ints[(job << INTS_LOG2) + IS_LIVE] = 0;
    this.#count--;
    this.#free[this.#free.length - 1 - this.#count] = job;
  }

  /** Its next phase begins; false: it has none. */
  advance(job: number): boolean {
    if (this.phaseMax === 1) return false;
    const phase = this.#phase[job]! + 1;
    if (phase >= this.#phaseCounts[job]!) return false;
    this.#phase[job] = phase;
    this.setLeftUs(job, this.#phases[job * this.phaseMax + phase]!);
    return true;
  }

  /** From the start, as if nothing had been done for it: its server is gone, and it runs again elsewhere. */
  restart(job: number): void {
    this.#ints[(job << INTS_LOG2) + LIFE]!++;
    if (this.phaseMax === 1) return this.setLeftUs(job, this.demandUs(job));
    this.#phase[job] = 0;
    this.setLeftUs(job, this.#phases[job * this.phaseMax]!);
  }

  /** Another job that asks for the same, and came when this one did. */
  copy(job: number): number {
    const first = job * this.phaseMax;
    const count = this.phaseMax === 1 ? 1 : this.#phaseCounts[job]!;
    const phasesUs =
      this.phaseMax === 1 ? Float64Array.of(this.demandUs(job)) : this.#phases.slice(first, first + count);
    const copy = this.add(this.functionOf(job), this.arrivalUs(job), phasesUs, count);
    this.setChainUs(copy, this.chainUs(job));
    this.setStartedUs(copy, this.startedUs(job));
    return copy;
  }

  /** Whatever becomes of it is not counted. */
  disown(job: number): void {
    this.#floats[(job << FLOATS_LOG2) + ARRIVAL] = -Infinity;
  }

  isAsleep(job: number): boolean {
    return this.phaseMax > 1 && (this.#phase[job]! & 1) === 1;
  }

  /** Reads the records of these jobs, and nothing else: for a foresight. The answer means nothing. */
  touch(jobs: Int32Array, count: number): number {
    const ints = this.#ints;
    let all = 0;
    for (let i = 0; i < count; i++) all ^= ints[jobs[i]! << INTS_LOG2]!;
    return all;
  }

  #keepPhases(job: number, phasesUs: Float64Array, phaseCount: number): void {
    const first = job * this.phaseMax;
    let demandUs = 0;
    let sleepUs = 0;
    this.#phase[job] = 0;
    this.#phaseCounts[job] = phaseCount;
    for (let phase = 0; phase < phaseCount; phase++) {
      this.#phases[first + phase] = phasesUs[phase]!;
      if (phase % 2 === 0) demandUs += phasesUs[phase]!;
      else sleepUs += phasesUs[phase]!;
    }
    this.#floats[(job << FLOATS_LOG2) + DEMAND] = demandUs;
    this.#sleeps[job] = sleepUs;
  }

  /** All numbers are in use: those that come are free, and what was free before is read by nobody. */
  #grow(): void {
    const { phaseMax } = this;
    const [ints, phases, sleeps, phase, phaseCounts] = [
      this.#ints,
      this.#phases,
      this.#sleeps,
      this.#phase,
      this.#phaseCounts,
    ];
    this.#allot(this.capacity * 2);
    this.#ints.set(ints);
    if (phaseMax === 1) return;
    this.#phases.set(phases);
    this.#sleeps.set(sleeps);
    this.#phase.set(phase);
    this.#phaseCounts.set(phaseCounts);
  }

  #allot(capacity: number): void {
    const bytes = lineBuffer(capacity << (FLOATS_LOG2 + 3));
    const phased = this.phaseMax === 1 ? 0 : capacity;
    this.#floats = new Float64Array(bytes, LINE_OFFSET);
    this.#ints = new Int32Array(bytes, LINE_OFFSET);
    this.#phases = new Float64Array(phased * this.phaseMax);
    this.#sleeps = new Float64Array(phased);
    this.#phase = new Uint16Array(phased);
    this.#phaseCounts = new Uint16Array(phased);
    this.#free = Int32Array.from({ length: capacity }, (_, i) => capacity - 1 - i);
  }
}
