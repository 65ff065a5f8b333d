/** A central scheduler against distributed ones. */
import type { Claim } from '../claim.ts';
import { cellsOf, GridStudy, type Named } from '../grid.ts';
import { SLOWDOWN_MEAN, SLOWDOWN_P99 } from '../shown.ts';
import { PERCH, perchBeside } from './perch-beside.ts';

const RIVALS: readonly Named[] = [
  { name: 'random', spec: 'random:discipline=fcfs' },
  { name: 'power of two', spec: 'power-of-two:discipline=fcfs' },
  { name: 'Sparrow', spec: 'sparrow' },
  { name: 'hashing (OpenWhisk)', spec: 'openwhisk:discipline=fcfs,memory=128' },
  { name: 'Ray', spec: 'ray' },
  { name: 'Canary', spec: 'canary' },
];
const GRID = perchBeside(RIVALS);

export const central: Claim = {
  name: 'central',
  title: 'Central against distributed',
  source: 'SoCC ’19, sections 1, 2.2.1 and 3',
  claimed:
    '“Centralized scheduling approaches are proven to perform better than distributed scheduling algorithms”: a global view “eliminates queue imbalances”, and “functions ready for execution are directly assigned to idle worker cores ' +
    'avoiding unnecessary queueing”.',
  setUp:
    '20 servers of 32 cores, every function warm everywhere, 5 seeds. Run times: exponential with a mean of 100 ms; bimodal, nine in ten 50 ms and one 1 s; log-normal as fitted to Azure Functions in 2019. All run first come, first served ' +
    'on a core of their own; they differ in who decides, by what he knows, and in the messages that takes: a central scheduler has two hops more than a gateway that draws a server at random. Hashing (by 100 functions, the k-th invoked in proportion to 1/k) gives a server ' +
    'as many as it has cores and then goes on to the next; Ray decides on the server where an invocation came, and spills it by reports; Canary’s 16 fronts have servers of their own.',
  cells: (setting) => cellsOf(GRID, setting),
  find: (study, setting) => {
    const own = new GridStudy(GRID, study, setting);
    return {
      parts: [
        'Slowdown, p99:',
        own.table(SLOWDOWN_P99),
        'Slowdown, mean:',
        own.table(SLOWDOWN_MEAN),
        {
          name: '',
          title: 'The p99 slowdown over the load, of a central scheduler and of distributed ones',
          charts: GRID.workloads.map((workload) => own.chart(workload, SLOWDOWN_P99)),
        },
      ],
      verdicts: own.lower(PERCH, RIVALS, SLOWDOWN_P99),
    };
  },
};
