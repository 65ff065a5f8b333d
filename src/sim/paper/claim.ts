/**
 * What a claim of a paper is here: what the paper says and where, what is simulated for it, and how what comes out is judged. Each is a module in
 * claims/. Nothing in a verdict is written by hand: it follows from the results by a rule that is printed beside it.
 */
import type { Costs } from '../costs.ts';
import type { Chart } from '../report/chart.ts';
import type { SimulationSpec } from '../spec.ts';
import type { Study } from './study.ts';
import type { Verdict } from './verdict.ts';

/** One set-up, simulated from several seeds: 1, 2, 3, … */
export interface Cell extends Omit<SimulationSpec, 'seed'> {
  readonly seedCount: number;
}

/** Under what all is simulated; and how large: whole, or so small that all of it runs in seconds, to see that it runs. */
export interface Setting {
  readonly costs: Costs;
  servers(count: number): number;
  seconds(count: number): number;
  seeds(count: number): number;
  /** Invocations that come at once. */
  burst(count: number): number;
}

export interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface Figure {
  /** Beside the claim's: the file is CLAIM-NAME.svg. */
  readonly name: string;
  /** What is seen, for those who do not see it. */
  readonly title: string;
  readonly charts: readonly Chart[];
}

export interface Finding {
  /** In the order in which they are read; a text is a paragraph. */
  readonly parts: readonly (string | Table | Figure)[];
  readonly verdicts: readonly Verdict[];
}

export interface Claim {
  /** For `--only`, files and links. */
  readonly name: string;
  readonly title: string;
  /** Paper and section. */
  readonly source: string;
  /** In the paper's words, where that is short. */
  readonly claimed: string;
  /** What is simulated, beyond what its table says. */
  readonly setUp: string;
  cells(setting: Setting): readonly Cell[];
  find(study: Study, setting: Setting): Finding;
}
