/**
 * The first invocation ever of a new function while a stem cell waits, beside a new process of the same interpreter that
 * loads the same code and answers one line. Every sample has code of its own, so no cache has it; it is in the store,
 * and on the disk of the rival, before the clock starts.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { atMost, type BenchOptions, type Figure } from '../report.ts';
import { inTurns, rounds, Samples } from './figures.ts';
import type { Language } from './languages.ts';
import { BenchPlatform } from './platform.ts';
import { Spawner } from './spawner.ts';

const RATIO_MAX = 0.25;
const SIZES = { '1 KB': 1024, '1 MB': 1024 * 1024 } as const;
type Size = keyof typeof SIZES;
const RIVALS = ['perch', 'with the flags of instances', 'without flags'] as const;
/** The machine comes to rest between two samples. */
const REST_MS = 50;

export async function firstInvocation(language: Language, { smoke }: BenchOptions): Promise<readonly Figure[]> {
  const us = new Samples('µs');
  const contest = new Contest(language, await BenchPlatform.start(), new Spawner());
  try {
    for (const size of Object.keys(SIZES) as Size[]) {
      await contest.sample('perch', size); // Connections open and compilers warm; not counted.
      for (const round of rounds(size === '1 MB' && language.name === 'node' ? 21 : 11, smoke)) {
        for (const rival of inTurns(RIVALS, round)) {
          const sample = await contest.sample(rival, size);
          us.add(nameOf(language, size, rival), sample.us);
          us.add(`${nameOf(language, size, rival)}, CPU time`, sample.cpuUs);
        }
      }
    }
  } finally {
    await contest.stop();
  }
  return (Object.keys(SIZES) as Size[]).flatMap((size) => figuresOf(us, language, size));
}

function nameOf({ name }: Language, size: Size, rival: string): string {
  return rival === 'perch' ? `${name}, ${size}, first invocation` : `${name}, ${size}, spawned ${rival}`;
}

function figuresOf(us: Samples, language: Language, size: Size): Figure[] {
  const [first, flags, plain] = RIVALS.map((rival) => nameOf(language, size, rival)) as [string, string, string];
  const beside = us.beside(first, flags);
  return [
    us.figure(flags),
    us.figure(plain),
    // The bar is for the function of 1 MB in Node; what holds for the others is stated.
    language.name === 'node' && size === '1 MB' ? atMost(beside, RATIO_MAX) : beside,
    ...us.known(`${first}, CPU time`, `${flags}, CPU time`),
  ];
}

class Contest {
  readonly #language: Language;
  readonly #platform: BenchPlatform;
  readonly #spawner: Spawner;
  readonly #folder = mkdtempSync(path.join(tmpdir(), 'perch-bench-first-'));
  #count = 0;

  constructor(language: Language, platform: BenchPlatform, spawner: Spawner) {
    this.#language = language;
    this.#platform = platform;
    this.#spawner = spawner;
  }

  async sample(rival: (typeof RIVALS)[number], size: Size): Promise<{ us: number; cpuUs: number }> {
    const count = ++this.#count;
    const source = this.#language.module(SIZES[size], count);
    return rival === 'perch' ? this.#invoke(`first-${count}`, source) : this.#spawn(rival, String(count), source);
  }

  /** The CPU time is that of everything until a new cell waits where the old one did. */
  async #invoke(name: string, source: string): Promise<{ us: number; cpuUs: number }> {
    const platform = this.#platform;
    const url = await platform.create({ name, language: this.#language, source });
    await platform.cellsReady(this.#language);
    await sleep(REST_MS);
    const beforeUs = platform.cpuUs();
    const us = await platform.client.post(url);
    await platform.cellsReady(this.#language);
    const cpuUs = platform.cpuUs() - beforeUs;
    await platform.remove(name);
    return { us, cpuUs };
  }

  async #spawn(rival: 'with the flags of instances' | 'without flags', name: string, source: string) {
    const folder = path.join(this.#folder, name);
    mkdirSync(folder);
    writeFileSync(path.join(folder, this.#language.file), source);
    const command = [...this.#language.commands[rival], this.#language.layRunner(folder)];
    await sleep(REST_MS);
    const beforeUs = this.#spawner.cpuUs();
    const [us] = await this.#spawner.run([command]);
    return { us: us!, cpuUs: this.#spawner.cpuUs() - beforeUs };
  }

  async stop(): Promise<void> {
    await this.#platform.stop();
    await this.#spawner.stop();
    rmSync(this.#folder, { recursive: true });
  }
}
