/** The agent of a worker's model: what it runs is what the worker runs. */
import assert from 'node:assert/strict';
import { coresOf } from '../../../src/base/core-mask.ts';
import type { AgentPort, Described, LeaseName } from '../../../src/worker/node/ports.ts';

/** Runs what it is given, by lead; knows versions by number, as they were set. */
export class ModelAgent implements AgentPort {
  readonly running = new Map<number, { lease: LeaseName; number: number }>();
  readonly set = new Map<number, Described>();
  readonly warm = new Set<number>();
  readonly provisioned = new Map<number, number>();
  readonly wanted = new Map<number, number>();

  /** Local indexes. */
  get busy(): number[] {
    return [...this.running].flatMap(([lead, { lease }]) => coresOf(lead, lease.mask));
  }

  setVersion(number: number, version: Described): void {
    assert.ok(!this.set.has(number), `number ${number} is two versions'`);
    this.set.set(number, version);
  }

  dropVersion(number: number): void {
    assert.ok(this.set.delete(number), `number ${number} is dropped and was not set`);
    for (const run of this.running.values()) assert.notEqual(run.number, number, 'what is dropped runs');
    this.warm.delete(number);
    this.provisioned.delete(number);
    assert.ok(!this.wanted.has(number), 'what is dropped is wanted');
  }

  provision(number: number, count: number): void {
    assert.ok(this.set.has(number), `number ${number} is provisioned and was not set`);
    if (count > 0) this.provisioned.set(number, count);
    else this.provisioned.delete(number);
  }

  want(number: number, count: number): void {
    assert.ok(this.set.has(number) && count >= 0, `number ${number} is wanted and was not set`);
    if (count > 0) this.wanted.set(number, count);
    else this.wanted.delete(number);
  }

  provisionedState(number: number): { allocated: number; available: number; failed: null } {
    const count = this.provisioned.get(number);
    assert.ok(count !== undefined, `the figures of number ${number} are asked for`);
    return { allocated: count, available: count, failed: null };
  }
}
