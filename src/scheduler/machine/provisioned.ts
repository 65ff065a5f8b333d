/**
 * What is provisioned passes by those who wait for memory. Its worker has the memory of these instances set aside and
 * gives them up for nobody, so a lease of one takes nothing from whoever waits: when there is room for him in truth, there is room for
 * him beside the memory that the lease reserves. So it is subject neither to the cap of its worker, nor to first come
 * first served among those that ask as much, nor to a worker being kept.
 *
 * As many leases of a version pass so on a worker as it keeps instances. Whoever passes for a hint that was stale is
 * refused by the agent, and the version's hints there are forgotten.
 *
 * Budget: nothing while nothing is provisioned. Else, where a request has to wait beside an idle core: a few hints and the cores of their
 * workers for each of LOOK_MAX requests. Allocates nothing.
 */
import type { Cores } from './cores.ts';
import type { Leases } from './leases.ts';
import type { Queue } from './queue.ts';
import type { Versions } from './versions.ts';
import type { Warm } from './warm.ts';
import type { Workers } from './workers.ts';

/** Of those who wait, so many of the oldest are looked at. */
export const LOOK_MAX = 32;
/** Of the hints to a version's instances, so many of the latest. */
export const HINT_TRIES = 4;

interface Parts {
  readonly cores: Cores;
  readonly leases: Leases;
  readonly queue: Queue;
  readonly versions: Versions;
  readonly warm: Warm;
  readonly workers: Workers;
}

export class Provisioned {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** The hint, which is forgotten, to a worker that keeps an instance of the version for it; -1: there is none. */
  find(version: number): number {
    const { warm } = this.#parts;
    if (!this.#seek(version)) return -1;
    const hint = warm.peek(version);
    warm.drop(version);
    return hint;
  }

  /** The oldest waiting request that `find` would serve; -1: none. */
  waiter(): number {
    const { queue } = this.#parts;
    let entry = queue.oldest();
    for (let looks = 0; looks < LOOK_MAX && entry >= 0; looks++) {
      if (this.#seek(queue.version(entry))) return entry;
      entry = queue.younger(entry);
    }
    return -1;
  }

  /** If it has an idle instance of the version, it can take a lease of it. */
  mayPass(version: number, home: number): boolean {
    const { cores, leases, versions, workers } = this.#parts;
    const coreCount = versions.coreCount(version);
    const isDedicated = versions.isDedicated(version);
    const isIdle = coreCount > 1 ? cores.mostIdleCount(home) >= coreCount : cores.hasIdleFor(home, isDedicated);
    if (!isIdle) return false;
    if (workers.unreserved(home) < versions.memoryMb(version) || workers.isPassedOver(home)) return false;
    let rest = versions.provisioned(version);
    const end = cores.endOf(home);
    for (let core = home << 5; core < end && rest > 0; core++) {
      if (leases.isLead(core) && leases.version(core) === version) rest--;
    }
    return rest > 0;
  }

  /** Brings a hint to where a lease may pass to the top; false: there is none. */
  #seek(version: number): boolean {
    const { cores, versions, warm } = this.#parts;
    if (versions.provisioned(version) === 0) return false;
    const tries = Math.min(warm.count(version), HINT_TRIES);
    for (let i = 0; i < tries; i++) {
      if (this.mayPass(version, cores.homeOf(warm.peek(version)))) return true;
      warm.sink(version);
    }
    return false;
  }
}
