/** Small operations on a cgroup's folder that both versions share. */
import { closeSync, mkdirSync, openSync, readdirSync, rmdirSync, write, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { parseIds } from '../affinity.ts';
import { isLeftover } from '../identity.ts';
import { readKernelFile, readOpenFile } from '../kernel-file.ts';

const LEFTOVER_DEPTH_MAX = 8;
const LEFTOVER_WAIT_MS = 2000;
const EVICT_ROUNDS_MAX = 8;
const NONE = -1;

export function readText(folder: string, file: string): string {
  try {
    return readKernelFile(path.join(folder, file));
  } catch {
    return '';
  }
}

/** False where the kernel refuses. */
export function tryWrite(folder: string, file: string, text: string): boolean {
  try {
    writeFileSync(path.join(folder, file), text);
    return true;
  } catch {
    return false;
  }
}

export function readIds(folder: string, file: string): number[] {
  return parseIds(readText(folder, file));
}

/** The number after `key` in a file of "key number" lines; 0 if it is not there. */
export function readCounter(folder: string, file: string, key: string): number {
  for (const line of readText(folder, file).split('\n')) {
    if (line.startsWith(`${key} `)) return Number(line.slice(key.length + 1));
  }
  return 0;
}

export function makeFolder(folder: string): boolean {
  try {
    mkdirSync(folder, { recursive: true });
    return true;
  } catch {
    return false;
  }
}

export function killProcesses(ids: readonly number[]): void {
  for (const id of ids) {
    try {
      process.kill(id, 'SIGKILL');
    } catch {
      // It is gone already.
    }
  }
}

/** Removes a cgroup and those below it; false while processes live in one. The kernel's own files go with their folder. */
export function removeFolder(folder: string): boolean {
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.isDirectory()) removeFolder(path.join(folder, entry.name));
    }
    rmdirSync(folder);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

/**
 * Removes a cgroup together with whoever sits in it. They are moved to `jail` before they are killed, since the dying would
 * hold the folder, and whoever has a descriptor of it could join it again. False where it stays: try again later.
 */
export function evict(folder: string, jail: string): boolean {
  for (let round = 0; round < EVICT_ROUNDS_MAX; round++) {
    if (removeFolder(folder)) return true;
    const ids = readIds(folder, 'cgroup.procs');
    if (ids.length === 0 || !makeFolder(jail)) return false;
    for (const id of ids) tryWrite(jail, 'cgroup.procs', String(id));
    killProcesses(ids);
  }
  return false;
}

/** Ends what still runs below the folders that killed platform processes left, and removes them. */
export async function removeLeftovers(mountPoint: string): Promise<string[]> {
  const leftovers: string[] = [];
  collectLeftovers(mountPoint, 0, leftovers);
  const deadline = performance.now() + LEFTOVER_WAIT_MS;
  let remaining = leftovers;
  for (;;) {
    for (const folder of remaining) killBelow(folder);
    remaining = remaining.filter((folder) => !removeFolder(folder));
    if (remaining.length === 0 || performance.now() > deadline) return leftovers;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function subfolders(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
  } catch {
    return [];
  }
}

function collectLeftovers(folder: string, depth: number, into: string[]): void {
  if (depth > LEFTOVER_DEPTH_MAX) return;
  for (const name of subfolders(folder)) {
    if (isLeftover(name)) into.push(path.join(folder, name));
    else collectLeftovers(path.join(folder, name), depth + 1, into);
  }
}

function killBelow(folder: string): void {
  killProcesses(readIds(folder, 'cgroup.procs'));
  for (const name of subfolders(folder)) killBelow(path.join(folder, name));
}

/**
 * A file of a cgroup that stays open from the first use on: a write costs a sixth of opening, writing and closing, a read a fifth. Lists
 * of ids only of version 2: version 1 answers whoever keeps one open as it was up to a second ago.
 */
export class KeptFile {
  readonly #file: string;
  readonly #flags: 'r' | 'r+' | 'w';
  #descriptor = NONE;
  #missing = false;

  /** Some may be read and not written, not even by their owner. */
  constructor(file: string, flags: 'r' | 'r+' | 'w' = 'r+') {
    this.#file = file;
    this.#flags = flags;
  }

  /** False where the kernel refuses, or there is no such file. */
  write(text: string): boolean {
    if (this.#missing) return false;
    try {
      writeSync(this.#open(), text, 0);
      return true;
    } catch (error) {
      this.#missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
      return false;
    }
  }

  /** As `write`, on another thread: for what the kernel takes its time over. The file is not to be closed meanwhile. */
  writeAside(text: string): Promise<boolean> {
    return new Promise((resolve) => {
      try {
        write(this.#open(), text, 0, 'latin1', (error) => resolve(error === null));
      } catch {
        resolve(false);
      }
    });
  }

  /** As it is now; '' where there is no such file, or its folder is gone. */
  read(): string {
    try {
      return readOpenFile(this.#open());
    } catch {
      this.close();
      return '';
    }
  }

  close(): void {
    if (this.#descriptor !== NONE) closeSync(this.#descriptor);
    this.#descriptor = NONE;
  }

  #open(): number {
    if (this.#descriptor === NONE) this.#descriptor = openSync(this.#file, this.#flags);
    return this.#descriptor;
  }
}

/** Files that stay open from the first use on until they are released. */
export class OpenFiles {
  readonly #files: readonly string[];
  #descriptors: number[] | undefined;

  constructor(files: readonly string[]) {
    this.#files = files;
  }

  descriptors(): readonly number[] {
    this.#descriptors ??= this.#files.map((file) => openSync(file, 'w'));
    return this.#descriptors;
  }

  close(): void {
    for (const descriptor of this.#descriptors ?? []) closeSync(descriptor);
    this.#descriptors = undefined;
  }
}
