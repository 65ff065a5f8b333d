/** How cores are shared on this machine where nobody says: for the start of a worker, and for `perch doctor`. */
import { LIMITS } from '../base/limits.ts';
import { type DefaultSharing, defaultSharing } from '../worker/agent/default-sharing.ts';
import { readTopology, type Topology } from '../worker/agent/topology.ts';
import { backgroundFinding } from '../worker/sandbox/background.ts';
import { defaultMemoryMb } from './default-memory.ts';
import type { Diagnosis } from './doctor/machine.ts';

export function sharingHere(topology: Topology, memoryMb: number): DefaultSharing {
  const { ok, detail } = backgroundFinding();
  const backgroundLack = ok ? '' : detail;
  return defaultSharing({ topology, instanceCountMax: LIMITS.instanceCountMax, memoryMb, backgroundLack });
}

/** What helps is said by what is missing. */
export function findSharing(): Diagnosis {
  const found = { topic: 'sharing', required: false, fix: '' };
  const topology = readTopology(null);
  if (topology instanceof Error) return { ...found, ok: false, detail: topology.message };
  const { sharing, reason } = sharingHere(topology, defaultMemoryMb());
  const ok = reason === '';
  const policy = ok ? `${sharing.policy}:${sharing.perCore}` : `${sharing.policy}: ${reason}`;
  return { ...found, ok, detail: `${policy}${ok ? '; another policy with --sharing' : ''}` };
}
