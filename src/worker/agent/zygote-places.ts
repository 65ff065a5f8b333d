/**
 * A zygote initialises as one of the leases that await it runs: on its core, and behind whoever goes before it there. Of several that is one
 * in the foreground, if there is such a one: who is there keeps nobody waiting for its own core.
 */
import { SlotState } from '../machine/actions.ts';
import type { WorkerMachine } from '../machine/worker.ts';
import type { SandboxTasks } from '../sandbox/contract.ts';
import { Cell } from './cell.ts';
import type { CoreSharing } from './core-sharing.ts';
import type { Resident, Starter } from './starter.ts';

const NONE = -1;

export class ZygotePlaces {
  readonly #machine: WorkerMachine;
  readonly #sharing: CoreSharing;
  readonly #residents: readonly (Resident | null)[];
  readonly #starter: Starter;

  constructor(
    machine: WorkerMachine,
    parts: { sharing: CoreSharing; residents: readonly (Resident | null)[]; starter: Starter },
  ) {
    this.#machine = machine;
    this.#sharing = parts.sharing;
    this.#residents = parts.residents;
    this.#starter = parts.starter;
  }

  /** The seat of the lease as which the zygote initialises; -1: none awaits it. */
  leadOf(zygote: number): number {
    let lead = NONE;
    for (let core = 0; core < this.#sharing.seatCount; core++) {
      if (this.#awaitedBy(core) !== zygote) continue;
      // Of a lease of several cores, their lead.
      const seat = this.#machine.coreOf(this.#machine.slotOf(core));
      if (!this.#sharing.isBackground(seat)) return seat;
      if (lead === NONE) lead = seat;
    }
    return lead;
  }

  /** The seat's invocation has come, or has another place. False: it awaits no zygote. */
  place(seat: number): boolean {
    const zygote = this.#awaitedBy(seat);
    if (zygote === NONE) return false;
    const resident = this.#residents[zygote];
    if (resident instanceof Cell) this.#starter.placeZygote(resident);
    return true;
  }

  /** The seat's invocation had no core for so long: that counts against no timeout, nor against that of a zygote which runs as it does. */
  waited(seat: number, us: number): void {
    const zygote = this.#awaitedBy(seat);
    const slot = zygote === NONE ? this.#machine.slotOf(seat) : zygote;
    if (slot < 0 || (zygote !== NONE && this.leadOf(zygote) !== seat)) return;
    this.#machine.waited(slot, us);
  }

  /** What it waits for beside other functions, it waits for as its lead. */
  tasksOf(seat: number): SandboxTasks | null {
    const zygote = this.#awaitedBy(seat);
    const resident = zygote === NONE || this.leadOf(zygote) !== seat ? null : this.#residents[zygote];
    return resident instanceof Cell ? resident.tasks() : null;
  }

  /** -1: it awaits none. */
  #awaitedBy(seat: number): number {
    const slot = this.#machine.slotOf(seat);
    return slot >= 0 && this.#machine.stateOf(slot) === SlotState.awaiting ? this.#machine.zygoteOf(slot) : NONE;
  }
}
