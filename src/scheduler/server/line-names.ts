/** The names that one gateway's line has given, to be taken back when it ends. Looked at for each request. */
import type { NameCounts } from './shard-ports.ts';
import type { NamedVersion } from './version-names.ts';

const NEVER = -1;
const FIRST_LENGTH = 16;

interface Names {
  name(version: NamedVersion): number;
  unname(index: number): void;
}

export class LineNames {
  readonly #names: Names;
  /** How often by index; 0: it was given, and taken back. Grows as the indexes do. */
  #counts = new Int32Array(FIRST_LENGTH).fill(NEVER);
  /** What each index stands for as long as it is named here. */
  readonly #keys: string[] = [];

  constructor(names: Names) {
    this.#names = names;
  }

  has(index: number): boolean {
    return index >= 0 && index < this.#counts.length && this.#counts[index]! > 0;
  }

  wasGiven(index: number): boolean {
    return index >= 0 && index < this.#counts.length && this.#counts[index]! !== NEVER;
  }

  counts(): NameCounts {
    return [...this.#counts.entries()].filter(([, count]) => count > 0);
  }

  /** -1: there are too many. */
  name(version: NamedVersion): number {
    const index = this.#names.name(version);
    if (index < 0) return index;
    while (index >= this.#counts.length) this.#grow();
    this.#counts[index] = Math.max(this.#counts[index]!, 0) + 1;
    this.#keys[index] = version.key;
    return index;
  }

  /** Where the index stands for another key by now, nothing changes. */
  unname(index: number, key: string): void {
    if (!this.has(index) || this.#keys[index] !== key) return;
    this.#counts[index]! -= 1;
    this.#names.unname(index);
  }

  #grow(): void {
    const grown = new Int32Array(this.#counts.length * 2).fill(NEVER);
    grown.set(this.#counts);
    this.#counts = grown;
  }
}
