/**
 * Stops every task of a cgroup, and lets it go on. Only version 2 can do it such that a task that is stopped still dies
 * when it is killed, also together with the platform; so a machine whose limits are in version 1 uses its version 2
 * hierarchy for this, where one is mounted. No controller is needed for it. Kernels from 5.2 on have it.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { KeptFile } from './folder.ts';

const FILE = 'cgroup.freeze';

export function canFreeze(folder: string): boolean {
  return existsSync(path.join(folder, FILE));
}

export class Freezer {
  readonly #file: KeptFile;
  #frozen = false;

  constructor(folder: string) {
    this.#file = new KeptFile(path.join(folder, FILE));
  }

  freeze(): void {
    if (!this.#frozen) this.#frozen = this.#file.write('1');
  }

  thaw(): void {
    if (this.#frozen) this.#frozen = !this.#file.write('0');
  }

  /** Before the folder goes, or gets another instance. */
  release(): void {
    this.thaw();
    this.#frozen = false;
    this.#file.close();
  }

  /** Who is frozen stays so. */
  close(): void {
    this.#file.close();
  }
}
