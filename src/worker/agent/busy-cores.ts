/** What each core runs. Of a lease of several cores, each of them runs it, until its one release. */
import { assert } from '../../base/assert.ts';
import { isLedBy, lowestCore, withoutLowest } from '../../base/core-mask.ts';
import type { Lease } from './contract.ts';
import type { Running } from './results.ts';

export class BusyCores {
  /** How many leases. */
  count = 0;
  readonly #running: (Running | null)[];

  constructor(coreCount: number) {
    this.#running = new Array<Running | null>(coreCount).fill(null);
  }

  /** Null: it is idle. */
  at(core: number): Running | null {
    return this.#running[core] ?? null;
  }

  on(core: number): Running {
    const running = this.at(core);
    assert(running !== null, `core ${core} runs nothing`);
    return running;
  }

  /** Whether it can begin: else a core of it is busy or not there, or its mask is none of its lead. */
  mayBegin({ core, mask = 0 }: Lease): boolean {
    if (this.#running[core] !== null) return false;
    return mask === 0 || (isLedBy(core, mask) && this.#areIdle(core, mask));
  }

  begin(running: Running): void {
    this.#put(running.lease, running);
    this.count++;
  }

  end({ lease }: Running): void {
    this.#put(lease, null);
    this.count--;
  }

  /** For tests. `isHeld`: what the machine says of a core. */
  checkInvariants(isHeld: (core: number) => boolean): void {
    const leads = this.#running.filter((running, core) => running?.lease.core === core);
    assert(leads.length === this.count, `${leads.length} run, counted ${this.count}`);
    for (const [core, running] of this.#running.entries())
      assert((running !== null) === isHeld(core), `core ${core}: machine and agent disagree`);
  }

  #areIdle(lead: number, mask: number): boolean {
    for (let rest = mask; rest !== 0; rest = withoutLowest(rest)) {
      if (this.#running[lowestCore(lead, rest)] !== null) return false;
    }
    return true;
  }

  #put({ core, mask = 0 }: Lease, running: Running | null): void {
    this.#running[core] = running;
    for (let rest = mask; rest !== 0; rest = withoutLowest(rest)) this.#running[lowestCore(core, rest)] = running;
  }
}
