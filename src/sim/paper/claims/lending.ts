/** Functions that sleep: cores that are held meanwhile, and cores that are lent. */
import { formatShare } from '../../report/format.ts';
import type { Claim } from '../claim.ts';
import { warm } from '../costs.ts';
import { cellsOf, type Grid, GridStudy, type GridWorkload, type Named, type Shown } from '../grid.ts';
import { SLOWDOWN_P99, UTILISATION } from '../shown.ts';
import { isAtLeast, isAtMost, verdictOf } from '../verdict.ts';

const DEDICATED: Named = { name: 'dedicated', spec: 'perch-dedicated' };
const LEND: Named = { name: 'lend', spec: 'perch-lend:k=8' };
const PACKED: Named = { name: 'packed, 8 a core', spec: 'perch-packed:k=8' };
const FAIR: Named = { name: 'fair, 8 a core', spec: 'perch-fair:k=8' };
const SHARES = [20, 50, 80] as const;
const WORKLOADS: readonly GridWorkload[] = SHARES.map((share) => ({
  name: `${share} % asleep`,
  spec: `sleepy:mean=100,share=${share}`,
  seconds: 20,
  warmUpSeconds: 5,
}));
const GRID: Grid = {
  policies: [DEDICATED, LEND, PACKED, FAIR],
  workloads: WORKLOADS,
  loads: [0.15, 0.3, 0.45, 0.6, 0.75, 0.9],
  servers: 4,
  cores: 32,
  costs: ({ costs }) => warm(costs),
  seedCount: 5,
};
/** Of the paper: with 50 chains. */
const WASTE = 0.69;
/** A cluster that bears its load well: nearly nobody takes twice as long. */
const GOOD = 2;
const IDLE: Shown = { title: 'cores not at work', measure: ({ utilisation }) => 1 - utilisation, format: formatShare };

export const lending: Claim = {
  name: 'lending',
  title: 'Functions that sleep: cores that are held, lent, packed',
  source: 'SoCC ’21, abstract and sections 2.2, 3 and 4.1; SoCC ’19, sections 3 and 4.4',
  claimed:
    '“Units can spend up to 20% - 55% of their CPU time waiting, thus a great amount of CPU time is wasted”, and “up to 69% - 75%” where CPUs are overcommitted. To “keep packing more and more microservices on the same machine, without largely affecting their service latency”, ' +
    'the scheduler should be told when a unit sleeps and what wakes it. The first paper expects “resource under-utilization” of its own design.',
  setUp:
    '4 servers of 32 cores; exponential run times with a mean of 100 ms, in which an invocation sleeps four times, for 20, 50 and 80 % of the time that it takes alone; 5 seeds. The load is CPU time alone. *Dedicated*: a core of its own, asleep or awake. *Lend*: the core of a holder that has slept for 1 ms is lent, and is ' +
    'its holder’s again when it wakes. *Packed*: 8 invocations for each core, who came first goes first. *Fair*: as many, and the kernel shares the cores. Functions that wait here give their core up; those of the paper’s microVMs do not, which is *dedicated* in effect.',
  cells: (setting) => cellsOf(GRID, setting),
  find: (study, setting) => {
    const own = new GridStudy(GRID, study, setting);
    const full = GRID.loads.at(-1)!;
    return {
      parts: [
        'Slowdown, p99:',
        own.table(SLOWDOWN_P99),
        'Cores at work:',
        own.table(UTILISATION),
        {
          name: '',
          title: 'The p99 slowdown over the load, of functions that sleep',
          charts: WORKLOADS.map((workload) => own.chart(workload, SLOWDOWN_P99)),
        },
      ],
      verdicts: [
        verdictOf(
          `With a core of its own for each, ${Math.round(WASTE * 100)} % of all core time or more is lost while others wait`,
          `yes where the interval of cores that are not at work at load ${full} lies above ${WASTE}`,
          own
            .values(DEDICATED, IDLE.measure)
            .filter(({ at }) => at === String(full))
            // How many are at work is right also where the cluster cannot bear the load.
            .map((judged) => isAtLeast({ ...judged, at: '', isSound: true }, WASTE)),
        ),
        ...[DEDICATED, LEND, PACKED, FAIR].map((policy) =>
          verdictOf(
            `With ${policy.name} the p99 slowdown stays below ${GOOD}`,
            'yes where its interval lies below, and the cluster bears the load; no where it lies above',
            own.values(policy, SLOWDOWN_P99.measure).map((judged) => isAtMost(judged, GOOD)),
          ),
        ),
        ...own.lower(LEND, [DEDICATED, PACKED, FAIR], SLOWDOWN_P99),
      ],
    };
  },
};
