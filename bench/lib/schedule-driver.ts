/**
 * Drives the scheduler machine for `bench/schedule.ts`: releases and requests at random, in batches as they come in buffers. Used by one thread
 * with a machine of its own, and by several that share one cluster.
 */
import { Prng } from '../../src/base/prng.ts';
import { Grant } from '../../src/scheduler/machine/actions.ts';
import type { SchedulerLimits } from '../../src/scheduler/machine/limits.ts';
import { LookAhead } from '../../src/scheduler/machine/look-ahead.ts';
import { outcome, type Scheduler } from '../../src/scheduler/machine/scheduler.ts';

export interface ScheduleInput {
  /**
   * steady: release a random lease, then a request that is granted.
   * handover: every core leased, requests wait; release a random lease (its core goes to the oldest), then a request that waits.
   * refuse: every core leased, the queue full; a request that is refused.
   */
  readonly way: 'steady' | 'handover' | 'refuse';
  readonly coreCount: number;
  readonly leasedShare: number;
  readonly versionCount: number;
  readonly decisionCount: number;
  readonly seed: number;
  /** Threads that share the cluster, each with a machine of its own; 0: one thread that has it to itself. */
  readonly shardCount: number;
}

const CORES_PER_WORKER = 32;
const MEMORY_MB_PER_WORKER = 65_536;
const QUEUE_MAX = 1024;
const WAITING = 512;
const MEMORY_SIZES_MB = [128, 256, 512, 1024, 1769];
/** Versions are drawn from a table of this many entries, filled by Zipf's law. */
const DRAWS = 65_536;

/**
 * Frames reach a scheduler in buffers. So the driver, too, writes which leases end and what is requested into a buffer
 * first, has the scheduler decide all of it, and looks at the grants afterwards; only the middle part is timed.
 * Otherwise the driver's own table of leases, in random order, would be much of what is measured. It is kept small
 * for the same reason: what it pushes out of the cache, the scheduler has to fetch again.
 */
const BATCH_MAX = 65_536;
/** How many frames of the buffer are looked ahead, as a shell does. */
const LOOK_AHEAD = 128;
const NONE = -1;
const { granted: GRANTED, queued: QUEUED, refusedQueueFull: REFUSED_QUEUE_FULL } = outcome;

export class Driver {
  readonly #way: ScheduleInput['way'];
  readonly #prng: Prng;
  readonly #input: ScheduleInput;
  readonly #draws: Uint16Array;
  readonly #grant = new Grant();
  /** The sequence of each core's lease; `NONE`: none. Of the cluster: whoever is granted a core writes it, and the shard of its worker ends it. */
  readonly #sequences: Int32Array;
  readonly #batchSize: number;
  /** For each decision of the batch: the lease that is released, then the one that was granted. */
  readonly #batchCores: Int32Array;
  readonly #batchSequences: Int32Array;
  /** And what is requested. */
  readonly #batchVersions: Int32Array;
  /** Requests are numbered in turn; a number comes round when its request is long granted. */
  readonly #requestCount: number;
  #request = 0;
  readonly scheduler: Scheduler;
  readonly #lookAhead: LookAhead;
  touched = 0;

  constructor(input: ScheduleInput, scheduler: Scheduler, sequences: Int32Array) {
    this.#way = input.way;
    this.#input = input;
    this.#prng = new Prng(input.seed * 64 + scheduler.shard);
    this.#draws = zipfDraws(input.versionCount);
    this.scheduler = scheduler;
    this.#lookAhead = new LookAhead(scheduler);
    this.#sequences = sequences;
    const shardCount = Math.max(input.shardCount, 1);
    const leaseCount = Math.floor((input.coreCount * input.leasedShare) / shardCount);
    this.#batchSize = Math.min(BATCH_MAX, leaseCount >>> 1);
    this.#batchCores = new Int32Array(this.#batchSize);
    this.#batchSequences = new Int32Array(this.#batchSize);
    this.#batchVersions = new Int32Array(this.#batchSize);
    this.#requestCount = Math.floor(scheduler.limits.requestCountMax / shardCount);
    for (let i = 0; i < leaseCount; i++) {
      this.#ask(this.#draw(), GRANTED);
      this.#take(0);
      this.#sequences[this.#batchCores[0]!] = this.#batchSequences[0]!;
    }
    const waiting = { steady: 0, handover: WAITING, refuse: QUEUE_MAX }[input.way];
    for (let i = 0; i < waiting; i++) this.#ask(this.#draw(), QUEUED);
  }

  /** Makes at least that many decisions; answers how many, and the nanoseconds they took. */
  run(countMin: number): { count: number; nanoseconds: number } {
    let count = 0;
    let nanoseconds = 0;
    while (count < countMin) {
      this.prepare();
      const start = process.hrtime.bigint();
      count += this.decideAll();
      nanoseconds += Number(process.hrtime.bigint() - start);
      this.collect();
    }
    return { count, nanoseconds };
  }

  /** The batch that was prepared; answers how many decisions that are. */
  decideAll(): number {
    for (let first = 0; first < this.#batchSize; first += LOOK_AHEAD) {
      this.#decide(first, Math.min(first + LOOK_AHEAD, this.#batchSize));
      // As a shell does after each buffer; nothing where there is one shard.
      this.scheduler.settleBatch();
    }
    return this.#batchSize;
  }

  /** Random leases, each at most once. */
  prepare(): void {
    // Of the workers that this shard has added.
    const coreCount = Math.floor(this.#sequences.length / Math.max(this.#input.shardCount, 1));
    for (let i = 0; i < this.#batchSize; i++) {
      let core = 0;
      do core = this.scheduler.shard * coreCount + this.#prng.below(coreCount);
      while (this.#sequences[core] === NONE);
      this.#batchCores[i] = core;
      this.#batchSequences[i] = this.#sequences[core]!;
      this.#sequences[core] = NONE;
      this.#batchVersions[i] = this.#draw();
    }
  }

  collect(): void {
    for (let i = 0; i < this.#batchSize; i++) this.#sequences[this.#batchCores[i]!] = this.#batchSequences[i]!;
  }

  #decide(first: number, end: number): void {
    if (this.#way === 'refuse') {
      for (let i = first; i < end; i++) this.#ask(this.#batchVersions[i]!, REFUSED_QUEUE_FULL);
      return;
    }
    this.touched ^= this.#lookAhead.releases(this.#batchCores, first, end);
    if (this.scheduler.isShared) this.touched ^= this.#lookAhead.requests(this.#batchVersions, first, end);
    const expected = this.#way === 'steady' ? GRANTED : QUEUED;
    for (let i = first; i < end; i++) {
      const isKnown = this.scheduler.release(this.#batchCores[i]!, this.#batchSequences[i]!, true);
      if (!isKnown) throw new Error('stale release');
      if (expected === QUEUED) this.#take(i);
      this.#ask(this.#batchVersions[i]!, expected);
      if (expected === GRANTED) this.#take(i);
    }
  }

  #ask(version: number, expected: number): void {
    const request = this.scheduler.shard * this.#requestCount + this.#request;
    const answer = this.scheduler.request(request, version);
    if (answer !== expected) throw new Error(`outcome ${answer}, expected ${expected}`);
    if (answer !== REFUSED_QUEUE_FULL) this.#request = this.#request + 1 === this.#requestCount ? 0 : this.#request + 1;
  }

  #take(i: number): void {
    if (!this.scheduler.takeGrant(this.#grant)) throw new Error('no grant');
    this.#batchCores[i] = this.#grant.core;
    this.#batchSequences[i] = this.#grant.sequence;
  }

  #draw(): number {
    return this.#draws[this.#prng.int32() & (DRAWS - 1)]!;
  }
}

export function limitsFor(input: ScheduleInput): SchedulerLimits {
  const workerCount = Math.ceil(input.coreCount / CORES_PER_WORKER);
  return {
    epoch: 1,
    coreCountMax: workerCount * CORES_PER_WORKER,
    workerCountMax: workerCount,
    functionCountMax: input.versionCount,
    versionCountMax: input.versionCount,
    requestCountMax: input.coreCount + QUEUE_MAX + 1,
    queueMax: QUEUE_MAX,
    overtakeMax: 64,
    warmHintMax: 30,
    isShared: input.shardCount > 0,
  };
}

/** Each shard adds its share of the workers, one shard after the other: so each knows idle cores to begin with. */
export function addWorkers(scheduler: Scheduler, input: ScheduleInput): void {
  const share = Math.floor(input.coreCount / Math.max(input.shardCount, 1));
  for (let left = share; left > 0; left -= CORES_PER_WORKER) {
    scheduler.addWorker(Math.min(left, CORES_PER_WORKER), MEMORY_MB_PER_WORKER);
  }
}

export function setVersions(scheduler: Scheduler, input: ScheduleInput): void {
  for (let version = 0; version < input.versionCount; version++) {
    scheduler.setVersion(version, version, MEMORY_SIZES_MB[version % MEMORY_SIZES_MB.length]!);
  }
}

/** For `Driver`. */
export function noSequences(coreCountMax: number): Int32Array<SharedArrayBuffer> {
  return new Int32Array(new SharedArrayBuffer(coreCountMax * Int32Array.BYTES_PER_ELEMENT)).fill(NONE);
}

/** Until the compiler is done and the leases lie in random order. */
export function warmUpCount(input: ScheduleInput): number {
  return Math.max(input.decisionCount >>> 1, Math.min(input.coreCount * 3, input.decisionCount * 2));
}

/** Version k is drawn in proportion to 1 / (k + 1). */
function zipfDraws(versionCount: number): Uint16Array {
  const draws = new Uint16Array(DRAWS);
  let sum = 0;
  for (let k = 1; k <= versionCount; k++) sum += 1 / k;
  let version = 0;
  let upTo = 1 / sum;
  for (let i = 0; i < DRAWS; i++) {
    while (i / DRAWS > upTo && version < versionCount - 1) upTo += 1 / ++version / sum;
    draws[i] = version;
  }
  return draws;
}
