/**
 * The network namespaces of a zygote and its copies. No two living copies share one: neither the loopback nor an abstract
 * socket of one may reach another. A copy makes its own the first time, which is dear; when it has ended, the namespace
 * is kept as a free seat, and a later copy enters it, if nothing has happened in it since it was made:
 *
 *   copy: unshare ─▶ made ─▶ open, connect ─▶ occupied ──copy ends──▶ free ──untouched──▶ occupied
 *                                                │                     └──else, or too many──▶ gone
 *                                                └──zygote ends──▶ gone
 *
 * What could stay in a namespace without a process: the settings in /proc/sys/net, which a copy sees read-only; rules and
 * addresses, which take rights that it has dropped; and what traffic leaves, of which the counters tell.
 */
import { closeSync, openSync } from 'node:fs';
import { LIMITS } from '../../../base/limits.ts';
import type { Connection, Network, OwnNetworkPolicy } from '../../network/index.ts';

export interface Seat {
  /** Of the namespace. */
  readonly descriptor: number;
  readonly connection: Connection;
}

/** How many seats of all zygotes together are free, and may be: addresses are not without end. */
export interface FreeSeats {
  count: number;
  readonly max: number;
}

export class Seats {
  readonly #network: Network;
  readonly #allFree: FreeSeats;
  /** The zygote's own namespace, until it is connected. */
  #own: number | undefined;
  #connection: Connection | undefined;
  #policy: OwnNetworkPolicy = 'none';
  readonly #free: Seat[] = [];
  #closed = false;

  /** Takes the descriptor of the zygote's own namespace. */
  constructor(network: Network, own: number, allFree: FreeSeats) {
    this.#network = network;
    this.#own = own;
    this.#allFree = allFree;
  }

  /** At its adoption: the zygote's own namespace gets what the function may reach, and so will those of its copies. '' or what failed. */
  connect(policy: OwnNetworkPolicy): string {
    if (this.#own === undefined) return 'the zygote is gone, or connected already';
    const connection = this.#network.connect(this.#own, policy);
    closeSync(this.#own);
    this.#own = undefined;
    if (typeof connection === 'string') return connection;
    this.#policy = policy;
    this.#connection = connection;
    return '';
  }

  /** A free one in which nothing has happened yet. */
  take(): Seat | undefined {
    for (let seat = this.#free.pop(); seat !== undefined; seat = this.#free.pop()) {
      this.#allFree.count--;
      if (this.#isUntouched(seat)) return seat;
      drop(seat);
    }
    return undefined;
  }

  /** Not where it cannot be looked at, as without descriptors. */
  #isUntouched({ descriptor }: Seat): boolean {
    try {
      return this.#network.isUntouched(descriptor);
    } catch {
      return false;
    }
  }

  /** Of a copy that has made itself a namespace; `processIds` are those of its cgroup. A text says what failed. */
  make(processIds: () => readonly number[]): Seat | string {
    const [processId] = processIds();
    if (processId === undefined) return 'the copy is gone';
    let descriptor: number;
    try {
      descriptor = openSync(`/proc/${processId}/ns/net`, 'r');
    } catch (error) {
      return `the namespace of the copy: ${(error as Error).message}`;
    }
    // Else the number may be that of a stranger by now.
    const connection = processIds().includes(processId)
      ? this.#network.connect(descriptor, this.#policy)
      : 'the copy is gone';
    if (typeof connection !== 'string') return { descriptor, connection };
    closeSync(descriptor);
    return connection;
  }

  /** When every process in it is gone. */
  give(seat: Seat): void {
    const isFull = this.#free.length >= LIMITS.networkSeatsFreeMax || this.#allFree.count >= this.#allFree.max;
    if (this.#closed || isFull) return drop(seat);
    this.#allFree.count++;
    this.#free.push(seat);
  }

  /** When the zygote is gone. */
  close(): void {
    this.#closed = true;
    this.#allFree.count -= this.#free.length;
    for (const seat of this.#free.splice(0)) drop(seat);
    if (this.#own !== undefined) closeSync(this.#own);
    this.#own = undefined;
    this.#connection?.close();
    this.#connection = undefined;
  }
}

function drop(seat: Seat): void {
  closeSync(seat.descriptor);
  seat.connection.close();
}
