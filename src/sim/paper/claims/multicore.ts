/** Functions that want several cores of one server. */
import type { Claim } from '../claim.ts';
import { warm } from '../costs.ts';
import { loadText } from '../format.ts';
import { cellsOf, type Grid, GridStudy, type GridWorkload, type Named } from '../grid.ts';
import { SLOWDOWN_P99, UTILISATION } from '../shown.ts';
import { isNotMore, NOT_MORE_RULE, verdictOf } from '../verdict.ts';

const PERCH: Named = { name: 'perch', spec: 'perch-dedicated' };

function workload(name: string, spec: string): GridWorkload {
  return { name, spec, seconds: 20, warmUpSeconds: 5 };
}

const SINGLE = workload('one core each', 'deterministic:mean=100');
const SEVERAL: readonly GridWorkload[] = [
  workload('2 cores, 10 % of all', 'multicore:mean=100,cores=2,share=0.1,law=deterministic'),
  workload('2 cores, 50 % of all', 'multicore:mean=100,cores=2,share=0.5,law=deterministic'),
  workload('8 cores, 5 % of all', 'multicore:mean=100,cores=8,share=0.05,law=deterministic'),
];
const GRID: Grid = {
  policies: [PERCH],
  workloads: [SINGLE, ...SEVERAL],
  loads: [0.5, 0.7, 0.8, 0.9, 0.95],
  servers: 20,
  cores: 32,
  costs: ({ costs }) => warm(costs),
  seedCount: 5,
};

export const multicore: Claim = {
  name: 'multicore',
  title: 'Functions that want several cores',
  source: 'SoCC ’19, section 3.2',
  claimed:
    '“While our scheduler is designed for single core functions, it can be extended to support multicore ones with minor modifications, such as maintaining a second list to keep track of pairs of idle worker cores on the same machines.”',
  setUp:
    '20 servers of 32 cores, functions of 100 ms, some of which want 2 or 8 cores of one server at once; 5 seeds. The shipped scheduler takes them from one word of its bitmap, and keeps cores for such a request when it has waited; figures are of all invocations together. Beside it the same load where each wants one core.',
  cells: (setting) => cellsOf(GRID, setting),
  find: (study, setting) => {
    const own = new GridStudy(GRID, study, setting);
    return {
      parts: ['Slowdown, p99:', own.table(SLOWDOWN_P99), 'Cores at work:', own.table(UTILISATION)],
      verdicts: [
        verdictOf(
          'The p99 slowdown is no higher where some want several cores than where each wants one',
          NOT_MORE_RULE,
          SEVERAL.flatMap((each) =>
            GRID.loads.map((load) => {
              const [several, single] = [own.cell(PERCH, each, load), own.cell(PERCH, SINGLE, load)];
              return isNotMore({
                group: each.name,
                at: loadText(load),
                ratio: study.ratio(several, single, SLOWDOWN_P99.measure),
                isSound: study.warning(several) === null,
                isOtherSound: study.warning(single) === null,
              });
            }),
          ),
        ),
      ],
    };
  },
};
