import { once } from 'node:events';
import { CliError, EXIT } from './exit-codes.ts';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;
/** `timeout`, npm and some shells signal the process and then its whole group: so soon after, it is the same wish said twice. */
export const SAME_SIGNAL_MS = 250;

/**
 * Aborted when the process is told to stop; from then on a signal does not wait for what runs. To be called before anything is
 * started: the process would otherwise die of a signal that comes meanwhile, and leave behind what it has opened.
 */
export function stopSignal(): AbortSignal {
  const controller = new AbortController();
  let firstMs = 0;
  const stop = (): void => {
    if (!controller.signal.aborted) {
      firstMs = performance.now();
      controller.abort();
    } else if (performance.now() - firstMs >= SAME_SIGNAL_MS) process.exit(EXIT.internal);
  };
  for (const signal of SIGNALS) process.on(signal, stop);
  // Where it was started with a channel to its parent, that closes when the parent is gone; who has said so before may go.
  process.once('disconnect', () => {
    if (!controller.signal.aborted) stop();
  });
  process.channel?.unref(); // who listens would be kept alive by it
  if (process.connected === false) stop(); // undefined without a channel
  return controller.signal;
}

/** Resolves when the process is told to stop. */
export async function untilStopped(stop: AbortSignal): Promise<void> {
  if (!stop.aborted) await once(stop, 'abort');
}

/**
 * What `start` resolves to. Where the process is told to stop meanwhile and the start ends for that, so does the process, as at any
 * other stop. A ^C also ends the programs that a start runs, and it may fail of that first; a bug of ours is one all the same.
 */
export async function startUnlessStopped<T>(stop: AbortSignal, start: () => Promise<T>): Promise<T> {
  try {
    return await start();
  } catch (error) {
    if (stop.aborted && (error === stop.reason || error instanceof CliError)) process.exit(EXIT.ok);
    throw error;
  }
}
