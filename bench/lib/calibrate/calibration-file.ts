/** `src/sim/calibration.json`: what `--costs measured` of `perch sim` is. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { COST_NAMES, type Costs } from '../../../src/sim/costs.ts';
import { describeMachine } from '../machine.ts';
import type { MeasuredCosts, Spread } from './spread.ts';

export interface CalibrationFile {
  readonly machine: string;
  readonly version: string;
  readonly costs: Costs;
  /** Between what most of each lay, microseconds. */
  readonly spread: Readonly<Record<keyof Costs, readonly [number, number]>>;
}

const FILE = fileURLToPath(new URL('../../../src/sim/calibration.json', import.meta.url));
const PACKAGE = new URL('../../../package.json', import.meta.url);

/** Null: nothing was calibrated yet. */
export function readCalibration(): CalibrationFile | null {
  return existsSync(FILE) ? (JSON.parse(readFileSync(FILE, 'utf8')) as CalibrationFile) : null;
}

/** What is measured now, and of the rest what was. */
export function costsWith(measured: MeasuredCosts, before: CalibrationFile | null): Costs | null {
  const entries = COST_NAMES.map((name) => [name, measured[name]?.p50 ?? before?.costs[name]] as const);
  return entries.some(([, us]) => us === undefined) ? null : (Object.fromEntries(entries) as unknown as Costs);
}

export function writeCalibration(measured: Readonly<Record<keyof Costs, Spread>>): void {
  const { version } = JSON.parse(readFileSync(PACKAGE, 'utf8')) as { version: string };
  const each = <T>(of: (spread: Spread) => T): Record<keyof Costs, T> =>
    Object.fromEntries(COST_NAMES.map((name) => [name, of(measured[name])])) as Record<keyof Costs, T>;
  const file: CalibrationFile = {
    machine: describeMachine(),
    version,
    costs: each(({ p50 }) => round(p50)),
    spread: each(({ low, high }) => [round(low), round(high)] as const),
  };
  // Pairs on one line, as the formatter has them.
  const text = JSON.stringify(file, null, 2).replaceAll(/\[\s+(\S+),\s+(\S+)\s+\]/g, '[$1, $2]');
  writeFileSync(FILE, `${text}\n`);
}

/** Nobody measures more digits than these. */
function round(us: number): number {
  return Number(us.toPrecision(3));
}
