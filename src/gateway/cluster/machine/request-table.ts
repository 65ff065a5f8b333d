/**
 * A gateway's requests by number: in which state each is, of which version, and what it was granted. Those of a version that
 * wait to be asked for are a list in order of their coming, so that the answer to its name finds them without a search.
 *
 * Budget: nothing is allocated after the start.
 */
import { assert } from '../../../base/assert.ts';
import type { Lease, LeaseName } from './ports.ts';

/**
 *   free ──▶ accepted ──▶ asked ──▶ granted ──▶ assigned ──▶ free
 *                ▲          │          │            │
 *                └──────────┴──────────┴────────────┤     the scheduler's line ended, or the worker refused it
 *                         asked ──▶ withdrawn ──▶ free │     nobody waits for it, and the scheduler has to say so yet
 *                                        free ◀── lost ◀┘     answered, but the scheduler may still grant it again
 */
export const State = {
  free: 0,
  /** Waits for a scheduler, or for the name of its version. */
  accepted: 1,
  asked: 2,
  /** Waits for the connection to its worker. */
  granted: 3,
  assigned: 4,
  withdrawn: 5,
  lost: 6,
} as const;
export type State = (typeof State)[keyof typeof State];

/** What a grant says, but for its mask. */
export type Granted = Pick<Lease, 'core' | 'sequence' | 'shard'>;

const STATE_COUNT = 7;
export const NONE = -1;

export class RequestTable {
  readonly countMax: number;
  readonly #free: Int32Array;
  #freeCount: number;
  readonly #states: Uint8Array;
  readonly #counts = new Int32Array(STATE_COUNT);
  readonly version: Int32Array;
  /** 1: it was asked for before. */
  readonly again: Uint8Array;
  /** 1: nobody waits for it any more. */
  readonly unwanted: Uint8Array;
  /** The version that comes next, to be readied while this runs; NONE: nothing comes. */
  readonly readied: Int32Array;
  /** When it came to this state, or was accepted. */
  readonly tick: Float64Array;
  readonly core: Int32Array;
  readonly #epoch: Uint32Array;
  readonly #sequence: Int32Array;
  readonly #mask: Int32Array;
  readonly #shard: Int32Array;
  /** A later grant, of one that is assigned: its core, or NONE. */
  readonly #nextCore: Int32Array;
  readonly #nextSequence: Int32Array;
  readonly #nextMask: Int32Array;
  readonly #nextShard: Int32Array;
  readonly #lease: Lease = { epoch: 0, core: 0, sequence: 0, mask: 0, shard: NONE };
  /** On which of the scheduler's lines, counted, it was granted. */
  readonly line: Float64Array;
  /** Whose core it was granted. */
  readonly worker: Int32Array;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #first: Int32Array;
  readonly #last: Int32Array;

  constructor(countMax: number, versionCountMax: number) {
    const ints = (length: number, value = 0): Int32Array => new Int32Array(length).fill(value);
    this.countMax = countMax;
    this.#free = Int32Array.from({ length: countMax }, (_, index) => countMax - 1 - index);
    this.#freeCount = countMax;
    this.#states = new Uint8Array(countMax);
    this.version = ints(countMax);
    this.again = new Uint8Array(countMax);
    this.unwanted = new Uint8Array(countMax);
    this.readied = ints(countMax, NONE);
    this.tick = new Float64Array(countMax);
    this.#epoch = new Uint32Array(countMax);
    this.core = ints(countMax);
    this.#sequence = ints(countMax);
    this.#mask = ints(countMax);
    this.#shard = ints(countMax);
    this.#nextCore = ints(countMax, NONE);
    this.#nextSequence = ints(countMax);
    this.#nextMask = ints(countMax);
    this.#nextShard = ints(countMax);
    this.line = new Float64Array(countMax);
    this.worker = ints(countMax, NONE);
    this.#next = ints(countMax, NONE);
    this.#previous = ints(countMax, NONE);
    this.#first = ints(versionCountMax, NONE);
    this.#last = ints(versionCountMax, NONE);
    this.#counts[State.free] = countMax;
  }

  state(number: number): State {
    return number < this.countMax ? (this.#states[number] as State) : State.free;
  }

  count(state: State): number {
    return this.#counts[state]!;
  }

  /** Calls it with each request of this state, whatever becomes of it in the call. Looks at all numbers: not for a hot path. */
  eachOf(state: State, call: (number: number) => void): void {
    let left = this.#counts[state]!;
    for (let number = 0; left > 0 && number < this.countMax; number++) {
      if (this.#states[number] !== state) continue;
      left--;
      call(number);
    }
  }

  /** In state `accepted`, and in no list yet. NONE: all are in use. */
  take(version: number, tick: number): number {
    if (this.#freeCount === 0) return NONE;
    const number = this.#free[--this.#freeCount]!;
    this.version[number] = version;
    this.again[number] = 0;
    this.unwanted[number] = 0;
    this.readied[number] = NONE;
    this.tick[number] = tick;
    this.worker[number] = NONE;
    this.#to(number, State.accepted);
    return number;
  }

  /** From any state but `accepted` to any but that. */
  become(number: number, state: State): void {
    this.#to(number, state);
  }

  /** To the end of its version's list. */
  wait(number: number): void {
    const version = this.version[number]!;
    const last = this.#last[version]!;
    this.#next[number] = NONE;
    this.#previous[number] = last;
    if (last === NONE) this.#first[version] = number;
    else this.#next[last] = number;
    this.#last[version] = number;
    this.#to(number, State.accepted);
  }

  /** The first that waits for this version; NONE: there is none. */
  first(version: number): number {
    return this.#first[version]!;
  }

  /** Out of its list; its next state follows. */
  unwait(number: number): void {
    const version = this.version[number]!;
    const next = this.#next[number]!;
    const previous = this.#previous[number]!;
    if (previous === NONE) this.#first[version] = next;
    else this.#next[previous] = next;
    if (next === NONE) this.#last[version] = previous;
    else this.#previous[next] = previous;
  }

  grant(number: number, { core, sequence, shard }: Granted, mask: number): void {
    this.core[number] = core;
    this.#sequence[number] = sequence;
    this.#mask[number] = mask;
    this.#shard[number] = shard;
  }

  grantNext(number: number, { core, sequence, shard }: Granted, mask: number): void {
    this.#nextCore[number] = core;
    this.#nextSequence[number] = sequence;
    this.#nextMask[number] = mask;
    this.#nextShard[number] = shard;
  }

  /** The later grant is its lease from now on. False: there was none. */
  takeNext(number: number): boolean {
    const core = this.#nextCore[number]!;
    if (core === NONE) return false;
    this.core[number] = core;
    this.#sequence[number] = this.#nextSequence[number]!;
    this.#mask[number] = this.#nextMask[number]!;
    this.#shard[number] = this.#nextShard[number]!;
    this.dropNext(number);
    return true;
  }

  dropNext(number: number): void {
    this.#nextCore[number] = NONE;
  }

  grantedIn(number: number, epoch: number, line: number): void {
    this.#epoch[number] = epoch;
    this.line[number] = line;
  }

  /** A register. */
  leaseOf(number: number): Lease {
    const lease = this.#lease;
    lease.epoch = this.#epoch[number]!;
    lease.core = this.core[number]!;
    lease.sequence = this.#sequence[number]!;
    lease.mask = this.#mask[number]!;
    lease.shard = this.#shard[number]!;
    return lease;
  }

  isLease(number: number, { epoch, core, sequence }: LeaseName): boolean {
    return this.#epoch[number] === epoch && this.core[number] === core && this.#sequence[number] === sequence;
  }

  free(number: number): void {
    assert(this.#states[number] !== State.free, `request ${number} is freed twice`);
    this.worker[number] = NONE;
    this.#to(number, State.free);
    this.#free[this.#freeCount++] = number;
  }

  /** For tests. */
  checkInvariants(): void {
    const counts = new Int32Array(STATE_COUNT);
    for (const state of this.#states) counts[state]!++;
    for (let state = 0; state < STATE_COUNT; state++)
      assert(counts[state] === this.#counts[state], `${counts[state]} requests in state ${state}, counted otherwise`);
    assert(new Set(this.#free.subarray(0, this.#freeCount)).size === counts[State.free], 'a number is free twice');
    let waiting = 0;
    for (const [version, first] of this.#first.entries()) {
      for (let number = first; number !== NONE; number = this.#next[number]!) {
        waiting++;
        assert(this.#states[number] === State.accepted, `request ${number} waits and is in another state`);
        assert(this.version[number] === version, `request ${number} waits for a version that it is not of`);
      }
    }
    assert(waiting === counts[State.accepted], `${waiting} requests wait, ${counts[State.accepted]} are accepted`);
  }

  #to(number: number, state: State): void {
    this.#counts[this.#states[number]!]!--;
    this.#states[number] = state;
    this.#counts[state]!++;
  }
}
