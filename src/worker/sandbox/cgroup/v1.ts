/**
 * Version 1: one hierarchy per controller, so a slot has a folder in each. Groups are kept and reset between instances.
 * Its own freezer is not used: what it froze no signal would end. See freezer.ts.
 * At the limit the kernel kills one process, the largest as a rule; the sandbox dies with it if it was the instance.
 */
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

export interface V1Options {
  /** Folders of our own in the two hierarchies; '' where the controller is missing. */
  readonly memoryFolder: string;
  readonly pidsFolder: string;
  /** A folder of our own in the version 2 hierarchy, for its freezer; '' where none is mounted. */
  readonly freezerFolder: string;
  readonly processCountMax: number;
}

export function openV1(options: V1Options): CgroupTree | CgroupMissing {
  const folders = [options.memoryFolder, options.pidsFolder].filter((folder) => folder !== '');
  if (folders.length === 0 || !folders.every(makeFolder)) {
    return {
      version: 1,
      detail: 'cgroup version 1, and its folders cannot be written',
      fix: 'Run Perch as root, or boot with cgroup version 2 (systemd.unified_cgroup_hierarchy=1) and delegate.',
    };
  }
  const freezerFolder = openFreezer(options.freezerFolder);
  const slots = new Map<number, CgroupV1>();
  return {
    version: 1,
    memory: options.memoryFolder !== '',
    pids: options.pidsFolder !== '',
    freezer: freezerFolder !== '',
    slot(slot) {
      const cgroup = slots.get(slot) ?? new CgroupV1({ ...options, freezerFolder }, slot);
      slots.set(slot, cgroup);
      return cgroup;
    },
    close() {
      for (const cgroup of slots.values()) cgroup.close();
      for (const folder of [...folders, freezerFolder]) if (folder !== '') removeFolder(folder);
    },
  };
}

/** '' where it cannot be made, or the kernel is too old. */
function openFreezer(folder: string): string {
  if (folder === '' || !makeFolder(folder)) return '';
  if (canFreeze(folder)) return folder;
  removeFolder(folder);
  return '';
}

/** Of the name of a slot, for whoever is driven out of one. */
const JAIL = 'jail';

/** What may stay in the group of a copy for the next copy of the same zygote, and is all that there is to have meanwhile. */
const COPY_LEFT_MB_MAX = 4;
const COPY_UNREAPED_MAX = 8;

class CgroupV1 implements Cgroup {
  attachFiles: readonly string[] = [];
  readonly #options: V1Options;
  readonly #slot: number;
  /** '' without the controller. */
  #memory = '';
  #pids = '';
  #any = '';
  #threads = new KeptFile('');
  #peak = new KeptFile('');
  #folders: readonly string[] = [];
  #freezer: Freezer | undefined;
  /** Of the freezer. */
  unifiedFolder = '';
  #attach = new OpenFiles([]);
  #emptying = new KeptFile('');
  #memoryLimit = new KeptFile('');
  #memoryAndSwapLimit = new KeptFile('');
  /** Of earlier generations, where somebody was still dying. */
  #abandoned: readonly string[] = [];
  #oomKillsBefore = 0;
  /** Who may still have attach descriptors. */
  #holder: symbol | undefined;
  #generation = 0;
  /** Its limit of processes is set. */
  #limited = false;
  /** 0: none yet. */
  #limitMb = 0;

  constructor(options: V1Options, slot: number) {
    this.#options = options;
    this.#slot = slot;
    this.#make();
  }

  #make(): void {
    const { memoryFolder, pidsFolder, freezerFolder } = this.#options;
    const name = this.#generation === 0 ? `slot-${this.#slot}` : `slot-${this.#slot}.${this.#generation}`;
    const [memory = '', pids = '', freezer = ''] = [memoryFolder, pidsFolder, freezerFolder].map(
      (folder) => folder && path.join(folder, name),
    );
    this.#memory = memory;
    this.#pids = pids;
    this.#any = memory || pids;
    this.unifiedFolder = freezer;
    this.#freezer = freezer === '' ? undefined : new Freezer(freezer);
    this.#folders = [memory, pids, freezer].filter((folder) => folder !== '');
    for (const folder of this.#folders) makeFolder(folder);
    this.#memoryLimit = new KeptFile(path.join(memory, 'memory.limit_in_bytes'));
    // Absent where swap is not accounted.
    this.#memoryAndSwapLimit = new KeptFile(path.join(memory, 'memory.memsw.limit_in_bytes'));
    this.#limited = false;
    this.#limitMb = 0;
    this.#threads = new KeptFile(path.join(freezer, 'cgroup.threads'), 'r');
    this.#peak = new KeptFile(path.join(memory, 'memory.max_usage_in_bytes'));
    // It may be written only.
    this.#emptying = new KeptFile(path.join(memory, 'memory.force_empty'), 'w');
    this.attachFiles = this.#folders.map((folder) => path.join(folder, 'cgroup.procs'));
    // Joining by `tasks` moves one thread, and does not wait for whoever is being forked meanwhile.
    const files = this.#folders.map((folder) => path.join(folder, folder === freezer ? 'cgroup.procs' : 'tasks'));
    this.#attach = new OpenFiles(files);
  }

  /**
   * New folders: a descriptor of one that was removed leads nowhere. One in which somebody is still dying stays, as it is,
   * until it can be removed, and nobody else gets it.
   */
  #renew(): void {
    this.close();
    const left = [...this.#abandoned, ...this.#folders].filter(
      (folder) => !evict(folder, path.join(path.dirname(folder), JAIL)),
    );
    if (left.some((folder) => this.#folders.includes(folder))) this.#generation++;
    this.#abandoned = left;
    this.#holder = undefined;
    this.#make();
  }

  /** What is open of it. */
  close(): void {
    this.#attach.close();
    this.#freezer?.close();
    this.#threads.close();
    this.#peak.close();
    this.#emptying.close();
    this.#memoryLimit.close();
    this.#memoryAndSwapLimit.close();
  }

  attachDescriptors(): readonly number[] {
    return this.#attach.descriptors();
  }

  prepare(memoryMb: number, holder?: symbol): void {
    if (this.#holder !== undefined && this.#holder !== holder) this.#renew();
    this.#holder = holder;
    this.#freezer?.thaw();
    if (this.#pids !== '' && !this.#limited) {
      if (!tryWrite(this.#pids, 'pids.max', String(this.#options.processCountMax)))
        throw new Error('cgroup: cannot set pids.max');
    }
    this.#limited = true;
    if (this.#memory === '') return;
    if (this.#limitMb !== memoryMb) this.limitMemory(memoryMb);
    this.#peak.write('0');
    this.#oomKillsBefore = this.#oomKills();
  }

  limitMemory(memoryMb: number): void {
    if (!this.#tryLimit(memoryMb))
      throw new Error(`cgroup: cannot limit the memory of ${this.#memory} to ${memoryMb} MB`);
  }

  /** False where more is in use. Memory and swap together may never be less than memory, so the order depends on whether the limit grows. */
  #tryLimit(memoryMb: number): boolean {
    if (this.#memory === '') return true;
    const bytes = String(memoryMb * 1024 * 1024);
    const grows = this.#limitMb !== 0 && memoryMb > this.#limitMb;
    if (grows) this.#memoryAndSwapLimit.write(bytes);
    if (!this.#memoryLimit.write(bytes)) return false;
    if (!grows) this.#memoryAndSwapLimit.write(bytes);
    this.#limitMb = memoryMb;
    return true;
  }

  taskIds(): readonly number[] {
    // Who is pinned is who is frozen: hostile code that joins only one of the groups must not be stopped by neither.
    return this.unifiedFolder === '' ? readIds(this.#any, 'tasks') : parseIds(this.#threads.read());
  }

  processIds(): readonly number[] {
    return readIds(this.#any, 'cgroup.procs');
  }

  killAll(): void {
    killProcesses(this.processIds());
  }

  freeze(): void {
    this.#freezer?.freeze();
  }

  thaw(): void {
    this.#freezer?.thaw();
  }

  memoryBytes(): number {
    return this.#memory === '' ? 0 : Number(readText(this.#memory, 'memory.usage_in_bytes')) || 0;
  }

  memoryPeakBytes(): number {
    return this.#memory === '' ? 0 : Number(this.#peak.read()) || 0;
  }

  oomKillCount(): number {
    return this.#oomKills() - this.#oomKillsBefore;
  }

  /**
   * What the group still holds counts against the next instance: page cache that the last one read, and the dead that
   * nobody has reaped yet. A copy is one of many of its zygote, which reaps them: a little of either may stay for the next.
   *
   * The kernel waits for work of every CPU before it empties a group, 0.3 to 30 ms where they are busy: not on this thread.
   */
  async release(): Promise<void> {
    if (this.#holder !== undefined) return this.#releaseCopy();
    this.#freezer?.release();
    if (this.#memory !== '') await this.#emptying.writeAside('0');
    this.#dropUnreaped(0);
  }

  /** Who has descriptors of it may join any of its groups, or one alone: past the freezer, or past the limit of memory. */
  async #releaseCopy(): Promise<void> {
    this.#freezer?.freeze();
    if (this.#memory !== '' && this.memoryBytes() > COPY_LEFT_MB_MAX * 1024 * 1024)
      await this.#emptying.writeAside('0');
    // The kernel refuses where more is in use, and that is somebody's who sits there.
    if (!this.#tryLimit(COPY_LEFT_MB_MAX)) return this.#renew();
    this.#dropUnreaped(COPY_UNREAPED_MAX);
  }

  /** They do not hold their group, though: a new one starts at zero. They may wait long, where the init of a container is careless. */
  #dropUnreaped(max: number): void {
    const unreaped = this.#pids !== '' && Number(readText(this.#pids, 'pids.current')) > max;
    if (!unreaped) return;
    this.#attach.close();
    if (removeFolder(this.#pids)) makeFolder(this.#pids);
    this.#limited = false;
  }

  #oomKills(): number {
    return this.#memory === '' ? 0 : readCounter(this.#memory, 'memory.oom_control', 'oom_kill');
  }
}
