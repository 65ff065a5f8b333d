/** The cores of a cluster as one of its gateways sees them: those of the workers that there are, and what of its own runs there. */
import { coresOf } from '../../base/core-mask.ts';
import { seatsOf } from '../../base/seats.ts';
import type { CoreView } from '../platform.ts';
import type { CoreUses } from './core-uses.ts';
import type { Worker } from './machine/workers.ts';
import type { Pending } from './pending.ts';

interface Known {
  readonly workers: Iterable<Readonly<Worker>>;
  /** By worker: what of this gateway's runs there. */
  readonly running: ReadonlyMap<number, readonly Pending[]>;
  readonly uses: CoreUses;
}

interface Page {
  /** Cores with higher numbers than this. */
  readonly after: number;
  /** As many at most. */
  readonly max: number;
  readonly nowUs: number;
}

/** In order of their numbers. */
export function coreViewsOf({ workers, running, uses }: Known, { after, max, nowUs }: Page): CoreView[] {
  const views: CoreView[] = [];
  const told = [...workers].filter((worker) => worker.told);
  for (const worker of told.sort((a, b) => a.firstCore - b.firstCore)) {
    const { id, firstCore, coreCount } = worker;
    const bySeat = new Map<number, Pending>();
    for (const pending of running.get(id) ?? [])
      for (const at of coresOf(pending.lead, pending.mask)) bySeat.set(at, pending);
    for (const at of seatsOf(worker)) {
      const core = firstCore + at;
      const isExtra = at >= coreCount;
      const pending = bySeat.get(at);
      if (core <= after || (isExtra && pending === undefined)) continue;
      if (views.length === max) return views;
      const seen = { sinceUs: nowUs - uses.sinceUs(id, at), invocationCount: uses.count(id, at) };
      views.push({ core, cpus: [], ...seen, ...useOf(pending), isExtra });
    }
  }
  return views;
}

function useOf(pending: Pending | undefined): Pick<CoreView, 'state' | 'functionName' | 'requestId'> {
  if (pending === undefined) return { state: 'idle', functionName: '', requestId: '' };
  const { functionName, version } = pending.entry.fn;
  return { state: 'leased', functionName: `${functionName}:${version}`, requestId: pending.request.requestId };
}
