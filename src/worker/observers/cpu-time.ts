/** CPU time of a sandbox, from the files that the kernel counts it in. */
import type { Watched } from './contract.ts';
import { NO_FILE, type Proc } from './proc.ts';
import { leadingNumber, Thread, ThreadList } from './threads.ts';

const FIRST_KEY = 'usage_usec ';

export interface CpuTime {
  readUs(): number;
  close(): void;
}

/** Of a cgroup, in one read: every version 2 cgroup has it, whatever its controllers. */
export class CgroupCpu implements CpuTime {
  readonly #proc: Proc;
  readonly #file: number;
  #us = 0;

  constructor(proc: Proc, cgroup: string) {
    this.#proc = proc;
    this.#file = proc.open(`${cgroup}/cpu.stat`);
  }

  readUs(): number {
    if (this.#file === NO_FILE) return 0;
    const text = this.#proc.read(this.#file);
    if (text.startsWith(FIRST_KEY)) this.#us = leadingNumber(text, FIRST_KEY.length);
    return this.#us;
  }

  close(): void {
    if (this.#file !== NO_FILE) this.#proc.close(this.#file);
  }
}

/**
 * Without a cgroup: the sum over its threads, with what those had used at the last look that have ended since.
 */
export class ThreadsCpu implements CpuTime {
  readonly #proc: Proc;
  readonly #list: ThreadList;
  readonly #threads = new Map<number, Thread>();
  #endedUs = 0;

  constructor(proc: Proc, watched: Watched) {
    this.#proc = proc;
    this.#list = new ThreadList(proc, watched);
  }

  readUs(): number {
    const ids = new Set(this.#list.ids());
    let us = 0;
    for (const [id, thread] of this.#threads) {
      const threadUs = thread.cpuUs();
      if (ids.has(id) && !thread.isGone) {
        us += threadUs;
        continue;
      }
      this.#endedUs += threadUs;
      thread.close();
      this.#threads.delete(id);
    }
    for (const id of ids) {
      if (this.#threads.has(id)) continue;
      const thread = new Thread(this.#proc, id);
      this.#threads.set(id, thread);
      us += thread.cpuUs();
    }
    return us + this.#endedUs;
  }

  close(): void {
    this.#list.close();
    for (const thread of this.#threads.values()) thread.close();
    this.#threads.clear();
  }
}

export function openCpuTime(proc: Proc, watched: Watched): CpuTime {
  return watched.cgroup === null ? new ThreadsCpu(proc, watched) : new CgroupCpu(proc, watched.cgroup);
}
