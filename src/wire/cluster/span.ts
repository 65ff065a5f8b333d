/**
 * Bytes with the two ways to look at them that frames need: `view` for numbers, which the compiler turns into single
 * loads and stores, and `bytes` for texts. One for each chunk that arrives and each batch buffer; none for a frame.
 */
export class Span {
  readonly bytes: Buffer;
  readonly view: DataView;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  isZero(from: number, to: number): boolean {
    for (let at = from; at < to; at++) if (this.bytes[at] !== 0) return false;
    return true;
  }

  /** Printable ASCII without spaces, then zeros; null if it is anything else. */
  name(at: number, length: number): string | null {
    const { bytes } = this;
    let end = at;
    while (end < at + length && bytes[end]! > 0x20 && bytes[end]! < 0x7f) end++;
    return this.isZero(end, at + length) ? bytes.toString('latin1', at, end) : null;
  }

  putName(name: string, at: number, length: number): void {
    const written = this.bytes.write(name, at, length, 'latin1');
    this.bytes.fill(0, at + written, at + length);
  }

  /** A key is a string of hexadecimal digits everywhere but on the wire. */
  key(at: number, length: number): string {
    return this.bytes.toString('hex', at, at + length);
  }

  putKey(key: string, at: number, length: number): void {
    this.bytes.write(key, at, length, 'hex');
  }
}

/** Can `Span.putName` write it so that `Span.name` reads it? */
export function isName(text: string, lengthMax: number): boolean {
  return text.length <= lengthMax && /^[!-~]*$/.test(text);
}
