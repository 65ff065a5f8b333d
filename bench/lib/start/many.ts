/**
 * The first invocations of many new functions, all at once: more than there are cells. Beside it as many processes
 * started at once, each with code of its own.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { BenchOptions, Figure } from '../report.ts';
import { inTurns, rounds, Samples } from './figures.ts';
import type { Language } from './languages.ts';
import { BenchPlatform } from './platform.ts';
import { Spawner } from './spawner.ts';

const RIVALS = ['first invocations', 'processes'] as const;
const CODE_BYTES = 1024;
/** Functions are created one batch after the other: that is not what is measured. */
const BATCH = 8;

export async function manyFunctions(language: Language, { smoke }: BenchOptions): Promise<readonly Figure[]> {
  const count = smoke ? 6 : 200;
  const us = new Samples('µs');
  const folder = mkdtempSync(path.join(tmpdir(), 'perch-bench-many-'));
  const platform = await BenchPlatform.start();
  const spawner = new Spawner();
  const name = (rival: string, what: string): string => `${language.name}, ${count} ${rival} at once, ${what}`;
  try {
    for (const round of rounds(3, smoke)) {
      for (const rival of inTurns(RIVALS, round)) {
        const names = Array.from({ length: count }, (_, index) => `many-${round}-${index}`);
        const sources = names.map((_, index) => language.module(CODE_BYTES, round * count + index));
        const { times, cpuUs } =
          rival === 'processes'
            ? await spawnAll(spawner, language, { folder: path.join(folder, String(round)), sources })
            : await invokeAll(platform, language, { names, sources });
        us.add(name(rival, 'until half have run'), times[Math.ceil(count / 2) - 1]!);
        us.add(name(rival, 'until all have run'), times.at(-1)!);
        us.add(name(rival, 'CPU time each'), cpuUs / count);
      }
    }
  } finally {
    await platform.stop();
    await spawner.stop();
    rmSync(folder, { recursive: true });
  }
  const figures = ['until half have run', 'until all have run'].flatMap((what) => [
    us.figure(name('processes', what)),
    us.beside(name('first invocations', what), name('processes', what)),
  ]);
  return [...figures, ...us.known(name('processes', 'CPU time each'), name('first invocations', 'CPU time each'))];
}

interface Taken {
  readonly times: readonly number[];
  readonly cpuUs: number;
}

async function invokeAll(
  platform: BenchPlatform,
  language: Language,
  { names, sources }: { names: readonly string[]; sources: readonly string[] },
): Promise<Taken> {
  const urls: string[] = [];
  for (let at = 0; at < names.length; at += BATCH) {
    const batch = names
      .slice(at, at + BATCH)
      .map((name, index) => platform.create({ name, language, source: sources[at + index]! }));
    urls.push(...(await Promise.all(batch)));
  }
  await platform.cellsReady(language);
  const beforeUs = platform.cpuUs();
  const times = await platform.client.burst(urls);
  const cpuUs = platform.cpuUs() - beforeUs;
  for (const name of names) await platform.remove(name);
  // What they leave behind is not the next rival's.
  await platform.cellsReady(language);
  return { times, cpuUs };
}

async function spawnAll(
  spawner: Spawner,
  language: Language,
  { folder, sources }: { folder: string; sources: readonly string[] },
): Promise<Taken> {
  const commands = sources.map((source, index) => {
    const own = path.join(folder, String(index));
    mkdirSync(own, { recursive: true });
    writeFileSync(path.join(own, language.file), source);
    return [...language.commands['with the flags of instances'], language.layRunner(own)];
  });
  const beforeUs = spawner.cpuUs();
  const times = await spawner.run(commands);
  return { times, cpuUs: spawner.cpuUs() - beforeUs };
}
