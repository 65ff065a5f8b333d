/** Shells and bubblewrap report a death by signal as exit status 128 + number. */
import os from 'node:os';
import type { ExitReason } from './contract.ts';

const SIGNAL_STATUS_BASE = 128;

/**
 * A program that exits with such a status by itself cannot be told from one that a signal ended; the signal is by far
 * the likelier.
 */
export function reasonOfStatus(status: number): ExitReason {
  const signal = signalName(status - SIGNAL_STATUS_BASE);
  return signal === undefined ? { kind: 'exit', code: status } : { kind: 'signal', signal };
}

function signalName(number: number): string | undefined {
  return Object.entries(os.constants.signals).find(([, value]) => value === number)?.[0];
}
