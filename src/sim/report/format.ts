/** Numbers as people read them, the same in tables and plots. */

const MINUTE_US = 60e6;

/** Sums of floats: less than that is nothing. */
const NOTHING_US = 5e-4;

/** 1.23 ms; 0 for none at all. */
export function formatTime(us: number): string {
  if (Math.abs(us) < NOTHING_US) return '0';
  if (us < 999.5) return `${digits(us)} µs`;
  if (us < 999.5e3) return `${digits(us / 1e3)} ms`;
  if (us < 10 * MINUTE_US) return `${digits(us / 1e6)} s`;
  return us < 120 * MINUTE_US ? `${digits(us / MINUTE_US)} min` : `${digits(us / MINUTE_US / 60)} h`;
}

/** Three digits, as many as a simulation gives. */
export function digits(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) return value.toExponential(2).replace('e+', 'e');
  return size >= 99.95 ? value.toFixed(0) : value.toPrecision(3);
}

/** Three places behind the point: 1.002 and 1.000 are not the same slowdown. */
export function formatRatio(value: number): string {
  return Math.abs(value) < 9.9995 ? value.toFixed(3) : digits(value);
}

export function formatShare(value: number): string {
  const percent = value * 100;
  return `${percent !== 0 && Math.abs(percent) < 0.095 ? digits(percent) : percent.toFixed(1)} %`;
}

export function formatCount(value: number): string {
  return Number.isInteger(value) && Math.abs(value) < 1e6 ? String(value) : digits(value);
}
