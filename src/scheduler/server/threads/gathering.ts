/** Reports of all shards, for whoever wants to know: each is asked, and nobody is waited for who has ended. */
import type { ShardReport } from '../shard-ports.ts';

interface Open {
  readonly missing: Set<number>;
  readonly reports: ShardReport[];
  readonly done: (reports: readonly ShardReport[]) => void;
}

export class Gathering {
  readonly #ask: (shard: number, id: number) => void;
  readonly #open = new Map<number, Open>();
  #count = 0;

  constructor(ask: (shard: number, id: number) => void) {
    this.#ask = ask;
  }

  ask(shards: readonly number[]): Promise<readonly ShardReport[]> {
    const id = ++this.#count;
    return new Promise((done) => {
      this.#open.set(id, { missing: new Set(shards), reports: [], done });
      for (const shard of shards) this.#ask(shard, id);
    });
  }

  add(shard: number, id: number, report: ShardReport): void {
    const open = this.#open.get(id);
    if (open === undefined || !open.missing.has(shard)) return;
    open.reports.push(report);
    this.#arrived(id, shard);
  }

  gone(shard: number): void {
    for (const id of this.#open.keys()) this.#arrived(id, shard);
  }

  #arrived(id: number, shard: number): void {
    const open = this.#open.get(id)!;
    open.missing.delete(shard);
    if (open.missing.size > 0) return;
    this.#open.delete(id);
    open.done(open.reports);
  }
}
