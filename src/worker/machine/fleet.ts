import { Actions, type SlotState } from './fleet-actions.ts';

export interface WorkerLimits {
  readonly coreCount: number;
  readonly slotCount: number;
  readonly versionCount: number;
  readonly memoryMb: number;
  readonly initTimeoutUs: number;
  /** How many stem cells to keep waiting, for each kind of cell. */
  readonly cellTargets: readonly number[];
  /** What a stem cell is counted with while it is one. */
  readonly cellMemoryMb: number;
  /** Most copies that wait ahead of invocations of one version. */
  readonly copiesAheadMax: number;
}

export interface VersionProperties {
  readonly memoryMb: number;
  readonly timeoutUs: number;
  /** Every invocation gets an instance that has run none before. */
  readonly fresh: boolean;
  /** Which cells its runtime uses; -1: its runtime has none, and every instance is a process of its own. */
  readonly cellKind: number;
}

export class WorkerMachine {
  /** What the shell has to do; it drains this after each event. */
  readonly actions: Actions;
  readonly limits: WorkerLimits;

  constructor(limits: WorkerLimits) {
    this.limits = limits;
    this.actions = new Actions(limits.slotCount * 4 + limits.coreCount * 8 + 64);
  }

  // --- versions -----------------------------------------------------------------------------------------------

  /** Before the first `assign` or `provision` of the version. An index may be used again after `dropVersion`. */
  setVersion(_versionIndex: number, _properties: VersionProperties): void {}

  /**
   * Nobody asks for the version again: its idle and readying instances go now, busy ones when they answer, its zygote
   * with the last of them. Its provisioned count is 0.
   */
  dropVersion(_versionIndex: number): void {}

  /**
   * Keep so many instances of the version, waiting or busy, whatever else has to go for it; 0 ends it. It happens at
   * the next ticks: tick while `awakeCount` is above 0. Returns how many it will try to keep: no more than the slots
   * that not even a lease on each core would need.
   */
  provision(_versionIndex: number, _count: number): number {
    return 0;
  }

  /** How many instances of the version are initialised: idle or busy. */
  provisionedReady(_versionIndex: number): number {
    return 0;
  }

  /** The last instance that was to be made ahead for the version failed; it is tried again later. */
  provisionedFailed(_versionIndex: number): boolean {
    return false;
  }

  /** It turned out that its zygote cannot be copied: every instance is a process of its own. */
  isPlainOnly(_versionIndex: number): boolean {
    return false;
  }

  // --- events -------------------------------------------------------------------------------------------------

  /**
   * A lease to carry out. False: the core is busy, or there is neither slot nor memory for now, even though something
   * may have been evicted for it: `roomAvailable` follows when to try again.
   */
  assign(_core: number, _sequence: number, _versionIndex: number, _nowUs: number): boolean {
    return false;
  }

  /** The stem cell can adopt a function. */
  booted(_slot: number): void {}

  /** The zygote can be copied. `memoryMb`: what it was seen to use; 0 where that is unknown. */
  initialised(_slot: number, _memoryMb: number, _nowUs: number): void {}

  /** The zygote's function failed to initialise: so do all leases that await it. */
  initFailed(_slot: number): void {}

  /** The zygote's function holds what a copy cannot have: every instance is a process of its own from now on. */
  uncopyable(_slot: number, _nowUs: number): void {}

  /** The instance has initialised, or the copy has rehearsed. */
  ready(_slot: number, _nowUs: number): void {}

  /** The instance answered its invocation, or said that it failed to initialise. `last`: it said that it ends now. */
  answered(_slot: number, _last: boolean): void {}

  /** Whatever is in the slot broke its protocol, or its channel failed. */
  broke(_slot: number): void {}

  /** Its channel ended. If it rests, it is not used again; otherwise its exit follows and says why. */
  lost(_slot: number): void {}

  /** Every process in the slot is gone. */
  exited(_slot: number, _nowUs: number): void {}

  /**
   * Kills what has passed its deadline, freezes what has rested since the tick before the last one, and makes ahead what
   * is missing: call it once at the beginning, for the first cells. Returns the next deadline, microseconds; Infinity if
   * there is none.
   */
  tick(_nowUs: number): number {
    return Infinity;
  }

  /** Kills everything, with a result for what runs. For the platform's own end: nothing is assigned after it. */
  stop(): void {}

  // --- what is where ------------------------------------------------------------------------------------------

  /** The core whose lease the instance serves; -1 between two invocations, once it is gone, and for cells and zygotes. */
  coreOf(_slot: number): number {
    return -1;
  }

  /** What holds the core's lease; -1 if it has none. */
  slotOf(_core: number): number {
    return -1;
  }

  stateOf(_slot: number): SlotState {
    return 0;
  }

  /** -1 for a stem cell, and a free slot. */
  versionOf(_slot: number): number {
    return -1;
  }

  /** The zygote that it was forked from, or awaits; -1 if it has none. */
  zygoteOf(_slot: number): number {
    return -1;
  }

  /** The core of a lease that awaits this zygote, for its log; -1 if there is none. */
  awaitingCore(_zygoteSlot: number): number {
    return -1;
  }

  isFrozen(_slot: number): boolean {
    return false;
  }

  get residentMb(): number {
    return 0;
  }

  /** Slots that are not free. */
  get residentCount(): number {
    return 0;
  }

  /** Idle instances. */
  get idleCount(): number {
    return 0;
  }

  /** What needs ticks besides leases: what a later tick will freeze, make ahead, or give up waiting for. */
  get awakeCount(): number {
    return 0;
  }

  /** For tests: everything that must hold between two events. */
  checkInvariants(): void {}
}
