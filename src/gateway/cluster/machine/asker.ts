/** Requests on their way to the scheduler: asked for, asked for again, given back. What they are is in request-table.ts. */
import { UnstartedWhy } from '../../../wire/cluster/small-frames.ts';
import { type Names, NO_NAME } from './names.ts';
import type { MachinePorts } from './ports.ts';
import { type RequestTable, State } from './request-table.ts';

/** The connection to the scheduler, of which there is one after the other. */
export interface LineState {
  isOpen: boolean;
  epoch: number;
  /** Which one it is: what was said on an earlier one is void. */
  line: number;
}

interface Parts {
  readonly table: RequestTable;
  readonly names: Names;
  readonly scheduler: LineState;
  readonly ports: MachinePorts;
}

export class Asker {
  readonly #table: RequestTable;
  readonly #names: Names;
  readonly #scheduler: LineState;
  readonly #ports: MachinePorts;
  /** It is over. */
  readonly #free: (number: number) => void;

  constructor({ table, names, scheduler, ports }: Parts, free: (number: number) => void) {
    this.#table = table;
    this.#names = names;
    this.#scheduler = scheduler;
    this.#ports = ports;
    this.#free = free;
  }

  /** One that was asked for is asked for again, or waits until it can be. */
  ask(number: number): void {
    const version = this.#table.version[number]!;
    const index = this.#scheduler.isOpen ? this.#names.index(version) : NO_NAME;
    if (index >= 0) return this.request(number, index);
    this.#table.wait(number);
    if (this.#scheduler.isOpen) this.#names.need(version);
  }

  request(number: number, index: number): void {
    const isAgain = this.#table.again[number] === 1;
    this.#table.again[number] = 1;
    this.#table.become(number, State.asked);
    this.#ports.scheduler.request(number, index, isAgain);
  }

  waitAgain(number: number): void {
    this.#table.again[number] = 1;
    this.#table.wait(number);
  }

  /** A granted request did not run and will not on its lease; it is not attached to its worker any more. */
  askAgain(number: number, why: UnstartedWhy): void {
    const table = this.#table;
    const isOfThisLine = this.#scheduler.isOpen && table.line[number] === this.#scheduler.line;
    const isUnwanted = table.unwanted[number] === 1;
    const hasName = this.#names.index(table.version[number]!) >= 0;
    if (!isOfThisLine && isUnwanted) return this.#free(number);
    if (!isOfThisLine || (!hasName && !isUnwanted)) {
      // What the scheduler has no name for now, it cannot be asked for under the old one.
      if (isOfThisLine) this.unstarted(number, UnstartedWhy.cancelled);
      else this.#ports.events.returned(why);
      table.again[number] = 1;
      return this.ask(number);
    }
    this.unstarted(number, why);
    table.become(number, isUnwanted ? State.withdrawn : State.asked);
    // It may wait again already, for the worker told the scheduler; else a grant follows, or another answer.
    if (isUnwanted) this.#ports.scheduler.cancel(number);
  }

  unstarted(number: number, why: UnstartedWhy): void {
    const index = Math.max(0, this.#names.index(this.#table.version[number]!));
    this.#ports.events.returned(why);
    this.#ports.scheduler.unstarted(number, why, index, this.#table.leaseOf(number));
  }
}
