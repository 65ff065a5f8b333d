/** Reads the bytes of a WebAssembly module, strictly: what an engine would not take is a fault here as well. */

/** Thrown within the verifier, and caught by it. */
export class ByteFault {
  readonly offset: number;
  readonly message: string;

  constructor(offset: number, message: string) {
    this.offset = offset;
    this.message = message;
  }
}

const NAME_LENGTH_MAX = 64;

export class ByteReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get at(): number {
    return this.#at;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** `back`: what is wrong began so many bytes ago. */
  fault(message: string, back = 0): ByteFault {
    return new ByteFault(this.#at - back, message);
  }

  byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw this.fault('the module ends in the middle.');
    this.#at++;
    return byte;
  }

  u32(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      if (shift === 28 && byte > 0x0f) throw this.fault('a number is too large, or longer than it may be.', 1);
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }

  /** A signed number of so many bits; its value is exact for 32 of them, and a mere sign of life for 64. */
  signed(bits: 32 | 33 | 64): number {
    let value = 0;
    let shift = 0;
    for (;;) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      shift += 7;
      if (byte < 0x80) {
        if (shift >= bits && !isExtended(byte, bits - (shift - 7))) throw this.fault('a number is too large.', 1);
        return (byte & 0x40) !== 0 ? value - 2 ** shift : value;
      }
      if (shift >= bits) throw this.fault('a number is longer than it may be.', 1);
    }
  }

  name(): string {
    const end = this.span(this.u32());
    const bytes = this.#bytes.subarray(this.#at, Math.min(end, this.#at + NAME_LENGTH_MAX));
    this.#at = end;
    return String.fromCharCode(...bytes);
  }

  /** Where so many bytes from here end. */
  span(length: number): number {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw this.fault(`${length} bytes should follow, and the module ends before.`);
    return end;
  }

  skipTo(end: number): void {
    if (end < this.#at) throw this.fault('this is longer than it said.');
    this.#at = end;
  }

  mustBeAt(end: number, what: string): void {
    if (this.#at !== end) throw this.fault(`${what} ends at ${this.#at}, and should end at ${end}.`);
  }
}

/** Of the last byte: the bits beyond those of the number repeat its sign. `used`: how many of the byte's bits are the number's. */
function isExtended(byte: number, used: number): boolean {
  const rest = byte >> (used - 1);
  const ones = 0x7f >> (used - 1);
  return rest === 0 || rest === ones;
}
