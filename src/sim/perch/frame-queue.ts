/** Frames that a thread has not read yet: three small integers each, first in, first out, in a ring that grows to twice its size. */
const STRIDE = 3;
const FIRST_CAPACITY = 64;

export class FrameQueue {
  length = 0;
  #first = 0;
  #words = new Int32Array(FIRST_CAPACITY * STRIDE);

  get frame(): number {
    return this.#words[this.#first]!;
  }

  get a(): number {
    return this.#words[this.#first + 1]!;
  }

  get b(): number {
    return this.#words[this.#first + 2]!;
  }

  push(frame: number, a: number, b: number): void {
    if (this.length * STRIDE === this.#words.length) this.#grow();
    const at = (this.#first + this.length * STRIDE) % this.#words.length;
    this.#words[at] = frame;
    this.#words[at + 1] = a;
    this.#words[at + 2] = b;
    this.length++;
  }

  /** Takes the first away. */
  pop(): void {
    this.#first = (this.#first + STRIDE) % this.#words.length;
    this.length--;
  }

  #grow(): void {
    const before = this.#words;
    this.#words = new Int32Array(before.length * 2);
    this.#words.set(before.subarray(this.#first));
    this.#words.set(before.subarray(0, this.#first), before.length - this.#first);
    this.#first = 0;
  }
}
