/**
 * The kernel's autogroup shares a CPU between sessions before it looks at anything else, and every sandbox is a session: what is
 * SCHED_IDLE in one then gets as much as what is not in another (measured: half each). Where that is in the way, a platform switches it
 * off for as long as it shares cores. It is one setting for the whole machine, so it is put back by the last platform that needs it off:
 *
 *     /run/perch-sessions/4711-98765    a note of each such platform: its process, and when that started
 *     /run/perch-sessions/was-on        one of them has switched it off
 *
 * Who is killed leaves its note: the next one that comes or goes removes it, and puts back in its place. A setting that somebody else has
 * changed meanwhile stays as it is. Rejected: to leave it off, as a platform that shares cores by default would do to every machine; a
 * cgroup of the cpu controller for all sandboxes, to which autogroup does not apply: their share of the machine would be that of one session.
 */
import { accessSync, constants, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type Hierarchy, readHierarchies } from './cgroup/mounts.ts';

export interface SessionFiles {
  /** Holds 1 where the kernel groups sessions, 0 where it does not; is not there where it cannot. */
  readonly setting: string;
  readonly notes: string;
}

const FILES: SessionFiles = {
  setting: '/proc/sys/kernel/sched_autogroup_enabled',
  notes: '/run/perch-sessions',
};
const WAS_ON = 'was-on';

export interface UngroupedSessions {
  /** Whether SCHED_IDLE means something from now on. What started before is still in its group. */
  readonly isDone: boolean;
  /** This call has switched it off. */
  readonly isNew: boolean;
  /** This platform needs it off no longer. */
  release(): void;
}

/** Before the first start. */
export function ungroupSessions(files: SessionFiles = FILES, isInWay: () => boolean = isGrouped): UngroupedSessions {
  const note = path.join(files.notes, noteOf(process.pid));
  const before = readText(files.setting).trim();
  const isOursAlready = before === '0' && names(files).includes(WAS_ON);
  if (!isOursAlready && (before !== '1' || !isInWay())) return { isDone: true, isNew: false, release: () => {} };
  try {
    mkdirSync(files.notes, { recursive: true, mode: 0o755 });
    writeFileSync(note, '');
    switchOff(files);
  } catch {
    // Only root may.
    release(files, note);
    return { isDone: !isInWay(), isNew: false, release: () => {} };
  }
  return { isDone: true, isNew: before === '1', release: () => release(files, note) };
}

/** Puts back what a platform that was killed has left switched off, unless another one needs it so. Leaves it where it may not. */
export function regroupSessions(files: SessionFiles = FILES): void {
  if (names(files).includes(WAS_ON)) putBack(files);
}

/** Also after the note is there, since who was the last may have put it back meanwhile. */
function switchOff(files: SessionFiles): void {
  if (readText(files.setting).trim() !== '1') return;
  writeFileSync(path.join(files.notes, WAS_ON), '');
  writeFileSync(files.setting, '0');
}

function release(files: SessionFiles, note: string): void {
  try {
    rmSync(note, { force: true });
  } catch {
    return; // Where the folder of notes is none, there is none.
  }
  putBack(files);
}

function putBack(files: SessionFiles): void {
  try {
    if (isNeeded(files) || !names(files).includes(WAS_ON)) return;
    if (readText(files.setting).trim() === '0') writeFileSync(files.setting, '1');
    rmSync(path.join(files.notes, WAS_ON), { force: true });
    // Somebody may have come, and have taken it for switched off.
    if (isNeeded(files)) switchOff(files);
    else rmdirSync(files.notes);
  } catch {
    // The folder is gone, or somebody came: whatever is left is seen to by the next one.
  }
}

/** Whether another platform needs it off. Notes of those that are gone are removed. */
function isNeeded(files: SessionFiles): boolean {
  const notes = names(files).filter((name) => name !== WAS_ON);
  const gone = notes.filter((name) => name !== noteOf(Number(name.split('-')[0])));
  for (const name of gone) rmSync(path.join(files.notes, name), { force: true });
  return gone.length < notes.length;
}

/** Process ids are used again, but not with the same start. */
function noteOf(processId: number): string {
  const stat = readText(`/proc/${processId}/stat`);
  const startTicks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  return `${processId}-${startTicks ?? 'gone'}`;
}

function names({ notes }: SessionFiles): readonly string[] {
  try {
    return readdirSync(notes);
  } catch {
    return [];
  }
}

/** Whether what is in one session is shared out beside what is in another. */
export function isGrouped(): boolean {
  if (readText(FILES.setting).trim() !== '1') return false;
  const { v1, v2 } = readHierarchies();
  const cpu = v1.get('cpu');
  // Whoever is in a cgroup of the cpu controller, other than the topmost, is shared out by that instead.
  if (cpu !== undefined) return isTopmost(cpu);
  if (v2 === undefined || isTopmost(v2)) return true;
  return !readText(`${v2.own}/cgroup.controllers`).split(/\s+/).includes('cpu');
}

/** Whether this process could switch it off. */
export function mayUngroup(): boolean {
  try {
    accessSync(FILES.setting, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** A platform that runs has switched it off. */
export function isUngroupedByPlatform(): boolean {
  return readText(FILES.setting).trim() === '0' && names(FILES).includes(WAS_ON);
}

function isTopmost({ own, mountPoint }: Hierarchy): boolean {
  return path.relative(mountPoint, own) === '';
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}
