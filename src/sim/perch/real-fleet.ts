/**
 * The instances of all servers as the shipped worker machine (worker/machine/worker.ts) has them: stem cells, zygotes and copies, what is kept warm and what
 * goes, and leases that are refused for want of memory.
 *
 * What a lease waits for is done on its core: its process starts, its zygote initialises, its copy is forked. What is made ahead, for no lease yet, takes
 * as long and no core's time; nor does the end of an instance.
 */
import { assert } from '../../base/assert.ts';
import { LIMITS } from '../../base/limits.ts';
import { type ActionHandler, SlotState } from '../../worker/machine/actions.ts';
import { WorkerMachine } from '../../worker/machine/worker.ts';
import type { World } from '../world.ts';
import type { Fleet, FleetEvents } from './fleet.ts';
import type { Seats } from './seats.ts';

const NONE = -1;
/** Nothing times out here. */
const TIMEOUT_US = 1e15;
const CELL_KIND = 0;
const NO_CELLS = -1;

export type Isolation = 'reuse' | 'fresh' | 'process';

export interface RealFleetSetup {
  readonly world: World;
  readonly seats: Seats;
  readonly isolation: Isolation;
  readonly forkUs: number;
  readonly exitUs: number;
}

/** A register for one lease, used again for each. */
class NextLease {
  core = 0;
  sequence = 0;
  mask = 0;
}

export class RealFleet implements Fleet {
  readonly wantsTicks = true;
  readonly #setup: RealFleetSetup;
  readonly #events: FleetEvents;
  readonly #machines: WorkerMachine[];
  readonly #machineOf: () => WorkerMachine;
  readonly #slotCount: number;
  readonly #lease = new NextLease();
  /** By server and function: its machine knows it. */
  readonly #isSet: Uint8Array;
  /** The same: how many steps of chains are about to come. */
  readonly #wanted: Int32Array;
  /** By slot of all servers: grows with each process that is there. */
  readonly #life: Int32Array;
  /** By seat: the slot that its core works for. */
  readonly #slotOf: Int32Array;
  readonly #isReady: number;
  readonly #booted: number;
  readonly #initialised: number;
  readonly #exited: number;
  /** Whose actions are carried out. */
  #server = 0;
  readonly #carryOut: ActionHandler = {
    start: (slot, core, version) => this.#begin(slot, core, this.#coldUs(version)),
    boot: (slot) => this.#boot(slot),
    adopt: (slot, core, version) => this.#adopt(slot, core, version),
    fork: (slot, _zygote, core) => this.#begin(slot, core, this.#setup.forkUs),
    take: () => {},
    run: (_slot, core) => this.#events.run(this.#seatOf(core)),
    complete: (core) => this.#events.complete(this.#seatOf(core)),
    release: (core, _sequence, isWarm) => this.#events.release(this.#seatOf(core), isWarm),
    kill: (slot) => this.#after(this.#setup.exitUs, this.#exited, slot),
    evicted: (version) => this.#events.evicted(this.#server, version),
    freeze: () => {},
    thaw: () => {},
    warmed: (version) => this.#events.warmed(this.#server, version),
    roomAvailable: () => this.#events.roomAvailable(this.#server),
  };

  constructor(setup: RealFleetSetup, events: FleetEvents) {
    const { world, seats, isolation } = setup;
    const { engine, cluster, workload } = world;
    this.#setup = setup;
    this.#events = events;
    // As many as are of use: beyond a slot for each seat, what fits in memory.
    const leastMb = workload.functions.reduce((least, { memoryMb }) => Math.min(least, memoryMb), Infinity);
    const fits = Math.ceil(cluster.memoryMb / leastMb) + LIMITS.stemCellCount;
    this.#slotCount = seats.seatCount + Math.min(Math.max(LIMITS.instanceCountMax - seats.seatCount, 1), fits);
    const limits = {
      coreCount: seats.seatCount,
      slotCount: this.#slotCount,
      versionCount: workload.functions.length,
      memoryMb: cluster.memoryMb,
      initTimeoutUs: TIMEOUT_US,
      codeTimeoutUs: TIMEOUT_US,
      cellTargets: [isolation === 'process' ? 0 : LIMITS.stemCellCount],
      cellMemoryMb: LIMITS.stemCellMemoryMb,
      copiesAheadMax: LIMITS.copiesAheadMax,
    };
    this.#machineOf = () => new WorkerMachine(limits);
    this.#machines = Array.from({ length: seats.serverCount }, this.#machineOf);
    this.#isSet = new Uint8Array(seats.serverCount * workload.functions.length);
    this.#wanted = new Int32Array(seats.serverCount * workload.functions.length);
    this.#life = new Int32Array(seats.serverCount * this.#slotCount);
    this.#slotOf = new Int32Array(seats.totalCount).fill(NONE);
    this.#isReady = engine.kind((slot, life) => this.#happen(slot, life, this.#isReady));
    this.#booted = engine.kind((slot, life) => this.#happen(slot, life, this.#booted));
    this.#initialised = engine.kind((slot, life) => this.#happen(slot, life, this.#initialised));
    this.#exited = engine.kind((slot, life) => this.#happen(slot, life, this.#exited));
  }

  assign(seat: number, sequence: number, mask: number, version: number): boolean {
    const { world, seats } = this.#setup;
    const server = seats.serverOf[seat]!;
    const lease = this.#lease;
    this.#meet(server, version);
    lease.core = seats.localOf(seat);
    lease.sequence = sequence;
    lease.mask = mask;
    const machine = this.#machines[server]!;
    if (!machine.assign(lease, version, world.nowUs)) return false;
    if (machine.stateOf(machine.slotOf(lease.core)) !== SlotState.busy) world.counters.coldStarts++;
    return true;
  }

  carryOut(server: number): void {
    this.#server = server;
    this.#machines[server]!.actions.drain(this.#carryOut);
  }

  want(server: number, version: number, change: number): void {
    this.#meet(server, version);
    const wanted = (this.#wanted[server * this.#setup.world.workload.functions.length + version]! += change);
    this.#machines[server]!.want(version, wanted, this.#setup.world.nowUs);
  }

  worked(seat: number): void {
    const { world, seats } = this.#setup;
    const slot = this.#slotOf[seat]!;
    const machine = this.#machines[seats.serverOf[seat]!]!;
    this.#slotOf[seat] = NONE;
    if (machine.stateOf(slot) === SlotState.initialising) {
      this.#events.waits(seat);
      machine.initialised(slot, 0, world.nowUs);
    } else {
      machine.ready(slot, world.nowUs);
    }
  }

  answered(seat: number): void {
    const { seats } = this.#setup;
    const machine = this.#machines[seats.serverOf[seat]!]!;
    machine.answered(machine.slotOf(seats.localOf(seat)), false);
  }

  clear(server: number): void {
    const { seats, world } = this.#setup;
    const functionCount = world.workload.functions.length;
    this.#machines[server] = this.#machineOf();
    this.#isSet.fill(0, server * functionCount, (server + 1) * functionCount);
    this.#wanted.fill(0, server * functionCount, (server + 1) * functionCount);
    this.#slotOf.fill(NONE, server * seats.seatCount, (server + 1) * seats.seatCount);
    for (let at = server * this.#slotCount; at < (server + 1) * this.#slotCount; at++) this.#life[at]!++;
  }

  tick(server: number): boolean {
    const machine = this.#machines[server]!;
    machine.tick(this.#setup.world.nowUs);
    this.carryOut(server);
    return machine.awakeCount > 0;
  }

  check(): void {
    for (const machine of this.#machines) {
      machine.checkInvariants();
      assert(machine.actions.count === 0, 'something was left to do');
    }
  }

  #seatOf(core: number): number {
    return this.#server * this.#setup.seats.seatCount + core;
  }

  #coldUs(version: number): number {
    const { workload, costs } = this.#setup.world;
    const { initUs } = workload.functions[version]!;
    return initUs >= 0 ? initUs : costs.coldStartUs;
  }

  #meet(server: number, version: number): void {
    const { world, isolation } = this.#setup;
    const at = server * world.workload.functions.length + version;
    if (this.#isSet[at] === 1) return;
    this.#isSet[at] = 1;
    this.#machines[server]!.setVersion(version, {
      memoryMb: world.workload.functions[version]!.memoryMb,
      timeoutUs: TIMEOUT_US,
      fresh: isolation === 'fresh',
      cellKind: isolation === 'process' ? NO_CELLS : CELL_KIND,
    });
  }

  /** A process of its own, or a copy. */
  #begin(slot: number, core: number, workUs: number): void {
    if (core === NONE) this.#after(workUs, this.#isReady, slot);
    else this.#work(slot, core, workUs);
  }

  #boot(slot: number): void {
    this.#after(this.#setup.world.costs.coldStartUs, this.#booted, slot);
  }

  #adopt(slot: number, core: number, version: number): void {
    const workUs = this.#coldUs(version);
    if (core === NONE) this.#after(workUs, this.#initialised, slot);
    else this.#work(slot, core, workUs);
  }

  #work(slot: number, core: number, workUs: number): void {
    this.#life[this.#server * this.#slotCount + slot]!++;
    this.#slotOf[this.#seatOf(core)] = slot;
    this.#events.work(this.#seatOf(core), workUs);
  }

  #after(delayUs: number, kind: number, slot: number): void {
    const at = this.#server * this.#slotCount + slot;
    const life = ++this.#life[at]!;
    this.#setup.world.engine.after(delayUs, kind, at, life);
  }

  /** Made ahead, or ended: nobody's core has worked for it. */
  #happen(at: number, life: number, kind: number): void {
    if (this.#life[at] !== life) return;
    const { nowUs } = this.#setup.world;
    const server = Math.floor(at / this.#slotCount);
    const slot = at - server * this.#slotCount;
    const machine = this.#machines[server]!;
    if (kind === this.#isReady) machine.ready(slot, nowUs);
    else if (kind === this.#booted) machine.booted(slot, nowUs);
    else if (kind === this.#initialised) machine.initialised(slot, 0, nowUs);
    else machine.exited(slot, nowUs);
    this.#events.changed(server);
  }
}
