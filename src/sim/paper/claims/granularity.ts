/** Cores against servers as what is assigned. */
import type { Claim } from '../claim.ts';
import { cellsOf, GridStudy, type Named } from '../grid.ts';
import { SLOWDOWN_P99 } from '../shown.ts';
import { PERCH, perchBeside } from './perch-beside.ts';

const RIVALS: readonly Named[] = [
  { name: 'servers, told at once', spec: 'server-granular' },
  { name: 'servers, told every 100 ms', spec: 'server-granular:report=100' },
  { name: 'servers, packed', spec: 'server-granular:place=pack' },
  { name: 'Hermod', spec: 'hermod' },
  { name: 'gateways, least loaded', spec: 'least-loaded:view=reports' },
];
const GRID = perchBeside(RIVALS);

export const granularity: Claim = {
  name: 'granularity',
  title: 'Cores against servers',
  source: 'SoCC ’19, sections 1, 2.2.2 and 3, figure 1',
  claimed:
    '“One limitation of existing serverless platforms is unpredictable performance that primarily arises due to their server-level scheduling granularity.” Core-granular scheduling “can avoid (a) scheduling delays due to time-sharing and ' +
    '(b) high-level cache pollution”. Servers inform the load balancer “at a regular time interval”.',
  setUp:
    'As in the claim before. The rivals assign to servers, whose kernels share the cores (processor sharing, 3 ms, and what a switch costs): a central scheduler that takes the server with the fewest invocations, and knows of each end at ' +
    'once or every 100 ms; one that packs servers up to an invocation for each core; Hermod; 16 gateways that take the least loaded by reports every 100 ms. Only time-sharing is simulated: caches and memory bandwidth are not, so part (b) cannot be seen here.',
  cells: (setting) => cellsOf(GRID, setting),
  find: (study, setting) => {
    const own = new GridStudy(GRID, study, setting);
    return {
      parts: [
        'Slowdown, p99:',
        own.table(SLOWDOWN_P99),
        {
          name: '',
          title: 'The p99 slowdown over the load, where cores and where servers are assigned',
          charts: GRID.workloads.map((workload) => own.chart(workload, SLOWDOWN_P99)),
        },
      ],
      verdicts: own.lower(PERCH, RIVALS, SLOWDOWN_P99),
    };
  },
};
