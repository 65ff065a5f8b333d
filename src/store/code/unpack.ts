/** Writes what a plan says into a folder, checks it without writing, and checks a folder against it. */
import { lstat, mkdir, open, readdir, readlink, symlink, chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { AssertionError } from '../../base/assert.ts';
import { readEntry, readSmallEntry } from './zip-entry.ts';
import { cannotUnzip, shown } from './zip-plan.ts';
import type { PlannedFile, ZipPlan, ZipRefusal } from './zip-plan.ts';

/** Files written at once. */
const WRITER_COUNT = 8;

interface Job {
  readonly plan: ZipPlan;
  readonly folder: string;
  refusal: ZipRefusal | null;
  /** A writer met an error of the disk: the others need not go on. */
  failed: boolean;
}

/**
 * Modes are 0755 and 0644 whatever the process's mask is. Nothing is synced: it can be made again from the zip.
 * A refusal or an exception (of the file system) leaves a part in `folder`, for the caller to remove.
 */
export async function unpack(plan: ZipPlan, folder: string): Promise<ZipRefusal | null> {
  const directories = [folder, ...plan.directories.map((path) => join(folder, path))];
  for (const directory of directories) {
    await mkdir(directory);
    await chmod(directory, 0o755);
  }
  const job: Job = { plan, folder, refusal: null, failed: false };
  const files = plan.files.values();
  // All of them have to be through before the caller may remove the folder.
  const writers = await Promise.allSettled(Array.from({ length: WRITER_COUNT }, () => writeFiles(job, files)));
  for (const writer of writers) if (writer.status === 'rejected') throw writer.reason;
  if (job.refusal) return job.refusal;
  for (const link of plan.links) await symlink(link.target, join(folder, link.path));
  return null;
}

/** Inflates everything and keeps nothing. */
export async function verify(plan: ZipPlan): Promise<ZipRefusal | null> {
  for (const file of plan.files) {
    try {
      if (readSmallEntry(plan.bytes, file.entry) === null) await readEntry(plan.zip, file.entry, async () => {});
    } catch (error) {
      const refusal = refusalOf(error, file);
      if (!refusal) throw error;
      return refusal;
    }
  }
  return null;
}

/** True if the folder holds exactly what the plan says, by names, kinds, sizes, modes and targets. */
export async function isUnpacked(plan: ZipPlan, folder: string): Promise<boolean> {
  try {
    const found = await readdir(folder, { recursive: true });
    if (found.length !== plan.directories.length + plan.files.length + plan.links.length) return false;
    for (const path of plan.directories) {
      if (!(await lstat(join(folder, path))).isDirectory()) return false;
    }
    for (const { path, entry, mode } of plan.files) {
      const stats = await lstat(join(folder, path));
      if (!stats.isFile() || stats.size !== entry.uncompressedSize || (stats.mode & 0o777) !== mode) return false;
    }
    for (const { path, target } of plan.links) {
      if ((await readlink(join(folder, path))) !== target) return false;
    }
    return true;
  } catch {
    return false;
  }
}

/** The first problem ends all writers. */
async function writeFiles(job: Job, files: Iterator<PlannedFile>): Promise<void> {
  for (let step = files.next(); !step.done && !job.refusal && !job.failed; step = files.next()) {
    try {
      await writeFile(job, step.value);
    } catch (error) {
      const refusal = refusalOf(error, step.value);
      if (!refusal) {
        job.failed = true;
        throw error;
      }
      job.refusal ??= refusal;
    }
  }
}

async function writeFile(job: Job, file: PlannedFile): Promise<void> {
  const handle = await open(join(job.folder, file.path), 'wx', file.mode);
  try {
    await handle.chmod(file.mode);
    const small = readSmallEntry(job.plan.bytes, file.entry);
    if (small !== null) await writeAll(handle, small);
    else await readEntry(job.plan.zip, file.entry, (chunk) => writeAll(handle, chunk));
  } finally {
    await handle.close();
  }
}

async function writeAll(handle: Awaited<ReturnType<typeof open>>, chunk: Buffer): Promise<void> {
  for (let start = 0; start < chunk.length;) {
    start += (await handle.write(chunk, start)).bytesWritten;
  }
}

/** Errors of system calls are the disk's, unless they are about a name; all others come from inflating. */
function refusalOf(error: unknown, file: PlannedFile): ZipRefusal | null {
  if (!(error instanceof Error) || error instanceof AssertionError) return null;
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (syscall === undefined) return cannotUnzip(`entry ${shown(file.path)}: ${error.message}`);
  if (code === 'EEXIST') return cannotUnzip(`entry ${shown(file.path)}: the file system takes its name for another's`);
  return null;
}
