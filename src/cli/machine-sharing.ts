/** How cores could be lent on this machine: for `perch doctor`. */
import { LIMITS } from '../base/limits.ts';
import { type DefaultSharing, defaultSharing } from '../worker/agent/default-sharing.ts';
import { readTopology, type Topology } from '../worker/agent/topology.ts';
import { backgroundFinding } from '../worker/sandbox/background.ts';
import type { Diagnosis } from './doctor/machine.ts';

function sharingHere(topology: Topology): DefaultSharing {
  const { ok, detail } = backgroundFinding();
  return defaultSharing({ topology, instanceCountMax: LIMITS.instanceCountMax, backgroundLack: ok ? '' : detail });
}

/** What helps is said by what is missing. */
export function findSharing(): Diagnosis {
  const found = { topic: 'sharing', required: false, fix: '' };
  const topology = readTopology(null);
  if (topology instanceof Error) return { ...found, ok: false, detail: topology.message };
  const { sharing, reason } = sharingHere(topology);
  const ok = reason === '';
  const can = `cores can be lent (--sharing ${sharing.policy}:${sharing.perCore})`;
  return { ...found, ok, detail: ok ? can : `no core can be lent well: ${reason}` };
}
