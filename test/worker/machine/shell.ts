/**
 * Carries the actions of the worker machine out the way an agent would, on a plain model of what processes do, and checks each
 * action against what it was told before. Every invariant is checked after every event.
 */
import assert from 'node:assert/strict';
import { type ActionHandler, Ending, Kill, SlotState } from '../../../src/worker/machine/actions.ts';
import { type VersionProperties, WorkerMachine, type WorkerLimits } from '../../../src/worker/machine/worker.ts';

export const TIMEOUT_US = 1000;
export const INIT_TIMEOUT_US = 5000;
export const CODE_TIMEOUT_US = 20_000;

/** Three cores and five slots: full and wrap-around paths run all the time. */
export const TINY: WorkerLimits = {
  coreCount: 3,
  slotCount: 5,
  versionCount: 5,
  memoryMb: 1000,
  initTimeoutUs: INIT_TIMEOUT_US,
  codeTimeoutUs: CODE_TIMEOUT_US,
  cellTargets: [1],
  cellMemoryMb: 60,
  copiesAheadMax: 2,
};

const plain = { timeoutUs: TIMEOUT_US, fresh: false, cellKind: -1 };
export const VERSIONS: readonly VersionProperties[] = [
  { ...plain, memoryMb: 128 },
  { ...plain, memoryMb: 300, cellKind: 0 },
  { ...plain, memoryMb: 128, cellKind: 0, fresh: true },
  { ...plain, memoryMb: 200, fresh: true },
  { ...plain, memoryMb: 500, cellKind: 0 },
];

type Process = 'plain' | 'copy' | 'cell';
interface Lease {
  readonly sequence: number;
  readonly version: number;
  /** Its lead first. */
  readonly cores: readonly number[];
  readonly completed: boolean;
}

export class Shell implements ActionHandler {
  readonly limits: WorkerLimits;
  readonly machine: WorkerMachine;
  nowUs = 0;
  sequence = 0;
  /** By lead: the lease, and whether its result has come. */
  readonly leases = new Map<number, Lease>();
  /** Slots in which processes exist. */
  readonly processes = new Map<number, Process>();
  readonly versionOfSlot = new Map<number, number>();
  readonly parentOfSlot = new Map<number, number>();
  readonly killed = new Map<number, Kill>();
  readonly frozen = new Set<number>();
  isStill = (_slot: number): boolean => false;
  /** Slots whose instance has had an invocation. */
  readonly used = new Set<number>();
  /** Versions that the scheduler believes warm here. */
  readonly warm = new Set<number>();
  /** Versions as they were set last. */
  readonly versions: VersionProperties[] = [];
  readonly endings: Ending[] = [];
  readonly did: string[] = [];
  acceptedCount = 0;
  completedCount = 0;
  releasedCount = 0;
  /** An assignment was refused, and nothing was said since. */
  refused = false;

  constructor(limits: Partial<WorkerLimits> = {}, versions: readonly VersionProperties[] = VERSIONS) {
    this.limits = { ...TINY, ...limits };
    this.machine = new WorkerMachine(this.limits);
    for (const [version, properties] of versions.entries()) this.setVersion(version, properties);
  }

  setVersion(version: number, properties: VersionProperties): void {
    this.versions[version] = properties;
    this.machine.setVersion(version, properties);
  }

  // --- actions ----------------------------------------------------------------------------------------------

  start(slot: number, core: number, version: number): void {
    this.did.push(`start ${slot} ${core} ${version}`);
    this.#begin(slot, 'plain', version, core);
  }

  boot(slot: number, cellKind: number): void {
    this.did.push(`boot ${slot}`);
    assert.ok(cellKind < this.limits.cellTargets.length);
    this.#begin(slot, 'cell', -1, -1);
  }

  adopt(cellSlot: number, core: number, version: number): void {
    this.did.push(`adopt ${cellSlot} ${core} ${version}`);
    assert.equal(this.processes.get(cellSlot), 'cell');
    assert.ok(!this.versionOfSlot.has(cellSlot), 'a cell sees a second function');
    assert.ok(!this.frozen.has(cellSlot), 'a frozen cell adopts');
    assert.ok(this.versions[version]!.cellKind >= 0);
    this.versionOfSlot.set(cellSlot, version);
    if (core >= 0) assert.equal(this.leases.get(core)?.version, version);
  }

  fork(slot: number, zygoteSlot: number, core: number): void {
    this.did.push(`fork ${slot} ${zygoteSlot} ${core}`);
    assert.equal(this.machine.stateOf(zygoteSlot), SlotState.zygote);
    assert.ok(!this.frozen.has(zygoteSlot), 'a frozen zygote forks');
    this.parentOfSlot.set(slot, zygoteSlot);
    this.#begin(slot, 'copy', this.versionOfSlot.get(zygoteSlot)!, core);
  }

  take(slot: number, core: number): void {
    this.did.push(`take ${slot} ${core}`);
    assert.ok(this.processes.has(slot));
    assert.equal(this.leases.get(core)?.version, this.versionOfSlot.get(slot));
  }

  run(slot: number, core: number): void {
    this.did.push(`run ${slot} ${core}`);
    const lease = this.leases.get(core);
    assert.ok(lease !== undefined && !lease.completed);
    assert.ok(!this.frozen.has(slot), 'a frozen instance runs');
    assert.notEqual(this.processes.get(slot) ?? 'cell', 'cell', 'an invocation runs in no instance');
    assert.equal(this.versionOfSlot.get(slot), lease.version, 'an instance runs another function than its own');
    assert.ok(!this.used.has(slot) || !this.versions[lease.version]!.fresh, 'a second invocation in a fresh instance');
    this.used.add(slot);
  }

  complete(core: number, slot: number, ending: Ending): void {
    this.did.push(`complete ${core} ${slot} ${ending}`);
    const lease = this.leases.get(core);
    assert.ok(lease !== undefined && !lease.completed, 'a second result');
    this.leases.set(core, { ...lease, completed: true });
    this.endings.push(ending);
    this.completedCount++;
  }

  release(core: number, sequence: number, warm: boolean): void {
    this.did.push(`release ${core} ${warm}`);
    const lease = this.leases.get(core);
    assert.equal(lease?.sequence, sequence);
    assert.equal(lease?.completed, true, 'released before its result');
    if (warm) this.warm.add(lease.version);
    else assert.ok(!this.warm.has(lease.version), 'released as cold, and never said that it is evicted');
    this.leases.delete(core);
    this.releasedCount++;
  }

  kill(slot: number, why: Kill): void {
    this.did.push(`kill ${slot} ${why}`);
    assert.ok(this.processes.has(slot), 'nothing is there to kill');
    assert.ok(!this.killed.has(slot), 'killed twice');
    this.killed.set(slot, why);
  }

  freeze(slot: number): void {
    this.did.push(`freeze ${slot}`);
    assert.ok(!this.frozen.has(slot), 'frozen twice');
    this.frozen.add(slot);
  }

  thaw(slot: number, core: number): void {
    this.did.push(`thaw ${slot} ${core}`);
    if (core >= 0 && this.processes.get(slot) !== 'cell')
      assert.equal(this.leases.get(core)?.version, this.versionOfSlot.get(slot), 'thawed without a lease');
    assert.ok(this.frozen.delete(slot), 'thawed, and was not frozen');
  }

  warmed(version: number): void {
    this.did.push(`warmed ${version}`);
    assert.ok(this.of(version, SlotState.idle).length > 0, 'said to be warm, and nothing rests');
    this.warm.add(version);
  }

  evicted(version: number): void {
    this.did.push(`evicted ${version}`);
    assert.ok(this.warm.delete(version), 'said evicted, and was never warm');
  }

  roomAvailable(): void {
    this.did.push('roomAvailable');
    assert.ok(this.refused, 'nobody was refused');
    this.refused = false;
  }

  // --- events -----------------------------------------------------------------------------------------------

  drain(): void {
    this.machine.actions.drain(this);
    this.machine.checkInvariants();
    for (let slot = 0; slot < this.limits.slotCount; slot++) {
      const state = this.machine.stateOf(slot);
      const exists = state !== SlotState.free && state !== SlotState.awaiting;
      assert.equal(this.processes.has(slot), exists, `slot ${slot}, state ${state}: is there a process?`);
      assert.equal(this.killed.has(slot), state === SlotState.dying, `slot ${slot}, state ${state}: killed?`);
      if (state === SlotState.dying || !exists) continue;
      assert.equal(this.machine.isFrozen(slot), this.frozen.has(slot), `slot ${slot}: frozen or not?`);
      assert.equal(this.machine.versionOf(slot), this.versionOfSlot.get(slot) ?? -1);
    }
    this.#checkCores();
    for (const version of this.warm) {
      const held = [...this.leases.values()].some((lease) => lease.version === version);
      assert.ok(held || this.isWarm(version), `version ${version} is not warm, and nobody said so`);
    }
    assert.equal(this.acceptedCount, this.releasedCount + this.leases.size);
  }

  /** Each core of a lease is held for it, by the same slot as its lead, and no other core is held. */
  #checkCores(): void {
    const held = [...this.leases].flatMap(([lead, { cores }]) => cores.map((core) => [core, lead] as const));
    const leads = new Map(held);
    assert.equal(leads.size, held.length, 'a core is of two leases');
    for (let core = 0; core < this.limits.coreCount; core++) {
      const lead = leads.get(core);
      const slot = lead === undefined ? -1 : this.machine.slotOf(lead);
      assert.equal(this.machine.slotOf(core), slot, `core ${core} is not where its lease is`);
      assert.ok(lead === undefined || this.machine.coreOf(slot) === lead, 'a slot does not name the lead of its lease');
    }
  }

  isWarm(version: number): boolean {
    return this.slotsIn(SlotState.idle, SlotState.zygote).some((slot) => this.versionOfSlot.get(slot) === version);
  }

  /** `mask`: of several cores, in the first word; it may be none that a lease can have. */
  assign(core: number, version: number, mask = 0): boolean {
    const sequence = ++this.sequence;
    const cores = mask === 0 ? [core] : coresIn(mask, core - (core % 32));
    const free = cores[0] === core && cores.every((each) => each < this.limits.coreCount && this.isIdle(each));
    if (free) this.leases.set(core, { sequence, version, cores, completed: false });
    const taken = this.machine.assign({ core, sequence, mask }, version, this.nowUs);
    if (!free) assert.equal(taken, false, 'a busy core took a second lease, or one that is not there any');
    if (free && !taken) {
      this.leases.delete(core);
      this.refused = true;
    }
    if (taken) this.acceptedCount++;
    this.drain();
    return taken;
  }

  /** No lease has it. */
  isIdle(core: number): boolean {
    return ![...this.leases.values()].some(({ cores }) => cores.includes(core));
  }

  ready(slot: number): void {
    this.machine.ready(slot, this.nowUs);
    this.drain();
  }

  answer(slot: number, last = false): void {
    this.machine.answered(slot, last);
    this.drain();
  }

  booted(slot: number): void {
    this.machine.booted(slot, this.nowUs);
    this.drain();
  }

  initialised(slot: number, memoryMb: number): void {
    this.machine.initialised(slot, memoryMb, this.nowUs);
    this.drain();
  }

  /** Its copies went before, as the contract of the backends has it. Nothing happens if it went with its zygote. */
  exit(slot: number): void {
    if (!this.processes.has(slot)) return;
    for (const [child, parent] of this.parentOfSlot) if (parent === slot) this.exitAlone(child);
    this.exitAlone(slot);
  }

  exitAlone(slot: number): void {
    this.machine.exited(slot, this.nowUs);
    this.processes.delete(slot);
    this.versionOfSlot.delete(slot);
    this.parentOfSlot.delete(slot);
    for (const [child, parent] of this.parentOfSlot) if (parent === slot) this.parentOfSlot.delete(child);
    this.killed.delete(slot);
    this.frozen.delete(slot);
    this.used.delete(slot);
    this.drain();
  }

  tick(times = 1): void {
    for (let tick = 0; tick < times; tick++) {
      this.machine.tick(this.nowUs, this.isStill);
      this.drain();
    }
  }

  /** Slots with a process, in these states. */
  slotsIn(...states: SlotState[]): number[] {
    return [...this.processes.keys()].filter((slot) => states.includes(this.machine.stateOf(slot)));
  }

  of(version: number, ...states: SlotState[]): number[] {
    return this.slotsIn(...states).filter((slot) => this.versionOfSlot.get(slot) === version);
  }

  /** What was done since it was asked last. */
  done(): string[] {
    return this.did.splice(0);
  }

  #begin(slot: number, process: Process, version: number, core: number): void {
    assert.equal(this.processes.has(slot), false, 'a slot is started twice');
    this.processes.set(slot, process);
    if (version >= 0) this.versionOfSlot.set(slot, version);
    if (core >= 0) assert.equal(this.leases.get(core)?.version, version, 'made for a lease of another function');
  }
}

/** What its bits stand for, from `first` on. */
function coresIn(mask: number, first: number): number[] {
  const bits = Array.from({ length: 32 }, (_, bit) => bit).filter((bit) => ((mask >>> bit) & 1) === 1);
  return bits.map((bit) => first + bit);
}

export { Ending, Kill, SlotState };
