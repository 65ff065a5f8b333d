/**
 * The workers that the scheduler has told of: whose a core is, to whom there is a connection, and what was said on it. A
 * worker that is gone for the scheduler stays here for as long as the connection is of use.
 */
import { isSeat, seatEndOf } from '../../../base/seats.ts';
import { NONE } from './request-table.ts';

export interface WorkerView {
  readonly name: string;
  readonly life: number;
  readonly firstCore: number;
  readonly coreCount: number;
  /** Seats beside the cores' own: they have numbers after these (base/seats.ts). None unless said otherwise. */
  readonly extraSeatCount?: number;
}

export interface Worker {
  readonly id: number;
  readonly name: string;
  readonly life: number;
  firstCore: number;
  coreCount: number;
  extraSeatCount: number;
  isOpen: boolean;
  /** The scheduler of now says that it is there. */
  told: boolean;
  untoldTick: number;
  /** Requests that were granted one of its cores and have no result. */
  requestCount: number;
  /** By index: the serial of the version that it was told of; 0: none. */
  versions: Int32Array;
}

const WORD_BITS = 5;
const FIRST_LENGTH = 64;

export class Workers {
  readonly #byId: (Worker | null)[] = [];
  readonly #freeIds: number[] = [];
  readonly #byName = new Map<string, Worker>();
  /** By the word that a core is in: no two workers share one. */
  readonly #byWord: (Worker | null)[] = [];

  get(id: number): Worker | null {
    return this.#byId[id] ?? null;
  }

  find(name: string): Worker | null {
    return this.#byName.get(name) ?? null;
  }

  /** Null: the scheduler has told of none that has it. */
  ofCore(core: number): Worker | null {
    const worker = this.#byWord[core >> WORD_BITS] ?? null;
    return worker !== null && isSeat(worker, core - worker.firstCore) ? worker : null;
  }

  *all(): Iterable<Worker> {
    for (const worker of this.#byId) if (worker !== null) yield worker;
  }

  add({ name, life }: WorkerView): Worker {
    const id = this.#freeIds.pop() ?? this.#byId.length;
    const worker: Worker = {
      id,
      name,
      life,
      firstCore: NONE,
      coreCount: 0,
      extraSeatCount: 0,
      isOpen: false,
      told: false,
      untoldTick: 0,
      requestCount: 0,
      versions: new Int32Array(FIRST_LENGTH),
    };
    this.#byId[id] = worker;
    this.#byName.set(name, worker);
    return worker;
  }

  tell(worker: Worker, { firstCore, coreCount, extraSeatCount = 0 }: WorkerView): void {
    this.untell(worker, 0);
    worker.told = true;
    worker.firstCore = firstCore;
    worker.coreCount = coreCount;
    worker.extraSeatCount = extraSeatCount;
    for (const word of wordsOf(worker)) {
      while (this.#byWord.length <= word) this.#byWord.push(null);
      this.#byWord[word] = worker;
    }
  }

  untell(worker: Worker, tick: number): void {
    worker.told = false;
    worker.untoldTick = tick;
    if (worker.coreCount === 0) return;
    for (const word of wordsOf(worker)) if (this.#byWord[word] === worker) this.#byWord[word] = null;
  }

  remove(worker: Worker): void {
    this.untell(worker, 0);
    this.#byId[worker.id] = null;
    this.#freeIds.push(worker.id);
    if (this.#byName.get(worker.name) === worker) this.#byName.delete(worker.name);
  }
}

function* wordsOf(worker: Worker): Iterable<number> {
  const end = worker.firstCore + seatEndOf(worker);
  for (let word = worker.firstCore >> WORD_BITS; word << WORD_BITS < end; word++) yield word;
}

export function knowsVersion(worker: Worker, index: number, serial: number): boolean {
  return index < worker.versions.length && worker.versions[index] === serial;
}

/** `serial` 0: it knows none of this index. */
export function noteVersion(worker: Worker, index: number, serial: number): void {
  if (index >= worker.versions.length) {
    let { length } = worker.versions;
    while (length <= index) length *= 2;
    const grown = new Int32Array(length);
    grown.set(worker.versions);
    worker.versions = grown;
  }
  worker.versions[index] = serial;
}
