/** How cores are shared on this machine where nobody says: for the start of a worker, and for `perch doctor`. */
import { LIMITS } from '../base/limits.ts';
import { type DefaultSharing, defaultSharing } from '../worker/agent/default-sharing.ts';
import type { Topology } from '../worker/agent/topology.ts';
import { backgroundFinding } from '../worker/sandbox/background.ts';
import type { Diagnosis } from './doctor/machine.ts';

export function sharingHere(topology: Topology, memoryMb: number): DefaultSharing {
  const { ok, detail } = backgroundFinding();
  const backgroundLack = ok ? '' : detail;
  return defaultSharing({ topology, instanceCountMax: LIMITS.instanceCountMax, memoryMb, backgroundLack });
}

/** `memoryMb`: what all instances may use together. What helps is said by what is missing, but for memory. */
export function findSharing(topology: Topology | Error, memoryMb: number): Diagnosis {
  const found = { topic: 'sharing', required: false };
  if (topology instanceof Error) return { ...found, ok: false, detail: topology.message, fix: '' };
  const { sharing, reason, fix = '' } = sharingHere(topology, memoryMb);
  if (reason !== '') return { ...found, ok: false, detail: `${sharing.policy}: ${reason}`, fix };
  const room = `with ${memoryMb} MB for instances (--memory)`;
  return {
    ...found,
    ok: true,
    detail: `${sharing.policy}:${sharing.perCore} ${room}; another policy with --sharing`,
    fix,
  };
}
