/** A number of 64 bits over all that has happened: two runs that have the same one did the same, event by event. No cryptography. */
const view = new Float64Array(1);
const halves = new Uint32Array(view.buffer);

export class TraceHash {
  #high = 0x6a09e667 | 0;
  #low = 0xbb67ae85 | 0;

  add(timeUs: number, kind: number, a: number, b: number): void {
    view[0] = timeUs;
    this.#low = mix(this.#low ^ halves[0]!, a + kind);
    this.#high = mix(this.#high ^ halves[1]! ^ this.#low, b);
  }

  /** 16 hexadecimal digits. */
  toString(): string {
    return hex(this.#high) + hex(this.#low);
  }
}

/** The multiplications of MurmurHash3 (Appleby, public domain): each bit of the input reaches each of the output. */
function mix(hash: number, word: number): number {
  let mixed = Math.imul(hash ^ word, 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0');
}
