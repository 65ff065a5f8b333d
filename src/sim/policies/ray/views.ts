/**
 * What raylets know of each other: of each server how many cores were free when it reported last, and of each front what it has sent there itself since
 * then. From that a front chooses by Ray's hybrid policy.
 *
 * A *level* is how many cores of a server are free. Servers that are used less than the threshold count as equal, in the order of their
 * numbers; beyond it the less used goes first.
 */
import type { Random } from '../../engine/random.ts';

const NONE = -1;

export interface ViewsSetup {
  readonly frontCount: number;
  readonly serverCount: number;
  /** Of each server. */
  readonly coreCount: number;
  /** Share of a server's cores in use from which on others are preferred. */
  readonly threshold: number;
  /** Of so large a part of the servers, the best ones, one is drawn. */
  readonly topShare: number;
}

interface Sent {
  /** The number of the server's report that it counts from. */
  readonly report: number;
  readonly count: number;
}

export class Views {
  readonly #setup: ViewsSetup;
  readonly #random: Random;
  readonly #free: Int32Array;
  readonly #reports: Int32Array;
  /** By front: what it has sent to which server. */
  readonly #sent: readonly Map<number, Sent>[];
  /** Of the front that is choosing, by server. */
  readonly #levels: Int32Array;
  readonly #levelCounts: Int32Array;
  /** From so many free cores on a server counts as unused. */
  readonly #unusedLevel: number;

  constructor(setup: ViewsSetup, random: Random) {
    const { frontCount, serverCount, coreCount, threshold } = setup;
    this.#setup = setup;
    this.#random = random;
    this.#free = new Int32Array(serverCount).fill(coreCount);
    this.#reports = new Int32Array(serverCount);
    this.#sent = Array.from({ length: frontCount }, () => new Map());
    this.#levels = new Int32Array(serverCount);
    this.#levelCounts = new Int32Array(coreCount + 1);
    let unusedLevel = coreCount;
    while (unusedLevel > 1 && (coreCount - unusedLevel + 1) / coreCount < threshold) unusedLevel--;
    this.#unusedLevel = unusedLevel;
  }

  /** All fronts have the report of the server. */
  report(server: number, freeCount: number): void {
    this.#free[server] = freeCount;
    this.#reports[server]!++;
  }

  /** Cores of another server that are free, as far as the front knows. */
  freeCount(front: number, server: number): number {
    const sent = this.#sent[front]!.get(server);
    const free = this.#free[server]!;
    return sent === undefined || sent.report !== this.#reports[server] ? free : Math.max(0, free - sent.count);
  }

  /** The front has sent somebody there. */
  send(front: number, server: number): void {
    const sent = this.#sent[front]!.get(server);
    const report = this.#reports[server]!;
    const count = sent?.report === report ? sent.count + 1 : 1;
    this.#sent[front]!.set(server, { report, count });
  }

  /** It was told that no core is free there. */
  rejected(front: number, server: number): void {
    this.#sent[front]!.set(server, { report: this.#reports[server]!, count: this.#free[server]! });
  }

  /** The server for an invocation at the front, which itself has so many cores free; -1: no server has one. */
  choose(front: number, host: number, hostFreeCount: number): number {
    if (hostFreeCount >= this.#unusedLevel) return host;
    const levels = this.#look(front, host, hostFreeCount);
    const candidateCount = this.#count(levels);
    if (candidateCount === 0) return NONE;
    const best = this.#bestLevel();
    if (hostFreeCount > 0 && hostFreeCount >= best) return host;
    const topCount = Math.max(1, Math.floor(this.#setup.serverCount * this.#setup.topShare));
    return this.#at(levels, this.#random.below(Math.min(topCount, candidateCount)));
  }

  #look(front: number, host: number, hostFreeCount: number): Int32Array {
    const levels = this.#levels;
    levels.set(this.#free);
    const sent = this.#sent[front]!;
    for (const [server, { report, count }] of sent) {
      if (report === this.#reports[server]) levels[server] = Math.max(0, levels[server]! - count);
      else sent.delete(server);
    }
    levels[host] = hostFreeCount;
    return levels;
  }

  /** How many servers have a core free; by level too, with all the unused at one. */
  #count(levels: Int32Array): number {
    const counts = this.#levelCounts.fill(0);
    for (let server = 0; server < levels.length; server++) counts[Math.min(levels[server]!, this.#unusedLevel)]!++;
    return levels.length - counts[0]!;
  }

  #bestLevel(): number {
    let level = this.#unusedLevel;
    while (this.#levelCounts[level] === 0) level--;
    return level;
  }

  /** The server of that rank among those that have a core free, the best first. */
  #at(levels: Int32Array, rank: number): number {
    let level = this.#unusedLevel;
    let left = rank;
    while (left >= this.#levelCounts[level]!) left -= this.#levelCounts[level--]!;
    for (let server = 0; ; server++) {
      if (Math.min(levels[server]!, this.#unusedLevel) !== level) continue;
      if (left-- === 0) return server;
    }
  }
}
