/** How cores are shared where the operator has not said: they are lent, as far as the machine can; and among how many, where only that was not said. */
import { LIMITS } from '../../base/limits.ts';
import { NO_SHARING, perCoreMaxOf, type SharingPolicy, type SharingSetting } from './sharing-setting.ts';
import type { Topology } from './topology.ts';

export interface DefaultSharing {
  readonly sharing: SharingSetting;
  /** Why no core is lent; '' where they are. */
  readonly reason: string;
  /** What would help, where the reason does not say it. */
  readonly fix?: string;
}

export interface SharingMachine {
  readonly topology: Topology;
  readonly instanceCountMax: number;
  /** What all instances may use together. */
  readonly memoryMb: number;
  /** Why nobody can be put behind others here; '' where they can. */
  readonly backgroundLack: string;
}

export interface SharingRoom extends Pick<SharingMachine, 'instanceCountMax' | 'memoryMb'> {
  readonly coreCount: number;
}

/** As an operator says it; `perCore` null: as many as are good on this machine. */
export interface SharingChoice {
  readonly policy: SharingPolicy;
  readonly perCore: number | null;
}

export const PER_CORE_MAX = 64;
/** Where nothing is said. `lend`: at most, as long as those who are there sleep. */
const PER_CORE = { dedicated: 1, lend: 8, packed: 3, preempt: 8, fair: 3 } as const satisfies Record<
  SharingPolicy,
  number
>;
/**
 * `preempt`: so many on a server, or 8 for each core where that is more. Who comes when all seats are taken waits for somebody to end, and with few
 * seats all of them have long ones now and then (docs/EVALUATION.md, 5).
 */
const POOL = 128;
/** Of the instances; the others are for what is kept warm. */
const SEATS_SHARE = 0.75;

/**
 * Without priorities a borrower would take half of the core of a holder that has woken, and without pinning there are no cores to lend.
 * What watches who sleeps is no condition: there is always sampling.
 */
export function defaultSharing({ topology, backgroundLack, ...room }: SharingMachine): DefaultSharing {
  const dedicated = (reason: string): DefaultSharing => ({ sharing: NO_SHARING, reason });
  if (!topology.known) return dedicated('this system does not tell which CPUs belong to one core');
  if (backgroundLack !== '') return dedicated(backgroundLack);
  const coreCount = topology.cores.length;
  if (perCoreInMemory(room.memoryMb, coreCount) < 2) {
    const fix = `give instances ${(coreCount + 1) * LIMITS.memoryMbMin} MB at least, with --memory`;
    return { ...dedicated(`${room.memoryMb} MB hold no more instances than there are cores, ${coreCount}`), fix };
  }
  const perCore = perCoreOf('lend', { ...room, coreCount });
  if (perCore < 2) return dedicated(`${coreCount} cores leave no instances for borrowers`);
  return { sharing: { policy: 'lend', perCore }, reason: '' };
}

/** How many are admitted for each core where nobody says. */
export function perCoreOf(policy: SharingPolicy, { coreCount, instanceCountMax, memoryMb }: SharingRoom): number {
  const pool = policy === 'preempt' ? Math.min(PER_CORE_MAX, Math.ceil(POOL / coreCount)) : 0;
  const seated = perCoreMaxOf({ policy, perCore: 1 }, coreCount, instanceCountMax * SEATS_SHARE);
  const most = Math.min(seated, perCoreInMemory(memoryMb, coreCount));
  return Math.max(1, Math.min(most, Math.max(PER_CORE[policy], pool)));
}

/** How many instances of the smallest functions the memory holds for each core, rounded up: one more could begin on none. */
export function perCoreInMemory(memoryMb: number, coreCount: number): number {
  return Math.ceil(Math.floor(memoryMb / LIMITS.memoryMbMin) / coreCount);
}

export function isSharingPolicy(name: string): name is SharingPolicy {
  return Object.hasOwn(PER_CORE, name);
}
