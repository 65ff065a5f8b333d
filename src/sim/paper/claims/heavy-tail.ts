/** Durations of a heavy tail: where an idle core for each is not enough, and what is. */
import { formatRatio } from '../../report/format.ts';
import { DEMAND_CLASSES } from '../../measure/recorder.ts';
import type { Claim, Setting, Table } from '../claim.ts';
import { warm } from '../costs.ts';
import { figureOf } from '../format.ts';
import { cellsOf, type Grid, GridStudy, type GridWorkload, type Named } from '../grid.ts';
import { ofClass, perInvocation, SLOWDOWN_MEAN, SLOWDOWN_P99 } from '../shown.ts';
import type { Study } from '../study.ts';
import { isLess, isNotMore, LESS_RULE, NOT_MORE_RULE, type Verdict, verdictOf } from '../verdict.ts';
import { AZURE } from '../workloads.ts';

const FIRST_COME: Named = { name: 'first come', spec: 'perch-dedicated' };
const FAIR: Named = { name: 'fair, 8 a core', spec: 'perch-fair:k=8' };
const TWO: Named = { name: 'power of two, PS', spec: 'power-of-two' };
const HERMOD: Named = { name: 'Hermod', spec: 'hermod' };
const PREEMPT: Named = { name: 'foreground–background', spec: 'perch-preempt' };
/** Room for many more that were put off. */
const PREEMPT_MANY: Named = { name: 'foreground–background, 64 a core', spec: 'perch-preempt:k=64' };
const STACK: Named = { name: 'a stack per core', spec: 'perch-stack' };

const LARGE: Grid = {
  policies: [FIRST_COME, FAIR, TWO, HERMOD, PREEMPT, STACK],
  workloads: [{ ...AZURE, name: '8 × 32 cores' }],
  loads: [0.8, 0.9, 0.95],
  servers: 8,
  cores: 32,
  costs: ({ costs }) => warm(costs),
  seedCount: 5,
};
/** Where a long one takes half of all cores. Many arrive together with such a one, so it takes long to see enough of them. */
const SMALL: Grid = {
  ...LARGE,
  policies: [FIRST_COME, HERMOD, PREEMPT, PREEMPT_MANY, STACK],
  workloads: [{ ...AZURE, name: '2 cores', seconds: 60_000, warmUpSeconds: 20_000 }],
  loads: [0.5, 0.8],
  servers: 1,
  cores: 2,
};
const GRIDS = [LARGE, SMALL] as const;
const LONGEST = '≥ 100 s';
const LONGEST_MEAN = {
  title: 'mean slowdown of the longest functions (100 s and more)',
  measure: ofClass(LONGEST, 'mean'),
};
const LONGEST_P99 = {
  title: 'p99 slowdown of the longest functions (100 s and more)',
  measure: ofClass(LONGEST, 'p99'),
};
const PREEMPTIONS = { measure: perInvocation('preemptions'), format: formatRatio };

/** At the highest load: a row for each class, a column for each policy. */
function classesOf(grid: Grid, study: Study, setting: Setting): Table {
  const own = new GridStudy(grid, study, setting);
  const [workload, load] = [grid.workloads[0]!, grid.loads.at(-1)!];
  const row = (name: string, figure: 'mean' | 'p99'): string[] =>
    grid.policies.map((policy) =>
      figureOf(study, own.cell(policy, workload, load), { measure: ofClass(name, figure), format: formatRatio }),
    );
  return {
    columns: [`${workload.name}, load ${load}`, 'slowdown', ...grid.policies.map(({ name }) => name)],
    rows: [
      ...DEMAND_CLASSES.flatMap(({ name }) => [
        [name, 'mean', ...row(name, 'mean')],
        ['', 'p99', ...row(name, 'p99')],
      ]),
      [
        'preemptions for each invocation',
        '',
        ...grid.policies.map((policy) => figureOf(study, own.cell(policy, workload, load), PREEMPTIONS)),
      ],
    ],
  };
}

function chartOf(own: GridStudy, workload: GridWorkload): ReturnType<GridStudy['chart']> {
  return own.chart(workload, SLOWDOWN_P99);
}

/** In all clusters together. */
function judge(studies: readonly GridStudy[], statement: Statement): Verdict {
  const { policy, other, measure, text, isBetter } = statement;
  const answer = isBetter ? isLess : isNotMore;
  const places = studies.flatMap((own) => own.ratios(policy, other, measure).map(answer));
  return verdictOf(text, isBetter ? LESS_RULE : NOT_MORE_RULE, places);
}

interface Statement {
  readonly policy: Named;
  readonly other: Named;
  readonly measure: typeof LONGEST_MEAN.measure;
  readonly text: string;
  readonly isBetter: boolean;
}

const STATEMENTS: readonly Statement[] = [
  {
    policy: HERMOD,
    other: FIRST_COME,
    measure: SLOWDOWN_P99.measure,
    text: 'Hermod’s finding: the p99 slowdown is lower with Hermod (shared cores) than first come, first served on idle cores',
    isBetter: true,
  },
  ...[FIRST_COME, HERMOD].flatMap((other) =>
    [SLOWDOWN_P99, SLOWDOWN_MEAN].map(({ title, measure }) => ({
      policy: PREEMPT,
      other,
      measure,
      text: `The ${title} is lower with foreground–background than with ${other.name === HERMOD.name ? other.name : 'first come, first served'}`,
      isBetter: true,
    })),
  ),
  ...[FIRST_COME, HERMOD].flatMap((other) =>
    [LONGEST_MEAN, LONGEST_P99].map(({ title, measure }) => ({
      policy: PREEMPT,
      other,
      measure,
      text: `The ${title} is no higher with foreground–background than with ${other.name === HERMOD.name ? other.name : 'first come, first served'}`,
      isBetter: false,
    })),
  ),
  {
    policy: PREEMPT,
    other: STACK,
    measure: LONGEST_MEAN.measure,
    text: `The ${LONGEST_MEAN.title} is lower with a pool for each server than with a stack for each core`,
    isBetter: true,
  },
];

export const heavyTail: Claim = {
  name: 'heavy-tail',
  title: 'A heavy tail: idle cores, shared cores, foreground–background',
  source: 'SoCC ’19, sections 2.1 and 3; against it Kaffes, Yadwadkar, Kozyrakis: *Hermod*, SoCC ’22',
  claimed:
    'Execution times range over “4 orders of magnitude”; with no two functions on a core there are no “scheduling delays due to time-sharing”. The same authors find later that with the durations of Azure Functions early binding with processor sharing (Hermod) has lower slowdowns than ' +
    'functions that wait for an idle core. Foreground–background, with which Perch goes beyond both, is said to beat them.',
  setUp:
    'Run times log-normal as fitted to Azure Functions in 2019, at most 10 minutes; 5 seeds. 8 servers of 32 cores, and one server of 2 cores. *First come*: an idle core for each, one queue. *Fair*, *power of two* and *Hermod*: kernels share the cores of a server, 3 ms each. *Foreground–background*: ' +
    'who comes new goes before those that have run, which form one pool for each server (8 invocations a core at most, who comes then waits; on 2 cores also with 64). *A stack per core*: the same, but each core keeps those that it put off. Every switch costs what it costs here.',
  cells: (setting) => GRIDS.flatMap((grid) => cellsOf(grid, setting)),
  find: (study, setting) => {
    const studies = GRIDS.map((grid) => new GridStudy(grid, study, setting));
    return {
      parts: [
        ...studies.flatMap((own) => ['Slowdown, p99 and mean:', own.table(SLOWDOWN_P99), own.table(SLOWDOWN_MEAN)]),
        'By the CPU time of the invocation:',
        ...GRIDS.map((grid) => classesOf(grid, study, setting)),
        {
          name: '',
          title: 'The p99 slowdown over the load, with run times of a heavy tail',
          charts: studies.map((own, i) => chartOf(own, GRIDS[i]!.workloads[0]!)),
        },
      ],
      verdicts: STATEMENTS.map((statement) => judge(studies, statement)),
    };
  },
};
