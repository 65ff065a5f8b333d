/**
 * Reservations that fronts have put into the queues of workers, one column for each thing that is known of them. A number is used again
 * once it is over and no message under way names it.
 */
import { assert } from '../../../base/assert.ts';

/** Of one job of the source: tasks that arrived together, and what was reserved for them. Any reservation may have any of the tasks. */
export interface Batch {
  /** Not launched yet, from `next` on. */
  readonly tasks: number[];
  next: number;
  readonly reservations: number[];
}

/** Where a reservation is, as its worker sees it. */
export const at = { away: 0, queued: 1, asking: 2, over: 3 } as const;
export type At = (typeof at)[keyof typeof at];

const FIRST_CAPACITY = 256;

export class Reservations {
  readonly #batches: (Batch | null)[] = [];
  readonly #free: number[] = [];
  #servers = new Int32Array(FIRST_CAPACITY);
  #places = new Uint8Array(FIRST_CAPACITY);
  /** Messages that name it. */
  #namedCounts = new Uint8Array(FIRST_CAPACITY);
  /** Whether its front has been asked for it, or has taken it back. */
  #isSettled = new Uint8Array(FIRST_CAPACITY);

  add(batch: Batch, server: number): number {
    const reservation = this.#free.pop() ?? this.#batches.length;
    if (reservation === this.#servers.length) this.#grow();
    this.#batches[reservation] = batch;
    this.#servers[reservation] = server;
    this.#places[reservation] = at.away;
    this.#namedCounts[reservation] = 0;
    this.#isSettled[reservation] = 0;
    return reservation;
  }

  batch(reservation: number): Batch {
    const batch = this.#batches[reservation];
    assert(batch !== null && batch !== undefined, 'a reservation that is none any more');
    return batch;
  }

  server(reservation: number): number {
    return this.#servers[reservation]!;
  }

  place(reservation: number): At {
    return this.#places[reservation] as At;
  }

  move(reservation: number, place: At): void {
    this.#places[reservation] = place;
  }

  /** Whether the front may still be asked for it. The number may have passed on to another batch. */
  isOpen(reservation: number, batch: Batch): boolean {
    return this.#batches[reservation] === batch && this.#isSettled[reservation] === 0;
  }

  settle(reservation: number): void {
    this.#isSettled[reservation] = 1;
  }

  /** A message names it from now on. */
  name(reservation: number): void {
    this.#namedCounts[reservation]!++;
  }

  /** The message has arrived. */
  unname(reservation: number): void {
    assert(this.#namedCounts[reservation]! > 0, 'a reservation that nobody names');
    if (--this.#namedCounts[reservation]! > 0 || this.#places[reservation] !== at.over) return;
    this.#batches[reservation] = null;
    this.#free.push(reservation);
  }

  #grow(): void {
    const length = this.#servers.length * 2;
    const servers = new Int32Array(length);
    servers.set(this.#servers);
    this.#servers = servers;
    this.#places = grown(this.#places, length);
    this.#namedCounts = grown(this.#namedCounts, length);
    this.#isSettled = grown(this.#isSettled, length);
  }
}

function grown(from: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const to = new Uint8Array(length);
  to.set(from);
  return to;
}
