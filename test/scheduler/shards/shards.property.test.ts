/**
 * Several shards in one thread, driven in any order: every event at any shard, and every shard hears its bell when chance has it. What is then
 * left to be told is told; and afterwards what holds for one shard holds for all together.
 */
import fc from 'fast-check';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { coresOf } from '../../../src/base/core-mask.ts';
import { Grant } from '../../../src/scheduler/machine/actions.ts';
import { checkInvariants } from '../../../src/scheduler/machine/invariants.ts';
import { forgetWorker } from '../../../src/scheduler/machine/membership.ts';
import type { SchedulerLimits } from '../../../src/scheduler/machine/limits.ts';
import { makeMemory } from '../../../src/scheduler/machine/memory.ts';
import { outcome, Scheduler } from '../../../src/scheduler/machine/scheduler.ts';
import { seatSpaceOf } from '../../../src/scheduler/server/local.ts';

interface World {
  readonly shardCount: number;
  readonly workers: readonly {
    readonly coreCount: number;
    readonly memoryMb: number;
    readonly extraSeatCount: number;
  }[];
  readonly versions: readonly {
    readonly memoryMb: number;
    readonly coreCount: number;
    readonly isDedicated: boolean;
  }[];
  readonly queueMax: number;
  readonly overtakeMax: number;
}

const worlds: fc.Arbitrary<World> = fc.record({
  // With more than 32 a bell has several words.
  shardCount: fc.oneof({ weight: 5, arbitrary: fc.integer({ min: 1, max: 4 }) }, fc.constantFrom(36, 65)),
  workers: fc.array(
    fc.record({
      coreCount: fc.constantFrom(1, 2, 3, 4, 33),
      memoryMb: fc.constantFrom(100, 300, 600, 1000),
      extraSeatCount: fc.constantFrom(0, 0, 1, 3, 33),
    }),
    { minLength: 1, maxLength: 3 },
  ),
  versions: fc.array(
    fc.record({
      memoryMb: fc.constantFrom(1, 100, 200, 256, 300, 700),
      coreCount: fc.constantFrom(1, 1, 1, 2, 3, 4),
      isDedicated: fc.constantFrom(false, false, true),
    }),
    { minLength: 2, maxLength: 4 },
  ),
  queueMax: fc.integer({ min: 0, max: 4 }),
  overtakeMax: fc.integer({ min: 0, max: 2 }),
});

type Event = readonly [shard: number, kind: number, a: number, b: number];
const events: fc.Arbitrary<Event[]> = fc.array(fc.tuple(fc.nat(3), fc.nat(23), fc.nat(999), fc.nat(999)), {
  maxLength: 200,
  size: 'max',
});

const REQUEST_COUNT = 48;
const FUNCTION_COUNT = 2;
/** Where there are many shards something happens at few of them, far apart. */
const FAR = 33;

interface Lease {
  readonly core: number;
  readonly mask: number;
  readonly sequence: number;
  readonly request: number;
}

class Cluster {
  readonly shards: readonly Scheduler[];
  readonly #grant = new Grant();
  readonly leases: Map<number, Lease> = new Map();
  readonly waiting: Map<number, Scheduler> = new Map();
  readonly cores: number[] = [];
  readonly extraSeats: number[] = [];
  readonly #limitOf = new Map<number, number>();

  constructor(world: World) {
    const limits: SchedulerLimits = {
      epoch: 1,
      coreCountMax: world.workers.reduce(
        (sum, { coreCount, extraSeatCount }) => sum + seatSpaceOf(coreCount, extraSeatCount),
        0,
      ),
      workerCountMax: world.workers.length,
      functionCountMax: FUNCTION_COUNT,
      versionCountMax: world.versions.length,
      requestCountMax: REQUEST_COUNT,
      queueMax: world.queueMax,
      overtakeMax: world.overtakeMax,
      warmHintMax: 3,
      isShared: true,
    };
    const memory = makeMemory(limits, world.shardCount);
    this.shards = memory.shards.map((_, shard) => new Scheduler(limits, { memory, shard }));
    // Versions may come after the workers, and grow.
    world.workers.forEach(({ coreCount, memoryMb, extraSeatCount }, i) => {
      const machine = this.#at(i);
      const worker = machine.addWorker(coreCount, memoryMb, false, extraSeatCount);
      const firstExtra = machine.cores.firstExtra(machine.workers.homeOf(worker));
      for (let core = 0; core < coreCount; core++) this.cores.push(machine.firstCore(worker) + core);
      for (let seat = 0; seat < extraSeatCount; seat++) {
        this.extraSeats.push(firstExtra + seat);
        // Some are opened by the events only.
        if (seat % 3 < 2) machine.giveBack(firstExtra + seat);
      }
    });
    world.versions.forEach(({ memoryMb, coreCount, isDedicated }, i) =>
      this.#at(i).setVersion(i, i % FUNCTION_COUNT, memoryMb, { coreCount, isDedicated }),
    );
  }

  apply([shard, kind, a, b]: Event, world: World): void {
    const machine = this.#at(shard);
    const seats = b % 2 === 0 ? this.extraSeats : [];
    const core = seats[a % Math.max(seats.length, 1)] ?? this.cores[a % this.cores.length]!;
    const leases = [...this.leases.values()];
    const lease = leases[a % Math.max(leases.length, 1)];
    if (kind <= 7) this.#request(machine, a % world.versions.length);
    else if (kind <= 11 && lease !== undefined) this.#end(machine, lease, b % 3 > 0);
    else if (kind === 12 && lease !== undefined) {
      this.leases.delete(lease.core);
      assert.ok(machine.noMemory(lease.core, lease.sequence));
      this.waiting.set(lease.request, machine);
    } else if (kind === 13) machine.memoryAvailable(a % world.workers.length);
    else if (kind === 14) machine.withdraw(core);
    else if (kind <= 16) machine.giveBack(core);
    else if (kind === 17) this.#cancel(a);
    else if (kind === 18) this.#setConcurrency(machine, a % FUNCTION_COUNT, (b % 6) - 1);
    else if (kind === 19) machine.warmed(a % world.workers.length, b % world.versions.length);
    else if (kind === 20) forgetWorker(machine, a % world.workers.length);
    else if (kind === 21) machine.forget();
    else if (kind === 22 && b % 2 === 0) this.#request(machine, a % world.versions.length, b % 7);
    else machine.settleBatch();
    this.takeGrants();
  }

  takeGrants(): void {
    for (const machine of this.shards) {
      while (machine.takeGrant(this.#grant)) {
        const { core, mask, sequence, request } = this.#grant;
        for (const each of coresOf(core, mask)) assert.ok(!this.#isHeld(each), `core ${each} is granted twice`);
        const isDedicated = machine.versions.isDedicated(machine.leases.version(core));
        assert.ok(!isDedicated || !this.extraSeats.includes(core), `core ${core} is an extra seat`);
        this.leases.set(core, { core, mask, sequence, request });
        this.waiting.delete(request);
      }
    }
  }

  /** Every shard hears what it is told, until there is nothing more to be said. */
  settle(): void {
    let turns = 0;
    do {
      for (const machine of this.shards) machine.settleBatch();
      this.takeGrants();
      assert.ok(++turns < 1000, 'the shards never come to rest');
    } while (this.shards.some(({ bells }) => bells.isRung));
  }

  /** What is in use: a grant at its function's limit would be one too many. */
  checkLimits(): void {
    const { functions } = this.shards[0]!;
    for (const [fn, limit] of this.#limitOf)
      if (limit >= 0) assert.ok(functions.running(fn) <= limit, `function ${fn} is beyond its limit`);
  }

  finish(workerCount: number): void {
    for (let worker = 0; worker < workerCount; worker++) this.#at(worker).memoryAvailable(worker);
    for (const core of [...this.cores, ...this.extraSeats]) this.#at(core).giveBack(core);
    this.takeGrants();
    for (let round = 0; round <= REQUEST_COUNT && this.leases.size + this.waiting.size > 0; round++) {
      for (const lease of this.leases.values()) this.#end(this.#at(lease.core), lease, true);
      this.takeGrants();
      this.settle();
    }
    assert.equal(this.waiting.size, 0, 'everything accepted has been served');
    assert.equal(this.shards[0]!.idleCount, this.cores.length + this.extraSeats.length);
  }

  #isHeld(core: number): boolean {
    return [...this.leases.values()].some((lease) => coresOf(lease.core, lease.mask).includes(core));
  }

  #at(index: number): Scheduler {
    const { length } = this.shards;
    return this.shards[(length > 4 ? index * FAR : index) % length]!;
  }

  #request(machine: Scheduler, version: number, waitedTicks = -1): void {
    const used = new Set([...this.leases.values()].map(({ request }) => request));
    let request = 0;
    while (used.has(request) || this.waiting.has(request)) request++;
    if (request >= REQUEST_COUNT) return;
    const answer =
      waitedTicks < 0 ? machine.request(request, version) : machine.requestAgain(request, version, waitedTicks);
    if (answer === outcome.queued) this.waiting.set(request, machine);
    this.takeGrants();
    const isLimited = waitedTicks < 0 && (answer === outcome.granted || answer === outcome.queued);
    if (isLimited) this.checkLimits();
    else if (waitedTicks >= 0) this.#limitOf.clear();
  }

  #end(machine: Scheduler, { core, sequence }: Lease, warm: boolean): void {
    this.leases.delete(core);
    assert.ok(machine.release(core, sequence, warm));
    assert.ok(!machine.release(core, sequence, warm), 'once');
  }

  #cancel(a: number): void {
    const requests = [...this.waiting.keys()];
    const request = requests[a % Math.max(requests.length, 1)];
    if (request === undefined) return;
    assert.ok(this.waiting.get(request)!.cancel(request));
    this.waiting.delete(request);
  }

  #setConcurrency(machine: Scheduler, fn: number, max: number): void {
    machine.setConcurrency(fn, max);
    // Who is there already stays.
    this.#limitOf.set(fn, max < 0 ? -1 : Math.max(max, machine.functions.running(fn)));
  }
}

test('shards in any order: nothing is granted twice or lost, and nobody waits for what is idle', () => {
  fc.assert(
    fc.property(worlds, events, (world, sequence) => {
      const cluster = new Cluster(world);
      for (const event of sequence) cluster.apply(event, world);
      cluster.settle();
      checkInvariants(cluster.shards);
      cluster.finish(world.workers.length);
      checkInvariants(cluster.shards);
    }),
    { numRuns: Number(process.env['PERCH_PROPERTY_RUNS'] ?? 1500) },
  );
});
