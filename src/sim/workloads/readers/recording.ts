/**
 * Invocations that were recorded one by one, in columns: 24 bytes for each (32 where some sleep), and as much again while they are put in the order of their
 * times. They begin with the first one, at time 0. A load other than the recorded one makes time go faster or slower: arrivals
 * come closer together or farther apart, and run as long as they did.
 */
import { assert } from '../../../base/assert.ts';
import type { Random } from '../../engine/random.ts';
import { SpecError } from '../../spec-error.ts';
import { type Arrival, type Arrivals, type FunctionShape, PLAIN_FUNCTION, type Workload } from '../../workload.ts';

const FIRST_CAPACITY = 1 << 12;
const ROW_COUNT_MAX = 1 << 27;
/** How long a recording of one invocation is taken to be. */
const LEAST_US = 1e6;

export class Recording {
  readonly #functionIndexes = new Map<string, number>();
  readonly #functions: FunctionShape[] = [];
  #count = 0;
  #startUs = new Float64Array(FIRST_CAPACITY);
  #functionOf = new Int32Array(FIRST_CAPACITY);
  #runUs = new Float64Array(FIRST_CAPACITY);
  /** null: nobody has slept so far. */
  #sleepUs: Float64Array | null = null;

  get count(): number {
    return this.#count;
  }

  /** Of the function; a larger memory than before counts for all of its invocations. */
  functionIndex(name: string, memoryMb: number = PLAIN_FUNCTION.memoryMb): number {
    const known = this.#functionIndexes.get(name);
    if (known === undefined) {
      this.#functionIndexes.set(name, this.#functions.length);
      return this.#functions.push({ ...PLAIN_FUNCTION, name, memoryMb }) - 1;
    }
    const shape = this.#functions[known]!;
    if (memoryMb > shape.memoryMb) this.#functions[known] = { ...shape, memoryMb };
    return known;
  }

  add(startUs: number, functionIndex: number, runUs: number, sleepUs: number): void {
    if (this.#count === this.#startUs.length) this.#grow();
    if (sleepUs > 0) this.#sleepUs ??= new Float64Array(this.#startUs.length);
    this.#startUs[this.#count] = startUs;
    this.#functionOf[this.#count] = functionIndex;
    this.#runUs[this.#count] = runUs;
    if (this.#sleepUs !== null) this.#sleepUs[this.#count] = sleepUs;
    this.#count++;
  }

  /** `repeat`: how often it is played, one after the other. */
  workload(name: string, repeat: number): Workload {
    const rows = this.#rows(repeat);
    let demandUs = 0;
    for (let i = 0; i < this.#count; i++) demandUs += this.#runUs[i]!;
    if (demandUs === 0) throw new SpecError(`workload ${name}: no invocation of the recording takes any time`);
    const ownRate = this.#count / rows.periodUs;
    return {
      name,
      functions: this.#functions,
      phaseMax: this.#sleepUs === null ? 1 : 3,
      meanDemandUs: demandUs / this.#count,
      ownRate,
      start: (ratePerUs: number, _random: Random) => new RecordedArrivals(rows, ownRate / ratePerUs),
    };
  }

  #rows(repeat: number): Rows {
    const startUs = this.#startUs;
    const order = Uint32Array.from({ length: this.#count }, (_, i) => i);
    const isSorted = order.every((i) => i === 0 || startUs[i - 1]! <= startUs[i]!);
    if (!isSorted) order.sort((a, b) => startUs[a]! - startUs[b]! || a - b);
    const firstUs = startUs[order[0]!]!;
    const spanUs = startUs[order.at(-1)!]! - firstUs;
    // Again from the front, a mean gap after the last one.
    const periodUs = spanUs === 0 ? LEAST_US : (spanUs * this.#count) / (this.#count - 1);
    return {
      order,
      startUs,
      functionOf: this.#functionOf,
      runUs: this.#runUs,
      sleepUs: this.#sleepUs,
      firstUs,
      periodUs,
      repeat,
    };
  }

  #grow(): void {
    const capacity = this.#startUs.length * 2;
    if (capacity > ROW_COUNT_MAX)
      throw new SpecError(`more than ${ROW_COUNT_MAX} invocations: give a part of the file`);
    this.#startUs = grown(this.#startUs, new Float64Array(capacity));
    this.#functionOf = grown(this.#functionOf, new Int32Array(capacity));
    this.#runUs = grown(this.#runUs, new Float64Array(capacity));
    if (this.#sleepUs !== null) this.#sleepUs = grown(this.#sleepUs, new Float64Array(capacity));
  }
}

interface Rows {
  readonly order: Uint32Array;
  readonly startUs: Float64Array;
  readonly functionOf: Int32Array;
  readonly runUs: Float64Array;
  readonly sleepUs: Float64Array | null;
  readonly firstUs: number;
  /** From its start to that of its repetition. */
  readonly periodUs: number;
  readonly repeat: number;
}

class RecordedArrivals implements Arrivals {
  readonly #rows: Rows;
  readonly #stretch: number;
  #at = 0;
  #round = 0;

  constructor(rows: Rows, stretch: number) {
    this.#rows = rows;
    this.#stretch = stretch;
  }

  next(into: Arrival): boolean {
    const { order, startUs, functionOf, runUs, sleepUs, firstUs, periodUs, repeat } = this.#rows;
    if (this.#at === order.length) {
      this.#at = 0;
      this.#round++;
    }
    if (this.#round === repeat) return false;
    const row = order[this.#at++]!;
    into.timeUs = (startUs[row]! - firstUs + this.#round * periodUs) * this.#stretch;
    into.functionIndex = functionOf[row]!;
    setPhases(into, runUs[row]!, sleepUs === null ? 0 : sleepUs[row]!);
    return true;
  }

  /** Nothing is recorded of chains. */
  step(_functionIndex: number, _into: Arrival): void {
    assert(false, 'a recording has no chains');
  }
}

/** A sleep lies in the middle of the run: of more, nothing is recorded. */
export function setPhases(into: Arrival, runUs: number, sleepUs: number): void {
  if (sleepUs === 0) {
    into.phaseCount = 1;
    into.phasesUs[0] = runUs;
    return;
  }
  into.phaseCount = 3;
  into.phasesUs[0] = runUs / 2;
  into.phasesUs[1] = sleepUs;
  into.phasesUs[2] = runUs / 2;
}

function grown<A extends Float64Array | Int32Array>(from: A, to: A): A {
  to.set(from);
  return to;
}
