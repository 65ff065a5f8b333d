/** References to idle cores that are stolen, against work that is. */
import { formatRatio } from '../../report/format.ts';
import type { Claim } from '../claim.ts';
import { warm } from '../costs.ts';
import { cellsOf, type Grid, GridStudy, type Named, type Shown } from '../grid.ts';
import { MIGRATIONS, perInvocation, SLOWDOWN_P99 } from '../shown.ts';
import { isAtLeast, isAtMost, isNotMore, NOT_MORE_RULE, verdictOf } from '../verdict.ts';
import { EXPONENTIAL } from '../workloads.ts';

const ONE: Named = { name: 'one shard', spec: 'perch-shards:shards=1' };
const FOUR: Named = { name: '4 shards', spec: 'perch-shards:shards=4' };
const SIXTEEN: Named = { name: '16 shards', spec: 'perch-shards:shards=16' };
const WAITING: Named = { name: 'stealing what waits', spec: 'work-stealing' };
const RUNNING: Named = { name: 'stealing what runs', spec: 'work-stealing:discipline=ps' };
const SERVERS: Grid = {
  policies: [ONE, FOUR, SIXTEEN, WAITING, RUNNING],
  workloads: [EXPONENTIAL],
  loads: [0.5, 0.7, 0.8, 0.9, 0.95],
  servers: 20,
  cores: 32,
  costs: ({ costs }) => warm(costs),
  seedCount: 5,
};
/** As in the source that the paper cites: each core has a queue of its own. */
const SINGLE: Grid = {
  ...SERVERS,
  policies: [WAITING],
  workloads: [{ ...EXPONENTIAL, name: '16 servers of one core', seconds: 400, warmUpSeconds: 50 }],
  loads: [0.3, 0.5, 0.7, 0.8, 0.9, 0.95],
  servers: 16,
  cores: 1,
};
const MOVED: Shown = {
  title: 'invocations that move to another server, of each',
  measure: perInvocation('migrations', 'steals'),
  format: formatRatio,
};
const STOLEN: Shown = { title: 'references', measure: perInvocation('steals'), format: formatRatio };
const HALF = 0.5;

export const stealing: Claim = {
  name: 'stealing',
  title: 'Stealing references to idle cores against stealing work',
  source: 'SoCC ’19, sections 2.2.1 and 3.1',
  claimed:
    '“Even the lower variability associated with exponential execution times has been shown to lead to migration rates as high as 50%.” “Instead of handling imbalances by work stealing and function migrations between machines, we avoid them altogether ' +
    'by stealing references to idle cores within a single machine”, with no communication between threads “in the common case”.',
  setUp:
    '20 servers of 32 cores, exponential run times with a mean of 100 ms, 5 seeds. *Shards* are the shipped scheduler as several threads, each with a list of idle cores; every decision takes its time on its thread. Work stealing draws servers at random; a core that is idle asks 2 others, ' +
    'and again after 10 ms. It takes what waits; where servers share their cores (*what runs*) also what has begun, at the cost of a migration. Migration rates also for 16 servers of one core, as in the source that the paper cites (Prekas and others, SOSP ’17).',
  cells: (setting) => [...cellsOf(SERVERS, setting), ...cellsOf(SINGLE, setting)],
  find: (study, setting) => {
    const own = new GridStudy(SERVERS, study, setting);
    const single = new GridStudy(SINGLE, study, setting);
    const shards = [ONE, FOUR, SIXTEEN];
    const rivals = [WAITING, RUNNING];
    return {
      parts: [
        'Slowdown, p99:',
        own.table(SLOWDOWN_P99),
        'Work that moves to another server, before or after it has begun, for each invocation:',
        own.table(MOVED, rivals),
        single.table(MOVED),
        'Of these had begun (migrations proper):',
        own.table(MIGRATIONS, [...shards, ...rivals]),
        'References that a shard took from another one, for each invocation:',
        own.table(STOLEN, shards),
        {
          name: '',
          title: 'The p99 slowdown and what moves, over the load',
          charts: [own.chart(EXPONENTIAL, SLOWDOWN_P99), own.chart(EXPONENTIAL, { ...MOVED, isLog: false }, rivals)],
        },
      ],
      verdicts: [
        verdictOf(
          'Work stealing moves half of the invocations or more',
          'yes where the interval of moves for each invocation lies above 0.5, no where it lies below',
          [
            ...rivals.flatMap((rival) =>
              own
                .values(rival, MOVED.measure)
                .map((judged) => isAtLeast({ ...judged, group: `20 × 32 cores, ${rival.name}` }, HALF)),
            ),
            ...single.values(WAITING, MOVED.measure).map((judged) => isAtLeast(judged, HALF)),
          ],
        ),
        verdictOf(
          'Shards migrate nothing',
          'yes where there is not one migration',
          shards.flatMap((each) =>
            own
              .values(each, MIGRATIONS.measure)
              .map((judged) => isAtMost({ ...judged, group: each.name }, Number.MIN_VALUE)),
          ),
        ),
        ...own.lower(FOUR, rivals, SLOWDOWN_P99),
        verdictOf(
          'Several shards are as good as one: their p99 slowdown is at most that of one',
          NOT_MORE_RULE,
          [FOUR, SIXTEEN].flatMap((each) =>
            own.ratios(each, ONE, SLOWDOWN_P99.measure).map((judged) => isNotMore({ ...judged, group: each.name })),
          ),
        ),
      ],
    };
  },
};
