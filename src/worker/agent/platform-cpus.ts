/**
 * Where the platform's own threads run. A worker with spare CPUs keeps them there. On a small one, where every core
 * runs functions, the platform has to share them: then it stays off the cores that have been held for a while, so that
 * a function that computes does not slow the dispatch of all others (nor is it slowed by it), and wakes up beside the
 * short invocations instead. With every core held so, it runs wherever the kernel likes. So it does where more run than there
 * are cores, since then each of them has somebody who wants it, and who holds one says little of who is on it.
 */
import { readdirSync } from 'node:fs';
import { Placement } from '../sandbox/placement.ts';
import type { Topology } from './topology.ts';

/** An invocation that runs longer than this is taken for one that computes. */
export const LONG_HELD_US = 20_000;

export class PlatformCpus {
  readonly #topology: Topology;
  readonly #placement: Placement;
  /** Worth doing only where the platform has no CPU of its own. */
  readonly #shared: boolean;
  /** Bit pattern of the last decision, to notice a change without allocating. */
  #avoidedCount = 0;
  readonly #avoided: Uint8Array;

  constructor(topology: Topology) {
    this.#topology = topology;
    this.#avoided = new Uint8Array(topology.cores.length);
    this.#placement = new Placement(() => readdirSync('/proc/self/task').map(Number));
    const functionCpus = new Set(topology.cores.flat());
    this.#shared =
      topology.known && topology.cores.length > 1 && topology.platformCpus.every((cpu) => functionCpus.has(cpu));
    if (topology.known) this.#placement.pin(topology.platformCpus);
  }

  /** `heldUs(core)`: how long the core's invocation has been running; 0 if it is idle. */
  update(runningCount: number, heldUs: (core: number) => number): void {
    if (!this.#shared) return;
    const isCrowded = runningCount > this.#avoided.length;
    let changed = false;
    for (let core = 0; core < this.#avoided.length; core++) {
      const avoid = !isCrowded && heldUs(core) >= LONG_HELD_US ? 1 : 0;
      if (avoid === this.#avoided[core]) continue;
      this.#avoided[core] = avoid;
      this.#avoidedCount += avoid === 1 ? 1 : -1;
      changed = true;
    }
    if (changed) this.#placement.pin(this.#cpus());
  }

  #cpus(): readonly number[] {
    const { cores, platformCpus } = this.#topology;
    if (this.#avoidedCount === cores.length) return platformCpus;
    const avoided = new Set(cores.filter((_, core) => this.#avoided[core] === 1).flat());
    return platformCpus.filter((cpu) => !avoided.has(cpu));
  }
}
