/**
 * The lines of a text file, one after the other, in pieces of a megabyte: a day of a large platform is larger than memory. Synchronous, since a
 * workload is made before virtual time begins. A file that is packed (gzip, by its first bytes) is unpacked whole, in memory.
 */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { SpecError } from '../../spec-error.ts';

const CHUNK_BYTES = 1 << 20;
const UNPACKED_BYTES_MAX = 2 ** 32;
const LINE_BYTES_MAX = 1 << 24;
const NEW_LINE = 10;
const GZIP = [0x1f, 0x8b] as const;

/** `lineNumber` counts from 1. A line ends with \n or \r\n; the last one may end with the file. */
export function eachLine(file: string, use: (line: string, lineNumber: number) => void): void {
  let lineNumber = 0;
  let rest: Buffer = Buffer.alloc(0);
  const say = (bytes: Buffer, from: number, to: number): void => {
    const end = to > from && bytes[to - 1] === 13 ? to - 1 : to;
    use(bytes.toString('utf8', from, end), ++lineNumber);
  };
  for (const chunk of chunksOf(file)) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let from = 0;
    for (let to = bytes.indexOf(NEW_LINE); to >= 0; to = bytes.indexOf(NEW_LINE, from)) {
      say(bytes, from, to);
      from = to + 1;
    }
    // Of its own: the chunk's memory is used again.
    rest = Buffer.from(bytes.subarray(from));
    if (rest.length > LINE_BYTES_MAX) {
      throw new SpecError(`${file}:${lineNumber + 1}: a line of more than ${LINE_BYTES_MAX} bytes: it is no CSV file`);
    }
  }
  if (rest.length > 0) say(rest, 0, rest.length);
}

/** Each may be used until the next one is asked for. */
function* chunksOf(file: string): Generator<Buffer> {
  const descriptor = readOrSay(file, () => openSync(file, 'r'));
  try {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    let count = readOrSay(file, () => readSync(descriptor, chunk, 0, CHUNK_BYTES, null));
    if (chunk[0] === GZIP[0] && chunk[1] === GZIP[1] && count > 1) {
      yield* unpacked(file);
      return;
    }
    while (count > 0) {
      yield chunk.subarray(0, count);
      count = readOrSay(file, () => readSync(descriptor, chunk, 0, CHUNK_BYTES, null));
    }
  } finally {
    closeSync(descriptor);
  }
}

function* unpacked(file: string): Generator<Buffer> {
  const packed = readOrSay(file, () => readFileSync(file));
  let all: Buffer;
  try {
    all = gunzipSync(packed, { maxOutputLength: UNPACKED_BYTES_MAX });
  } catch (error) {
    const isLarge = error instanceof RangeError;
    throw new SpecError(
      isLarge
        ? `${file}: more than ${UNPACKED_BYTES_MAX} bytes when unpacked: unpack it first (gunzip), and give the plain file`
        : `${file}: a gzip file that is broken (${(error as Error).message})`,
    );
  }
  for (let from = 0; from < all.length; from += CHUNK_BYTES) yield all.subarray(from, from + CHUNK_BYTES);
}

function readOrSay<Value>(file: string, read: () => Value): Value {
  try {
    return read();
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    const why = { ENOENT: 'there is no such file', EISDIR: 'it is a folder', EACCES: 'it may not be read' }[code];
    throw new SpecError(`${file}: ${why ?? (error as Error).message}`);
  }
}
