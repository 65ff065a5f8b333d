/** The last of what an instance wrote, after its last process is gone. */
import type { Readable } from 'node:stream';

/** How long it may take to be read. */
const DRAIN_MS = 250;

/** Resolves when all are at their end, or time is up. */
export async function drained(streams: readonly Readable[]): Promise<void> {
  if (streams.every(isEnded)) return;
  await Promise.race([Promise.all(streams.map(ended)), delay(DRAIN_MS)]);
}

export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export function ignore(): void {}

function isEnded(stream: Readable): boolean {
  return stream.closed || stream.readableEnded;
}

function ended(stream: Readable): Promise<void> {
  if (isEnded(stream)) return Promise.resolve();
  return new Promise((resolve) => stream.once('close', resolve).once('end', resolve));
}
