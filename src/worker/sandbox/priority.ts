/**
 * Lets the platform go before functions where they share CPUs: it works for a fraction of a millisecond each time, and all of
 * them wait for that: who ended has its core given to the next, who woke has it back.
 *
 * It is SCHED_RR, which runs at once, and not a nice value: the kernel (EEVDF, since 6.6) lets nobody go first who has had more than
 * its share lately, and who is woken so often has. With nice -10 the platform's thread waited 0.5 ms (p90) and 5 ms (p99) for a CPU beside
 * functions on all of them, 20 to 80 ms at times. All threads of the process have it: the main thread takes locks that those of libuv
 * and V8 hold, and would wait for them to have a CPU.
 *
 * What is started from here (sandboxes, and threads that come later) has the ordinary priority again: SCHED_RESET_ON_FORK.
 *
 * `perch experiment` does the same with what stands for other machines: clients, and the object server.
 */
import { readdirSync, stat } from 'node:fs';
import os from 'node:os';
import type { Finding } from './contract.ts';
import { type Libc, libc } from './libc.ts';

const SCHED_OTHER = 0;
const SCHED_RR = 2;
const SCHED_RESET_ON_FORK = 0x4000_0000;
/** The least but one of 99: before functions, behind whatever else of the machine is in real time. */
const PLATFORM_PRIORITY = 2;
/** Nine times the share of who is at 0. */
const NICE = -10;
const THIS_THREAD = 0;
const TASKS = '/proc/self/task';

/** `nice`: where the machine lets nobody be in real time, as in a cgroup that was given none of it. */
export type Precedence = 'real time' | 'nice' | 'none';

/** The process of the calling thread, once, at its start. Either takes CAP_SYS_NICE. */
export function goBeforeFunctions(): Precedence {
  if (libc === undefined) return 'none';
  if (!goRealTime(libc, THIS_THREAD)) return goNice(libc) ? 'nice' : 'none';
  raiseThreads(libc);
  // libuv starts its threads with the first job for them.
  stat(TASKS, () => raiseThreads(libc as Libc));
  return 'real time';
}

/** Whether a platform may be in real time here. It is tried with this thread, which is ordinary afterwards: for a process that does not go before functions itself. */
export function realTimeFinding(): Finding & { readonly required: boolean } {
  const found = { topic: 'real time', required: false };
  if (libc === undefined || !goRealTime(libc, THIS_THREAD)) {
    const detail = 'the platform waits for functions at times, and none of them has a head start beside others';
    const fix =
      'Run as root, and where a cgroup of the cpu controller withholds it, write 950000 to its cpu.rt_runtime_us.';
    return { ...found, ok: false, detail, fix };
  }
  libc.schedSetscheduler(THIS_THREAD, SCHED_OTHER);
  return {
    ...found,
    ok: true,
    detail: 'sched_setscheduler with SCHED_RR, for the platform where it shares cores',
    fix: '',
  };
}

function goRealTime(calls: Libc, taskId: number): boolean {
  return calls.schedSetscheduler(taskId, SCHED_RR | SCHED_RESET_ON_FORK, PLATFORM_PRIORITY) >= 0;
}

/** One that has ended meanwhile needs nothing. */
function raiseThreads(calls: Libc): void {
  for (const taskId of readdirSync(TASKS)) goRealTime(calls, Number(taskId));
}

function goNice(calls: Libc): boolean {
  if (calls.schedSetscheduler(THIS_THREAD, SCHED_OTHER | SCHED_RESET_ON_FORK) < 0) return false;
  try {
    os.setPriority(THIS_THREAD, NICE);
    return true;
  } catch {
    return false;
  }
}
