/** Finds the processes of functions from outside, as an operator would. */
import { readFileSync } from 'node:fs';
import { descendantProcesses } from '../../src/worker/sandbox/affinity.ts';

/** Instances below the process whose index.mjs holds the text: no zygotes, nor what surrounds a process of its own. */
export function instancesOf(platformId: number, text: string): number[] {
  return descendantProcesses(platformId).filter((id) => {
    const command = readText(`/proc/${id}/cmdline`);
    if (command.includes('bwrap')) return false;
    const isPlain = command.startsWith('/var/lang/bin/') && command.includes('boot.cjs');
    const isCopy = /^NSpid:.*\s1$/m.test(readText(`/proc/${id}/status`));
    return (isPlain || isCopy) && readText(`/proc/${id}/root/var/task/index.mjs`).includes(text);
  });
}

/** The zygotes below the process whose function's index.mjs holds the text. */
export function zygotesOf(platformId: number, text: string): number[] {
  return descendantProcesses(platformId).filter((id) => {
    if (!readText(`/proc/${id}/cmdline`).startsWith('/var/lang/bin/')) return false;
    const isCopy = /^NSpid:.*\s1$/m.test(readText(`/proc/${id}/status`));
    const isCell = readText(`/proc/${id}/cmdline`).includes('cell.cjs');
    return isCell && !isCopy && readText(`/proc/${id}/root/var/task/index.mjs`).includes(text);
  });
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}
