/** What `perch top` shows: the cluster as its scheduler sees it, and the functions as this gateway does. */
import type { ClusterView } from '../scheduler/server/view.ts';
import {
  countResidents,
  type ResidentCounts,
  type SharingInForce,
  type SharingView,
} from '../worker/agent/sharing-view.ts';
import type { VersionEntry } from './versions.ts';

export interface FunctionUse {
  readonly functionName: string;
  readonly version: string;
  readonly running: number;
  readonly waiting: number;
  /** Results since the gateway began. */
  readonly resultsTotal: number;
}

/** How a worker shares its cores, and how many do what there. */
export interface WorkerSharing extends SharingInForce {
  readonly worker: string;
  readonly residents: ResidentCounts;
}

export interface Overview {
  /** Null: the scheduler cannot be asked. */
  readonly cluster: ClusterView | null;
  /** Those in use, through this gateway. */
  readonly functions: readonly FunctionUse[];
  /** Of those workers that say so. */
  readonly sharing: readonly WorkerSharing[];
}

export function workerSharing(worker: string, { residents, ...inForce }: SharingView): WorkerSharing {
  // One that has several cores is shown on each.
  const once = new Map(residents.map((each) => [each.requestId, each]));
  return { worker, ...inForce, residents: countResidents(once.values()) };
}

/** `requests`: those that are accepted and not over. */
export function functionUses(
  entries: Iterable<VersionEntry>,
  requests: Iterable<{ readonly entry: VersionEntry; readonly isRunning: boolean }>,
): FunctionUse[] {
  const counts = new Map<VersionEntry, { running: number; waiting: number }>();
  for (const entry of entries) counts.set(entry, { running: 0, waiting: 0 });
  for (const { entry, isRunning } of requests) counts.get(entry)![isRunning ? 'running' : 'waiting']++;
  return [...counts].map(([{ fn, resultCount }, { running, waiting }]) => {
    const { functionName, version } = fn;
    return { functionName, version, running, waiting, resultsTotal: resultCount };
  });
}
