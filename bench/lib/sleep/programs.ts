/**
 * What the programs that watch in the kernel cost those who switch, wake, call and send: by the kernel's own count of their time
 * over their runs, while it is told to count them, which is in the figure; whatever else the machine does, these are figures of
 * the programs alone. And by the clock: how long an empty system call takes while they are there, which has all that they cause.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { realClock } from '../../../src/base/clock.ts';
import type { Observer, ObserverEvents } from '../../../src/worker/observers/contract.ts';
import { openEbpf } from '../../../src/worker/observers/ebpf/index.ts';
import { compare, type Figure } from '../report.ts';
import { firstLine } from '../servers.ts';
import { inTurns, rounds, Samples } from '../start/figures.ts';
import { IDLE_SCRIPT, Subject } from './subject.ts';

const SWITCH_FILE = '/proc/sys/kernel/bpf_stats_enabled';
/** In the order in which they are loaded: that of sleep.bpf.c. */
const LOADED = [
  'on_switch',
  'on_wakeup',
  'on_wakeup_new',
  'on_fork',
  'on_exit',
  'on_exec',
  'on_answer',
  'on_send',
  'on_input',
  'seed',
  'unseed',
] as const;
type Program = (typeof LOADED)[number];

interface Workload {
  readonly script: string;
  readonly programs: readonly (readonly [Program, string])[];
  readonly isTraffic?: true;
}

const WORKLOADS: readonly Workload[] = [
  {
    // Two threads that wake each other as fast as they can.
    script: `
      const { Worker } = require('node:worker_threads');
      const cell = new Int32Array(new SharedArrayBuffer(4));
      const play = \`const { workerData: [cell, mine] } = require('node:worker_threads');
        for (;;) {
          while (Atomics.load(cell, 0) !== mine) Atomics.wait(cell, 0, 1 - mine);
          Atomics.store(cell, 0, 1 - mine);
          Atomics.notify(cell, 0);
        }\`;
      for (const mine of [0, 1]) new Worker(play, { eval: true, workerData: [cell, mine] });
      console.log('ready');`,
    programs: [
      ['on_switch', 'a switch'],
      ['on_wakeup', 'a wake-up'],
    ],
  },
  {
    // It asks for input that never comes.
    script: `console.log('ready'); const again = () => setImmediate(again); again();`,
    programs: [['on_answer', 'the end of a call in vain']],
  },
  {
    // It sends to itself, and receives it. A socket belongs to the cgroup in which it was made: it has to be in its own by then.
    script: `
      const { createSocket } = require('node:dgram');
      let socket;
      const send = () => socket.send('x', socket.address().port, '127.0.0.1');
      console.log('ready');
      setTimeout(() => {
        socket = createSocket('udp4');
        socket.on('message', send);
        socket.bind(0, '127.0.0.1', () => { for (let i = 0; i < 8; i++) send(); });
      }, 200);`,
    isTraffic: true,
    programs: [
      ['on_send', 'something sent'],
      ['on_input', 'something received'],
    ],
  },
];

const HOWS = ['of others', 'of who is watched', 'of who is watched, and told of'] as const;

const ignore = (): void => undefined;
const NOBODY: ObserverEvents = { slept: ignore, polls: ignore, woke: ignore, sent: ignore, received: ignore };

function open(): Observer | null {
  const opened = openEbpf(NOBODY, { clock: realClock, watchedMax: 4 });
  return typeof opened === 'string' ? null : opened;
}

export async function programCosts(options: { readonly smoke: boolean }): Promise<readonly Figure[]> {
  return [...(await countedCosts(options)), ...(await callCosts(options))];
}

async function countedCosts({ smoke }: { readonly smoke: boolean }): Promise<readonly Figure[]> {
  const observer = open();
  if (observer === null) return [];
  const samples = new Samples('ns');
  const before = readFileSync(SWITCH_FILE, 'latin1');
  const other = await Subject.start(IDLE_SCRIPT);
  try {
    writeFileSync(SWITCH_FILE, '1');
    for (const workload of WORKLOADS) {
      const subject = await Subject.start(workload.script);
      if (subject === null || other === null) continue;
      await sleep(500);
      await addRounds({ samples, workload, observer, subject, other, smoke });
      await subject.stop();
    }
  } finally {
    writeFileSync(SWITCH_FILE, before);
    observer.close();
    await other?.stop();
  }
  return figures(samples);
}

interface Run {
  readonly samples: Samples;
  readonly workload: Workload;
  readonly observer: Observer;
  readonly subject: Subject;
  readonly other: Subject;
  readonly smoke: boolean;
}

async function addRounds({ samples, workload, observer, subject, other, smoke }: Run): Promise<void> {
  const hows = workload.isTraffic === true ? HOWS : HOWS.slice(0, 2);
  // The end of a call is seen only while somebody may be stopped.
  observer.watch(1, other, true);
  for (const round of rounds(5, smoke)) {
    for (const how of inTurns(hows, round)) {
      if (how !== 'of others') observer.watch(0, subject);
      observer.tellTraffic(0, how === 'of who is watched, and told of');
      await addCounted(samples, workload, { how, ms: smoke ? 100 : 1000 });
      observer.unwatch(0);
    }
  }
  observer.unwatch(1);
}

async function addCounted(
  samples: Samples,
  workload: Workload,
  { how, ms }: { readonly how: string; readonly ms: number },
): Promise<void> {
  const start = counted();
  await sleep(ms);
  const end = counted();
  for (const [program, title] of workload.programs) {
    const [from, to] = [start.get(program), end.get(program)];
    if (from === undefined || to === undefined || to.runs === from.runs) continue;
    samples.add(`at ${title}, ${how}`, (to.ns - from.ns) / (to.runs - from.runs));
  }
}

/** What they add for those who are watched, beside the same of others. */
function figures(samples: Samples): readonly Figure[] {
  return WORKLOADS.flatMap(({ programs }) =>
    programs.flatMap(([, title]) => {
      const names = HOWS.map((how) => `at ${title}, ${how}`).filter((name) => samples.names.includes(name));
      const [plain, ...others] = names.map((name) => samples.figure(name));
      return plain === undefined ? [] : [plain, ...others.map((figure) => compare(figure, plain))];
    }),
  );
}

interface Counted {
  readonly ns: number;
  readonly runs: number;
}

/** Of the programs that this process holds. */
function counted(): ReadonlyMap<Program, Counted> {
  const infos = readdirSync('/proc/self/fdinfo')
    .map(readInfo)
    .filter((text) => text.includes('prog_type:'))
    .map((text) => {
      const of = (key: string): number => Number(new RegExp(`^${key}:\\s*(\\d+)`, 'm').exec(text)?.[1] ?? 0);
      return { id: of('prog_id'), ns: of('run_time_ns'), runs: of('run_cnt') };
    })
    .toSorted((a, b) => a.id - b.id);
  // Where the kernel has no tracepoint for one of them, it cannot be told which ones there are.
  return new Map(infos.length === LOADED.length ? LOADED.map((program, index) => [program, infos[index]!]) : []);
}

function readInfo(descriptor: string): string {
  try {
    return readFileSync(`/proc/self/fdinfo/${descriptor}`, 'latin1');
  } catch {
    // It was the one that the folder was read through.
    return '';
  }
}

/** Calls in a row that ask for nothing; the loop around them is in the figure. */
const CALLS_PER_TURN = 10;
const CALL_SCRIPT = (turns: number): string => `
import os, sys, time
sys.stdin.read(1)
call = os.getppid
start = time.monotonic_ns()
for _ in range(${turns}): ${'call();'.repeat(CALLS_PER_TURN)}
print((time.monotonic_ns() - start) / ${turns * CALLS_PER_TURN})`;
const CALLS = ['nothing attached', 'somebody watched', 'somebody who may be stopped', 'of who may be stopped'] as const;

async function callCosts({ smoke }: { readonly smoke: boolean }): Promise<readonly Figure[]> {
  const samples = new Samples('ns');
  const other = await Subject.start(IDLE_SCRIPT);
  if (other === null) return [];
  try {
    for (const round of rounds(9, smoke)) {
      for (const how of inTurns(CALLS, round)) {
        const observer = how === 'nothing attached' ? null : open();
        if (observer === null && how !== 'nothing attached') return [];
        const child = spawn('python3', ['-c', CALL_SCRIPT(smoke ? 100 : 100_000)], {
          stdio: ['pipe', 'pipe', 'inherit'],
        });
        const own = { cgroup: null, processIds: () => [child.pid!] };
        observer?.watch(0, how === 'of who may be stopped' ? own : other, how !== 'somebody watched');
        child.stdin.write('x');
        samples.add(`an empty system call, ${how}`, Number(await firstLine(child)));
        if (child.exitCode === null) await once(child, 'exit');
        observer?.close();
      }
    }
  } finally {
    await other.stop();
  }
  const [plain, ...others] = CALLS.map((how) => samples.figure(`an empty system call, ${how}`));
  return plain === undefined ? [] : [plain, ...others.map((figure) => compare(figure, plain))];
}
