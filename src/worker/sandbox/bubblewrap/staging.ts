/**
 * Where sandboxes find what is bound into them. Bubblewrap runs as an unprivileged user, who often cannot reach the
 * folders of the platform (a data folder of mode 0700, a home). As root the platform therefore gives its main thread a
 * mount namespace of its own and binds the folders below /run, where anybody may pass. The namespace is a slave of the
 * host's: later mounts of the host arrive in it, none of its own leaves it, and it ends with the process, however that ends.
 * What may stay after kill -9 is one empty folder, which the next `open` removes.
 *
 * The interpreter is copied into memory in huge pages, where that can be had: each copy of a zygote maps its code anew,
 * page by page, and lets go of it at its end, which is a fifth of what a copy costs.
 *
 * Threads that run at that moment keep the host's namespace. That does no harm, since the binds only add paths.
 */
import { chmodSync, copyFileSync, mkdirSync, readdirSync, rmSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { SandboxError } from '../error.ts';
import { isLeftover, ownName } from '../identity.ts';
import { errorName, libc } from '../libc.ts';

const CLONE_NEWNS = 0x20000;
const MS_RDONLY = 1;
const MS_NOSUID = 2;
const MS_NODEV = 4;
const MS_REMOUNT = 32;
const MS_BIND = 4096;
const MS_REC = 1 << 14;
const MS_SLAVE = 1 << 19;
const MNT_DETACH = 2;
const OTHERS_MAY_PASS = 0o001;

const HUGE_PAGE_BYTES = 2 * 1024 * 1024;
/** A machine with less has better uses for the memory of a second copy of the interpreter. */
const MEMORY_BYTES_FOR_HUGE = 4 * 1024 ** 3;

/** Ids inside the sandbox; outside they are those of the slot. */
export const INNER_ID = 1000;

/** A cell's user inside is 0: only so can a zygote come back from the process namespace of its copy. */
const CELL_ID = 0;

const FILES: Readonly<Record<string, string>> = {
  'passwd-cell': `function:x:${CELL_ID}:${CELL_ID}:function:/tmp:/bin/sh\n`,
  'group-cell': `function:x:${CELL_ID}:\n`,
  passwd: `root:x:0:0:root:/nonexistent:/usr/sbin/nologin\nfunction:x:${INNER_ID}:${INNER_ID}:function:/tmp:/bin/sh\n`,
  group: `root:x:0:\nfunction:x:${INNER_ID}:\n`,
};

export interface StagingOptions {
  readonly codeRoot: string;
  readonly runtimesRoot: string;
  readonly interpreter: string;
  readonly seccompProgram: Buffer;
  /** Of cells and their copies. */
  readonly cellProgram: Buffer;
  /** True: as root, with binds. False: the folders are used where they are. */
  readonly privileged: boolean;
}

export interface Staging {
  /** Files of our own: passwd, group, seccomp. */
  readonly folder: string;
  /** Where a sandbox finds a host path; undefined if it lies outside of what is staged. */
  translate(hostPath: string): string | undefined;
  close(): void;
}

let namespaceEntered = false;
let stagingCount = 0;

export function openStaging(options: StagingOptions): Staging {
  const base = options.privileged ? '/run' : (process.env.XDG_RUNTIME_DIR ?? os.tmpdir());
  removeLeftovers(base);
  const folder = path.join(base, `${ownName()}-${stagingCount++}`);
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  const roots = new Map<string, string>();
  if (options.privileged) mountFolder(folder);
  for (const [name, source] of Object.entries(sourcesOf(options))) {
    if (!options.privileged) {
      roots.set(source, source);
      continue;
    }
    const target = path.join(folder, name);
    const isHuge = name === 'language' && mountInHugePages(path.resolve(options.interpreter), target);
    if (!isHuge) bindReadOnly(source, target);
    roots.set(source, target);
  }
  for (const [name, text] of Object.entries(FILES)) writeFileSync(path.join(folder, name), text, { mode: 0o644 });
  writeFileSync(path.join(folder, 'seccomp'), options.seccompProgram, { mode: 0o644 });
  writeFileSync(path.join(folder, 'seccomp-cell'), options.cellProgram, { mode: 0o644 });
  return {
    folder,
    translate: (hostPath) => translate(roots, hostPath),
    close() {
      if (options.privileged) libc?.umount(folder, MNT_DETACH);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function sourcesOf(options: StagingOptions): Record<string, string> {
  return {
    code: path.resolve(options.codeRoot),
    runtimes: path.resolve(options.runtimesRoot),
    language: path.dirname(path.resolve(options.interpreter)),
  };
}

function translate(roots: ReadonlyMap<string, string>, hostPath: string): string | undefined {
  const resolved = path.resolve(hostPath);
  for (const [source, target] of roots) {
    if (resolved.startsWith(`${source}/`)) return path.join(target, path.relative(source, resolved));
  }
  return undefined;
}

function mountFolder(folder: string): void {
  if (!namespaceEntered) {
    must('unshare', libc?.unshare(CLONE_NEWNS));
    must('mount / as slave', libc?.mount('none', '/', null, MS_REC | MS_SLAVE, null));
    namespaceEntered = true;
  }
  must(`mount ${folder}`, libc?.mount('perch', folder, 'tmpfs', MS_NOSUID | MS_NODEV, 'mode=755,size=16m'));
}

/** Others may not list the folder afterwards if they could not before; they may pass to a name that they were told. */
function bindReadOnly(source: string, target: string): void {
  const mode = statSync(source).mode;
  if ((mode & OTHERS_MAY_PASS) === 0) chmodSync(source, (mode & 0o7777) | OTHERS_MAY_PASS);
  mkdirSync(target);
  must(`bind ${source}`, libc?.mount(source, target, null, MS_BIND, null));
  const flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV;
  must(`bind ${source} read-only`, libc?.mount('none', target, null, flags, null));
}

/** A folder with this file alone. False if it cannot be had: an old kernel, or too little memory. */
function mountInHugePages(file: string, target: string): boolean {
  if (os.totalmem() < MEMORY_BYTES_FOR_HUGE || libc === undefined) return false;
  mkdirSync(target);
  const size = Math.ceil(statSync(file).size / HUGE_PAGE_BYTES + 1) * HUGE_PAGE_BYTES;
  const options = `huge=always,mode=755,size=${size}`;
  if (libc.mount('perch-language', target, 'tmpfs', MS_NOSUID | MS_NODEV, options) !== 0) {
    rmdirSync(target);
    return false;
  }
  try {
    copyFileSync(file, path.join(target, path.basename(file)));
    must(
      `mount ${target} read-only`,
      libc.mount('none', target, null, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, options),
    );
    return true;
  } catch {
    libc.umount(target, MNT_DETACH);
    rmdirSync(target);
    return false;
  }
}

function must(what: string, result: number | undefined): void {
  if (result === 0) return;
  const why = result === undefined ? 'koffi is not installed' : errorName(result);
  throw new SandboxError(`the sandbox cannot be staged: ${what}: ${why}`);
}

function removeLeftovers(base: string): void {
  for (const name of readdirSync(base)) {
    if (!isLeftover(name)) continue;
    const folder = path.join(base, name);
    try {
      // As root the folder is empty: its content was a mount that ended with its process.
      rmdirSync(folder);
    } catch {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}
