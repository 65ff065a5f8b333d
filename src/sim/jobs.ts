/**
 * The invocations that are under way in a simulation, one column for each thing that is known of them. A job's number is used
 * again once it has ended. Columns grow, so `jobs.leftUs` is read anew each time and never kept.
 *
 * A job has *phases*: it runs, sleeps, runs, sleeps, …, runs, each for a time of its own; `phaseMax` of them at most, an odd number.
 * Most workloads have 1, and nothing is kept of phases then but what is left of the only one.
 */
import { assert } from '../base/assert.ts';

const NONE = -1;
const FIRST_CAPACITY = 1024;

export class Jobs {
  readonly phaseMax: number;
  /** Index in the workload's functions. */
  functionOf = new Int32Array(FIRST_CAPACITY);
  /** When it reached the platform. */
  arrivalUs = new Float64Array(FIRST_CAPACITY);
  /** Of a step of a chain: when the first step reached the platform. */
  chainUs = new Float64Array(FIRST_CAPACITY);
  /** When it had a core for the first time; -1: not yet. */
  startedUs = new Float64Array(FIRST_CAPACITY);
  /** CPU time that it needs in all. */
  demandUs = new Float64Array(FIRST_CAPACITY);
  /** Time that it sleeps in all. */
  sleepUs = new Float64Array(FIRST_CAPACITY);
  /** What is left of its present phase. */
  leftUs = new Float64Array(FIRST_CAPACITY);
  /** Its server, where the policy says so; for the policy and its servers. */
  server = new Int32Array(FIRST_CAPACITY);
  /** Of the policy: whatever it wants to know of a job. */
  mark = new Int32Array(FIRST_CAPACITY);
  /** Which phase it is in: even ones run, odd ones sleep. */
  phase = new Uint16Array(FIRST_CAPACITY);
  /** Grows each time that the number is given to a job, or a job begins anew: an event for an earlier life counts for nothing. */
  life = new Int32Array(FIRST_CAPACITY);
  #phases: Float64Array;
  #phaseCounts = new Uint16Array(FIRST_CAPACITY);
  #isLive = new Uint8Array(FIRST_CAPACITY);
  /** Numbers that are free: a stack. */
  #free = Int32Array.from({ length: FIRST_CAPACITY }, (_, i) => FIRST_CAPACITY - 1 - i);
  #count = 0;

  constructor(phaseMax: number) {
    assert(phaseMax % 2 === 1, `${phaseMax} phases: an odd number, since a job ends running`);
    this.phaseMax = phaseMax;
    this.#phases = new Float64Array(phaseMax === 1 ? 0 : FIRST_CAPACITY * phaseMax);
  }

  /** How many are under way. */
  get count(): number {
    return this.#count;
  }

  get capacity(): number {
    return this.#free.length;
  }

  isLive(job: number): boolean {
    return this.#isLive[job] === 1;
  }

  /** Whether what was put off in that life of the job's number is still for it. */
  isSame(job: number, life: number): boolean {
    return this.#isLive[job] === 1 && this.life[job] === life;
  }

  /** `phasesUs`: run, sleep, run, …; as many as `phaseCount`. */
  add(functionIndex: number, arrivalUs: number, phasesUs: Float64Array, phaseCount: number): number {
    assert(phaseCount % 2 === 1 && phaseCount <= this.phaseMax, 'a job of an even number of phases, or of too many');
    if (this.#count === this.#free.length) this.#grow();
    const job = this.#free[this.#free.length - 1 - this.#count]!;
    this.#count++;
    this.#isLive[job] = 1;
    this.life[job]!++;
    this.functionOf[job] = functionIndex;
    this.arrivalUs[job] = arrivalUs;
    this.chainUs[job] = arrivalUs;
    this.startedUs[job] = NONE;
    this.server[job] = NONE;
    this.mark[job] = 0;
    this.leftUs[job] = phasesUs[0]!;
    this.demandUs[job] = phasesUs[0]!;
    if (this.phaseMax > 1) this.#keepPhases(job, phasesUs, phaseCount);
    return job;
  }

  /** Reads all that will be read of the job at its end, and written for the next one of its number: for a foresight. The answer means nothing. */
  touch(job: number): number {
    const floats =
      this.arrivalUs[job]! + this.chainUs[job]! + this.startedUs[job]! + this.demandUs[job]! + this.leftUs[job]!;
    const ints = this.functionOf[job]! ^ this.server[job]! ^ this.mark[job]! ^ this.life[job]! ^ this.#isLive[job]!;
    return floats > 0 ? ints : 0;
  }

  /** Its number may be used again from now on. */
  remove(job: number): void {
    assert(this.#isLive[job] === 1, 'a job ends twice');
    this.#isLive[job] = 0;
    this.#count--;
    this.#free[this.#free.length - 1 - this.#count] = job;
  }

  /** Its next phase begins; false: it has none. */
  advance(job: number): boolean {
    if (this.phaseMax === 1) return false;
    const phase = this.phase[job]! + 1;
    if (phase >= this.#phaseCounts[job]!) return false;
    this.phase[job] = phase;
    this.leftUs[job] = this.#phases[job * this.phaseMax + phase]!;
    return true;
  }

  /** From the start, as if nothing had been done for it: its server is gone, and it runs again elsewhere. */
  restart(job: number): void {
    this.life[job]!++;
    this.phase[job] = 0;
    this.leftUs[job] = this.phaseMax === 1 ? this.demandUs[job]! : this.#phases[job * this.phaseMax]!;
  }

  isAsleep(job: number): boolean {
    return (this.phase[job]! & 1) === 1;
  }

  #keepPhases(job: number, phasesUs: Float64Array, phaseCount: number): void {
    const first = job * this.phaseMax;
    let demandUs = 0;
    let sleepUs = 0;
    this.phase[job] = 0;
    this.#phaseCounts[job] = phaseCount;
    for (let phase = 0; phase < phaseCount; phase++) {
      this.#phases[first + phase] = phasesUs[phase]!;
      if (phase % 2 === 0) demandUs += phasesUs[phase]!;
      else sleepUs += phasesUs[phase]!;
    }
    this.demandUs[job] = demandUs;
    this.sleepUs[job] = sleepUs;
  }

  #grow(): void {
    const before = this.#free.length;
    const capacity = before * 2;
    this.functionOf = grown(this.functionOf, new Int32Array(capacity));
    this.arrivalUs = grown(this.arrivalUs, new Float64Array(capacity));
    this.chainUs = grown(this.chainUs, new Float64Array(capacity));
    this.startedUs = grown(this.startedUs, new Float64Array(capacity));
    this.demandUs = grown(this.demandUs, new Float64Array(capacity));
    this.sleepUs = grown(this.sleepUs, new Float64Array(capacity));
    this.leftUs = grown(this.leftUs, new Float64Array(capacity));
    this.server = grown(this.server, new Int32Array(capacity));
    this.mark = grown(this.mark, new Int32Array(capacity));
    this.life = grown(this.life, new Int32Array(capacity));
    this.phase = grown(this.phase, new Uint16Array(capacity));
    this.#phases = grown(this.#phases, new Float64Array(this.phaseMax === 1 ? 0 : capacity * this.phaseMax));
    this.#phaseCounts = grown(this.#phaseCounts, new Uint16Array(capacity));
    this.#isLive = grown(this.#isLive, new Uint8Array(capacity));
    // Only the upper half of the stack is read before it is written: all of the old numbers are in use.
    this.#free = Int32Array.from({ length: capacity }, (_, i) => capacity - 1 - i);
  }
}

function grown<A extends Float64Array | Int32Array | Uint16Array | Uint8Array>(from: A, to: A): A {
  to.set(from as never);
  return to;
}
