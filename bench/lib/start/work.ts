/** What a clean copy for each invocation costs a function that works: throughput with every core busy. */
import { availableParallelism } from 'node:os';
import { runInThisContext } from 'node:vm';
import { atLeast, type BenchOptions, type Figure } from '../report.ts';
import { inTurns, rounds, Samples } from './figures.ts';
import { NODE } from './languages.ts';
import { BenchPlatform } from './platform.ts';

const WORK_MS = 100;
const SHARE_MIN = 0.97;
const ISOLATIONS = ['reuse', 'fresh'] as const;
const PROBE_TURNS = 2_000_000;

/** Numbers, a few objects and strings: what a compiler warms up to, and what it allocates. */
const WORK = `const work = (turns) => {
  let sum = 1, kept = {};
  for (let turn = 0; turn < turns; turn++) {
    sum = (Math.imul(sum, 1103515245) + 12345) & 0x7fffffff;
    if ((turn & 1023) === 0) kept = { turn, text: String(sum), last: kept.text };
  }
  return { sum, kept: kept.text };
};`;

/** Turns that take WORK_MS in a process that has warmed up. */
function turnsOfWork(): number {
  const work = runInThisContext(`(() => { ${WORK} return work; })()`) as (turns: number) => unknown;
  const takenMs = Array.from({ length: 9 }, () => {
    const startMs = performance.now();
    work(PROBE_TURNS);
    return performance.now() - startMs;
  });
  return Math.round((PROBE_TURNS * WORK_MS) / Math.min(...takenMs));
}

export async function throughputOfWork({ smoke }: BenchOptions): Promise<readonly Figure[]> {
  const cores = availableParallelism();
  const source = `${WORK}\nexport const handler = async () => work(${smoke ? 1000 : turnsOfWork()});\n`;
  const rate = new Samples('/s');
  const us = new Samples('µs');
  const name = (isolation: string, what: string): string => `node, ${WORK_MS} ms of work, ${isolation}, ${what}`;
  const platform = await BenchPlatform.start();
  try {
    const urls: Record<string, string> = {};
    for (const isolation of ISOLATIONS) {
      urls[isolation] = await platform.create({ name: isolation, language: NODE, source, isolation });
      await platform.client.closedLoop(urls[isolation], cores, smoke ? 1 : 5);
    }
    const countEach = smoke ? 2 : 25;
    for (const round of rounds(5, smoke)) {
      for (const isolation of inTurns(ISOLATIONS, round)) {
        const beforeUs = platform.cpuUs();
        rate.add(name(isolation, 'throughput'), await platform.client.closedLoop(urls[isolation]!, cores, countEach));
        us.add(name(isolation, 'CPU time each'), (platform.cpuUs() - beforeUs) / (cores * countEach));
      }
    }
  } finally {
    await platform.stop();
  }
  return [
    rate.figure(name('reuse', 'throughput')),
    atLeast(rate.beside(name('fresh', 'throughput'), name('reuse', 'throughput')), SHARE_MIN),
    ...us.known(name('reuse', 'CPU time each'), name('fresh', 'CPU time each')),
  ];
}
