/**
 * Makes a failing case smaller: fewer nodes, and of what is invoked and what goes wrong only what it takes. It is tried in a fixed order for a number of steps, so the
 * same failure comes to the same small case everywhere.
 */
import type { FuzzCase } from './case.ts';
import { type Change, changed } from './change.ts';
import { type Failure, play } from './play.ts';

export interface Shrunk {
  readonly change: Change;
  readonly failure: Failure;
  readonly stepCount: number;
}

type Listed = 'arrivals' | 'faults';
type Counted = 'shards' | 'workers' | 'gateways';

class Shrinking {
  change: Change = {};
  failure: Failure;
  stepCount = 0;
  readonly #case: FuzzCase;
  readonly #stepMax: number;

  constructor(theCase: FuzzCase, failure: Failure, stepMax: number) {
    this.#case = theCase;
    this.failure = failure;
    this.#stepMax = stepMax;
  }

  get isOver(): boolean {
    return this.stepCount >= this.#stepMax;
  }

  /** True: it fails still, in the same way, and is what is gone on with. */
  tries(change: Change): boolean {
    if (this.isOver) return false;
    const { stepCount, failure } = play(changed(this.#case, change));
    this.stepCount += stepCount;
    if (failure === null || !isAlike(failure, this.failure)) return false;
    this.change = change;
    this.failure = failure;
    return true;
  }

  /** What comes after the failure has nothing to do with it. */
  end(): void {
    const { nowUs } = this.failure;
    if (this.failure.phase === 'liveness') return;
    const before = (all: readonly { readonly atUs: number }[]): number[] =>
      all.flatMap(({ atUs }, at) => (atUs <= nowUs ? [at] : []));
    this.tries({ arrivals: before(this.#case.arrivals), faults: before(this.#case.faults) });
  }

  count(name: Counted, most: number): void {
    for (let count = 1; count < (this.change[name] ?? most); count++)
      if (this.tries({ ...this.change, [name]: count })) return;
  }

  /** Parts of the list that can be left out, large ones first (Zeller's delta debugging). */
  list(name: Listed): void {
    const all = (): readonly number[] => this.change[name] ?? [...this.#case[name].keys()];
    for (let size = all().length; size >= 1; size = Math.floor(size / 2)) {
      for (let at = 0; at < all().length && !this.isOver;) {
        const left = all().toSpliced(at, size);
        if (!this.tries({ ...this.change, [name]: left })) at += size;
      }
    }
  }
}

export function shrink(theCase: FuzzCase, failure: Failure, stepMax: number): Shrunk {
  const shrinking = new Shrinking(theCase, failure, stepMax);
  shrinking.end();
  shrinking.list('faults');
  shrinking.count('shards', theCase.shardCount);
  shrinking.count('gateways', theCase.gatewayCount);
  shrinking.count('workers', theCase.workers.length);
  shrinking.list('arrivals');
  shrinking.list('faults');
  const { change, failure: smallest, stepCount } = shrinking;
  return { change, failure: smallest, stepCount };
}

/** Numbers in the text may be others. */
function isAlike(one: Failure, other: Failure): boolean {
  return one.phase === other.phase && (one.phase === 'liveness' || one.where === other.where);
}
