/**
 * Whether instances can be put into the background and back: SCHED_IDLE for every thread, or SCHED_OTHER (placement.ts). The
 * kernel runs what is SCHED_IDLE the moment that nobody else wants its CPU, and stops it the moment that somebody does.
 *
 * Two things can be in the way:
 *
 * - Leaving SCHED_IDLE takes CAP_SYS_NICE, or a limit RLIMIT_NICE of 20 or more (that is nice 0) of whoever is changed,
 *   who has it from us. Where it is missing nobody is put into the background either: there would be no way back.
 * - The kernel's autogroup shares a CPU between sessions first, and every sandbox is a session: sessions.ts switches it off.
 * */
import { readFileSync } from 'node:fs';
import type { Finding } from './contract.ts';
import { libc } from './libc.ts';
import { isGrouped, isUngroupedByPlatform, mayUngroup } from './sessions.ts';

const CAP_SYS_NICE = 23n;
/** RLIMIT_NICE counts from 1 (nice 19) to 40 (nice -20). */
const NICE_LIMIT = 20;

let usable: boolean | undefined;

/** Looked up once, at the first change, when a backend has been opened. */
export function canUseBackground(): boolean {
  usable ??= canReturn() && !isGrouped();
  return usable;
}

/** Whether what this process puts into the background can leave it again. */
function canReturn(): boolean {
  return mayReturn(readText('/proc/self/status'), readText('/proc/self/limits'), readText('/proc/self/uid_map'));
}

/** Takes the texts of those files. Capabilities within a user namespace do not count for this. */
export function mayReturn(status: string, limits: string, uidMap: string): boolean {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`);
  const inFirstNamespace = /^\s*0\s+0\s+4294967295\s*$/.test(uidMap);
  if (inFirstNamespace && ((effective >> CAP_SYS_NICE) & 1n) === 1n) return true;
  return Number(/^Max nice priority\s+(\d+)/m.exec(limits)?.[1] ?? 0) >= NICE_LIMIT;
}

/** Whether instances can be put behind others here, and what would help. */
export function backgroundFinding(): Finding & { readonly required: boolean } {
  const found = { topic: 'background', required: false };
  if (libc === undefined)
    return {
      ...found,
      ok: false,
      detail: 'the koffi package does not load',
      fix: 'Reinstall the dependencies: npm install.',
    };
  if (!canReturn()) {
    const detail = 'nobody is put behind others: what is SCHED_IDLE could not be brought back';
    const fix = 'Run as root, or with RLIMIT_NICE at 20: LimitNICE=20 in a systemd unit, `prlimit --nice=20` as root.';
    return { ...found, ok: false, detail, fix };
  }
  // Where it may, a platform that shares cores switches it off.
  if (isGrouped() && !mayUngroup()) {
    const detail = 'nobody is put behind others: the kernel shares CPUs out by session first, and every sandbox is one';
    return { ...found, ok: false, detail, fix: 'As root: sysctl kernel.sched_autogroup_enabled=0' };
  }
  return { ...found, ok: true, detail: `sched_setscheduler with SCHED_IDLE${sessionsText()}`, fix: '' };
}

/** What a platform does to the whole machine for it. */
function sessionsText(): string {
  const what = 'the autogroup of the kernel (kernel.sched_autogroup_enabled), for the whole machine';
  if (isGrouped()) return `; a platform that lends cores switches off ${what}, while it runs`;
  return isUngroupedByPlatform() ? `; a platform that runs has switched off ${what}, until it stops` : '';
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}
