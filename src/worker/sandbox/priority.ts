/**
 * Lets the platform's own thread go before functions where they share CPUs: it works for a fraction of a millisecond each time, and all of
 * them wait for that: who ended has its core given to the next, who woke has it back. By the kernel's own rule it would wait for
 * a slice of whoever computes, some milliseconds.
 *
 * Whatever the thread starts (sandboxes, threads of V8 and libuv) has the ordinary priority again: SCHED_RESET_ON_FORK.
 */
import os from 'node:os';
import { libc } from './libc.ts';

const SCHED_OTHER = 0;
const SCHED_RESET_ON_FORK = 0x4000_0000;
/** Nine times the share of who is at 0. */
const NICE = -10;

/** Once, at the start. Whether it could be done: it takes CAP_SYS_NICE. */
export function goBeforeFunctions(): boolean {
  if (libc === undefined || libc.schedSetscheduler(process.pid, SCHED_OTHER | SCHED_RESET_ON_FORK) < 0) return false;
  try {
    os.setPriority(process.pid, NICE);
    return true;
  } catch {
    return false;
  }
}
