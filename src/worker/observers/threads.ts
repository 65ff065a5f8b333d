/** The threads of a sandbox, as the kernel lists them. */
import { parseIds } from '../sandbox/affinity.ts';
import type { Watched } from './contract.ts';
import { NO_FILE, type Proc } from './proc.ts';

/** Keeps the list of its cgroup open, where it has one. */
export class ThreadList {
  readonly #proc: Proc;
  readonly #watched: Watched;
  readonly #file: number;

  constructor(proc: Proc, watched: Watched) {
    this.#proc = proc;
    this.#watched = watched;
    this.#file = watched.cgroup === null ? NO_FILE : proc.open(`${watched.cgroup}/cgroup.threads`);
  }

  ids(): readonly number[] {
    if (this.#file !== NO_FILE) return parseIds(this.#proc.read(this.#file));
    return this.#watched.processIds().flatMap((id) => this.#proc.list(`/proc/${id}/task`).map(Number));
  }

  close(): void {
    if (this.#file !== NO_FILE) this.#proc.close(this.#file);
  }
}

/** State and CPU time of one thread, from files that stay open from their first use on. */
export class Thread {
  readonly #proc: Proc;
  /** Not that of its process, which sums up all of its threads. */
  readonly #folder: string;
  #stat: number | null = null;
  #schedstat: number | null = null;
  #us = 0;
  #isGone = false;

  constructor(proc: Proc, id: number) {
    this.#proc = proc;
    this.#folder = `/proc/${id}/task/${id}`;
  }

  /** As it was last read: it has ended. Where its number is listed still, that is another thread's. */
  get isGone(): boolean {
    return this.#isGone;
  }

  /** Running, waiting for a CPU, or for a disk. */
  isRunnable(): boolean {
    const { state } = this;
    return state === 'R' || state === 'D';
  }

  /** A letter of the kernel's; '' where it is gone. */
  get state(): string {
    const text = this.#readStat();
    return text.charAt(text.lastIndexOf(')') + 2);
  }

  /** Keeps its last value when it has ended. */
  cpuUs(): number {
    this.#schedstat ??= this.#proc.open(`${this.#folder}/schedstat`);
    if (this.#schedstat === NO_FILE) {
      this.#readTicks();
      return this.#us;
    }
    const text = this.#proc.read(this.#schedstat);
    this.#isGone = text === '';
    this.#us = Math.max(this.#us, leadingNumber(text, 0) / 1000);
    return this.#us;
  }

  close(): void {
    for (const file of [this.#stat, this.#schedstat]) if (file !== null && file !== NO_FILE) this.#proc.close(file);
  }

  #readStat(): string {
    this.#stat ??= this.#proc.open(`${this.#folder}/stat`);
    const text = this.#stat === NO_FILE ? '' : this.#proc.read(this.#stat);
    this.#isGone = text === '';
    return text;
  }

  /** For kernels that do not count by the nanosecond. */
  #readTicks(): void {
    const text = this.#readStat();
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    if (fields.length > 12) this.#us = (Number(fields[11]) + Number(fields[12])) * US_PER_TICK;
  }
}

const US_PER_TICK = 10_000;

/** Threads that can run at this moment. */
export function runnableThreads(proc: Proc, watched: Watched): readonly number[] {
  const list = new ThreadList(proc, watched);
  const ids = list.ids().filter((id) => {
    const thread = new Thread(proc, id);
    const isRunnable = thread.isRunnable();
    thread.close();
    return isRunnable;
  });
  list.close();
  return ids;
}

/** It is gone, or only its parent has not heard of it. */
export function hasEnded(proc: Proc, id: number): boolean {
  const thread = new Thread(proc, id);
  const { state } = thread;
  thread.close();
  return state === '' || state === 'Z' || state === 'X';
}

/** The number that begins at an index; 0 where none does. */
export function leadingNumber(text: string, from: number): number {
  let value = 0;
  for (let index = from; index < text.length; index++) {
    const digit = text.charCodeAt(index) - 48;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
  }
  return value;
}
