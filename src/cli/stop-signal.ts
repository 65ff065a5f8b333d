import { EXIT } from './exit-codes.ts';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;
/** `timeout`, npm and some shells signal the process and then its whole group: so soon after, it is the same wish said twice. */
export const SAME_SIGNAL_MS = 250;

/** Resolves when the process is told to stop. */
export function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of SIGNALS) process.on(signal, () => resolve());
  });
}

/** From now on a signal does not wait for what runs. */
export function endAtNextSignal(): void {
  const firstMs = performance.now();
  const end = (): void => {
    if (performance.now() - firstMs >= SAME_SIGNAL_MS) process.exit(EXIT.internal);
  };
  for (const signal of SIGNALS) process.on(signal, end);
}
