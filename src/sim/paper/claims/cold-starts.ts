/** Who is warm where. */
import type { Claim } from '../claim.ts';
import { cellsOf, type Grid, GridStudy, type GridWorkload, type Named } from '../grid.ts';
import { COLD_SHARE, SLOWDOWN_P99, WAIT_MEAN } from '../shown.ts';
import { isAtMost, verdictOf } from '../verdict.ts';

const PERCH: Named = { name: 'perch', spec: 'perch-dedicated:workers=real' };
const WITHOUT_COPIES: Named = { name: 'perch, no copies', spec: 'perch-dedicated:workers=real,isolation=process' };
const RIVALS: readonly Named[] = [
  { name: 'random', spec: 'random:discipline=fcfs' },
  { name: 'power of two', spec: 'power-of-two:discipline=fcfs' },
  { name: 'hashing (OpenWhisk)', spec: 'openwhisk:discipline=fcfs' },
  { name: 'Hermod', spec: 'hermod' },
];
const WORKLOADS: readonly GridWorkload[] = [100, 1000].map((functions) => ({
  name: `${functions} functions`,
  spec: `exponential:mean=100,functions=${functions},skew=1,memory=256`,
  seconds: 60,
  warmUpSeconds: 30,
}));
const GRID: Grid = {
  policies: [PERCH, WITHOUT_COPIES, ...RIVALS],
  workloads: WORKLOADS,
  loads: [0.3, 0.5, 0.7, 0.9],
  servers: 8,
  cores: 32,
  costs: ({ costs }) => costs,
  seedCount: 5,
};

const MOST = 0.5;

export const coldStarts: Claim = {
  name: 'cold-starts',
  title: 'Cold starts: lists of warm cores',
  source: 'SoCC ’19, section 4.2',
  claimed:
    'Each scheduler core keeps lists of cores with warm environments, so that functions are “scheduled to the appropriate core types”: “this way most of the remaining coldstart latency can be eliminated”.',
  setUp:
    '8 servers of 32 cores and 64 GB; 100 and 1,000 functions of 256 MB, the k-th invoked in proportion to 1/k, exponential run times with a mean of 100 ms; 5 seeds. A server has room for 256 instances. Perch’s scheduler has hints of who is warm where, and its shipped worker machine keeps the instances: with clean copies, where a further instance of a function is a fork, ' +
    'and without, where it is a whole cold start. The rivals keep what has ended until memory is short; hashing sends a function to its home server, Hermod takes warm servers first.',
  cells: (setting) => cellsOf(GRID, setting),
  find: (study, setting) => {
    const own = new GridStudy(GRID, study, setting);
    return {
      parts: [
        'Invocations that find no instance (of Perch with copies, those that are forked count too):',
        own.table(COLD_SHARE),
        'Wait, mean: all that comes on top of what the function takes, cold starts and queues:',
        own.table(WAIT_MEAN),
        'Slowdown, p99:',
        own.table(SLOWDOWN_P99),
        {
          name: '',
          title: 'Cold starts and the mean wait, over the load',
          charts: WORKLOADS.flatMap((workload) => [
            own.chart(workload, { ...COLD_SHARE, isLog: false }),
            own.chart(workload, WAIT_MEAN),
          ]),
        },
      ],
      verdicts: [
        verdictOf(
          'Warm lists eliminate most cold starts: there are less than half of those with random',
          'yes where the interval of the ratio of both shares lies below 0.5, no where it lies above',
          own.ratios(WITHOUT_COPIES, RIVALS[0]!, COLD_SHARE.measure).map((judged) => isAtMost(judged, MOST)),
        ),
        ...own.lower(WITHOUT_COPIES, RIVALS, { ...COLD_SHARE, title: 'share of cold starts' }),
        ...own.lower(PERCH, [WITHOUT_COPIES, ...RIVALS], WAIT_MEAN),
      ],
    };
  },
};
