/** From numbers to places on an axis, and which numbers are written beside it. */

export interface Tick {
  readonly at: number;
  readonly label: string;
}

export interface Scale {
  /** 0 at the axis' beginning, 1 at its end. */
  readonly placeOf: (value: number) => number;
  readonly ticks: readonly Tick[];
}

type Format = (value: number) => string;

const TICK_COUNT = 5;
/** From so many times on, powers of ten alone are marked. */
const DECADES_ALONE = 300;
const DECADE = 10;
/** What little goes beyond a round number is cut. */
const SLACK = 0.02;

/** From 0 or less to the greatest. */
export function linearScale(values: readonly number[], format: Format): Scale {
  const low = Math.min(0, ...values);
  const greatest = Math.max(0, ...values);
  const step = niceStep((greatest - low || 1) / TICK_COUNT);
  const count = Math.max(1, Math.ceil((greatest - low) / step - SLACK));
  const high = low + count * step;
  const ticks = Array.from({ length: count + 1 }, (_, index) => tickAt(low + index * step, format));
  return { placeOf: (value) => clamp((value - low) / (high - low)), ticks };
}

/** From 0 to the end, which need not be a round number. */
export function timeScale(end: number, format: Format): Scale {
  return { placeOf: (value) => clamp(value / end), ticks: linearTicks(0, end).map((at) => tickAt(at, format)) };
}

/** As wide as the values, all of which are marked where they are few. */
export function tightScale(values: readonly number[], format: Format): Scale {
  const low = Math.min(...values);
  const high = Math.max(...values);
  if (low === high) return { placeOf: () => 0.5, ticks: [tickAt(low, format)] };
  const known = [...new Set(values)].sort((a, b) => a - b);
  const every = Math.ceil(known.length / 8);
  const ticks = known.filter((_, index) => (known.length - 1 - index) % every === 0).map((at) => tickAt(at, format));
  return { placeOf: (value) => clamp((value - low) / (high - low)), ticks };
}

/** Equal ratios are equal distances. */
export function logScale(values: readonly number[], format: Format): Scale {
  const positive = values.filter((value) => value > 0);
  const low = positive.length === 0 ? 1 : Math.min(...positive);
  const high = positive.length === 0 ? DECADE : Math.max(...positive, low * 1.01);
  const span = Math.log(high / low);
  const ticks = logTicks(low, high).map((at) => tickAt(at, format));
  return { placeOf: (value) => clamp(Math.log(Math.max(value, low) / low) / span), ticks };
}

/** Places for names, one after the other: 0.5, 1.5, … */
export function nameScale(names: readonly string[]): Scale {
  return {
    placeOf: (value) => clamp((value + 0.5) / names.length),
    ticks: names.map((label, at) => ({ at, label })),
  };
}

/** The share at or below, so that each nine more is a step: 0, 90 %, 99 %, 99.9 %. Takes the share *above*. */
export function tailScale(leastAbove: number): Scale {
  const depth = Math.max(1, -Math.log10(leastAbove));
  const ticks: Tick[] = [{ at: 1, label: '0' }];
  // Deeper, they would stand on each other.
  if (depth <= 3) ticks.push({ at: 0.5, label: 'p50' });
  for (let nines = 1; nines <= depth; nines++) ticks.push({ at: DECADE ** -nines, label: percentileOf(nines) });
  return { placeOf: (above) => clamp(-Math.log10(Math.max(above, leastAbove)) / depth), ticks };
}

function percentileOf(nines: number): string {
  return nines === 1 ? 'p90' : `p99${nines > 2 ? '.' : ''}${'9'.repeat(nines - 2)}`;
}

function logTicks(low: number, high: number): readonly number[] {
  if (high / low < DECADE) return linearTicks(low, high);
  const steps = high / low > DECADES_ALONE ? [1] : [1, 2, 5];
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    for (const step of steps) ticks.push(step * DECADE ** power);
  }
  const shown = ticks.filter((at) => at >= low * 0.999 && at <= high * 1.001);
  const every = Math.ceil(shown.length / 8);
  return shown.filter((_, index) => index % every === 0);
}

function linearTicks(low: number, high: number): readonly number[] {
  const step = niceStep((high - low) / TICK_COUNT);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => (first + index) * step);
}

function tickAt(at: number, format: Format): Tick {
  // 3 × 0.1 is 0.30000000000000004.
  const value = Number(at.toPrecision(12));
  return { at: value, label: format(value) };
}

/** The next of 1, 2, 5 × 10ⁿ. */
function niceStep(value: number): number {
  const power = DECADE ** Math.floor(Math.log10(value));
  return ([1, 2, 5].find((step) => step * power >= value * (1 - SLACK)) ?? DECADE) * power;
}

function clamp(place: number): number {
  return Math.max(0, Math.min(1, place));
}
