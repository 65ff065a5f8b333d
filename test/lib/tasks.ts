/** What the threads of functions do, seen from outside: as an operator would look into /proc. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { descendantProcesses } from '../../src/worker/sandbox/affinity.ts';

const SCHED_IDLE = 5;
const TICK_US = 10_000;

export interface Task {
  /** Its process namespace: of one instance, whatever it forks. */
  readonly instance: string;
  readonly id: number;
  readonly isRunnable: boolean;
  readonly isBackground: boolean;
  /** As the kernel writes them: 0, or 0-1. */
  readonly cpus: string;
  readonly cpuUs: number;
}

/** Of all functions below the platform whose code holds the text; no zygotes, unless they are asked for, nor what surrounds a sandbox. */
export function tasksOf(platformId: number, text = '', withZygotes = false): Task[] {
  return descendantProcesses(platformId).flatMap((id) => {
    if (!isOfFunction(id, text, withZygotes)) return [];
    const instance = textOf(() => readlinkSync(`/proc/${id}/ns/pid`));
    return namesIn(`/proc/${id}/task`).flatMap((task) => taskOf(Number(task), instance));
  });
}

/** The same, by now: these few are read within a fraction of a millisecond. Those that have ended are left out. */
export function lookAgain(tasks: readonly Task[]): Task[] {
  return tasks.flatMap(({ id, instance }) => taskOf(id, instance));
}

/** CPU time that all of these have used, µs. */
export function cpuUsOf(tasks: readonly Task[]): number {
  return tasks.reduce((sum, { cpuUs }) => sum + cpuUs, 0);
}

function taskOf(id: number, instance: string): Task[] {
  const stat = textOf(() => readFileSync(`/proc/${id}/stat`, 'latin1'));
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const cpus = /^Cpus_allowed_list:\s+(\S+)$/m.exec(textOf(() => readFileSync(`/proc/${id}/status`, 'latin1')))?.[1];
  if (cpus === undefined || fields.length < 39) return [];
  return [
    {
      instance,
      id,
      isRunnable: fields[0] === 'R',
      isBackground: Number(fields[38]) === SCHED_IDLE,
      cpus,
      cpuUs: (Number(fields[11]) + Number(fields[12])) * TICK_US,
    },
  ];
}

function isOfFunction(id: number, text: string, withZygotes: boolean): boolean {
  const command = textOf(() => readFileSync(`/proc/${id}/cmdline`, 'latin1'));
  if (command === '' || command.includes('bwrap')) return false;
  const isCopy = /^NSpid:.*\s1$/m.test(textOf(() => readFileSync(`/proc/${id}/status`, 'latin1')));
  if (!withZygotes && /cell\.(cjs|py)/.test(command) && !isCopy) return false;
  return namesIn(`/proc/${id}/root/var/task`).some((name) => {
    const source = name.startsWith('index.')
      ? textOf(() => readFileSync(`/proc/${id}/root/var/task/${name}`, 'latin1'))
      : '';
    return source !== '' && source.includes(text);
  });
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // It ended while we looked.
  }
}

function textOf(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}
