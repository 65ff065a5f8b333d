/**
 * First in, first out: so many queues of jobs, each job in one of them at most. Lists that are linked both ways through columns by job number,
 * so that a job leaves from the middle in constant work, and an empty queue takes 12 bytes.
 */
import { assert } from '../../base/assert.ts';
import { intColumn } from './columns.ts';

const NONE = -1;

export class JobQueues {
  readonly #firsts: Int32Array;
  readonly #lasts: Int32Array;
  readonly #lengths: Int32Array;
  /** By job. */
  #after = new Int32Array(0);
  #before = new Int32Array(0);
  /** Its queue + 1; 0: it is in none. */
  #queueOf = new Int32Array(0);
  #total = 0;

  constructor(count: number) {
    this.#firsts = new Int32Array(count).fill(NONE);
    this.#lasts = new Int32Array(count).fill(NONE);
    this.#lengths = new Int32Array(count);
  }

  /** Of all queues. */
  get total(): number {
    return this.#total;
  }

  length(queue: number): number {
    return this.#lengths[queue]!;
  }

  /** -1: it is empty. */
  first(queue: number): number {
    return this.#firsts[queue]!;
  }

  has(queue: number, job: number): boolean {
    return this.#queueOf[job] === queue + 1;
  }

  push(queue: number, job: number): void {
    if (job >= this.#after.length) this.#grow(job);
    assert(this.#queueOf[job] === 0, 'a job waits twice');
    const last = this.#lasts[queue]!;
    this.#queueOf[job] = queue + 1;
    this.#before[job] = last;
    this.#after[job] = NONE;
    if (last === NONE) this.#firsts[queue] = job;
    else this.#after[last] = job;
    this.#lasts[queue] = job;
    this.#lengths[queue]!++;
    this.#total++;
  }

  /** The first one, taken out. */
  shift(queue: number): number {
    const job = this.#firsts[queue]!;
    this.remove(queue, job);
    return job;
  }

  remove(queue: number, job: number): void {
    assert(this.#queueOf[job] === queue + 1, 'a job is taken from a queue in which it does not wait');
    const before = this.#before[job]!;
    const after = this.#after[job]!;
    if (before === NONE) this.#firsts[queue] = after;
    else this.#after[before] = after;
    if (after === NONE) this.#lasts[queue] = before;
    else this.#before[after] = before;
    this.#queueOf[job] = 0;
    this.#lengths[queue]!--;
    this.#total--;
  }

  #grow(job: number): void {
    this.#after = intColumn(this.#after, job);
    this.#before = intColumn(this.#before, job);
    this.#queueOf = intColumn(this.#queueOf, job);
  }
}
