/**
 * Which step of a chain may have the core of the one before it, at a worker that has kept it, without the scheduler being asked or told. In its
 * books the lease goes on as that of the version it granted, so nothing may be asked for that those do not have: no more memory, as many cores,
 * the same kind of seat, and no reserved concurrency on either side.
 *
 * A chain that has had its turns in a row (`chainStepsInRowMax`) counts as waiting from then on, and asks as all others do.
 */
import { coresOf, hasOwnSeat } from '../../store/settings.ts';
import type { InvokeRequest } from '../platform.ts';
import type { VersionEntry } from '../versions.ts';
import type { KeptLease } from './machine/ports.ts';

/** A lease that a worker keeps, and what comes next on it. */
export interface HeldLease extends KeptLease {
  readonly worker: number;
  /** What its step ran. */
  readonly before: VersionEntry;
  readonly next: VersionEntry;
  /** Of the version that it was granted for. */
  readonly memoryMb: number;
  /** When its step was sent to the worker, clock microseconds. */
  readonly assignedUs: number;
}

export function mayTakeOver(
  { before, next, memoryMb, assignedUs }: HeldLease,
  request: InvokeRequest,
  entry: VersionEntry,
  isReserved: (functionName: string) => boolean,
): boolean {
  if (entry !== next || request.sinceUs === undefined || request.sinceUs > assignedUs) return false;
  const had = before.fn.config;
  const asks = entry.fn.config;
  const fits = asks.memoryMb <= memoryMb && coresOf(asks) === coresOf(had) && hasOwnSeat(asks) === hasOwnSeat(had);
  return fits && !isReserved(before.fn.functionName) && !isReserved(entry.fn.functionName);
}
