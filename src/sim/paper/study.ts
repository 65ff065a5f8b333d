/** All that was simulated: each cell's seeds together, and one cell over another, seed by seed, since both had the same arrivals. */
import { assert } from '../../base/assert.ts';
import type { Run } from '../batch/batch.ts';
import { type Confidence, confidenceOf } from '../measure/confidence.ts';
import type { Result } from '../measure/result.ts';
import { metricNamed } from '../report/metrics.ts';
import { type Summary, summariesOf } from '../report/summary.ts';
import type { SimulationSpec } from '../spec.ts';
import type { Cell } from './claim.ts';

/** A number of one simulation; null: it has none. */
export type Measure = (result: Result, spec: SimulationSpec) => number | null;

const FIRST_SEED = 1;

export function specsOf({ seedCount, ...rest }: Cell): SimulationSpec[] {
  return Array.from({ length: seedCount }, (_, i) => ({ ...rest, seed: FIRST_SEED + i }));
}

/** Two claims may look at the same simulation; it is run once. */
export function specKeyOf(spec: SimulationSpec): string {
  const { policy, workload, servers, cores, memoryMb, load, seed, seconds, warmUpSeconds, costs } = spec;
  const sizes = [servers, cores, memoryMb, load, seed, seconds, warmUpSeconds].join(' ');
  return `${policy} ${workload} ${sizes} ${Object.values(costs).join(' ')}`;
}

export function metric(name: string): Measure {
  return metricNamed(name).of;
}

export class Study {
  readonly #runs: ReadonlyMap<string, Run>;

  constructor(runs: readonly Run[]) {
    this.#runs = new Map(runs.map((run) => [specKeyOf(run.spec), run]));
  }

  summary(cell: Cell): Summary {
    const [summary] = summariesOf(this.#runsOf(cell));
    assert(summary !== undefined, `${cell.policy} on ${cell.workload} was not simulated`);
    return summary;
  }

  /** Why the cell's figures do not hold; null: they do. */
  warning(cell: Cell): string | null {
    return this.summary(cell).warning;
  }

  /** null: a seed has no such number. */
  of(cell: Cell, measure: Measure): Confidence | null {
    const values = this.#values(cell, measure);
    return values === null ? null : confidenceOf(values);
  }

  ratio(cell: Cell, base: Cell, measure: Measure): Confidence | null {
    const [values, bases] = [this.#values(cell, measure), this.#values(base, measure)];
    if (values === null || bases === null || bases.some((value) => value === 0)) return null;
    return confidenceOf(values.map((value, i) => value / bases[i]!));
  }

  #values(cell: Cell, measure: Measure): readonly number[] | null {
    const values = this.#runsOf(cell).map(({ result, spec }) => measure(result!, spec));
    return values.every((value) => value !== null) ? values : null;
  }

  #runsOf(cell: Cell): readonly Run[] {
    return specsOf(cell).map((spec) => {
      const run = this.#runs.get(specKeyOf(spec));
      assert(
        run !== undefined && run.result !== null,
        `${spec.policy} on ${spec.workload}, seed ${spec.seed}, was not simulated`,
      );
      return run;
    });
  }
}
