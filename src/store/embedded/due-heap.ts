/**
 * Which queue row is due next: a binary heap of pairs (due, sequence), 16 bytes each, so that a million waiting
 * invocations cost 16 MB and not the memory of their payloads. Equal times leave in order of their sequences.
 */
import { assert } from '../../base/assert.ts';

export class DueHeap {
  #due = new Float64Array(64);
  #sequence = new Float64Array(64);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Of the first one, milliseconds; null if there is none. */
  get firstDueMs(): number | null {
    return this.#count === 0 ? null : this.#due[0]!;
  }

  push(dueMs: number, sequence: number): void {
    if (this.#count === this.#due.length) this.#grow();
    let index = this.#count++;
    this.#set(index, dueMs, sequence);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#before(index, parent)) break;
      this.#swap(index, parent);
      index = parent;
    }
  }

  /** Sequence of the first one. */
  pop(): number {
    assert(this.#count > 0, 'pop of an empty heap');
    const sequence = this.#sequence[0]!;
    this.#count--;
    this.#swap(0, this.#count);
    this.#sink();
    return sequence;
  }

  /** Removes many at once; costs a walk over all. */
  remove(sequences: ReadonlySet<number>): void {
    const count = this.#count;
    this.#count = 0;
    // Pushing never writes beyond what was read already.
    for (let index = 0; index < count; index++) {
      const sequence = this.#sequence[index]!;
      if (!sequences.has(sequence)) this.push(this.#due[index]!, sequence);
    }
  }

  #sink(): void {
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      if (left >= this.#count) return;
      const child = left + 1 < this.#count && this.#before(left + 1, left) ? left + 1 : left;
      if (!this.#before(child, index)) return;
      this.#swap(child, index);
      index = child;
    }
  }

  #before(a: number, b: number): boolean {
    const difference = this.#due[a]! - this.#due[b]!;
    return difference < 0 || (difference === 0 && this.#sequence[a]! < this.#sequence[b]!);
  }

  #set(index: number, dueMs: number, sequence: number): void {
    this.#due[index] = dueMs;
    this.#sequence[index] = sequence;
  }

  #swap(a: number, b: number): void {
    const due = this.#due[a]!;
    const sequence = this.#sequence[a]!;
    this.#set(a, this.#due[b]!, this.#sequence[b]!);
    this.#set(b, due, sequence);
  }

  #grow(): void {
    const due = new Float64Array(this.#due.length * 2);
    const sequence = new Float64Array(due.length);
    due.set(this.#due);
    sequence.set(this.#sequence);
    this.#due = due;
    this.#sequence = sequence;
  }
}
