/**
 * Numbers as people read them, the same in tables and plots. `size`: of the number that it stands beside, so that an interval has the unit
 * and the places of its mean.
 */
export type Format = (value: number, size?: number) => string;

const MINUTE_US = 60e6;
/** Sums of floats: less than that is nothing. */
const NOTHING_US = 5e-4;

const UNITS: readonly { readonly belowUs: number; readonly us: number; readonly name: string }[] = [
  { belowUs: 999.5, us: 1, name: 'µs' },
  { belowUs: 999.5e3, us: 1e3, name: 'ms' },
  { belowUs: 10 * MINUTE_US, us: 1e6, name: 's' },
  { belowUs: 120 * MINUTE_US, us: MINUTE_US, name: 'min' },
  { belowUs: Infinity, us: 60 * MINUTE_US, name: 'h' },
];

/** 1.23 ms; 0 for none at all. */
export function formatTime(us: number, size: number = us): string {
  if (Math.abs(us) < NOTHING_US) return '0';
  const unit = UNITS.find(({ belowUs }) => Math.abs(size) < belowUs) ?? UNITS[0]!;
  return `${digits(us / unit.us, size / unit.us)} ${unit.name}`;
}

/** Three digits, as many as a simulation gives. */
export function digits(value: number, size: number = value): string {
  if (value === 0) return '0';
  const power = Math.log10(Math.abs(size));
  if (power >= 6 || power < -4) return value.toExponential(2).replace('e+', 'e');
  return value.toFixed(Math.max(0, 2 - Math.floor(power + 2e-4)));
}

/** Three places behind the point: 1.002 and 1.000 are not the same slowdown. */
export function formatRatio(value: number, size: number = value): string {
  return Math.abs(size) < 9.9995 ? value.toFixed(3) : digits(value, size);
}

export function formatShare(value: number, size: number = value): string {
  const percent = size * 100;
  return `${percent !== 0 && Math.abs(percent) < 0.095 ? digits(value * 100, percent) : (value * 100).toFixed(1)} %`;
}

export function formatCount(value: number, size: number = value): string {
  return Number.isInteger(size) && Math.abs(size) < 1e6 ? String(Math.round(value)) : digits(value, size);
}

export function timeTick(us: number): string {
  if (Math.abs(us) < NOTHING_US) return '0';
  const unit = UNITS.find(({ belowUs }) => Math.abs(us) < belowUs) ?? UNITS[0]!;
  return `${formatTick(us / unit.us)} ${unit.name}`;
}

export function shareTick(value: number): string {
  return `${formatTick(value * 100)} %`;
}

/** Beside an axis: no more than it takes. */
export function formatTick(value: number): string {
  const short = Number(value.toPrecision(3));
  return Math.abs(short) >= 1e6 ? short.toExponential().replace('e+', 'e') : String(short);
}
