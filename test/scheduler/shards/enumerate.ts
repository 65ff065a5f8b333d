/**
 * Runs a case in every order of the accesses to shared words, up to a number of switches between threads: a schedule says before which
 * steps to switch. Each schedule that was run shows where another order could matter: where a thread is about to access a word that another
 * one accesses later, one of them writing. A switch there gives the next schedules. What commutes is not tried in both orders.
 */
import { Worker } from 'node:worker_threads';
import { makeMemory, type SharedMemory } from '../../../src/scheduler/machine/memory.ts';
import { Scheduler } from '../../../src/scheduler/machine/scheduler.ts';
import {
  type Case,
  control as at,
  CONTROLLER,
  type Controls,
  makeControls,
  mutate,
  type Mutant,
  TRACE_STRIDE,
} from './control.ts';
import { limitsOf } from './limits.ts';
import { problemOf } from './problem.ts';

export interface Enumerated {
  readonly scheduleCount: number;
  /** What did not hold, and in which schedule; null: all held in all. */
  readonly problem: string | null;
}

type Switch = readonly [step: number, thread: number];

/**
 * It hangs if nobody has gone on at any of so many looks in a row. Looks are counted, and time is not: a process that is stopped loses one of
 * them, for however long, and its threads go on before the next one.
 */
const LOOK_MAX = 60;
const LOOK_MS = 1000;
/** One of so many schedules is played twice, and has to be the same. So is each in which something does not hold. */
const REPEATED_EACH = 32;
const HANGS = 'it hangs';

/** Throws where a schedule is not repeatable. */
export async function enumerate(theCase: Case, mutant: Mutant | null = null): Promise<Enumerated> {
  const player = new Player(theCase, mutant);
  try {
    return player.all();
  } finally {
    await player.close();
  }
}

class Player {
  readonly #case: Case;
  readonly #controls: Controls = makeControls();
  readonly #memory: SharedMemory;
  readonly #blank: readonly { readonly array: Int32Array; readonly values: Int32Array }[];
  readonly #threads: readonly Worker[];

  constructor(theCase: Case, mutant: Mutant | null) {
    if (mutant !== null) mutate(mutant);
    this.#case = theCase;
    const limits = limitsOf(theCase);
    this.#memory = makeMemory(
      limits,
      Math.max(theCase.shardCount, ...(theCase.places ?? []).map((place) => place + 1)),
    );
    const machine = new Scheduler(limits, { memory: this.#memory, shard: 0 });
    for (const [coreCount, memoryMb, extras = 0] of theCase.workers)
      machine.addWorker(coreCount, memoryMb, false, extras);
    theCase.versions.forEach((memoryMb, version) =>
      machine.setVersion(version, 0, memoryMb, {
        coreCount: theCase.coreCounts?.[version],
        isDedicated: theCase.dedicated?.includes(version),
      }),
    );
    const { shards, ...rest } = this.#memory;
    const arrays = [...Object.values(rest), ...shards.flatMap(({ counters: _, ...own }) => Object.values(own))];
    this.#blank = arrays.map((array) => ({ array, values: new Int32Array(array) }));
    this.#threads = Array.from(
      { length: theCase.shardCount },
      (_, shard) =>
        new Worker(new URL('enumeration-thread.ts', import.meta.url), {
          workerData: { shard, theCase, mutant, controls: this.#controls, memory: this.#memory },
        }),
    );
  }

  all(): Enumerated {
    const pending: Switch[][] = [[]];
    const known = new Set<string>();
    const repeatedEach = this.#case.lateEach === undefined ? REPEATED_EACH : 1;
    let scheduleCount = 0;
    for (let switches = pending.pop(); switches !== undefined; switches = pending.pop()) {
      const problem = this.#play(switches);
      const isRepeated = scheduleCount % repeatedEach === 0 || problem !== null;
      if (isRepeated && problem !== HANGS) this.#repeat(switches, problem);
      scheduleCount++;
      if (problem !== null) return { scheduleCount, problem: `${problem}; switches ${JSON.stringify(switches)}` };
      for (const next of this.#next(switches)) {
        const name = next.join();
        if (next.length > this.#case.switchMax || known.has(name)) continue;
        known.add(name);
        pending.push(next);
      }
    }
    return { scheduleCount, problem: null };
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
  }

  #play(switches: readonly Switch[]): string | null {
    const { control, running } = this.#controls;
    for (const { array, values } of this.#blank) array.set(values);
    running.fill(0);
    control.fill(0, at.STEP);
    control[at.SWITCH_COUNT] = switches.length;
    control.set(switches.flat(), at.SWITCHES);
    // First the generation: nobody may go on with the schedule before.
    Atomics.add(control, at.GENERATION, 1);
    Atomics.notify(control, at.GENERATION);
    const notSetUp = this.#run(0);
    if (notSetUp !== null) return notSetUp;
    control[at.IS_COUNTED] = 1;
    const { waitingMax = 0 } = this.#case;
    return this.#run(0) ?? problemOf(limitsOf(this.#case), this.#memory, { running, waitingMax });
  }

  /** The schedule just played, once more. Throws where it goes another way: something else decides too, and nothing is shown. */
  #repeat(switches: readonly Switch[], problem: string | null): void {
    const { control, trace } = this.#controls;
    const before = trace.slice(0, control[at.STEP]! * TRACE_STRIDE);
    const again = this.#play(switches);
    const after = trace.subarray(0, control[at.STEP]! * TRACE_STRIDE);
    const name = `the schedule with the switches ${JSON.stringify(switches)}`;
    if (again !== problem) throw new Error(`${name} had the problem ${problem}, and has ${again} when repeated`);
    if (before.length === after.length && before.every((value, index) => value === after[index])) return;
    const differing = before.findIndex((value, index) => value !== after[index]);
    const index = differing < 0 ? before.length : differing;
    throw new Error(`${name} goes another way when repeated, from step ${Math.floor(index / TRACE_STRIDE)}`);
  }

  /** Until it is the controller's turn again: the case is set up, or every shard sleeps. */
  #run(first: number): string | null {
    const { control, error } = this.#controls;
    Atomics.store(control, at.CURRENT, first);
    Atomics.notify(control, at.CURRENT);
    let lookCount = 0;
    for (let current = Atomics.load(control, at.CURRENT); current !== CONTROLLER;) {
      const step = Atomics.load(control, at.STEP);
      const isLate = Atomics.wait(control, at.CURRENT, current, this.#case.lookMs ?? LOOK_MS) === 'timed-out';
      lookCount = isLate && Atomics.load(control, at.STEP) === step ? lookCount + 1 : 0;
      const next = Atomics.load(control, at.CURRENT);
      if (next === current && lookCount >= LOOK_MAX) return HANGS;
      current = next;
    }
    if (control[at.FAILED] === 0) return null;
    return new TextDecoder().decode(error.slice(0, control[at.ERROR_LENGTH]));
  }

  /** The schedule just played, with another switch instead of all that came after it. */
  #next(switches: readonly Switch[]): Switch[][] {
    const { control, trace } = this.#controls;
    const stepCount = control[at.STEP]!;
    const next: Switch[][] = [];
    /** For each word: which threads access it later, and which write it. */
    const accessed = new Map<number, number>();
    const written = new Map<number, number>();
    for (let step = stepCount - 1; step >= 0; step--) {
      const [thread, word, isWrite, ready] = trace.subarray(step * TRACE_STRIDE, (step + 1) * TRACE_STRIDE);
      const others = (isWrite === 1 ? accessed : written).get(word!) ?? 0;
      const candidates = others & ready! & ~(1 << thread!);
      for (let other = 0; other < this.#case.shardCount; other++)
        if ((candidates & (1 << other)) !== 0)
          next.push([...switches.filter(([earlier]) => earlier < step), [step, other]]);
      accessed.set(word!, (accessed.get(word!) ?? 0) | (1 << thread!));
      if (isWrite === 1) written.set(word!, (written.get(word!) ?? 0) | (1 << thread!));
    }
    return next;
  }
}
