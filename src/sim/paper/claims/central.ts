/** A central scheduler against distributed ones. */
import { formatRatio } from '../../report/format.ts';
import type { Claim } from '../claim.ts';
import { warm } from '../costs.ts';
import { type Grid, GridStudy, cellsOf, type Named } from '../grid.ts';
import { metric } from '../study.ts';
import { belowLimit, verdictOf } from '../verdict.ts';
import { AZURE, BIMODAL, EXPONENTIAL } from '../workloads.ts';

const PERCH: Named = { name: 'perch', spec: 'perch' };
const RIVALS: readonly Named[] = [
  { name: 'random', spec: 'random:discipline=fcfs' },
  { name: 'power of two', spec: 'power-of-two:discipline=fcfs' },
  { name: 'Sparrow', spec: 'sparrow' },
  { name: 'hashing (OpenWhisk)', spec: 'openwhisk:discipline=fcfs' },
];
const GRID: Grid = {
  policies: [PERCH, ...RIVALS],
  workloads: [EXPONENTIAL, BIMODAL, AZURE],
  loads: [0.5, 0.7, 0.8, 0.9, 0.95],
  servers: 20,
  cores: 32,
  costs: ({ costs }) => warm(costs),
  seedCount: 5,
};
const P99 = { title: 'slowdown, p99', measure: metric('slowdownP99'), format: formatRatio };
const LIMIT = 1;

export const central: Claim = {
  name: 'central',
  title: 'Central against distributed',
  source: 'SoCC ’19, sections 1, 2.2.1 and 3',
  claimed:
    '“Centralized scheduling approaches are proven to perform better than distributed scheduling algorithms.” A global view “eliminates queue imbalances”; distributed mechanisms assign a task ' +
    'to a server by a simple load balancer.',
  setUp:
    '20 servers of 32 cores, every function warm everywhere. Run times: exponential with a mean of 100 ms; bimodal, nine in ten 50 ms and one 1 s; log-normal as fitted to Azure Functions in 2019. All of them run first come, first ' +
    'served on a core of their own; they differ in who decides where, by what he knows, and in the messages that takes. 5 seeds.',
  cells: (setting) => cellsOf(GRID, setting),
  find: (study, setting) => {
    const own = new GridStudy(GRID, study, setting);
    return {
      parts: [
        'Slowdown, p99:',
        own.table(P99),
        {
          name: '',
          title: 'p99 slowdown over load',
          charts: GRID.workloads.map((workload) => own.chart(workload, P99)),
        },
      ],
      verdicts: RIVALS.map((rival) =>
        verdictOf(
          `With one central scheduler the p99 slowdown is lower than with ${rival.name}`,
          'the ratio of the p99 slowdowns is below 1',
          own.ratios(PERCH, rival, P99.measure).map((judged) => belowLimit(judged, LIMIT)),
        ),
      ),
    };
  },
};
