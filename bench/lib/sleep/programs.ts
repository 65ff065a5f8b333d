/**
 * What the kernel itself counts of the programs that watch: time and runs, while it is told to count them. The counting is in the
 * figure. Whatever else the machine does, these are figures of the programs alone.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { realClock } from '../../../src/base/clock.ts';
import { openEbpf } from '../../../src/worker/observers/ebpf/index.ts';
import { compare, type Figure } from '../report.ts';
import { Samples } from '../start/figures.ts';
import { IDLE_SCRIPT, Subject } from './subject.ts';

const SWITCH_FILE = '/proc/sys/kernel/bpf_stats_enabled';
/** In the order in which they are loaded. */
const PROGRAMS = ['at a switch', 'at a wake-up'] as const;
/** Two threads that wake each other as fast as they can. */
const PLAY_SCRIPT = `
  const { Worker } = require('node:worker_threads');
  const cell = new Int32Array(new SharedArrayBuffer(4));
  const play = \`const { workerData: [cell, mine] } = require('node:worker_threads');
    for (;;) {
      while (Atomics.load(cell, 0) !== mine) Atomics.wait(cell, 0, 1 - mine);
      Atomics.store(cell, 0, 1 - mine);
      Atomics.notify(cell, 0);
    }\`;
  for (const mine of [0, 1]) new Worker(play, { eval: true, workerData: [cell, mine] });
  console.log('ready');`;

const ignore = (): void => undefined;

interface Counted {
  readonly ns: number;
  readonly runs: number;
}

export async function programCosts({ smoke }: { readonly smoke: boolean }): Promise<readonly Figure[]> {
  const observer = openEbpf(
    { slept: ignore, polls: ignore, woke: ignore, sent: ignore, received: ignore },
    { clock: realClock, watchedMax: 4, intervalMs: 100 },
  );
  if (typeof observer === 'string') return [];
  const player = await Subject.start(PLAY_SCRIPT);
  const other = await Subject.start(IDLE_SCRIPT);
  if (player === null || other === null) return [];
  const samples = new Samples('ns');
  const before = readFileSync(SWITCH_FILE, 'latin1');
  try {
    writeFileSync(SWITCH_FILE, '1');
    for (let round = 0; round < (smoke ? 1 : 5); round++) {
      for (const [how, watched] of [
        ['of others', other],
        ['of who is watched', player],
      ] as const) {
        observer.watch(0, watched);
        const start = counted();
        await sleep(smoke ? 200 : 2000);
        const end = counted();
        observer.unwatch(0);
        PROGRAMS.forEach((program, index) => {
          const runs = end[index]!.runs - start[index]!.runs;
          if (runs > 0) samples.add(`the program ${program}, ${how}`, (end[index]!.ns - start[index]!.ns) / runs);
        });
      }
    }
  } finally {
    writeFileSync(SWITCH_FILE, before);
    observer.close();
    await Promise.all([player.stop(), other.stop()]);
  }
  return PROGRAMS.flatMap((program) => {
    const plain = samples.figure(`the program ${program}, of others`);
    return [plain, compare(samples.figure(`the program ${program}, of who is watched`), plain)];
  });
}

/** Of the programs that this process holds, oldest first. */
function counted(): readonly Counted[] {
  const descriptors = readdirSync('/proc/self/fdinfo').map(Number);
  return descriptors
    .toSorted((a, b) => a - b)
    .flatMap((descriptor) => {
      const text = readInfo(descriptor);
      const of = (key: string): number => Number(new RegExp(`^${key}:\\s*(\\d+)`, 'm').exec(text)?.[1] ?? 0);
      return text.includes('prog_type:') ? [{ ns: of('run_time_ns'), runs: of('run_cnt') }] : [];
    });
}

function readInfo(descriptor: number): string {
  try {
    return readFileSync(`/proc/self/fdinfo/${descriptor}`, 'latin1');
  } catch {
    // It was the one that the folder was read through.
    return '';
  }
}
