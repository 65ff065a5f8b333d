/** Files of /proc and of cgroups, read whole and often: thousands of times a second, so into one buffer. */
import { closeSync, openSync, readSync } from 'node:fs';

/**
 * The kernel gives out a list by pages of 4 KB, each of whole records: what has less than half of one is the end, as no record is
 * longer. So a short file takes one read.
 */
const END_BYTES = 2048;
const buffer = Buffer.allocUnsafeSlow(16 * 1024);

/**
 * The file as it is now; throws as `readFileSync` does. That one takes 64 KB outside of the heap for each file whose size is not told, as with all of these: with two
 * thousand of them a second V8 collects the whole heap twice in it, for 10 to 18 ms each time.
 */
export function readKernelFile(file: string): string {
  const descriptor = openSync(file, 'r');
  try {
    return readOpenFile(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** The same of one that stays open, from its beginning: a third of the cost. Throws as `readSync` does. */
export function readOpenFile(descriptor: number): string {
  let text = '';
  for (;;) {
    const count = readSync(descriptor, buffer, 0, buffer.length, text.length);
    text += buffer.toString('latin1', 0, count);
    if (count < END_BYTES) return text;
  }
}
