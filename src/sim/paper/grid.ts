/** Policies on the same workloads at the same loads: what most claims are about. Gives its cells, and of what came out tables, charts and answers. */
import type { Costs } from '../costs.ts';
import type { Chart } from '../report/chart.ts';
import { type Format, formatTick } from '../report/format.ts';
import { linearScale, logScale, tightScale } from '../report/scale.ts';
import type { Cell, Setting, Table } from './claim.ts';
import { figureOf, loadText } from './format.ts';
import type { Measure, Study } from './study.ts';
import { isLess, type Judged, LESS_RULE, type Verdict, verdictOf } from './verdict.ts';

/** What is written on the command line, and how it is called here. */
export interface Named {
  readonly name: string;
  readonly spec: string;
}

export interface GridWorkload extends Named {
  readonly seconds: number;
  readonly warmUpSeconds: number;
}

export interface Grid {
  readonly policies: readonly Named[];
  readonly workloads: readonly GridWorkload[];
  readonly loads: readonly number[];
  readonly servers: number;
  readonly cores: number;
  readonly costs: (setting: Setting) => Costs;
  readonly seedCount: number;
  /** Of a server. */
  readonly memoryMb?: number;
}

const MEMORY_MB = 65_536;

export interface Shown {
  readonly title: string;
  readonly measure: Measure;
  readonly format: Format;
  readonly isLog?: boolean;
  /** Beside an axis; plain numbers, unless it is given. */
  readonly tick?: (value: number) => string;
}

export function cellOf(grid: Grid, setting: Setting, { policy, workload, load }: Spot): Cell {
  return {
    policy: policy.spec,
    workload: workload.spec,
    servers: setting.servers(grid.servers),
    cores: grid.cores,
    memoryMb: grid.memoryMb ?? MEMORY_MB,
    load,
    costs: grid.costs(setting),
    seconds: setting.seconds(workload.seconds),
    warmUpSeconds: setting.seconds(workload.warmUpSeconds),
    seedCount: setting.seeds(grid.seedCount),
  };
}

export interface Spot {
  readonly policy: Named;
  readonly workload: GridWorkload;
  readonly load: number;
}

export function cellsOf(grid: Grid, setting: Setting): Cell[] {
  const { policies, workloads, loads } = grid;
  return workloads.flatMap((workload) =>
    loads.flatMap((load) => policies.map((policy) => cellOf(grid, setting, { policy, workload, load }))),
  );
}

export class GridStudy {
  readonly #grid: Grid;
  readonly #study: Study;
  readonly #setting: Setting;

  constructor(grid: Grid, study: Study, setting: Setting) {
    this.#grid = grid;
    this.#study = study;
    this.#setting = setting;
  }

  cell(policy: Named, workload: GridWorkload, load: number): Cell {
    return cellOf(this.#grid, this.#setting, { policy, workload, load });
  }

  /** A row for each workload and load, a column for each policy. */
  table({ measure, format }: Shown, policies: readonly Named[] = this.#grid.policies): Table {
    const { workloads, loads } = this.#grid;
    return {
      columns: ['workload', 'load', ...policies.map(({ name }) => name)],
      rows: workloads.flatMap((workload) =>
        loads.map((load, i) => [
          i === 0 ? workload.name : '',
          loadText(load),
          ...policies.map((policy) => figureOf(this.#study, this.cell(policy, workload, load), { measure, format })),
        ]),
      ),
    };
  }

  /** Over the load, a line for each policy. */
  chart(
    workload: GridWorkload,
    { title, measure, isLog, tick = formatTick }: Shown,
    policies: readonly Named[] = this.#grid.policies,
  ): Chart {
    const { loads } = this.#grid;
    const series = policies.map((policy) => ({
      index: this.#grid.policies.indexOf(policy),
      name: policy.name,
      points: loads.flatMap((load) => {
        const confidence = this.#study.of(this.cell(policy, workload, load), measure);
        if (confidence === null) return [];
        const { mean, halfWidth } = confidence;
        return [{ x: load, y: mean, low: Math.max(0, mean - (halfWidth ?? 0)), high: mean + (halfWidth ?? 0) }];
      }),
    }));
    const values = series.flatMap(({ points }) => points.flatMap(({ y, high }) => [y, high]));
    return {
      title: `${workload.name}: ${title}`,
      xTitle: 'load',
      yTitle: title,
      x: tightScale(loads, formatTick),
      y: isLog === false ? linearScale(values, tick) : logScale(values, tick),
      series,
      hasMarks: true,
    };
  }

  /** The figure itself, at each workload and load. */
  values(policy: Named, measure: Measure): Judged[] {
    const { workloads, loads } = this.#grid;
    return workloads.flatMap((workload) =>
      loads.map((load) => {
        const cell = this.cell(policy, workload, load);
        const isSound = this.#study.warning(cell) === null;
        const ratio = this.#study.of(cell, measure);
        return { group: workload.name, at: loadText(load), ratio, isSound, isOtherSound: true };
      }),
    );
  }

  /** "The figure is lower", for each of the others. */
  lower(policy: Named, others: readonly Named[], { title, measure }: Pick<Shown, 'title' | 'measure'>): Verdict[] {
    return others.map((other) =>
      verdictOf(
        `The ${title} is lower with ${policy.name} than with ${other.name}`,
        LESS_RULE,
        this.ratios(policy, other, measure).map(isLess),
      ),
    );
  }

  /** A policy's figure over another's, at each workload and load. */
  ratios(policy: Named, base: Named, measure: Measure): Judged[] {
    const { workloads, loads } = this.#grid;
    return workloads.flatMap((workload) =>
      loads.map((load) => {
        const [own, other] = [this.cell(policy, workload, load), this.cell(base, workload, load)];
        const ratio = this.#study.ratio(own, other, measure);
        const [isSound, isOtherSound] = [own, other].map((cell) => this.#study.warning(cell) === null) as [
          boolean,
          boolean,
        ];
        return { group: workload.name, at: loadText(load), ratio, isSound, isOtherSound };
      }),
    );
  }
}
