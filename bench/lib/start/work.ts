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
const PROBE_PARTS = 200;

/** Numbers, a few objects and strings: what a compiler warms up to, and what it allocates. */
const PART = `const part = (turns, seed) => {
  let sum = seed, kept = {};
  for (let turn = 0; turn < turns; turn++) {
    sum = (Math.imul(sum, 1103515245) + 12345) & 0x7fffffff;
    if ((turn & 1023) === 0) kept = { turn, text: String(sum), last: kept.text };
  }
  return (sum + kept.turn) & 0xffffff;
};
`;
const PART_TURNS = 10_000;

interface Shape {
  readonly name: string;
  /** `work(parts)`, of PART_TURNS turns each. */
  readonly source: string;
  /** Run when the module is loaded. */
  readonly practice: string;
  readonly rounds: number;
  readonly countEach: number;
}

const WORK = `${PART}const work = (parts) => { let sum = 1; for (let i = 0; i < parts; i++) sum = part(${PART_TURNS}, sum); return sum; };`;

const SHAPES: readonly Shape[] = [
  {
    name: `${WORK_MS} ms of work`,
    source: WORK,
    practice: '',
    rounds: 5,
    countEach: 25,
  },
  {
    // A function that is called once and loops: the compiler has to replace it while it runs.
    name: `${WORK_MS} ms in one loop`,
    source: `${PART}const work = (parts) => part(parts * ${PART_TURNS}, 1);`,
    practice: '',
    rounds: 3,
    countEach: 10,
  },
  {
    // What its initialisation has run, the compiler need not warm up to in each copy.
    name: `${WORK_MS} ms of work, practised in initialisation`,
    source: WORK,
    practice: `work(${PROBE_PARTS});`,
    rounds: 5,
    countEach: 25,
  },
];

/** Parts that take WORK_MS in a process that has warmed up. */
function partsOfWork(source: string): number {
  const work = runInThisContext(`(() => { ${source} return work; })()`) as (parts: number) => unknown;
  const takenMs = Array.from({ length: 9 }, () => {
    const startMs = performance.now();
    work(PROBE_PARTS);
    return performance.now() - startMs;
  });
  return Math.round((PROBE_PARTS * WORK_MS) / Math.min(...takenMs));
}

export async function throughputOfWork(options: BenchOptions): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const shape of SHAPES) figures.push(...(await throughputOf(shape, options)));
  return figures;
}

async function throughputOf(shape: Shape, { smoke }: BenchOptions): Promise<readonly Figure[]> {
  const cores = availableParallelism();
  const parts = smoke ? 1 : partsOfWork(shape.source);
  const source = `${shape.source}\n${shape.practice}\nexport const handler = async () => work(${parts});\n`;
  const rate = new Samples('/s');
  const us = new Samples('µs');
  const name = (isolation: string, what: string): string => `node, ${shape.name}, ${isolation}, ${what}`;
  const platform = await BenchPlatform.start();
  try {
    const urls: Record<string, string> = {};
    for (const isolation of ISOLATIONS) {
      urls[isolation] = await platform.create({ name: isolation, language: NODE, source, isolation });
      await platform.client.closedLoop(urls[isolation], cores, smoke ? 1 : 5);
    }
    const countEach = smoke ? 2 : shape.countEach;
    for (const round of rounds(shape.rounds, smoke)) {
      for (const isolation of inTurns(ISOLATIONS, round)) {
        const beforeUs = platform.cpuUs();
        rate.add(name(isolation, 'throughput'), await platform.client.closedLoop(urls[isolation]!, cores, countEach));
        us.add(name(isolation, 'CPU time each'), (platform.cpuUs() - beforeUs) / (cores * countEach));
      }
    }
  } finally {
    await platform.stop();
  }
  const beside = rate.beside(name('fresh', 'throughput'), name('reuse', 'throughput'));
  return [
    rate.figure(name('reuse', 'throughput')),
    shape === SHAPES[0] ? atLeast(beside, SHARE_MIN) : beside,
    ...us.known(name('reuse', 'CPU time each'), name('fresh', 'CPU time each')),
  ];
}
