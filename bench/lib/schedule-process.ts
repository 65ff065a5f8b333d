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
   * driver: the arithmetic of `steady` without the scheduler, for what the driver itself costs.
   */
  readonly way: 'steady' | 'handover' | 'refuse' | 'driver';
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

class Driver {
  readonly #input: ScheduleInput;
  readonly #prng: Prng;
  readonly #draws: Uint16Array;
  readonly #leaseCount: number;
  readonly #grant = new Grant();
  /** For each lease held: core, sequence, request. */
  readonly #held: Int32Array;
  readonly scheduler: Scheduler;

  constructor(input: ScheduleInput) {
    this.#input = input;
    this.#prng = new Prng(input.seed);
    this.#draws = zipfDraws(input.versionCount);
    this.scheduler = schedulerFor(input);
    this.#leaseCount = Math.floor(input.coreCount * input.leasedShare);
    this.#held = new Int32Array(this.#leaseCount * 4);
    for (let i = 0; i < this.#leaseCount; i++) this.#requestGranted(i, i);
    if (input.way === 'handover' || input.way === 'refuse') this.#fillQueue();
  }

  run(count: number): void {
    switch (this.#input.way) {
      case 'steady':
        return this.#steady(count);
      case 'handover':
        return this.#handover(count);
      case 'refuse':
        return this.#refuse(count);
      case 'driver':
        return this.#driverAlone(count);
    }
  }

  #steady(count: number): void {
    for (let i = 0; i < count; i++) {
      const lease = this.#prng.below(this.#leaseCount);
      const at = lease * 4;
      if (!this.scheduler.release(this.#held[at]!, this.#held[at + 1]!, true)) throw new Error('stale release');
      this.#requestGranted(lease, this.#held[at + 2]!);
    }
  }

  #handover(count: number): void {
    for (let i = 0; i < count; i++) {
      const at = this.#prng.below(this.#leaseCount) * 4;
      const request = this.#held[at + 2]!;
      if (!this.scheduler.release(this.#held[at]!, this.#held[at + 1]!, true)) throw new Error('stale release');
      this.#hold(at);
      if (this.scheduler.request(request, this.#draw()) !== outcome.queued) throw new Error('not queued');
    }
  }

  #refuse(count: number): void {
    const request = this.#leaseCount + QUEUE_MAX;
    for (let i = 0; i < count; i++) {
      if (this.scheduler.request(request, this.#draw()) !== outcome.refusedQueueFull) throw new Error('not refused');
    }
  }

  #driverAlone(count: number): void {
    for (let i = 0; i < count; i++) {
      const at = this.#prng.below(this.#leaseCount) * 4;
      this.#held[at] = this.#held[at]! ^ this.#held[at + 2]!;
      this.#held[at + 1] = this.#held[at + 1]! + this.#draw();
    }
  }

  #fillQueue(): void {
    const count = this.#input.way === 'refuse' ? QUEUE_MAX : WAITING;
    for (let i = 0; i < count; i++) {
      if (this.scheduler.request(this.#leaseCount + i, this.#draw()) !== outcome.queued) throw new Error('not queued');
    }
  }

  #requestGranted(lease: number, request: number): void {
    if (this.scheduler.request(request, this.#draw()) !== outcome.granted) throw new Error('not granted');
    this.#hold(lease * 4);
  }

  #hold(at: number): void {
    if (!this.scheduler.takeGrant(this.#grant)) throw new Error('no grant');
    this.#held[at] = this.#grant.core;
    this.#held[at + 1] = this.#grant.sequence;
    this.#held[at + 2] = this.#grant.request;
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
  const start = process.hrtime.bigint();
  driver.run(input.decisionCount);
  const nanoseconds = Number(process.hrtime.bigint() - start);

  const shares: Record<string, number> = {};
  COUNTER_NAMES.forEach((name, i) => {
    shares[name] = (driver.scheduler.counters[i]! - before[i]!) / input.decisionCount;
  });

  // The young generation is set so large that no collection falls into this part, so growth is what was allocated.
  const usedBefore = getHeapStatistics().used_heap_size;
  driver.run(input.decisionCount);
  const used = getHeapStatistics().used_heap_size - usedBefore;
  driver.scheduler.checkInvariants();
  return { nanosecondsEach: nanoseconds / input.decisionCount, bytesEach: used / input.decisionCount, shares };
}

if (import.meta.main) console.log(JSON.stringify(measure(JSON.parse(process.argv[2]!) as ScheduleInput)));
