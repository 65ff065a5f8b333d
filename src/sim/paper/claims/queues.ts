/** n separate queues against one for n cores: theory, and the shipped scheduler beside it. */
import { FREE } from '../../costs.ts';
import { digits } from '../../report/format.ts';
import { waitMeanOf, waitQuantileOf } from '../../theory/erlang.ts';
import type { Cell, Claim, Setting, Table } from '../claim.ts';
import { cellOf, type Grid, type Named } from '../grid.ts';
import { LATENCY_P99, WAIT_MEAN, WAIT_P99 } from '../shown.ts';
import type { Measure, Study } from '../study.ts';
import { isLess, LESS_RULE, verdictOf } from '../verdict.ts';
import { EXPONENTIAL } from '../workloads.ts';

const CENTRAL: Named = { name: 'one queue', spec: 'perch' };
const SEPARATE: Named = { name: 'a queue each', spec: 'random:discipline=fcfs' };
const SIZES = [16, 128] as const;
const CORES = 16;
const LOADS = [0.5, 0.7, 0.8, 0.9, 0.95] as const;
const MEAN_MS = 100;
/** A queue of one core at 0.95 forgets in 150 s. */
const WORKLOAD = { ...EXPONENTIAL, seconds: 400, warmUpSeconds: 300 };

function gridOf(servers: number, cores: number): Grid {
  const common = { policies: [CENTRAL, SEPARATE], workloads: [WORKLOAD], loads: LOADS };
  return { ...common, servers, cores, costs: () => FREE, seedCount: 5 };
}

function centralCell(setting: Setting, size: number, load: number): Cell {
  return cellOf(gridOf(size / CORES, CORES), setting, { policy: CENTRAL, workload: WORKLOAD, load });
}

/** As small as it may be, it has as many cores as the other one. */
function separateCell(setting: Setting, size: number, load: number): Cell {
  const { servers } = centralCell(setting, size, load);
  return {
    ...cellOf(gridOf(size, 1), setting, { policy: SEPARATE, workload: WORKLOAD, load }),
    servers: servers * CORES,
  };
}

function spots(): { size: number; load: number }[] {
  return SIZES.flatMap((size) => LOADS.map((load) => ({ size, load })));
}

function tableOf(study: Study, setting: Setting): Table {
  const simulated = (cell: Cell, measure: Measure): string => {
    const { mean, halfWidth } = study.of(cell, measure)!;
    return `${ms(mean / 1e3)} ±${ms((halfWidth ?? 0) / 1e3)}`;
  };
  return {
    columns: [
      'cores',
      'load',
      'mean wait, a queue each: theory',
      'simulated',
      'one queue: theory',
      'simulated',
      'p99 wait, a queue each: theory',
      'simulated',
      'one queue: theory',
      'simulated',
    ],
    rows: spots().map(({ size, load }) => {
      const [one, each] = [centralCell(setting, size, load), separateCell(setting, size, load)];
      const n = one.servers * one.cores;
      return [
        String(n),
        String(load),
        ms(waitMeanOf(1, load) * MEAN_MS),
        simulated(each, WAIT_MEAN.measure),
        ms(waitMeanOf(n, load) * MEAN_MS),
        simulated(one, WAIT_MEAN.measure),
        ms(waitQuantileOf(1, load, 0.99) * MEAN_MS),
        simulated(each, WAIT_P99.measure),
        ms(waitQuantileOf(n, load, 0.99) * MEAN_MS),
        simulated(one, WAIT_P99.measure),
      ];
    }),
  };
}

/** What is that little was not seen, or is rounding. */
function ms(value: number): string {
  return value < 1e-3 ? '0' : digits(value);
}

export const queues: Claim = {
  name: 'queues',
  title: 'One queue against many: theory',
  source: 'SoCC ’19, section 2.2.1',
  claimed: '“An M/M/n queue is provably better than n × M/M/1 queues in terms of tail latency.”',
  setUp:
    'Exponential run times with a mean of 100 ms, 5 seeds, and nothing costs anything. *One queue* is the shipped scheduler over n cores; *a queue each* is a core drawn at random, first come, first served. Theory is Erlang’s. Times in milliseconds. `perch sim theory` ' +
    'has more such checks, and more invocations for each.',
  cells: (setting) =>
    spots().flatMap(({ size, load }) => [centralCell(setting, size, load), separateCell(setting, size, load)]),
  find: (study, setting) => ({
    parts: [tableOf(study, setting)],
    verdicts: [
      verdictOf(
        'The p99 latency is lower with one queue for all cores than with a queue each',
        LESS_RULE,
        spots().map(({ size, load }) => {
          const [one, each] = [centralCell(setting, size, load), separateCell(setting, size, load)];
          const ratio = study.ratio(one, each, LATENCY_P99.measure);
          const [isSound, isOtherSound] = [study.warning(one) === null, study.warning(each) === null];
          return isLess({ group: `${size} cores`, at: String(load), ratio, isSound, isOtherSound });
        }),
      ),
    ],
  }),
};
