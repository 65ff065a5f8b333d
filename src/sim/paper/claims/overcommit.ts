/** Chains on one server, with 1, 3 and 6 invocations for each core. */
import type { Claim } from '../claim.ts';
import { warm } from '../costs.ts';
import { cellsOf, type Grid, GridStudy, type GridWorkload, type Named, type Shown } from '../grid.ts';
import { BETWEEN_P50, BETWEEN_P99, CHAIN_MEAN } from '../shown.ts';
import { isAtLeast, isLess, isNotMore, LESS_RULE, NOT_MORE_RULE, type Verdict, verdictOf } from '../verdict.ts';

const RATIOS = [1, 3, 6] as const;
const packed: readonly Named[] = RATIOS.map((k) => ({ name: `packed ${k}:1`, spec: `perch-packed:k=${k}` }));
const fair: readonly Named[] = RATIOS.map((k) => ({ name: `fair ${k}:1`, spec: `perch-fair:k=${k}` }));
const LEND: Named = { name: 'lend', spec: 'perch-lend:k=6' };
/** 20 s alone, of which a fifth is asleep: as in the paper, on its server of 16 cores. */
const WORKLOAD: GridWorkload = {
  name: 'chains of 5',
  spec: 'chains:length=5,mean=3200,sleep=800,chains=50',
  seconds: 6000,
  warmUpSeconds: 1000,
};
const GRID: Grid = {
  policies: [...packed, ...fair, LEND],
  workloads: [WORKLOAD],
  loads: [0.3, 0.6, 0.75, 0.9, 0.95],
  servers: 1,
  cores: 16,
  costs: ({ costs }) => warm(costs),
  seedCount: 5,
};
/** What the paper saw, at least. */
const SLOWER = 2.97;

function lower({ title, measure }: Shown, own: GridStudy): Verdict[] {
  return RATIOS.flatMap((k, i) => {
    if (k === 1) return [];
    return [packed[i]!, LEND].map((told) =>
      verdictOf(
        `The ${title} is lower where the scheduler is told who sleeps (${told.name}) than with ${fair[i]!.name}`,
        LESS_RULE,
        own.ratios(told, fair[i]!, measure).map(isLess),
      ),
    );
  });
}

export const overcommit: Claim = {
  name: 'overcommit',
  title: 'Chains with 1, 3 and 6 invocations for each core',
  source: 'SoCC ’21, sections 2.1, 2.2 and 4.1, figures 2 and 3',
  claimed:
    'With 50 chains on a server the time of a chain grows from 20 s to 78.5 s and from 28.3 s to 83.4 s (“2.97x and 3.92x”), and with it the time between functions. The scheduler that is proposed has “the goal of oversubscribing CPU resources (3:1 and up) [...] without affecting the service latencies”.',
  setUp:
    'One server of 16 cores; chains of 5 functions that take 4 s each in the mean, a fifth of it asleep, arrive at random; 5 seeds. *Packed*: at most 1, 3 or 6 invocations for each core, and the scheduler knows who sleeps; who came first goes first. *Fair*: as many, and the kernel shares the cores among those that are awake, so that a next step has its share at once. *Lend*: as above, ' +
    '6 at most. Functions that wait give their core up here, as those in containers do, for which the paper sees less waste (17.8 to 31.6 %); units that spin, and steps that are there before their input, are not simulated.',
  cells: (setting) => cellsOf(GRID, setting),
  find: (study, setting) => {
    const own = new GridStudy(GRID, study, setting);
    return {
      parts: [
        'Time of a chain, mean:',
        own.table(CHAIN_MEAN),
        'From the end of a step until the next has a core, median and p99:',
        own.table(BETWEEN_P50),
        own.table(BETWEEN_P99),
        {
          name: '',
          title: 'The mean time of a chain and the p99 time between steps, over the load',
          charts: [CHAIN_MEAN, BETWEEN_P99].map((shown) => own.chart(WORKLOAD, shown)),
        },
      ],
      verdicts: [
        verdictOf(
          `With fair shares chains take ${SLOWER} times as long at 6:1 as at 1:1, or more`,
          `yes where the ratio’s interval lies above ${SLOWER}, no where it lies below`,
          own.ratios(fair[2]!, fair[0]!, CHAIN_MEAN.measure).map((judged) => isAtLeast(judged, SLOWER)),
        ),
        ...[packed[1]!, packed[2]!].map((each) =>
          verdictOf(
            `Chains take no longer with ${each.name} than with ${packed[0]!.name}`,
            NOT_MORE_RULE,
            own.ratios(each, packed[0]!, CHAIN_MEAN.measure).map(isNotMore),
          ),
        ),
        ...lower(CHAIN_MEAN, own),
        ...lower(BETWEEN_P99, own).slice(0, 2),
      ],
    };
  },
};
