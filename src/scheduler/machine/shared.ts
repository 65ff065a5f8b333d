import { LINE_OFFSET, sharedLineBuffer } from '../../base/cache-lines.ts';

/** Integers that several threads may read and write: a shard is a thread, and all of them see the same cores. */
export type SharedInt32 = Int32Array<SharedArrayBuffer>;

export function sharedInt32(length: number, fill = 0): SharedInt32 {
  const array = new Int32Array(sharedLineBuffer(length * Int32Array.BYTES_PER_ELEMENT), LINE_OFFSET, length);
  return fill === 0 ? array : array.fill(fill);
}
