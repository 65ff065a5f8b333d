/** A warm no-op in a clean copy for each invocation, beside the same in an instance that is used again. */
import { atMost, type BenchOptions, type Figure } from '../report.ts';
import { runOpenLoop } from '../run-open-loop.ts';
import { inTurns, rounds, Samples } from './figures.ts';
import type { Language } from './languages.ts';
import { BenchPlatform } from './platform.ts';

const RATE = 50;
const RATIO_MAX = 1.5;
const ISOLATIONS = ['reuse', 'fresh'] as const;
const WARM_UP_COUNT = 100;

export async function freshBesideReuse(language: Language, { smoke }: BenchOptions): Promise<readonly Figure[]> {
  const name = (isolation: string, what: string): string => `${language.name}, ${isolation}, ${what}`;
  const us = new Samples('µs');
  const platform = await BenchPlatform.start();
  try {
    const urls: Record<string, string> = {};
    for (const isolation of ISOLATIONS) {
      const url = await platform.create({ name: isolation, language, source: language.hello, isolation });
      for (let index = 0; index < (smoke ? 5 : WARM_UP_COUNT); index++) await platform.client.post(url);
      urls[isolation] = url;
    }
    for (const round of rounds(5, smoke)) {
      for (const isolation of inTurns(ISOLATIONS, round)) {
        const before = await counts(platform);
        const times = smoke ? { seconds: 0.6, warmUpSeconds: 0.2 } : { seconds: 4 };
        const result = await runOpenLoop(urls[isolation]!, { rate: RATE, ...times, cpu: null });
        const after = await counts(platform);
        const invoked = after.invoked - before.invoked;
        if (isolation === 'fresh' && after.copied - before.copied < invoked * 0.9)
          throw new Error(`${invoked} fresh invocations, and ${after.copied - before.copied} copies: see perch doctor`);
        us.add(name(isolation, 'p50'), result.p50Us);
        us.add(name(isolation, 'p99'), result.p99Us);
        us.add(name(isolation, 'CPU time each'), (after.cpuUs - before.cpuUs) / invoked);
      }
    }
  } finally {
    await platform.stop();
  }
  const beside = us.beside(name('fresh', 'p50'), name('reuse', 'p50'));
  return [
    us.figure(name('reuse', 'p50')),
    // The bar is Node's; what holds for the others is stated.
    language.name === 'node' ? atMost(beside, RATIO_MAX) : beside,
    us.figure(name('reuse', 'p99')),
    us.beside(name('fresh', 'p99'), name('reuse', 'p99')),
    ...us.known(name('reuse', 'CPU time each'), name('fresh', 'CPU time each')),
  ];
}

async function counts(platform: BenchPlatform): Promise<{ invoked: number; copied: number; cpuUs: number }> {
  const invoked = await platform.metric('perch_invocations_total');
  const copied = await platform.metric('perch_copies_made_total');
  return { invoked, copied, cpuUs: platform.cpuUs() };
}
