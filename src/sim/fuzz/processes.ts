/**
 * The processes of a fuzzed worker, on a plain model: instances, cells and zygotes that start, end, and fail to. What they do is told to the shipped
 * machine in its time; whether that asks for what can be done is checked here.
 */
import { assert } from '../../base/assert.ts';
import { Kill, SlotState } from '../../worker/machine/actions.ts';
import type { WorkerMachine } from '../../worker/machine/worker.ts';
import type { Random } from '../engine/random.ts';
import type { Shares } from './case.ts';
import { exponentialOf } from './waits.ts';

const CODE_US = 3000;
const START_US = 5000;
const BOOT_US = 20_000;
const INIT_US = 8000;
const FORK_US = 400;
const EXIT_US = 800;
const CELL_INIT_MB = 40;
/** A resting one that ends by itself does so within that. */
const REST_US = 300_000;

interface Process {
  readonly slot: number;
  readonly parent: number;
  isCell: boolean;
  isFrozen: boolean;
  isKilled: boolean;
  /** Invocations that it has had. */
  runCount: number;
}

export interface ProcessDoors {
  readonly machine: WorkerMachine;
  readonly random: Random;
  readonly shares: Shares;
  readonly slowness: number;
  readonly nowUs: () => number;
  /** An event of the machine, so much later, and what it makes of it. */
  readonly later: (delayUs: number, event: () => void) => void;
  /** An event of its own: whatever was there has ended. */
  readonly exited: (slot: number) => void;
}

export class Processes {
  readonly #doors: ProcessDoors;
  readonly #bySlot = new Map<number, Process>();

  constructor(doors: ProcessDoors) {
    this.#doors = doors;
  }

  has(slot: number): boolean {
    return this.#bySlot.has(slot);
  }

  start(slot: number): void {
    const process = this.#begin(slot, -1, false);
    this.#fetchCode(process, () => this.#becomesReady(process, START_US));
  }

  boot(slot: number): void {
    const process = this.#begin(slot, -1, true);
    const { machine } = this.#doors;
    if (this.#fails()) return this.#after(process, BOOT_US, () => this.exit(slot));
    this.#after(process, BOOT_US, () => machine.booted(slot, this.#doors.nowUs()));
  }

  adopt(slot: number): void {
    const process = this.#on(slot);
    assert(process.isCell && !process.isFrozen, `slot ${slot}: what adopts is frozen, or no cell`);
    const { machine, shares, random } = this.#doors;
    this.#fetchCode(process, () => {
      const isCopyable = random.unit() >= shares.uncopyable;
      this.#after(process, INIT_US, () => {
        const nowUs = this.#doors.nowUs();
        if (this.#fails()) machine.initFailed(slot);
        else if (isCopyable) machine.initialised(slot, CELL_INIT_MB, nowUs);
        else machine.uncopyable(slot, nowUs);
      });
    });
  }

  fork(slot: number, zygote: number): void {
    assert(!this.#on(zygote).isFrozen, `slot ${zygote}: a frozen zygote forks`);
    this.#becomesReady(this.#begin(slot, zygote, false), FORK_US);
  }

  run(slot: number, isFresh: boolean): void {
    const process = this.#on(slot);
    assert(!process.isFrozen && !process.isCell, `slot ${slot}: what runs is frozen, or no instance`);
    assert(!process.isKilled, `slot ${slot}: what runs is being killed`);
    process.runCount++;
    assert(process.runCount === 1 || !isFresh, `clean: slot ${slot} has a second invocation in a fresh instance`);
  }

  kill(slot: number, why: Kill): void {
    const process = this.#on(slot);
    assert(!process.isKilled, `slot ${slot} is killed twice`);
    process.isKilled = true;
    this.#after(process, EXIT_US, () => this.exit(slot), why !== Kill.spent);
  }

  setFrozen(slot: number, isFrozen: boolean): void {
    const process = this.#on(slot);
    assert(process.isFrozen !== isFrozen, `slot ${slot} is ${isFrozen ? 'frozen' : 'thawed'} twice`);
    process.isFrozen = isFrozen;
  }

  /** It rests, and may end by itself one day. */
  rests(slot: number): void {
    const { random, shares } = this.#doors;
    const process = this.#bySlot.get(slot);
    if (process === undefined || random.unit() >= shares.restingEnds) return;
    this.#after(process, random.unit() * REST_US, () => this.exit(slot));
  }

  /** Its copies go before it, as the contract of the backends has it. */
  exit(slot: number): void {
    if (!this.#bySlot.has(slot)) return;
    for (const [child, { parent }] of Array.from(this.#bySlot)) if (parent === slot) this.#exitAlone(child);
    this.#exitAlone(slot);
    // What was asked of it while its copies ended: nothing is forked any more.
    for (const process of Array.from(this.#bySlot.values()))
      if (process.parent === slot) this.#after(process, EXIT_US, () => this.exit(process.slot));
  }

  /** Any of those that there are. */
  nth(number: number): number {
    const slots = [...this.#bySlot.keys()];
    return slots[number % Math.max(1, slots.length)] ?? -1;
  }

  check(slotCount: number): void {
    const { machine } = this.#doors;
    for (let slot = 0; slot < slotCount; slot++) {
      const state = machine.stateOf(slot);
      const exists = state !== SlotState.free && state !== SlotState.awaiting;
      const process = this.#bySlot.get(slot);
      assert((process !== undefined) === exists, `slot ${slot}, state ${state}: a process is there, or is not`);
      if (process === undefined) continue;
      assert(process.isKilled === (state === SlotState.dying), `slot ${slot}, state ${state}: it is killed, or is not`);
      const isFrozen = state === SlotState.dying ? process.isFrozen : machine.isFrozen(slot);
      assert(isFrozen === process.isFrozen, `slot ${slot}, state ${state}: it is frozen, or is not`);
    }
  }

  #exitAlone(slot: number): void {
    // The machine may begin another one in its place at once.
    this.#bySlot.delete(slot);
    this.#doors.exited(slot);
  }

  #begin(slot: number, parent: number, isCell: boolean): Process {
    assert(!this.#bySlot.has(slot), `slot ${slot} is started twice`);
    const process = { slot, parent, isCell, isFrozen: false, isKilled: false, runCount: 0 };
    this.#bySlot.set(slot, process);
    return process;
  }

  #on(slot: number): Process {
    const process = this.#bySlot.get(slot);
    assert(process !== undefined, `slot ${slot}: nothing is there`);
    return process;
  }

  #fails(): boolean {
    return this.#doors.random.unit() < this.#doors.shares.startFails;
  }

  #fetchCode(process: Process, fetched: () => void): void {
    const { machine } = this.#doors;
    const { slot } = process;
    if (this.#doors.random.below(2) === 0) {
      // Not within the action: a machine is told in events.
      return this.#after(process, 0, () => {
        machine.code(slot, true, this.#doors.nowUs());
        fetched();
      });
    }
    this.#after(process, 0, () => machine.code(slot, false, this.#doors.nowUs()));
    this.#after(process, CODE_US, () => {
      machine.code(slot, true, this.#doors.nowUs());
      fetched();
    });
  }

  #becomesReady(process: Process, meanUs: number): void {
    const { machine } = this.#doors;
    const { slot } = process;
    const fails = this.#fails();
    this.#after(process, meanUs, () => {
      if (!fails) machine.ready(slot, this.#doors.nowUs());
      else if (this.#doors.random.below(2) === 0) this.exit(slot);
      else machine.answered(slot, false);
    });
  }

  /** If it is there still, and lives. */
  #after(process: Process, meanUs: number, event: () => void, isQuick = false): void {
    const { random, slowness, later } = this.#doors;
    const wasKilled = process.isKilled;
    const delayUs = isQuick ? meanUs : meanUs * (0.5 + exponentialOf(random)) * slowness;
    later(delayUs, () => {
      if (this.#bySlot.get(process.slot) === process && process.isKilled === wasKilled) event();
    });
  }
}
