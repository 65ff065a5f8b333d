/**
 * What raylets know of each other: each front has a row with a byte for each server, how many cores are free there by its last report, less what the
 * front has itself sent there since. From that it chooses by Ray's hybrid policy.
 *
 * A *level* is how many cores of a server are free. Servers that are used less than the threshold count as equal, in the order of their
 * numbers; beyond it the less used goes first. How many servers of its row are at which level is counted as the row changes, so a choice looks
 * through the row once, until it has found the server.
 */
import { assert } from '../../../base/assert.ts';
import type { Random } from '../../engine/random.ts';

const NONE = -1;
const LEVEL_MAX = 255;

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

export class Views {
  readonly #setup: ViewsSetup;
  readonly #random: Random;
  /** By front, then server. */
  readonly #levels: Uint8Array;
  /** By front, then level, of which the unused are all one: how many servers. */
  readonly #counts: Int32Array;
  /** From so many free cores on a server counts as unused. */
  readonly #unusedLevel: number;

  constructor(setup: ViewsSetup, random: Random) {
    const { frontCount, serverCount, coreCount, threshold } = setup;
    assert(coreCount <= LEVEL_MAX, `${coreCount} cores of a server, and a level is a byte`);
    this.#setup = setup;
    this.#random = random;
    let unusedLevel = coreCount;
    while (unusedLevel > 1 && (coreCount - unusedLevel + 1) / coreCount < threshold) unusedLevel--;
    this.#unusedLevel = unusedLevel;
    this.#levels = new Uint8Array(frontCount * serverCount).fill(coreCount);
    this.#counts = new Int32Array(frontCount * (unusedLevel + 1));
    for (let front = 0; front < frontCount; front++) this.#counts[this.#countAt(front, coreCount)] = serverCount;
  }

  /** All fronts have the report of the server. */
  report(server: number, freeCount: number): void {
    for (let front = 0; front < this.#setup.frontCount; front++) this.#set(front, server, freeCount);
  }

  /** Cores of another server that are free, as far as the front knows. */
  freeCount(front: number, server: number): number {
    return this.#levels[front * this.#setup.serverCount + server]!;
  }

  /** The front has sent somebody there. */
  send(front: number, server: number): void {
    this.#set(front, server, Math.max(0, this.freeCount(front, server) - 1));
  }

  /** It was told that no core is free there. */
  rejected(front: number, server: number): void {
    this.#set(front, server, 0);
  }

  /** The server for an invocation at the front, whose own server has so many cores free; -1: no server has one. */
  choose(front: number, host: number, hostFreeCount: number): number {
    if (hostFreeCount >= this.#unusedLevel) return host;
    this.#set(front, host, hostFreeCount);
    const { serverCount, topShare } = this.#setup;
    const candidateCount = serverCount - this.#counts[this.#countAt(front, 0)]!;
    if (candidateCount === 0) return NONE;
    if (hostFreeCount > 0 && hostFreeCount === this.#bestLevel(front)) return host;
    const topCount = Math.max(1, Math.floor(serverCount * topShare));
    return this.#at(front, this.#random.below(Math.min(topCount, candidateCount)));
  }

  #set(front: number, server: number, level: number): void {
    const at = front * this.#setup.serverCount + server;
    const before = this.#levels[at]!;
    if (before === level) return;
    this.#levels[at] = level;
    this.#counts[this.#countAt(front, before)]!--;
    this.#counts[this.#countAt(front, level)]!++;
  }

  #countAt(front: number, level: number): number {
    return front * (this.#unusedLevel + 1) + Math.min(level, this.#unusedLevel);
  }

  #bestLevel(front: number): number {
    let level = this.#unusedLevel;
    while (this.#counts[this.#countAt(front, level)] === 0) level--;
    return level;
  }

  /** The server of that rank among those that have a core free, the best first. */
  #at(front: number, rank: number): number {
    let level = this.#unusedLevel;
    let left = rank;
    for (;;) {
      const count = this.#counts[this.#countAt(front, level)]!;
      if (left < count) break;
      left -= count;
      level--;
    }
    const levelMax = level === this.#unusedLevel ? LEVEL_MAX : level;
    const first = front * this.#setup.serverCount;
    for (let at = first; ; at++) {
      const mine = this.#levels[at]!;
      if (mine >= level && mine <= levelMax && left-- === 0) return at - first;
    }
  }
}
