/** What a shard has to tell others of their requests, until the end of a turn: a message costs as much as many releases. */
import type { ShardPort } from './shard-ports.ts';

export type PeerPort = Pick<ShardPort, 'endedElsewhere' | 'noMemory' | 'memoryAvailable'>;

export class Mail {
  readonly #peers: readonly PeerPort[];
  readonly #requestsEach: number;
  readonly #ended: number[][];
  /** By worker: the shards, a bit each, that were sent on that it had no memory, and not yet that it has. */
  readonly #refused = new Map<number, number>();

  constructor(peers: readonly PeerPort[], requestsEach: number) {
    this.#peers = peers;
    this.#requestsEach = requestsEach;
    this.#ended = peers.map(() => []);
  }

  /** `warmCore`: where the worker keeps an instance, or -1. False: it was nobody's request. */
  ended(request: number, warmCore: number): boolean {
    const ended = this.#ended[Math.floor(request / this.#requestsEach)];
    ended?.push(request, warmCore);
    return ended !== undefined;
  }

  /** At once: the lease ends only there. False: it was nobody's request. */
  noMemory(request: number, worker: number, { core, sequence }: { core: number; sequence: number }): boolean {
    const at = Math.floor(request / this.#requestsEach);
    const peer = this.#peers[at];
    if (peer === undefined) return false;
    peer.noMemory(core, sequence);
    this.#refused.set(worker, (this.#refused.get(worker) ?? 0) | (1 << at));
    return true;
  }

  /** After what was said of it in `noMemory`, to whom that was said: else a refusal that is on its way would be the last word. */
  memoryAvailable(worker: number): void {
    const refused = this.#refused.get(worker) ?? 0;
    if (refused === 0) return;
    this.#refused.delete(worker);
    for (const [at, peer] of this.#peers.entries()) if ((refused & (1 << at)) !== 0) peer.memoryAvailable(worker);
  }

  send(): void {
    for (const [shard, ended] of this.#ended.entries())
      if (ended.length > 0) this.#peers[shard]!.endedElsewhere(Int32Array.from(ended.splice(0)));
  }
}
