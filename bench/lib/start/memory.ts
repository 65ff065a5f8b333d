/**
 * What a copy that waits costs in memory, beyond the first: the proportional set size (a page that n processes share
 * counts as 1/n in each) of a zygote and all its copies, with twenty waiting and with one.
 */
import { readFileSync } from 'node:fs';
import { descendantProcesses } from '../../../src/worker/sandbox/affinity.ts';
import { atMost, type BenchOptions, type Figure, figureOf } from '../report.ts';
import type { Language } from './languages.ts';
import { BenchPlatform, until } from './platform.ts';

const COPY_COUNT = 20;
const BYTES_MAX_MB = 5;

interface ProcessMemory {
  readonly parent: number;
  readonly pssMb: number;
}

type Tree = ReadonlyMap<number, ProcessMemory>;

export async function memoryOfCopies(language: Language, { smoke }: BenchOptions): Promise<readonly Figure[]> {
  const eachMb: number[] = [];
  const firstMb: number[] = [];
  for (let left = smoke ? 1 : 3; left > 0; left--) {
    const platform = await BenchPlatform.start();
    try {
      await platform.create({ name: 'hello', language, source: language.hello, isolation: 'fresh', publish: true });
      const one = await withWaiting(platform, 1);
      const all = await withWaiting(platform, COPY_COUNT);
      const zygote = zygoteOf(all);
      firstMb.push(familyMb(one, zygote));
      eachMb.push((familyMb(all, zygote) - familyMb(one, zygote)) / (COPY_COUNT - 1));
    } finally {
      await platform.stop();
    }
  }
  const first = figureOf(`${language.name}, memory of a zygote and its first copy`, 'MB', firstMb);
  const each = figureOf(`${language.name}, memory of each further copy that waits`, 'MB', eachMb);
  return [first, language.name === 'node' ? atMost(each, BYTES_MAX_MB) : each];
}

async function withWaiting(platform: BenchPlatform, count: number): Promise<Tree> {
  const where = '/2019-09-30/functions/hello/provisioned-concurrency?Qualifier=1';
  await platform.api('PUT', where, { ProvisionedConcurrentExecutions: count });
  const isReady = async (): Promise<boolean> =>
    ((await platform.api('GET', where)) as { Status: string }).Status === 'READY';
  await until(isReady, `${count} provisioned copies`);
  return treeBelow(platform.pid);
}

function treeBelow(root: number): Tree {
  const tree = new Map<number, ProcessMemory>();
  for (const id of descendantProcesses(root)) {
    try {
      const rollup = readFileSync(`/proc/${id}/smaps_rollup`, 'latin1');
      const status = readFileSync(`/proc/${id}/status`, 'latin1');
      tree.set(id, {
        parent: numberIn(status, /^PPid:\s+(\d+)/m),
        pssMb: numberIn(rollup, /^Pss:\s+(\d+) kB/m) / 1024,
      });
    } catch {
      // It ended while we looked: a helper of a sandbox that is being made.
    }
  }
  return tree;
}

function numberIn(text: string, pattern: RegExp): number {
  return Number(pattern.exec(text)?.[1] ?? NaN);
}

/** The parent of most. */
function zygoteOf(tree: Tree): number {
  const children = new Map<number, number>();
  for (const { parent } of tree.values()) children.set(parent, (children.get(parent) ?? 0) + 1);
  const [zygote, count] = [...children].reduce((most, entry) => (entry[1] > most[1] ? entry : most), [0, 0]);
  if (count < COPY_COUNT) throw new Error(`no process has ${COPY_COUNT} copies: the function was not forked`);
  return zygote;
}

/** The zygote and its copies. */
function familyMb(tree: Tree, zygote: number): number {
  let sum = 0;
  for (const [id, { parent, pssMb }] of tree) if (id === zygote || parent === zygote) sum += pssMb;
  return sum;
}
