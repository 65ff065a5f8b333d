/**
 * Instances that are to be kept ready: a gateway says how many of a version all workers together keep, each worker is told its
 * share. Shares follow the memory that workers have in all, less what is provisioned there already, and not what leases take for a
 * moment: so they move only when a count changes, or a worker comes, goes or drains. Split anew at most once a sweep.
 */
import type { ProvisionedSum } from './ports.ts';
import type { NamedVersion } from './version-names.ts';

/** A worker, as far as shares go. */
export interface ProvisionHost {
  readonly memoryMb: number;
  /** Null: it is away. */
  readonly line: number | null;
  /** It drains: it keeps nothing for later. */
  readonly isDraining: boolean;
}

interface Share {
  count: number;
  begun: number;
  ready: number;
  failed: boolean;
}

interface Provision {
  readonly index: number;
  readonly version: NamedVersion;
  wanted: number;
  /** The gateway that said so, by name. */
  owner: string;
  /** The sweep at which it ends unless it is said again. */
  endsAt: number;
  readonly shares: Map<ProvisionHost, Share>;
  /** Beyond what there is room for. */
  unplaced: number;
  isTold: boolean;
}

/** Whom a sweep tells what. */
interface Told {
  /** What one worker keeps at most of a version has changed. */
  most(index: number, count: number): void;
  /** The worker on this line is to keep so many. */
  share(line: number, index: number, count: number, version: NamedVersion): void;
  /** Of a version that was not told since. */
  sum(index: number, sum: ProvisionedSum): void;
}

/** A gateway that is back says everything again at once. */
const AGAIN_SWEEPS = 10;

export class Provisions {
  readonly #byIndex = new Map<number, Provision>();
  readonly #keptSweeps: number;
  #sweepCount = 0;
  #isSplit = true;

  constructor(keptSweeps: number) {
    this.#keptSweeps = keptSweeps;
  }

  set(index: number, version: NamedVersion, { count, owner }: { count: number; owner: string }): void {
    let provision = this.#byIndex.get(index);
    if (provision === undefined) {
      if (count === 0) return;
      provision = {
        index,
        version,
        wanted: -1,
        owner,
        endsAt: Infinity,
        shares: new Map(),
        unplaced: 0,
        isTold: false,
      };
      this.#byIndex.set(index, provision);
    }
    if (provision.wanted !== count) this.#isSplit = false;
    Object.assign(provision, { wanted: count, owner, endsAt: Infinity, isTold: false });
  }

  /** The index stands for nothing now; its workers have been told that. */
  dropped(index: number): void {
    if (this.#byIndex.delete(index)) this.#isSplit = false;
  }

  gatewayLeft(name: string): void {
    for (const each of this.#byIndex.values()) {
      if (each.owner === name) each.endsAt = this.#sweepCount + this.#keptSweeps;
    }
  }

  /** What it does not say again soon, it does not want any more. */
  gatewayJoined(name: string): void {
    for (const each of this.#byIndex.values()) {
      if (each.owner === name) each.endsAt = Math.min(each.endsAt, this.#sweepCount + AGAIN_SWEEPS);
    }
  }

  /** A gateway has named the version, and is to hear of it. */
  named(index: number): void {
    const provision = this.#byIndex.get(index);
    if (provision !== undefined) provision.isTold = false;
  }

  /** It came, went, or drains. */
  hostChanged(host: ProvisionHost): void {
    this.#isSplit = false;
    if (host.line !== null) return;
    for (const each of this.#byIndex.values()) if (each.shares.delete(host)) each.isTold = false;
  }

  report(host: ProvisionHost, index: number, own: Omit<ProvisionedSum, 'wanted'>): void {
    const provision = this.#byIndex.get(index);
    const share = provision?.shares.get(host);
    if (provision === undefined || share === undefined) return;
    Object.assign(share, own);
    provision.isTold = false;
  }

  /** Once a second. */
  sweep(hosts: Iterable<ProvisionHost>, told: Told): void {
    this.#sweepCount++;
    for (const each of this.#byIndex.values()) if (each.endsAt <= this.#sweepCount) this.#end(each);
    if (!this.#isSplit)
      this.#split(
        [...hosts].filter(({ line }) => line !== null),
        told,
      );
    for (const each of this.#byIndex.values()) {
      if (each.isTold) continue;
      each.isTold = true;
      told.sum(each.index, sumOf(each));
    }
  }

  sums(): readonly (ProvisionedSum & { readonly index: number; readonly key: string })[] {
    return [...this.#byIndex.values()].map((each) => ({ index: each.index, key: each.version.key, ...sumOf(each) }));
  }

  #end(provision: Provision): void {
    Object.assign(provision, { wanted: 0, endsAt: Infinity, isTold: false });
    this.#isSplit = false;
  }

  #split(hosts: readonly ProvisionHost[], told: Told): void {
    this.#isSplit = true;
    const freeMb = hosts.map(({ isDraining, memoryMb }) => (isDraining ? 0 : memoryMb));
    for (const provision of this.#byIndex.values()) {
      const { index, version, wanted } = provision;
      const counts = splitCount(wanted, version.memoryMb, freeMb);
      for (const [at, host] of hosts.entries()) {
        freeMb[at]! -= counts[at]! * version.memoryMb;
        this.#give(provision, host, { count: counts[at]!, told });
      }
      provision.unplaced = wanted - counts.reduce((sum, count) => sum + count, 0);
      provision.isTold = false;
      told.most(
        index,
        counts.reduce((greatest, count) => Math.max(greatest, count), 0),
      );
    }
  }

  #give(
    { index, version, shares }: Provision,
    host: ProvisionHost,
    { count, told }: { count: number; told: Told },
  ): void {
    let share = shares.get(host);
    if (share === undefined) {
      if (count === 0) return;
      share = { count: 0, begun: 0, ready: 0, failed: false };
      shares.set(host, share);
    }
    if (share.count === count) return;
    share.count = count;
    told.share(host.line!, index, count, version);
  }
}

function sumOf({ wanted, shares, unplaced }: Provision): ProvisionedSum {
  let [begun, ready] = [0, 0];
  let failed = unplaced > 0;
  for (const share of shares.values()) {
    begun += share.begun;
    ready += share.ready;
    failed ||= share.failed && share.count > 0;
  }
  return { wanted, begun, ready, failed };
}

/**
 * How many of `count` each worker keeps: one after the other goes to who has most memory left, the first of those that have
 * as much. Found without going through them one by one: `level` is the most memory that may be left everywhere.
 */
export function splitCount(count: number, memoryMb: number, freeMb: readonly number[]): number[] {
  const downTo = (level: number): number[] => freeMb.map((free) => Math.max(0, Math.floor((free - level) / memoryMb)));
  const total = (counts: readonly number[]): number => counts.reduce((sum, each) => sum + each, 0);
  const most = downTo(0);
  if (total(most) <= count) return most;
  let level = 0;
  let beyond = freeMb.reduce((greatest, free) => Math.max(greatest, free), 0) + 1;
  while (beyond - level > 1) {
    const middle = Math.floor((level + beyond) / 2);
    if (total(downTo(middle)) >= count) level = middle;
    else beyond = middle;
  }
  const counts = downTo(level);
  // Those that have got one for their very last megabyte above the level; each of the others is needed.
  let surplus = total(counts) - count;
  for (let at = counts.length - 1; at >= 0 && surplus > 0; at--) {
    if (counts[at]! === 0 || (freeMb[at]! - level) % memoryMb !== 0) continue;
    counts[at]! -= 1;
    surplus--;
  }
  return counts;
}
