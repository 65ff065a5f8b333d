/** What it costs to watch: a look at a sandbox, the kernel's programs at each switch; and how late it is told. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { realClock, type Clock } from '../../../src/base/clock.ts';
import type { Observer, ObserverEvents } from '../../../src/worker/observers/contract.ts';
import { openObserver, type OpenedObserver } from '../../../src/worker/observers/index.ts';
import { compare, type Figure, quantile } from '../report.ts';
import { Samples } from '../start/figures.ts';
import { firstLine } from '../servers.ts';
import { BURNING_SCRIPT, IDLE_SCRIPT, Subject } from './subject.ts';

const NAMES = ['sampling', 'ebpf'] as const;
const ignore = (): void => undefined;
const NOBODY: ObserverEvents = { slept: ignore, polls: ignore, woke: ignore, sent: ignore, received: ignore };
const SUBJECTS = 8;

/** A clock whose ticks are ours: a look is measured by itself. */
class HandClock implements Clock {
  tick: () => void = () => undefined;

  nowUs(): number {
    return realClock.nowUs();
  }

  wallMs(): number {
    return realClock.wallMs();
  }

  every(_intervalMs: number, listener: () => void): () => void {
    this.tick = listener;
    return () => undefined;
  }
}

function open(name: (typeof NAMES)[number], events: ObserverEvents, clock: Clock): Observer | null {
  const opened: OpenedObserver | string = openObserver(name, events, { clock, watchedMax: SUBJECTS });
  return typeof opened === 'string' ? null : opened.observer;
}

async function started(script: string, count: number): Promise<readonly Subject[]> {
  const subjects = await Promise.all(Array.from({ length: count }, () => Subject.start(script)));
  return subjects.filter((subject) => subject !== null);
}

/** Looks at sandboxes that sleep, and at one that burns. */
export async function lookCosts({ smoke }: { readonly smoke: boolean }): Promise<readonly Figure[]> {
  const samples = new Samples('µs');
  const looks = smoke ? 20 : 5000;
  const kinds = [
    ['asleep', await started(IDLE_SCRIPT, SUBJECTS)],
    ['burning', await started(BURNING_SCRIPT, 1)],
  ] as const;
  try {
    const cases = kinds.flatMap(([kind, subjects]) => NAMES.map((name) => ({ kind, subjects, name })));
    for (let round = 0; round < (smoke ? 1 : 5); round++) {
      for (const { kind, subjects, name } of cases) {
        const us = lookUs(name, subjects, looks);
        if (us !== null) samples.add(`${name}, a look at one ${kind}`, us);
      }
    }
  } finally {
    await Promise.all(kinds.flatMap(([, subjects]) => subjects.map((subject) => subject.stop())));
  }
  return samples.names.map((name) => samples.figure(name));
}

function lookUs(name: (typeof NAMES)[number], subjects: readonly Subject[], looks: number): number | null {
  const clock = new HandClock();
  const observer = open(name, NOBODY, clock);
  if (observer === null || subjects.length === 0) return null;
  subjects.forEach((subject, slot) => observer.watch(slot, subject));
  for (let look = 0; look < looks / 10; look++) clock.tick();
  const start = performance.now();
  for (let look = 0; look < looks; look++) clock.tick();
  const us = (performance.now() - start) * 1000;
  observer.close();
  return us / looks / subjects.length;
}

/** Sleeps of 20 ms and bursts of 20 ms: from the kernel's moment, as eBPF has it, until it is told. */
const TURNS_SCRIPT = `console.log('ready'); const cell = new Int32Array(new SharedArrayBuffer(4));
  setImmediate(() => { for (;;) { Atomics.wait(cell, 0, 0, 20); const end = performance.now() + 20; while (performance.now() < end); } });`;

export async function tellingLatency({ smoke }: { readonly smoke: boolean }): Promise<readonly Figure[]> {
  const samples = new Samples('µs');
  const [subject] = await started(TURNS_SCRIPT, 1);
  if (subject === undefined) return [];
  try {
    for (let round = 0; round < (smoke ? 1 : 3); round++) {
      const late = { slept: [] as number[], woke: [] as number[] };
      const observer = open(
        'ebpf',
        {
          ...NOBODY,
          slept: (_slot, atUs) => void late.slept.push(realClock.nowUs() - atUs),
          woke: (_slot, atUs) => void late.woke.push(realClock.nowUs() - atUs),
        },
        realClock,
      );
      if (observer === null) return [];
      observer.watch(0, subject);
      const share = await cpuShare(smoke ? 300 : 5000);
      observer.close();
      for (const what of ['slept', 'woke'] as const) {
        if (late[what].length === 0) continue;
        samples.add(`ebpf, told that it ${what}, p50`, quantile(late[what], 0.5));
        samples.add(`ebpf, told that it ${what}, p99`, quantile(late[what], 0.99));
      }
      samples.add('ebpf, CPU of the process that is told, for each second', share * 1e6);
    }
  } finally {
    await subject.stop();
  }
  return samples.names.map((name) => samples.figure(name));
}

/** CPU time of this process, all threads, over time by the clock. */
async function cpuShare(ms: number): Promise<number> {
  const before = process.cpuUsage();
  const start = performance.now();
  await new Promise((resolve) => setTimeout(resolve, ms));
  const used = process.cpuUsage(before);
  return (used.user + used.system) / ((performance.now() - start) * 1000);
}

/** What it costs to wait for those that do nothing for long. */
export async function quietCosts({ smoke }: { readonly smoke: boolean }): Promise<readonly Figure[]> {
  const samples = new Samples('µs');
  const subjects = await started(IDLE_SCRIPT, SUBJECTS);
  const ms = smoke ? 100 : 3000;
  try {
    for (let round = 0; round < (smoke ? 1 : 3); round++) {
      samples.add('CPU for each second, nobody watched', (await cpuShare(ms)) * 1e6);
      for (const name of NAMES) {
        const observer = open(name, NOBODY, realClock);
        if (observer === null) continue;
        subjects.forEach((subject, slot) => observer.watch(slot, subject));
        await new Promise((resolve) => setTimeout(resolve, 100));
        samples.add(`CPU for each second, ${name}, ${subjects.length} that sleep`, (await cpuShare(ms)) * 1e6);
        observer.close();
      }
    }
  } finally {
    await Promise.all(subjects.map((subject) => subject.stop()));
  }
  return samples.names.map((name) => samples.figure(name));
}

/** Two threads on one CPU that hand a byte to each other: every turn is a switch. */
const SWITCH_SCRIPT = (turns: number): string => `
  import os, time
  os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
  a, b = os.pipe(), os.pipe()
  if os.fork() == 0:
      for _ in range(${turns}): os.write(b[1], os.read(a[0], 1))
      os._exit(0)
  start = time.monotonic_ns()
  for _ in range(${turns}):
      os.write(a[1], b'x')
      os.read(b[0], 1)
  print((time.monotonic_ns() - start) / ${2 * turns})`;

export async function switchCosts({ smoke }: { readonly smoke: boolean }): Promise<readonly Figure[]> {
  const samples = new Samples('ns');
  const turns = smoke ? 100 : 100_000;
  for (let round = 0; round < (smoke ? 1 : 7); round++) {
    for (const how of ['nothing attached', 'attached, not watched', 'attached and watched'] as const) {
      const observer = how === 'nothing attached' ? null : open('ebpf', NOBODY, realClock);
      if (observer === null && how !== 'nothing attached') continue;
      const lines = SWITCH_SCRIPT(turns).split('\n');
      const script = lines.map((line) => line.slice(2)).join('\n');
      const child = spawn('python3', ['-c', `import sys; sys.stdin.read(1)\n${script}`], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      if (how === 'attached and watched') observer?.watch(0, { cgroup: null, processIds: () => [child.pid!] });
      child.stdin.write('x');
      samples.add(`a switch, ${how}`, Number(await firstLine(child)));
      if (child.exitCode === null) await once(child, 'exit');
      observer?.close();
    }
  }
  const [plain, ...others] = samples.names.map((name) => samples.figure(name));
  return plain === undefined ? [] : [plain, ...others.map((figure) => compare(figure, plain))];
}
