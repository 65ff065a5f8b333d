/**
 * Lets the platform's own thread go before functions where they share CPUs: it works for a fraction of a millisecond each time, and all of
 * them wait for that: who ended has its core given to the next, who woke has it back. By the kernel's own rule it would wait for
 * a slice of whoever computes, some milliseconds.
 *
 * Whatever the thread starts (sandboxes, threads of V8 and libuv) has the ordinary priority again: SCHED_RESET_ON_FORK.
 *
 * `perch experiment` does the same with what stands for other machines: clients, and the object server.
 */
import os from 'node:os';
import { libc } from './libc.ts';

const SCHED_OTHER = 0;
const SCHED_RESET_ON_FORK = 0x4000_0000;
/** Nine times the share of who is at 0. */
const NICE = -10;
const THIS_THREAD = 0;

/** The calling thread, once, at its start. Whether it could be done: it takes CAP_SYS_NICE. */
export function goBeforeFunctions(): boolean {
  if (libc === undefined || libc.schedSetscheduler(THIS_THREAD, SCHED_OTHER | SCHED_RESET_ON_FORK) < 0) return false;
  try {
    os.setPriority(THIS_THREAD, NICE);
    return true;
  } catch {
    return false;
  }
}
