/**
 * The cores of a cluster as one of its gateways sees them: those of the workers that there are, what of its own runs there, and where cores are
 * shared, what their worker says of whoever is there.
 */
import { coresOf } from '../../base/core-mask.ts';
import { placeOfSeat, seatEndOf, seatsOf } from '../../base/seats.ts';
import type { ResidentView, SharingView } from '../../worker/agent/sharing-view.ts';
import type { CoreView } from '../platform.ts';
import { residentOf } from '../residents.ts';
import type { CoreUses } from './core-uses.ts';
import type { Worker } from './machine/workers.ts';
import type { Pending } from './pending.ts';

export interface Known {
  /** Those of the page. */
  readonly workers: readonly Readonly<Worker>[];
  /** By worker: what of this gateway's runs there. */
  readonly running: ReadonlyMap<number, readonly Pending[]>;
  /** By worker, where it shares its cores and has said so. */
  readonly sharing: ReadonlyMap<number, SharingView>;
  readonly uses: CoreUses;
  readonly nowUs: number;
}

export interface Page {
  /** Cores with higher numbers than this. */
  readonly after: number;
  /** As many at most. */
  readonly max: number;
}

/** The workers that may be on it, in order of their cores. */
export function workersOfPage(workers: Iterable<Readonly<Worker>>, { after, max }: Page): Readonly<Worker>[] {
  const later = [...workers].filter((worker) => worker.told && worker.firstCore + seatEndOf(worker) > after);
  later.sort((a, b) => a.firstCore - b.firstCore);
  let count = 0;
  // Of the first one, cores may be on the page before.
  return later.filter((worker, index) => {
    const isThere = count < max;
    if (index > 0) count += worker.coreCount;
    return isThere;
  });
}

/** In order of their numbers. */
export function coreViewsOf(known: Known, { after, max }: Page): CoreView[] {
  const views: CoreView[] = [];
  for (const worker of known.workers) {
    for (const view of viewsOf(worker, known)) {
      if (view.core <= after) continue;
      if (views.length === max) return views;
      views.push(view);
    }
  }
  return views;
}

function* viewsOf(worker: Readonly<Worker>, { running, sharing, uses, nowUs }: Known): Generator<CoreView> {
  const { id, firstCore, coreCount } = worker;
  const numberOf = (seat: number): number => firstCore + placeOfSeat(worker, seat);
  const own = new Map<number, Pending>();
  for (const pending of running.get(id) ?? [])
    for (const at of coresOf(pending.lead, pending.mask)) own.set(at, pending);
  const there = new Map<number, ResidentView>();
  for (const each of sharing.get(id)?.residents ?? []) there.set(placeOfSeat(worker, each.seat), each);
  for (const at of seatsOf(worker)) {
    const isExtra = at >= coreCount;
    const pending = own.get(at);
    const resident = there.get(at);
    if (isExtra && pending === undefined && resident === undefined) continue;
    const use = useOf(pending, resident);
    // The two were asked at different moments.
    const isSame = resident !== undefined && resident.requestId === use.requestId;
    yield {
      core: firstCore + at,
      cpus: [],
      sinceUs: pending === undefined && isSame ? resident.sinceUs : nowUs - uses.sinceUs(id, at),
      invocationCount: uses.count(id, at),
      ...use,
      isExtra,
      resident: isSame ? residentOf(resident, numberOf) : null,
    };
  }
}

function useOf(
  pending: Pending | undefined,
  resident: ResidentView | undefined,
): Pick<CoreView, 'state' | 'functionName' | 'requestId'> {
  if (pending !== undefined) {
    const { functionName, version } = pending.entry.fn;
    return { state: 'leased', functionName: `${functionName}:${version}`, requestId: pending.request.requestId };
  }
  if (resident === undefined) return { state: 'idle', functionName: '', requestId: '' };
  const { functionName, requestId } = resident;
  return { state: 'leased', functionName, requestId };
}
