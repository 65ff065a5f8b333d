/** What a shard has to tell others of their requests, until the end of a turn: a message costs as much as many releases. */
import type { ShardPort } from './shard-ports.ts';

export type PeerPort = Pick<ShardPort, 'endedElsewhere' | 'noMemory'>;

export class Mail {
  readonly #peers: readonly PeerPort[];
  readonly #requestsEach: number;
  readonly #ended: number[][];

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
  noMemory(request: number, core: number, sequence: number): boolean {
    const peer = this.#peers[Math.floor(request / this.#requestsEach)];
    peer?.noMemory(core, sequence);
    return peer !== undefined;
  }

  send(): void {
    for (const [shard, ended] of this.#ended.entries())
      if (ended.length > 0) this.#peers[shard]!.endedElsewhere(Int32Array.from(ended.splice(0)));
  }
}
