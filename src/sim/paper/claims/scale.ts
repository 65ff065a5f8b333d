/** 20,000 servers of 32 cores: at which load queues form, and what one decision point bears. */
import { formatShare, formatTime } from '../../report/format.ts';
import type { Claim, Setting, Table } from '../claim.ts';
import { warm } from '../costs.ts';
import { cellsOf, type Grid, GridStudy, type GridWorkload, type Named, type Shown } from '../grid.ts';
import { START_P99 } from '../shown.ts';
import { metric } from '../study.ts';
import { isAtMost, verdictOf } from '../verdict.ts';

const PERCH: Named = { name: 'perch', spec: 'perch' };
const ONE: Named = { name: 'one thread', spec: 'perch-shards:shards=1' };
const TWO: Named = { name: '2 threads', spec: 'perch-shards:shards=2' };
const CORES = 32;
const MEAN_S = 0.1;
const WHOLE = 20_000;
const NEEDED = (WHOLE * CORES) / MEAN_S;

function workload(servers: number, seconds: number, warmUpSeconds: number): GridWorkload {
  const name = `${(servers * CORES).toLocaleString('en')} cores`;
  return { name, spec: 'deterministic:mean=100', seconds, warmUpSeconds };
}

function gridOf(servers: number, seconds: number, warmUpSeconds: number): Grid {
  return {
    policies: [PERCH],
    workloads: [workload(servers, seconds, warmUpSeconds)],
    loads: [0.8, 0.95, 0.99],
    servers,
    cores: CORES,
    costs: ({ costs }) => warm(costs),
    seedCount: 3,
  };
}

const SIZES: readonly Grid[] = [gridOf(1, 200, 50), gridOf(20, 10, 5), gridOf(WHOLE, 0.1, 0.2)];
/** Each decision takes its time, on its thread. */
const THREADS: Grid = {
  ...gridOf(WHOLE, 0.05, 0.15),
  policies: [ONE, TWO],
  loads: [0.95],
  seedCount: 2,
  costs: ({ costs }) => warm(costs),
};
/** A tenth of what a function takes. */
const SOON_US = 10_000;
const WAITING: Shown = {
  title: 'share of all cores that are waited for',
  measure: ({ waitingMean, serverCount, coreCount }) => waitingMean / (serverCount * coreCount),
  format: formatShare,
};
const START_MEAN: Shown = { title: 'mean time to a core', measure: metric('startMeanUs'), format: formatTime };

/** Arithmetic, of the cost of a decision. */
function ratesOf({ costs }: Setting): Table {
  const perSecond = 1e6 / costs.decisionUs;
  return {
    columns: ['what', 'decisions/s'],
    rows: [
      ['needed by the paper’s cluster, at full load', `${(NEEDED / 1e6).toFixed(1)} M`],
      [`one thread at ${formatTime(costs.decisionUs)} a decision, at most`, `${(perSecond / 1e6).toFixed(2)} M`],
      ['threads for the whole', String(Math.ceil(NEEDED / perSecond))],
    ],
  };
}

export const scale: Claim = {
  name: 'scale',
  title: 'One decision point for 20,000 servers of 32 cores',
  source: 'SoCC ’19, section 3 (“The challenge of scale”) and 3.1',
  claimed:
    '20,000 servers of 32 cores with functions of 100 ms need 6.4 million decisions a second. “Scheduling decisions are reduced to the removal of an element from a list”, so one scheduler can make them; and as long as a core is idle, nobody waits.',
  setUp:
    'Functions of 100 ms, warm everywhere, on 1, 20 and 20,000 servers of 32 cores; 3 seeds, of the largest 0.1 s counted (half a million invocations), when all cores have been in use once. There a decision is a delay, and none waits for another. Then 20,000 servers at a load of 0.95 with decisions one after the other, on one thread and on two; 2 seeds. The cost of a decision is that of both its frames there, request and release. ' +
    'How many decisions a second the real one makes is measured, not simulated: [SPECIFICATION.md](SPECIFICATION.md), Scheduling and Cluster.',
  cells: (setting) => [...SIZES, THREADS].flatMap((grid) => cellsOf(grid, setting)),
  find: (study, setting) => {
    const studies = SIZES.map((grid) => new GridStudy(grid, study, setting));
    const threads = new GridStudy(THREADS, study, setting);
    return {
      parts: [
        'Time until an invocation has a core, p99:',
        ...studies.map((own) => own.table(START_P99)),
        'Those that wait, over all cores:',
        ...studies.map((own) => own.table(WAITING)),
        ratesOf(setting),
        'With decisions one after the other, mean and p99:',
        threads.table(START_MEAN),
        threads.table(START_P99),
      ],
      verdicts: [
        verdictOf(
          'No queue forms: all but one in a hundred have a core within 10 ms, a tenth of their run time',
          'yes where the interval of the p99 time to a core lies below 10 ms',
          studies.flatMap((own) => own.values(PERCH, START_P99.measure).map((judged) => isAtMost(judged, SOON_US))),
        ),
        verdictOf(
          'Decisions one after the other keep up with 20,000 servers at a load of 0.95',
          'yes where the interval of the p99 time to a core lies below 10 ms',
          [ONE, TWO].flatMap((each) =>
            threads
              .values(each, START_P99.measure)
              .map((judged) => isAtMost({ ...judged, group: each.name, at: '' }, SOON_US)),
          ),
        ),
      ],
    };
  },
};
