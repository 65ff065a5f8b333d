/**
 * How a function's code reaches a cell that runs already. Each cell has two empty folders of ours bound to themselves
 * and shared; bubblewrap binds them into the sandbox, as slaves. What is mounted over them here then appears there, and
 * nothing goes the other way.
 */
import { mkdirSync, rmdirSync } from 'node:fs';
import path from 'node:path';
import { SandboxError } from '../error.ts';
import { errorName, libc } from '../libc.ts';

const MS_BIND = 4096;
const MS_SHARED = 1 << 20;
const MNT_DETACH = 2;

export interface CellPlace {
  readonly code: string;
  readonly layers: string;
}

export class CellMounts {
  readonly #folder: string;
  readonly #places = new Map<number, CellPlace>();

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder);
  }

  /** The folders of the cell in the slot; `remove` them after it. Those of one that could not be started go first. */
  make(slot: number): CellPlace {
    this.remove(slot);
    const base = path.join(this.#folder, String(slot));
    const place = { code: path.join(base, 'task'), layers: path.join(base, 'opt') };
    mkdirSync(base);
    this.#places.set(slot, place);
    for (const folder of [place.code, place.layers]) {
      mkdirSync(folder);
      call(`bind ${folder}`, libc?.mount(folder, folder, null, MS_BIND, null));
      call(`share ${folder}`, libc?.mount('none', folder, null, MS_SHARED, null));
    }
    return place;
  }

  /** Paths as in the staging folder, read-only there; `layersDir` '' for none. */
  fill(slot: number, codeDir: string, layersDir: string): void {
    const place = this.#places.get(slot);
    if (place === undefined) throw new SandboxError(`slot ${slot} has no cell`);
    call(`bind ${codeDir}`, libc?.mount(codeDir, place.code, null, MS_BIND, null));
    if (layersDir !== '') call(`bind ${layersDir}`, libc?.mount(layersDir, place.layers, null, MS_BIND, null));
  }

  remove(slot: number): void {
    const place = this.#places.get(slot);
    if (place === undefined) return;
    this.#places.delete(slot);
    for (const folder of [place.code, place.layers]) {
      // The function's folder, then the folder bound to itself.
      while (libc?.umount(folder, MNT_DETACH) === 0);
      removeEmpty(folder);
    }
    removeEmpty(path.dirname(place.code));
  }
}

/** Never what is in it: that may be a function's code. */
function removeEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

function call(what: string, result: number | undefined): void {
  if (result !== 0) throw new SandboxError(`a cell cannot be staged: ${what}: ${errorName(result ?? -1)}`);
}
