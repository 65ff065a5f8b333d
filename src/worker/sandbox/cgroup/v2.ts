/**
 * Version 2: one hierarchy. A slot's folder is made anew for every instance, since its counters cannot be reset. With
 * memory.oom.group the kernel kills the whole group at the limit, so no half-dead sandbox is left.
 *
 * Written to the kernel's documentation (admin-guide/cgroup-v2) and tested against a folder with the same files; the
 * machine it was developed on has no memory controller in its version 2 tree.
 */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { parseIds } from '../affinity.ts';
import type { Cgroup, CgroupMissing, CgroupTree } from './cgroup.ts';
import { canFreeze, Freezer } from './freezer.ts';
import {
  evict,
  KeptFile,
  killProcesses,
  makeFolder,
  OpenFiles,
  readCounter,
  readIds,
  readText,
  removeFolder,
  tryWrite,
} from './folder.ts';

export interface V2Options {
  /** Folders in which ours may be made, best first: our own cgroup, the root of the hierarchy. */
  readonly parents: readonly string[];
  readonly name: string;
  readonly processCountMax: number;
}

const DELEGATE =
  'Run Perch as root, as a systemd service with Delegate=yes, or with: systemd-run --user --scope -p Delegate=yes perch up';

export function openV2(options: V2Options): CgroupTree | CgroupMissing {
  for (const parent of options.parents) {
    const folder = path.join(parent, options.name);
    if (!makeFolder(folder)) continue;
    if (enable(parent, folder) || (leave(parent, options.name) && enable(parent, folder))) return tree(options, folder);
    removeFolder(folder);
  }
  return {
    version: 2,
    detail: 'cgroup version 2, and no folder with the memory controller that Perch may write',
    fix: DELEGATE,
  };
}

/** Makes the controllers available to the groups below `folder`. True if memory is among them. */
function enable(parent: string, folder: string): boolean {
  for (const controller of ['memory', 'pids']) tryWrite(parent, 'cgroup.subtree_control', `+${controller}`);
  if (!readText(folder, 'cgroup.controllers').split(/\s+/).includes('memory')) return false;
  for (const controller of ['memory', 'pids']) tryWrite(folder, 'cgroup.subtree_control', `+${controller}`);
  return true;
}

/**
 * A group with processes of its own cannot hand controllers down. Where all of them are ours (a delegated service or
 * scope) the platform steps aside into a leaf; where others live there too, it is not ours to move.
 */
function leave(parent: string, name: string): boolean {
  const processes = readIds(parent, 'cgroup.procs');
  if (processes.length !== 1 || processes[0] !== process.pid) return false;
  const leaf = path.join(parent, `${name}-platform`);
  return makeFolder(leaf) && tryWrite(leaf, 'cgroup.procs', String(process.pid));
}

function tree(options: V2Options, folder: string): CgroupTree {
  const slots = new Map<number, CgroupV2>();
  return {
    version: 2,
    memory: true,
    pids: readText(folder, 'cgroup.controllers').split(/\s+/).includes('pids'),
    freezer: canFreeze(folder),
    slot(slot) {
      const cgroup = slots.get(slot) ?? new CgroupV2(path.join(folder, `slot-${slot}`), options.processCountMax);
      slots.set(slot, cgroup);
      return cgroup;
    },
    close() {
      for (const cgroup of slots.values()) cgroup.close();
      removeFolder(folder);
    },
  };
}

/** Of the name of a slot, for whoever is driven out of one. */
const JAIL = 'jail';

class CgroupV2 implements Cgroup {
  attachFiles: readonly string[] = [];
  readonly #firstFolder: string;
  #folder: string;
  #freezer: Freezer;
  #threads: KeptFile;
  #peak: KeptFile;
  readonly #processCountMax: number;
  #attach: OpenFiles;
  #generation = 0;
  /** Somebody has attach descriptors of it. */
  #isHeld = false;
  /** Of earlier generations, where somebody was still dying. */
  #abandoned: readonly string[] = [];

  constructor(folder: string, processCountMax: number) {
    this.#firstFolder = folder;
    this.#folder = folder;
    this.#freezer = new Freezer(folder);
    this.#threads = threadsOf(folder);
    this.#peak = peakOf(folder);
    this.#processCountMax = processCountMax;
    this.attachFiles = [path.join(folder, 'cgroup.procs')];
    this.#attach = new OpenFiles(this.attachFiles);
  }

  get unifiedFolder(): string {
    return this.#folder;
  }

  attachDescriptors(): readonly number[] {
    return this.#attach.descriptors();
  }

  prepare(memoryMb: number, holder?: symbol): void {
    this.#isHeld = holder !== undefined;
    makeFolder(this.#folder);
    this.limitMemory(memoryMb);
    // Absent where swap is not accounted, the pids controller is missing, or the kernel is older than 4.19.
    tryWrite(this.#folder, 'memory.swap.max', '0');
    tryWrite(this.#folder, 'memory.oom.group', '1');
    tryWrite(this.#folder, 'pids.max', String(this.#processCountMax));
  }

  limitMemory(memoryMb: number): void {
    const bytes = String(memoryMb * 1024 * 1024);
    if (!tryWrite(this.#folder, 'memory.max', bytes)) {
      throw new Error(`cgroup: cannot set memory.max to ${bytes} in ${this.#folder}`);
    }
  }

  taskIds(): readonly number[] {
    return parseIds(this.#threads.read());
  }

  processIds(): readonly number[] {
    return readIds(this.#folder, 'cgroup.procs');
  }

  killAll(): void {
    // cgroup.kill needs 5.14; it also gets those that are being forked.
    if (!readdirSafe(this.#folder).includes('cgroup.kill') || !tryWrite(this.#folder, 'cgroup.kill', '1')) {
      killProcesses(this.processIds());
    }
  }

  freeze(): void {
    this.#freezer.freeze();
  }

  thaw(): void {
    this.#freezer.thaw();
  }

  memoryBytes(): number {
    return Number(readText(this.#folder, 'memory.current')) || 0;
  }

  memoryPeakBytes(): number {
    // memory.peak needs 5.19.
    return Number(this.#peak.read() || readText(this.#folder, 'memory.current')) || 0;
  }

  oomKillCount(): number {
    return readCounter(this.#folder, 'memory.events', 'oom_kill');
  }

  async release(): Promise<void> {
    this.#freezer.release();
    this.#threads.close();
    this.#peak.close();
    this.#attach.close();
    const left = [...this.#abandoned, this.#folder].filter((folder) => !evict(folder, path.join(folder, '..', JAIL)));
    this.#abandoned = left;
    if (!left.includes(this.#folder)) return;
    // Somebody joined by an attach descriptor that it had kept, and is still dying: nobody else gets the folder.
    if (this.#isHeld) this.#freezer.freeze();
    this.close();
    this.#folder = `${this.#firstFolder}.${++this.#generation}`;
    this.#freezer = new Freezer(this.#folder);
    this.#threads = threadsOf(this.#folder);
    this.#peak = peakOf(this.#folder);
    this.attachFiles = [path.join(this.#folder, 'cgroup.procs')];
    this.#attach = new OpenFiles(this.attachFiles);
  }

  /** What is open of it. */
  close(): void {
    this.#freezer.close();
    this.#threads.close();
    this.#peak.close();
    this.#attach.close();
  }
}

function threadsOf(folder: string): KeptFile {
  return new KeptFile(path.join(folder, 'cgroup.threads'), 'r');
}

function peakOf(folder: string): KeptFile {
  return new KeptFile(path.join(folder, 'memory.peak'), 'r');
}

function readdirSafe(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
