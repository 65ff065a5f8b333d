/**
 * Very many invocations of one new function at once: how soon half of them have run, and all. Reuse, fresh, and worker
 * threads without any isolation (piscina behind node:http); each round a function that nobody has run, and a new pool.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type CpuMeter, makeCpuMeter } from '../cpu-time.ts';
import type { BenchOptions, Figure } from '../report.ts';
import { firstLine } from '../servers.ts';
import { inTurns, rounds, Samples } from './figures.ts';
import { NODE } from './languages.ts';
import { BenchPlatform } from './platform.ts';

const RIVALS = ['piscina', 'reuse', 'fresh'] as const;
const PISCINA = fileURLToPath(new URL('../piscina-process.ts', import.meta.url));

export async function elasticity({ smoke }: BenchOptions): Promise<readonly Figure[]> {
  const count = smoke ? 20 : 1000;
  const us = new Samples('µs');
  const name = (rival: string, what: string): string => `node, ${count} invocations at once, ${rival}, ${what}`;
  const platform = await BenchPlatform.start();
  const piscina = await startPiscina();
  try {
    // Connections, and the compilers of both servers.
    await platform.client.burst(new Array<string>(count).fill(await deploy(platform, 'warm-up', 'reuse')));
    await platform.client.burst(new Array<string>(count).fill(`${piscina.url}warm-up`));
    for (const round of rounds(5, smoke)) {
      for (const rival of inTurns(RIVALS, round)) {
        const fn = `${rival}-${round}`;
        const isPiscina = rival === 'piscina';
        const url = isPiscina ? `${piscina.url}${fn}` : await deploy(platform, fn, rival);
        await platform.cellsReady(NODE);
        const cpuUs = (): number => (isPiscina ? piscina.cpuUs() : platform.cpuUs());
        const beforeUs = cpuUs();
        const times = await platform.client.burst(new Array<string>(count).fill(url));
        us.add(name(rival, 'CPU time each'), (cpuUs() - beforeUs) / count);
        us.add(name(rival, 'until half have run'), times[Math.ceil(count / 2) - 1]!);
        us.add(name(rival, 'until all have run'), times.at(-1)!);
        if (!isPiscina) await platform.remove(fn);
      }
    }
  } finally {
    await platform.stop();
    await piscina.stop();
  }
  const figures = ['until half have run', 'until all have run'].flatMap((what) => [
    us.figure(name('piscina', what)),
    us.beside(name('reuse', what), name('piscina', what)),
    us.beside(name('fresh', what), name('piscina', what)),
    us.beside(name('fresh', what), name('reuse', what)),
  ]);
  return [...figures, ...us.known(...RIVALS.map((rival) => name(rival, 'CPU time each')))];
}

function deploy(platform: BenchPlatform, name: string, isolation: 'reuse' | 'fresh'): Promise<string> {
  return platform.create({ name, language: NODE, source: NODE.hello, isolation });
}

interface PiscinaServer {
  readonly url: string;
  cpuUs(): number;
  stop(): Promise<void>;
}

async function startPiscina(): Promise<PiscinaServer> {
  const folder = mkdtempSync(path.join(tmpdir(), 'perch-bench-piscina-'));
  const file = path.join(folder, 'worker.mjs');
  writeFileSync(file, 'export default async () => ({ ok: true });\n');
  const meter: CpuMeter | null = makeCpuMeter();
  const [command, ...args] = [...(meter?.prefix ?? []), process.execPath, PISCINA, file];
  const child = spawn(command!, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const port = await firstLine(child);
  return {
    url: `http://127.0.0.1:${port}/`,
    cpuUs: () => meter?.usedUs() ?? NaN,
    stop: async () => {
      child.kill('SIGKILL');
      await ended;
      await meter?.close();
      rmSync(folder, { recursive: true });
    },
  };
}
