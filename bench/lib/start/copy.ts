/** The life of a copy, step by step, outside of the platform: fork to ready, invocation, answer to reaped. */
import { runFresh } from '../fresh.ts';
import { atMost, type BenchOptions, type Figure, quantile } from '../report.ts';
import type { CopiesInput, CopiesTimes } from '../copies-process.ts';
import { Samples } from './figures.ts';
import type { Language } from './languages.ts';

const READY_MAX_US = 3500;
const EXIT_MAX_US = 1000;

export async function lifeOfACopy(language: Language, { smoke }: BenchOptions): Promise<readonly Figure[]> {
  const us = new Samples('µs');
  const name = (what: string): string => `${language.name}, copy, ${what}`;
  for (let left = smoke ? 1 : 3; left > 0; left--) {
    const { readyUs, answerUs, exitUs } = await runFresh<CopiesInput, CopiesTimes>(
      new URL('../copies-process.ts', import.meta.url),
      { language: language.name, file: language.file, source: language.hello, count: smoke ? 5 : 500 },
      [],
    );
    for (const share of [0.5, 0.99]) {
      const p = `p${share * 100}`;
      us.add(name(`fork to ready, ${p}`), quantile(readyUs, share));
      us.add(name(`request to answer, ${p}`), quantile(answerUs, share));
      us.add(name(`answer to reaped, ${p}`), quantile(exitUs, share));
    }
  }
  // The bars are Node's; what holds for the others is stated.
  const barred = (figure: Figure, limitUs: number): Figure =>
    language.name === 'node' ? atMost(figure, limitUs) : figure;
  return [
    barred(us.figure(name('fork to ready, p50')), READY_MAX_US),
    us.figure(name('fork to ready, p99')),
    us.figure(name('request to answer, p50')),
    us.figure(name('request to answer, p99')),
    barred(us.figure(name('answer to reaped, p50')), EXIT_MAX_US),
    us.figure(name('answer to reaped, p99')),
  ];
}
