/** `sleepSeenUs` and `wakeSeenUs`: how long after the kernel's moment the agent's eBPF observer tells it. */
import type { Figure } from '../report.ts';
import { tellingLatency } from '../sleep/observers.ts';
import type { MeasuredCosts, Spread } from './spread.ts';

/** Nothing where the observer cannot be loaded. */
export async function sleepCosts(options: { readonly smoke: boolean }): Promise<MeasuredCosts> {
  const figures = await tellingLatency(options);
  const spread = (what: string): Spread | undefined => {
    const figure = figures.find(({ name }) => name === `ebpf, told that it ${what}, p50`);
    return figure === undefined ? undefined : spreadIn(figure);
  };
  const [slept, woke] = [spread('slept'), spread('woke')];
  return { ...(slept && { sleepSeenUs: slept }), ...(woke && { wakeSeenUs: woke }) };
}

function spreadIn({ value, min = value, max = value }: Figure): Spread {
  return { p50: value, low: min, high: max };
}
