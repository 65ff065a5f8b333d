/** What has several parts starts whole or not at all, and is closed in the opposite order. */

/** What to close, the part that was opened last being closed first. */
export type Closers = (() => Promise<void>)[];

export interface Started<T> {
  readonly value: T;
  readonly close: () => Promise<void>;
}

/** Where `open` fails, what it had opened until then is closed again. */
export async function startWhole<T>(open: (closers: Closers) => Promise<T>): Promise<Started<T>> {
  const closers: Closers = [];
  const close = async (): Promise<void> => {
    const errors: unknown[] = [];
    // Where one part cannot be closed, the others still have something to save.
    for (const each of closers.splice(0).reverse()) await each().catch((error: unknown) => errors.push(error));
    if (errors.length > 0) throw errors[0];
  };
  try {
    return { value: await open(closers), close };
  } catch (error) {
    await close().catch(() => {}); // What went wrong first is what matters.
    throw error;
  }
}

/** For what may wait for others, and has its closer already. Throws the reason of `stop` as soon as there is one. */
export async function unlessStopped<T>(stop: AbortSignal, waiting: Promise<T>): Promise<T> {
  const stopped = Promise.withResolvers<never>();
  const end = (): void => stopped.reject(stop.reason as Error);
  if (stop.aborted) end();
  else stop.addEventListener('abort', end, { once: true });
  try {
    return await Promise.race([waiting, stopped.promise]);
  } finally {
    stop.removeEventListener('abort', end);
  }
}
