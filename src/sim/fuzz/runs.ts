/** Invocations that run on a fuzzed worker: they want a core, sleep, wake, and end in one way or another. Whether the core was theirs is seen here. */
import { assert } from '../../base/assert.ts';
import type { Invocation as AgentInvocation } from '../../worker/agent/contract.ts';
import { Level, type Sharing } from '../../worker/machine/sharing.ts';
import type { WorkerMachine } from '../../worker/machine/worker.ts';
import type { Random } from '../engine/random.ts';
import type { Invocation } from './invocation.ts';

/** So often it is looked whether somebody who waits has its core. */
const LOOK_US = 500;
/** Until it is seen that somebody sleeps or wakes. */
const SEEN_US = 1000;
const POLLS_SHARE = 0.3;
const NONE = -1;

export interface Run {
  readonly seat: number;
  readonly seats: readonly number[];
  readonly sequence: number;
  readonly asked: AgentInvocation;
  readonly invocation: Invocation;
  slot: number;
  isCompleted: boolean;
  isWarm: boolean;
  isAsleep: boolean;
  /** Which of its phases; the even ones want a core. */
  phase: number;
  cpuUs: number;
  waitedUs: number;
}

export interface RunDoors {
  readonly machine: WorkerMachine;
  readonly sharing: Sharing;
  readonly random: Random;
  readonly slowness: number;
  readonly nowUs: () => number;
  readonly later: (delayUs: number, event: () => void) => void;
  /** It holds its seat still. */
  readonly isOn: (run: Run) => boolean;
  readonly exit: (slot: number) => void;
}

export class Runs {
  readonly #doors: RunDoors;
  readonly #running = new Set<Run>();

  constructor(doors: RunDoors) {
    this.#doors = doors;
  }

  static fresh(): Pick<Run, 'isCompleted' | 'isWarm' | 'isAsleep' | 'phase' | 'cpuUs' | 'waitedUs'> {
    return { isCompleted: false, isWarm: false, isAsleep: false, phase: 0, cpuUs: 0, waitedUs: 0 };
  }

  begin(run: Run, slot: number): void {
    run.slot = slot;
    this.#running.add(run);
    this.#beginPhase(run);
  }

  end(run: Run): void {
    this.#running.delete(run);
  }

  /** What was used and waited for is told, as an agent does at its ticks. */
  follow(nowUs: number): void {
    const { sharing, machine } = this.#doors;
    for (const run of this.#running) {
      sharing.used(run.seat, run.cpuUs, nowUs);
      const waitedUs = sharing.waitedUs(run.seat, nowUs);
      if (waitedUs > run.waitedUs) machine.waited(run.slot, waitedUs - run.waitedUs);
      run.waitedUs = waitedUs;
    }
  }

  /** At most one in the foreground of a core, whoever is told what. */
  check(coreCount: number): void {
    const { sharing } = this.#doors;
    const foreground = new Array<number>(coreCount).fill(NONE);
    for (const { seat, seats } of this.#running) {
      const core = sharing.coreOf(seat);
      if (core === NONE || sharing.levelOf(seat) !== Level.foreground) continue;
      for (const each of seats.length > 1 ? seats : [core]) {
        assert(
          foreground[each] === NONE,
          `exclusive: seats ${foreground[each]} and ${seat} in the foreground of core ${each}`,
        );
        foreground[each] = seat;
      }
    }
  }

  #beginPhase(run: Run): void {
    const { phasesUs, outcome } = run.invocation;
    const phaseUs = phasesUs[run.phase];
    if (phaseUs === undefined) return outcome === 'hangs' ? undefined : this.#finish(run);
    if (run.phase % 2 === 1) return this.#sleep(run, phaseUs);
    this.#after(run, phaseUs * this.#doors.slowness, () => this.#worked(run, phaseUs));
  }

  #worked(run: Run, phaseUs: number): void {
    if (!this.#hasCore(run)) return this.#after(run, LOOK_US, () => this.#worked(run, phaseUs));
    run.cpuUs += phaseUs;
    run.phase++;
    this.#beginPhase(run);
  }

  #hasCore({ seat, seats }: Run): boolean {
    const { sharing } = this.#doors;
    const core = sharing.coreOf(seat);
    return seats.length > 1 || core === NONE || sharing.frontOf(core) === seat;
  }

  #sleep(run: Run, phaseUs: number): void {
    const { random, sharing, nowUs } = this.#doors;
    const polls = random.unit() < POLLS_SHARE;
    run.isAsleep = true;
    this.#after(run, random.unit() * SEEN_US, () => {
      if (run.isAsleep) sharing.slept(run.seat, nowUs(), polls);
    });
    this.#after(run, phaseUs, () => {
      run.isAsleep = false;
      run.phase++;
      this.#beginPhase(run);
      this.#after(run, random.unit() * SEEN_US, () => {
        if (!run.isAsleep) sharing.woke(run.seat, nowUs());
      });
    });
  }

  #finish(run: Run): void {
    const { machine, exit } = this.#doors;
    const { outcome } = run.invocation;
    // Within an event of its own: the machine may be in the middle of its actions.
    this.#after(run, 1, () => {
      if (outcome === 'exits') exit(run.slot);
      else if (outcome === 'breaks') machine.broke(run.slot);
      else machine.answered(run.slot, outcome === 'ends');
    });
  }

  /** While it runs. */
  #after(run: Run, delayUs: number, event: () => void): void {
    this.#doors.later(delayUs, () => {
      if (this.#running.has(run) && this.#doors.isOn(run)) event();
    });
  }
}
