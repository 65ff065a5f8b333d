/**
 * Workers that come and go, where faults are: the shipped membership (scheduler/server/members.ts) over the scheduler's machine, or over the control's where it has
 * several shards. What the control does around it when a worker leaves, joins, or ends what it ran from before, is done here.
 */
import { assert } from '../../base/assert.ts';
import type { Scheduler } from '../../scheduler/machine/scheduler.ts';
import { coresOfMember, type Member, Members } from '../../scheduler/server/members.ts';
import type { World } from '../world.ts';
import type { ResidentKinds } from './resident-kinds.ts';
import { type Seats, setVersions } from './seats.ts';

const WORD_SEATS = 32;

/** What a worker runs when it joins, and says so. */
export interface RunningLease {
  readonly seat: number;
  readonly mask: number;
  /** The function that it was granted for. */
  readonly version: number;
}

export interface Announced {
  readonly running: readonly RunningLease[];
  /** Of its extra seats. */
  readonly isOpen: (seat: number) => boolean;
}

export class Membership {
  readonly #machine: Scheduler;
  readonly #seats: Seats;
  readonly #members: Members;
  readonly #places: readonly Member[];

  /** Every server has its place, and is away. */
  constructor(world: World, { seats, kinds, machine }: { seats: Seats; kinds: ResidentKinds; machine: Scheduler }) {
    this.#machine = machine;
    this.#seats = seats;
    this.#members = new Members(machine);
    const { coreCount, extraSeatCount } = seats;
    const size = { coreCount, extraSeatCount, memoryMb: world.cluster.memoryMb };
    this.#places = Array.from({ length: seats.serverCount }, (_, server) => {
      const member = this.#members.place({ name: `server-${server}`, ...size });
      assert(typeof member !== 'string', `server ${server} has no place`);
      assert(member.firstCore === seats.coreOf[server * seats.seatCount], `server ${server} has cores of another`);
      return member;
    });
    setVersions(world, kinds, machine);
  }

  isHere(server: number): boolean {
    return this.#places[server]!.line !== null;
  }

  /** Its cores are given back, but those of what it runs. */
  join(server: number, { running, isOpen }: Announced): void {
    const { name, coreCount, extraSeatCount, memoryMb } = this.#places[server]!;
    const placed = this.#members.place({ name, coreCount, extraSeatCount, memoryMb });
    assert(typeof placed !== 'string', `server ${server} joins, and has no place`);
    const withdrawn = this.#wordsOf(server, isOpen);
    const view = { name, coreCount, extraSeatCount, memoryMb, host: '', port: 0, life: 0, running: [] };
    const member = this.#members.join(server, { ...view, withdrawn });
    const nobody = this.#machine.limits.requestCountMax - 1;
    for (const { seat, mask, version } of running) {
      const lease = { core: this.#coreOf(seat) - member.firstCore, mask, request: nobody, version };
      if (!this.#members.resume(member, lease)) this.#members.keepBack(member, lease);
    }
    this.#members.open(member);
  }

  /** Whatever is leased there has ended for the scheduler. */
  leave(server: number): void {
    const member = this.#places[server]!;
    const { leases } = this.#machine;
    this.#members.leave(member);
    for (const core of coresOfMember(member))
      if (leases.isLeased(core)) this.#machine.release(core, leases.sequence(core), false);
  }

  /** True: it was of before it joined, and that is settled. */
  endEarlier(seat: number, isWarm: boolean): boolean {
    const member = this.#memberOf(seat);
    const core = this.#coreOf(seat);
    const earlier = member.earlier.get(core);
    if (earlier === undefined) return false;
    member.earlier.delete(core);
    if (earlier.counted < 0) this.#members.letGo(member, core, earlier.mask);
    else this.#machine.release(core, earlier.counted, isWarm);
    return true;
  }

  setSeat(seat: number, isOpen: boolean): void {
    const member = this.#memberOf(seat);
    const own = this.#coreOf(seat) - member.firstCore;
    const word = Math.floor(own / WORD_SEATS);
    const bit = 1 << (own % WORD_SEATS);
    const bits = isOpen ? member.withdrawn[word]! & ~bit : member.withdrawn[word]! | bit;
    this.#members.withdraw(member, member.firstCore + word * WORD_SEATS, bits);
  }

  #wordsOf(server: number, isOpen: (seat: number) => boolean): readonly number[] {
    const member = this.#places[server]!;
    const words = Array.from(member.withdrawn, () => 0);
    for (let seat = server * this.#seats.seatCount; seat < (server + 1) * this.#seats.seatCount; seat++) {
      const own = this.#coreOf(seat) - member.firstCore;
      if (this.#seats.isExtra(seat) && !isOpen(seat)) words[Math.floor(own / WORD_SEATS)]! |= 1 << (own % WORD_SEATS);
    }
    return words;
  }

  #coreOf(seat: number): number {
    return this.#seats.coreOf[seat]!;
  }

  #memberOf(seat: number): Member {
    return this.#places[this.#seats.serverOf[seat]!]!;
  }
}
