import { EXIT } from './exit-codes.ts';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** Resolves when the process is told to stop. */
export function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of SIGNALS) process.once(signal, () => resolve());
  });
}

/** From now on a signal does not wait for what runs. */
export function endAtNextSignal(): void {
  for (const signal of SIGNALS) process.once(signal, () => process.exit(EXIT.internal));
}
