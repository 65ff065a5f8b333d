/**
 * Memory whose records of 64 (or 32, or 16) bytes begin where lines of the processor's cache do, so that a record is one line and not parts of two.
 * JavaScript cannot ask where an array lies. What is larger than 128 KB comes from glibc in pages of its own, of which it has the first 16
 * bytes for itself, so it is enough to leave out 48. Where another allocator does otherwise, nothing but the speed is lost; what is smaller
 * stays in the cache anyway.
 */
/** How far into its buffer such an array begins. */
export const LINE_OFFSET = 48;

/** Views of it begin at LINE_OFFSET. */
export function lineBuffer(byteLength: number): ArrayBuffer {
  return new ArrayBuffer(LINE_OFFSET + byteLength);
}

export function sharedLineBuffer(byteLength: number): SharedArrayBuffer {
  return new SharedArrayBuffer(LINE_OFFSET + byteLength);
}
