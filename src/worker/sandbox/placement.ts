/**
 * Where an instance runs and how: on the CPUs of its lease, and in the foreground or in the background (background.ts). It is
 * carried out thread by thread, in one pass for both.
 *
 * Budget: nothing happens and nothing is allocated where it is so already; else a pass that calls for what has changed and for
 * nothing else (`npm run bench -- sleep`).
 *
 * Rejected: a cgroup's `cpuset.cpus` and `cpu.idle`, one write for all threads and whatever they make. Measured with seven
 * threads: 7 and 2 µs, where the calls take 11 and 6, and listing the threads twice 8. But each needs its controller, in
 * version 1 a hierarchy more that every start joins; and who gets how much beside whom is then up to the weights of groups.
 */
import { canUseBackground } from './background.ts';
import { forEveryTask } from './every-task.ts';
import { type Libc, libc } from './libc.ts';

const CPU_COUNT_MAX = 4096;
const SCHED_OTHER = 0;
const SCHED_RR = 2;
const SCHED_IDLE = 5;
/** Threads and processes that it makes meanwhile are ordinary. */
const SCHED_RESET_ON_FORK = 0x4000_0000;
/** Behind the platform's own (priority.ts). */
const FIRST_PRIORITY = 1;
const EPERM = -1;

let mayGoFirst = true;

export class Placement {
  readonly #taskIds: () => readonly number[];
  readonly #mask = new Uint8Array(CPU_COUNT_MAX / 8);
  /** Empty: not known, since nobody was pinned yet or a change went wrong on the way. */
  #cpus: readonly number[] = [];
  /** Null: not known. */
  #isBackground: boolean | null = false;

  /** `taskIds` lists every thread of every process in the sandbox, as the platform sees their ids. */
  constructor(taskIds: () => readonly number[]) {
    this.#taskIds = taskIds;
  }

  /** False where nothing was pinned: no such CPU, no permission, or nobody there. */
  pin(cpus: readonly number[]): boolean {
    if (libc === undefined || !this.#canPin(cpus)) return false;
    return this.#change(libc, cpus, this.#isBackground);
  }

  /** False where nobody, or not everybody, was changed. */
  background(isBackground: boolean): boolean {
    if (libc === undefined || !canUseBackground()) return false;
    return this.#change(libc, this.#cpus, isBackground);
  }

  /** Before whatever else runs on its CPUs, until it is put into the foreground or the background. Where not all can, all are in the foreground. */
  goFirst(): boolean {
    if (libc === undefined || !mayGoFirst || !canUseBackground()) return false;
    const calls = libc;
    this.#isBackground = null;
    const isFirst = forEveryTask(this.#taskIds, (taskId) => {
      const result = calls.schedSetscheduler(taskId, SCHED_RR | SCHED_RESET_ON_FORK, FIRST_PRIORITY);
      if (result === EPERM) mayGoFirst = false;
      return result;
    });
    if (!isFirst) this.background(false);
    return isFirst;
  }

  /** Both, or what this machine can do of it. False where it was not pinned. */
  place(cpus: readonly number[], isBackground: boolean): boolean {
    if (!canUseBackground()) return this.pin(cpus);
    if (libc !== undefined && this.#canPin(cpus) && this.#change(libc, cpus, isBackground)) return true;
    this.background(isBackground);
    return false;
  }

  #canPin(cpus: readonly number[]): boolean {
    return cpus.length > 0 && (sameCpus(cpus, this.#cpus) || fillMask(this.#mask, cpus));
  }

  /** The mask is that of the CPUs, where they are others than before. */
  #change(calls: Libc, cpus: readonly number[], isBackground: boolean | null): boolean {
    const moves = !sameCpus(cpus, this.#cpus);
    const changesLevel = isBackground !== this.#isBackground;
    if (!moves && !changesLevel) return true;
    const policy = isBackground === true ? SCHED_IDLE : SCHED_OTHER;
    const setLevel = (taskId: number): number => (changesLevel ? calls.schedSetscheduler(taskId, policy) : 0);
    const move = (taskId: number): number => (moves ? calls.schedSetaffinity(taskId, this.#mask) : 0);
    // Who goes into the background does so before it is moved: where it comes, it disturbs nobody.
    const act =
      isBackground === true
        ? (taskId: number) => setLevel(taskId) || move(taskId)
        : (taskId: number) => move(taskId) || setLevel(taskId);
    if (moves) this.#cpus = [];
    if (changesLevel) this.#isBackground = null;
    if (!forEveryTask(this.#taskIds, act)) return false;
    if (moves) this.#cpus = cpus.slice();
    this.#isBackground = isBackground;
    return true;
  }
}

function sameCpus(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}

function fillMask(mask: Uint8Array, cpus: readonly number[]): boolean {
  mask.fill(0);
  for (const cpu of cpus) {
    if (!Number.isInteger(cpu) || cpu < 0 || cpu >= CPU_COUNT_MAX) return false;
    mask[cpu >> 3] = (mask[cpu >> 3] as number) | (1 << (cpu & 7));
  }
  return true;
}
