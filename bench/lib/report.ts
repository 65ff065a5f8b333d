/** What every benchmark answers, and how it is printed. */
export interface BenchOptions {
  /** Small and quick: does it still run? Its figures mean nothing. */
  readonly smoke: boolean;
  /** Only these of its parts; empty: all. For benchmarks that have `parts`. */
  readonly only: readonly string[];
  /** A folder with files of a public trace; null: the built-in workload. For benchmarks that replay one. */
  readonly trace: string | null;
  /** Puts what it found where the product reads it. For benchmarks that calibrate. */
  readonly write: boolean;
}

export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** Lowest and highest of the rounds, where there were several; `value` is their median. */
  readonly min?: number;
  readonly max?: number;
  /** The name of the figure that this one is compared with, and value / its value. */
  readonly against?: string;
  readonly ratio?: number;
  /** What was promised of the value or, where there is one, of the ratio; and whether it came so. */
  readonly bar?: string;
  readonly met?: boolean;
}

/** One part of a benchmark, which can be run alone. */
export interface Part {
  readonly name: string;
  readonly notes: readonly string[];
  run(options: BenchOptions): Promise<readonly Figure[]>;
}

export interface Report {
  readonly name: string;
  /** What was counted and how, in a few lines; printed above the figures. */
  readonly notes: readonly string[];
  readonly figures: readonly Figure[];
}

/** The default export of every bench/NAME.ts. */
export interface Benchmark {
  /** One line for the list. */
  readonly summary: string;
  /** Names for `--only`. */
  readonly parts?: readonly string[];
  run(options: BenchOptions): Promise<Report>;
}

/** `figure`, compared with `against` in the same unit. */
export function compare(figure: Figure, against: Figure): Figure {
  return { ...figure, against: against.name, ratio: figure.value / against.value };
}

/** What was promised: at most this, of the ratio where the figure has one. */
export function atMost(figure: Figure, limit: number): Figure {
  return { ...figure, bar: `at most ${limit}`, met: (figure.ratio ?? figure.value) <= limit };
}

export function atLeast(figure: Figure, limit: number): Figure {
  return { ...figure, bar: `at least ${limit}`, met: (figure.ratio ?? figure.value) >= limit };
}

/** Index floor(n × share) of the sorted values: no interpolation, as in the load generators. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}

export function figureOf(name: string, unit: string, values: readonly number[]): Figure {
  return { name, unit, value: median(values), min: Math.min(...values), max: Math.max(...values) };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >>> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function formatReport(report: Report, machine: string): string {
  const rows = report.figures.map((figure) => [
    figure.name,
    formatNumber(figure.value),
    figure.unit,
    figure.min === undefined || figure.max === undefined
      ? ''
      : `${formatNumber(figure.min)} … ${formatNumber(figure.max)}`,
    figure.ratio === undefined ? '' : `${figure.ratio.toFixed(2)} × ${figure.against}`,
    figure.bar === undefined ? '' : `${figure.bar}: ${figure.met === true ? 'met' : 'MISSED'}`,
  ]);
  const header = ['figure', 'median', 'unit', 'min … max', 'compared', 'promised'];
  return [
    `${report.name} on ${machine}`,
    '',
    ...report.notes,
    ...(report.notes.length > 0 ? [''] : []),
    ...formatTable([header, ...rows]),
    '',
  ].join('\n');
}

function formatTable(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, column) => pad(cell, widths[column]!, column))
      .join('  ')
      .trimEnd(),
  );
}

/** Numbers end in one column, words begin in one. */
function pad(cell: string, width: number, column: number): string {
  return column === 1 ? cell.padStart(width) : cell.padEnd(width);
}

function formatNumber(value: number): string {
  const size = Math.abs(value);
  const digits = size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
