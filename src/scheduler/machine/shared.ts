/** Integers that several threads may read and write: a shard is a thread, and all of them see the same cores. */
export type SharedInt32 = Int32Array<SharedArrayBuffer>;

export function sharedInt32(length: number, fill = 0): SharedInt32 {
  const array = new Int32Array(new SharedArrayBuffer(length * Int32Array.BYTES_PER_ELEMENT));
  return fill === 0 ? array : array.fill(fill);
}
