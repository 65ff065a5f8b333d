/**
 * The workers of a cluster, and their seats in the machine: cores, and extra ones (docs/decisions/012-sharing-cores.md), of which the same holds unless
 * something else is said. A worker has the same cores whenever it is here, as long as it comes with as many
 * and as much memory; else it gets others. Cores that nobody comes back to are another worker's of the same size: at once where their worker has
 * others now, and where there is no room left, those of who has been away for long. While a worker is away its cores are all withdrawn; when it comes they are given back, but those on which something runs from before, and those that it withdraws itself.
 *
 * What runs from before has another name here than there: the worker knows a lease under its old sequence, which may be of
 * another scheduler and anywhere on the ring. Here it goes on under the worker's floor, so that the core's next lease comes after the
 * floor, as the worker expects.
 */
import { assert } from '../../base/assert.ts';
import { coresOf } from '../../base/core-mask.ts';
import { isSeat, type SeatRange, seatEndOf, seatsOf, seatsOfWord, seatWordCountOf } from '../../base/seats.ts';
import { beginAnew } from '../machine/membership.ts';
import type { Scheduler } from '../machine/scheduler.ts';
import { MEMORY_MB_MAX } from '../machine/versions.ts';
import type { Announcement, Place, Running, WorkerSize, WorkerView } from './ports.ts';

const WORD_CORES = 32;
/** Of each kind: as many as a gateway can be told. */
const SEATS_MAX = 0xffff;
/** So long a worker that is away has its cores whoever wants them. */
const AWAY_SWEEPS = 600;

/** What a worker runs from before it joined. */
interface Earlier {
  /** Its cores, as in a grant; of several the lowest has the lease, and each other one an entry too where they are only kept back. */
  readonly mask: number;
  /** Under which the core is leased for it here; -1: it is only kept back. */
  readonly counted: number;
}

export interface Member extends WorkerView, Place {
  readonly index: number;
  host: string;
  port: number;
  life: number;
  floor: number;
  sinceMs: number;
  readonly memoryMb: number;
  /** Null: it is away. */
  line: number | null;
  /** The sweep at which it left, or was placed. */
  awaySince: number;
  /** It withdraws all its cores. */
  isDraining: boolean;
  /** A word for each 32 cores: those that it has withdrawn; then for its extra seats those that are closed. */
  readonly withdrawn: Int32Array;
  /** By core. */
  readonly earlier: Map<number, Earlier>;
}

export class Members {
  readonly #machine: Scheduler;
  readonly #byName = new Map<string, Member>();
  readonly #byIndex: Member[] = [];
  readonly #byLine = new Map<number, Member>();
  /** Those whose workers have others by now. */
  readonly #retired = new Set<Member>();
  #coresEnd = 0;
  #sweepCount = 0;

  constructor(machine: Scheduler) {
    this.#machine = machine;
  }

  all(): readonly Member[] {
    return this.#byIndex;
  }

  /** All that are here, or may come back to their cores. */
  known(): readonly Member[] {
    return [...this.#byName.values()];
  }

  /** Once a second. */
  sweep(): void {
    this.#sweepCount++;
  }

  at(index: number): Member | undefined {
    return this.#byIndex[index];
  }

  named(name: string): Member | undefined {
    return this.#byName.get(name);
  }

  /** Nothing is leased there, and nothing will be before it is given back. */
  isOut(member: Member): boolean {
    const { leases } = this.#machine;
    for (const core of coresOfMember(member)) if (!leases.isOut(core)) return false;
    return true;
  }

  /** Undefined where the line has left, or was never a worker's. */
  on(line: number): Member | undefined {
    return this.#byLine.get(line);
  }

  *joined(): Generator<Member> {
    for (const member of this.#byIndex) if (member.line !== null) yield member;
  }

  /** A text says why it may not have any. */
  place({ name, coreCount, extraSeatCount = 0, memoryMb }: WorkerSize): Member | string {
    const known = this.#byName.get(name);
    if (known !== undefined && known.line !== null) return `a worker named ${name} has joined already`;
    const size = { coreCount, extraSeatCount, memoryMb };
    const member = known !== undefined && isSameSize(known, size) ? known : this.#add(name, size);
    if (typeof member === 'string') return member;
    if (!this.isOut(member)) return `a lease of the worker ${name} is not over yet`;
    member.awaySince = this.#sweepCount;
    member.floor = beginAnew(this.#machine, [...coresOfMember(member)]);
    // What another one before it, or it in another life, had no memory for, it may have memory for.
    this.#machine.memoryAvailable(member.index);
    return member;
  }

  /** It has been placed. Its cores stay withdrawn until `open`. */
  join(line: number, { name, host, port, life, withdrawn = [], nowMs = 0 }: Announcement): Member {
    const member = this.#byName.get(name)!;
    Object.assign(member, { line, host, port, life, sinceMs: nowMs });
    this.#byLine.set(line, member);
    const ownCount = Math.ceil(member.coreCount / WORD_CORES);
    for (let word = 0; word < member.withdrawn.length; word++)
      member.withdrawn[word] = withdrawn[word] ?? (word < ownCount ? 0 : seatsOfWord(member, word));
    return member;
  }

  /** False: there is no room for it. */
  resume(
    member: Member,
    lease: Pick<Running, 'core' | 'mask'> & { readonly request: number; readonly version: number },
  ): boolean {
    const core = member.firstCore + lease.core;
    const { mask, request, version } = lease;
    const resumed = this.#machine.resumeSeveral(core, mask, { request, version, sequence: member.floor });
    if (resumed) member.earlier.set(core, { mask, counted: member.floor });
    return resumed;
  }

  /** It runs something that is not counted here: its cores are not granted before that ends. */
  keepBack(member: Member, { core: lead, mask }: Pick<Running, 'core' | 'mask'>): void {
    for (const core of coresOf(member.firstCore + lead, mask)) member.earlier.set(core, { mask, counted: -1 });
  }

  open(member: Member): void {
    for (let word = 0; word < member.withdrawn.length; word++) this.#applyWord(member, word);
    this.#noteDraining(member);
  }

  /** False: the word is not its own, or says a core that it does not have. */
  withdraw(member: Member, firstCore: number, bits: number): boolean {
    if (!isOwnWord(member, firstCore, bits)) return false;
    const word = (firstCore - member.firstCore) / WORD_CORES;
    member.withdrawn[word] = bits;
    this.#applyWord(member, word);
    this.#noteDraining(member);
    return true;
  }

  /** What it ran from before, and was not counted, is over on all cores of the mask. */
  letGo(member: Member, lead: number, mask: number): void {
    for (const core of coresOf(lead, mask)) {
      member.earlier.delete(core);
      if (!this.#isWithdrawn(member, core)) this.#machine.giveBack(core);
    }
  }

  leave(member: Member): void {
    this.#byLine.delete(member.line!);
    member.line = null;
    member.awaySince = this.#sweepCount;
    member.isDraining = false;
    member.earlier.clear();
    for (const core of coresOfMember(member)) this.#machine.withdraw(core);
  }

  checkInvariants(): void {
    const { cores } = this.#machine;
    for (const member of this.#byIndex) {
      for (const core of coresOfMember(member)) {
        const isKeptBack = isOnlyKeptBack(member, core);
        const isOut = member.line === null || this.#isWithdrawn(member, core) || isKeptBack;
        assert(cores.isWithdrawn(core) === isOut, `core ${core} is withdrawn: ${!isOut}`);
      }
    }
  }

  #add(name: string, size: Size): Member | string {
    const machine = this.#machine;
    const { coreCount, extraSeatCount, memoryMb } = size;
    const { workerCountMax, coreCountMax } = machine.limits;
    if (memoryMb > MEMORY_MB_MAX) return `the worker ${name} has ${memoryMb} MB: at most ${MEMORY_MB_MAX}`;
    const wordCount = seatWordCountOf(size);
    const isFull = machine.workerCount >= workerCountMax || this.#coresEnd + wordCount * WORD_CORES > coreCountMax;
    const old = this.#leftBy(size, isFull);
    if (isFull && old === undefined)
      return `no room for ${seatsText(size)} of ${name}: the scheduler has ${machine.workerCount} workers and ${this.#coresEnd} cores in words of 32, of ${workerCountMax} and ${coreCountMax}`;
    if (Math.max(coreCount, extraSeatCount) > SEATS_MAX)
      return `the worker ${name} has ${seatsText(size)}: at most ${SEATS_MAX} of each`;
    if (old !== undefined && !this.#retired.delete(old)) this.#byName.delete(old.name);
    const before = this.#byName.get(name);
    if (before !== undefined) this.#retired.add(before);
    const index = old?.index ?? machine.addWorker(coreCount, memoryMb, true, extraSeatCount);
    const firstCore = machine.firstCore(index);
    this.#coresEnd = Math.max(this.#coresEnd, firstCore + wordCount * WORD_CORES);
    const awaySince = this.#sweepCount;
    const away = { host: '', port: 0, life: 0, floor: 0, sinceMs: 0, line: null, isDraining: false, awaySince };
    const parts = { withdrawn: new Int32Array(wordCount), earlier: new Map<number, Earlier>() };
    const member: Member = { ...away, ...parts, ...size, name, index, firstCore };
    this.#byName.set(name, member);
    this.#byIndex[index] = member;
    return member;
  }

  /** One of this size on whose cores nothing runs, and to which nobody comes back; where it is full, or only perhaps. */
  #leftBy(size: Size, isFull: boolean): Member | undefined {
    const isLeft = (member: Member): boolean => {
      if (!isSameSize(member, size)) return false;
      const isLong = this.#retired.has(member) || this.#sweepCount - member.awaySince >= AWAY_SWEEPS;
      return member.line === null && isLong && this.isOut(member);
    };
    return [...this.#retired].find(isLeft) ?? (isFull ? this.#byIndex.find(isLeft) : undefined);
  }

  #applyWord(member: Member, word: number): void {
    const machine = this.#machine;
    const first = member.firstCore + word * WORD_CORES;
    for (const core of coresOf(first, seatsOfWord(member, word))) {
      const isKeptBack = isOnlyKeptBack(member, core);
      if (this.#isWithdrawn(member, core)) machine.withdraw(core);
      else if (!isKeptBack) machine.giveBack(core);
    }
  }

  #noteDraining(member: Member): void {
    const own = member.withdrawn.subarray(0, Math.ceil(member.coreCount / WORD_CORES));
    member.isDraining = own.every((bits, word) => bits === seatsOfWord(member, word));
  }

  #isWithdrawn(member: Member, core: number): boolean {
    const own = core - member.firstCore;
    return (member.withdrawn[own >>> 5]! & (1 << (own & 31))) !== 0;
  }
}

type Size = Pick<Member, 'coreCount' | 'extraSeatCount' | 'memoryMb'>;

function isSameSize(a: Size, b: Size): boolean {
  return a.coreCount === b.coreCount && a.extraSeatCount === b.extraSeatCount && a.memoryMb === b.memoryMb;
}

function seatsText({ coreCount, extraSeatCount }: SeatRange): string {
  return extraSeatCount === 0 ? `${coreCount} cores` : `${coreCount} cores and ${extraSeatCount} extra seats`;
}

interface WorkerSeats extends SeatRange {
  readonly firstCore: number;
}

/** All its cores and extra seats, as the machine numbers them. */
export function* coresOfMember(worker: WorkerSeats): Generator<number> {
  for (const at of seatsOf(worker)) yield worker.firstCore + at;
}

/** The one after its last, extra seats included. */
export function coreEndOf(worker: WorkerSeats): number {
  return worker.firstCore + seatEndOf(worker);
}

/** A core or an extra seat of the worker? */
export function isOwnCore(worker: WorkerSeats, core: number): boolean {
  return isSeat(worker, core - worker.firstCore);
}

/** Is there such a word, and does it say no core or seat that the worker does not have? */
export function isOwnWord(worker: WorkerSeats, firstCore: number, bits: number): boolean {
  const word = (firstCore - worker.firstCore) / WORD_CORES;
  const isWord = Number.isInteger(word) && word >= 0 && word < seatWordCountOf(worker);
  return isWord && (bits & ~seatsOfWord(worker, word)) === 0;
}

function isOnlyKeptBack({ earlier }: Member, core: number): boolean {
  return earlier.size > 0 && earlier.get(core)?.counted === -1;
}
