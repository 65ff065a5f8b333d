/**
 * The measured part of `bench/schedule.ts`, in a process of its own: drives the scheduler machine whole, in one of a
 * few ways, and prints what it saw as JSON.
 */
import { getHeapStatistics } from 'node:v8';
import { Prng } from '../../src/base/prng.ts';
import { Grant } from '../../src/scheduler/machine/actions.ts';
import { COUNTER_NAMES } from '../../src/scheduler/machine/counters.ts';
import { LookAhead } from '../../src/scheduler/machine/look-ahead.ts';
import { outcome, Scheduler } from '../../src/scheduler/machine/scheduler.ts';

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
  /** Claim by compare-and-swap, as with several shards. */
  readonly isShared?: boolean;
}

export interface ScheduleOutput {
  readonly nanosecondsEach: number;
  readonly bytesEach: number;
  /** Counters of the timed part, by name, for each decision. */
  readonly shares: Readonly<Record<string, number>>;
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
const FREE = -1;
const { granted: GRANTED, queued: QUEUED, refusedQueueFull: REFUSED_QUEUE_FULL } = outcome;

class Driver {
  readonly #way: ScheduleInput['way'];
  readonly #prng: Prng;
  readonly #draws: Uint16Array;
  readonly #grant = new Grant();
  /** The sequence of each core's lease; `FREE`: none. */
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

  constructor(input: ScheduleInput) {
    this.#way = input.way;
    this.#prng = new Prng(input.seed);
    this.#draws = zipfDraws(input.versionCount);
    this.scheduler = schedulerFor(input);
    this.#lookAhead = new LookAhead(this.scheduler);
    const leaseCount = Math.floor(input.coreCount * input.leasedShare);
    this.#sequences = new Int32Array(this.scheduler.cores.coreCountMax).fill(FREE);
    this.#batchSize = Math.min(BATCH_MAX, leaseCount >>> 1);
    this.#batchCores = new Int32Array(this.#batchSize);
    this.#batchSequences = new Int32Array(this.#batchSize);
    this.#batchVersions = new Int32Array(this.#batchSize);
    this.#requestCount = input.coreCount + QUEUE_MAX + 1;
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
      this.#prepare();
      const start = process.hrtime.bigint();
      for (let first = 0; first < this.#batchSize; first += LOOK_AHEAD) {
        this.#decide(first, Math.min(first + LOOK_AHEAD, this.#batchSize));
      }
      nanoseconds += Number(process.hrtime.bigint() - start);
      count += this.#batchSize;
      this.#collect();
    }
    return { count, nanoseconds };
  }

  /** Random leases, each at most once. */
  #prepare(): void {
    for (let i = 0; i < this.#batchSize; i++) {
      let core = 0;
      do core = this.#prng.below(this.#sequences.length);
      while (this.#sequences[core] === FREE);
      this.#batchCores[i] = core;
      this.#batchSequences[i] = this.#sequences[core]!;
      this.#sequences[core] = FREE;
      this.#batchVersions[i] = this.#draw();
    }
  }

  #collect(): void {
    for (let i = 0; i < this.#batchSize; i++) this.#sequences[this.#batchCores[i]!] = this.#batchSequences[i]!;
  }

  #decide(first: number, end: number): void {
    if (this.#way === 'refuse') {
      for (let i = first; i < end; i++) this.#ask(this.#batchVersions[i]!, REFUSED_QUEUE_FULL);
      return;
    }
    this.touched ^= this.#lookAhead.releases(this.#batchCores, first, end);
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
    const request = this.#request;
    const answer = this.scheduler.request(request, version);
    if (answer !== expected) throw new Error(`outcome ${answer}, expected ${expected}`);
    if (answer !== REFUSED_QUEUE_FULL) this.#request = request + 1 === this.#requestCount ? 0 : request + 1;
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

function schedulerFor(input: ScheduleInput): Scheduler {
  const workerCount = Math.ceil(input.coreCount / CORES_PER_WORKER);
  const scheduler = new Scheduler({
    epoch: 1,
    coreCountMax: workerCount * CORES_PER_WORKER,
    workerCountMax: workerCount,
    functionCountMax: input.versionCount,
    versionCountMax: input.versionCount,
    requestCountMax: input.coreCount + QUEUE_MAX + 1,
    queueMax: QUEUE_MAX,
    overtakeMax: 64,
    warmHintMax: 30,
    isShared: input.isShared ?? false,
  });
  for (let left = input.coreCount; left > 0; left -= CORES_PER_WORKER) {
    scheduler.addWorker(Math.min(left, CORES_PER_WORKER), MEMORY_MB_PER_WORKER);
  }
  for (let version = 0; version < input.versionCount; version++) {
    scheduler.setVersion(version, version, MEMORY_SIZES_MB[version % MEMORY_SIZES_MB.length]!);
  }
  return scheduler;
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

function measure(input: ScheduleInput): ScheduleOutput {
  const driver = new Driver(input);
  // Until the compiler is done and the leases lie in random order.
  driver.run(Math.max(input.decisionCount >>> 1, Math.min(input.coreCount * 3, input.decisionCount * 2)));

  const before = Float64Array.from(driver.scheduler.counters);
  const { count, nanoseconds } = driver.run(input.decisionCount);
  const shares: Record<string, number> = {};
  COUNTER_NAMES.forEach((name, i) => {
    shares[name] = (driver.scheduler.counters[i]! - before[i]!) / count;
  });

  // The young generation is set so large that no collection falls into this part, so growth is what was allocated.
  const usedBefore = getHeapStatistics().used_heap_size;
  const { count: countAgain } = driver.run(input.decisionCount);
  const used = getHeapStatistics().used_heap_size - usedBefore;
  driver.scheduler.checkInvariants();
  return { nanosecondsEach: nanoseconds / count, bytesEach: used / countAgain, shares };
}

if (import.meta.main) console.log(JSON.stringify(measure(JSON.parse(process.argv[2]!) as ScheduleInput)));
