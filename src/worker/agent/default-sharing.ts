/** How cores are shared where the operator has not said: they are lent, as far as the machine can. */
import { NO_SHARING, perCoreMaxOf, type SharingSetting } from './sharing-setting.ts';
import type { Topology } from './topology.ts';

export interface DefaultSharing {
  readonly sharing: SharingSetting;
  /** Why no core is lent; '' where they are. */
  readonly reason: string;
}

export interface SharingMachine {
  readonly topology: Topology;
  readonly instanceCountMax: number;
  /** Why nobody can be put behind others here; '' where they can. */
  readonly backgroundLack: string;
}

const LEND: SharingSetting = { policy: 'lend', perCore: 8 };
/** Of the instances; the others are for what is kept warm. */
const SEATS_SHARE = 0.75;

/**
 * Without priorities a borrower would take half of the core of a holder that has woken, and without pinning there are no cores to lend.
 * What watches who sleeps is no condition: there is always sampling.
 */
export function defaultSharing({ topology, instanceCountMax, backgroundLack }: SharingMachine): DefaultSharing {
  const dedicated = (reason: string): DefaultSharing => ({ sharing: NO_SHARING, reason });
  if (!topology.known) return dedicated('this system does not tell which CPUs belong to one core');
  if (backgroundLack !== '') return dedicated(backgroundLack);
  const perCore = Math.min(LEND.perCore, perCoreMaxOf(LEND, topology.cores.length, instanceCountMax * SEATS_SHARE));
  if (perCore < 2) return dedicated(`${topology.cores.length} cores leave no instances for borrowers`);
  return { sharing: { ...LEND, perCore }, reason: '' };
}
