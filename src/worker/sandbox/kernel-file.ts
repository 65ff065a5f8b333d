/** Files of /proc and of cgroups, read whole and often. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

const BYTES = 16 * 1024;
const buffer = Buffer.allocUnsafeSlow(BYTES);

/**
 * The file as it is now; throws as `readFileSync` does. That one takes 64 KB outside of the heap for each file whose size is not told, as with all of these: with two
 * thousand of them a second V8 collects the whole heap twice in it, for 10 to 18 ms each time.
 */
export function readKernelFile(file: string): string {
  const descriptor = openSync(file, 'r');
  let length = 0;
  try {
    // One read has a page of it at most.
    for (let more = 1; more > 0 && length < BYTES; length += more)
      more = readSync(descriptor, buffer, length, BYTES - length, null);
  } finally {
    closeSync(descriptor);
  }
  return length < BYTES ? buffer.toString('latin1', 0, length) : readFileSync(file, 'latin1');
}
