/** What all instances of a worker may use together where nobody says. */
import { totalmem } from 'node:os';

/** Of the machine's memory, or of what a container has of it. */
const MEMORY_SHARE = 0.75;
const MB = 1024 * 1024;

export function defaultMemoryMb(): number {
  const constrained = process.constrainedMemory();
  const bytes = constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
  return Math.floor((bytes * MEMORY_SHARE) / MB);
}
