/**
 * The measured part of `bench/schedule.ts`, in a process of its own: drives the scheduler machine whole, in one of a
 * few ways, and prints what it saw as JSON.
 */
import { getHeapStatistics } from 'node:v8';
import { Prng } from '../../src/base/prng.ts';
import { Grant } from '../../src/scheduler/machine/actions.ts';
import { COUNTER_NAMES } from '../../src/scheduler/machine/counters.ts';
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
 * Otherwise the driver's own table of leases, 8 MB in random order, would be much of what is measured.
 */
const BATCH_MAX = 65_536;

class Driver {
  readonly #way: ScheduleInput['way'];
  readonly #prng: Prng;
  readonly #draws: Uint16Array;
  readonly #grant = new Grant();
  /** For each lease held: core, sequence, request. */
  readonly #held: Int32Array;
  readonly #heldCount: number;
  /** For each decision of the batch: core, sequence, request; then the same of what was granted. */
  readonly #batch: Int32Array;
  readonly #batchSize: number;
  readonly #versions: Uint16Array;
  readonly scheduler: Scheduler;

  constructor(input: ScheduleInput) {
    this.#way = input.way;
    this.#prng = new Prng(input.seed);
    this.#draws = zipfDraws(input.versionCount);
    this.scheduler = schedulerFor(input);
    this.#heldCount = Math.floor(input.coreCount * input.leasedShare);
    this.#held = new Int32Array(this.#heldCount * 4);
    this.#batchSize = Math.min(BATCH_MAX, this.#heldCount >>> 1);
    this.#batch = new Int32Array(this.#batchSize * 4);
    this.#versions = new Uint16Array(this.#batchSize);
    for (let i = 0; i < this.#heldCount; i++) {
      this.#request(i, this.#draw(), outcome.granted);
      this.#keep(this.#held, i * 4);
    }
    const waiting = { steady: 0, handover: WAITING, refuse: QUEUE_MAX }[input.way];
    for (let i = 0; i < waiting; i++) this.#request(this.#heldCount + i, this.#draw(), outcome.queued);
  }

  /** Makes at least that many decisions; answers how many, and the nanoseconds they took. */
  run(countMin: number): { count: number; nanoseconds: number } {
    let count = 0;
    let nanoseconds = 0;
    while (count < countMin) {
      this.#prepare();
      const start = process.hrtime.bigint();
      this.#decide();
      nanoseconds += Number(process.hrtime.bigint() - start);
      count += this.#batchSize;
      this.#collect();
    }
    return { count, nanoseconds };
  }

  /** Random leases, each at most once: they change places with the last ones, which stand still meanwhile. */
  #prepare(): void {
    for (let i = 0; i < this.#batchSize; i++) {
      const last = (this.#heldCount - 1 - i) * 4;
      const chosen = this.#prng.below(this.#heldCount - i) * 4;
      for (let word = 0; word < 3; word++) {
        const value = this.#held[chosen + word]!;
        this.#held[chosen + word] = this.#held[last + word]!;
        this.#held[last + word] = value;
        this.#batch[i * 4 + word] = value;
      }
      this.#versions[i] = this.#draw();
    }
  }

  #decide(): void {
    if (this.#way === 'steady') this.#decideSteady();
    else if (this.#way === 'handover') this.#decideHandover();
    else this.#decideRefuse();
  }

  #decideSteady(): void {
    for (let i = 0; i < this.#batchSize; i++) {
      const at = i * 4;
      this.#release(at);
      this.#request(this.#batch[at + 2]!, this.#versions[i]!, outcome.granted);
      this.#keep(this.#batch, at);
    }
  }

  #decideHandover(): void {
    for (let i = 0; i < this.#batchSize; i++) {
      const at = i * 4;
      const request = this.#batch[at + 2]!;
      this.#release(at);
      this.#keep(this.#batch, at);
      this.#request(request, this.#versions[i]!, outcome.queued);
    }
  }

  #decideRefuse(): void {
    const request = this.#heldCount + QUEUE_MAX;
    for (let i = 0; i < this.#batchSize; i++) this.#request(request, this.#versions[i]!, outcome.refusedQueueFull);
  }

  #collect(): void {
    if (this.#way === 'refuse') return;
    for (let i = 0; i < this.#batchSize; i++) {
      const last = (this.#heldCount - 1 - i) * 4;
      for (let word = 0; word < 3; word++) this.#held[last + word] = this.#batch[i * 4 + word]!;
    }
  }

  #release(at: number): void {
    if (!this.scheduler.release(this.#batch[at]!, this.#batch[at + 1]!, true)) throw new Error('stale release');
  }

  #request(request: number, version: number, expected: number): void {
    const answer = this.scheduler.request(request, version);
    if (answer !== expected) throw new Error(`outcome ${answer}, expected ${expected}`);
  }

  #keep(where: Int32Array, at: number): void {
    if (!this.scheduler.takeGrant(this.#grant)) throw new Error('no grant');
    where[at] = this.#grant.core;
    where[at + 1] = this.#grant.sequence;
    where[at + 2] = this.#grant.request;
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
