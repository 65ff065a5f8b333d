/** Many at once. */
import { formatTime, timeTick } from '../../report/format.ts';
import type { Claim, Setting } from '../claim.ts';
import { warm } from '../costs.ts';
import { cellsOf, type Grid, GridStudy, type Named, type Shown } from '../grid.ts';
import { metric } from '../study.ts';
import { isAtMost, isLess, LESS_RULE, type Verdict, verdictOf } from '../verdict.ts';

const ONE: Named = { name: 'one scheduler', spec: 'perch-shards:shards=1' };
const FOUR: Named = { name: '4 shards', spec: 'perch-shards:shards=4' };
const RIVALS: readonly Named[] = [
  { name: 'random', spec: 'random:discipline=fcfs' },
  { name: 'power of two', spec: 'power-of-two:discipline=fcfs' },
  { name: 'Sparrow', spec: 'sparrow' },
  { name: 'gateways, least loaded', spec: 'least-loaded:discipline=fcfs,view=own' },
];
const COUNTS = [1000, 10_000] as const;
const EVERY_S = 5;
const MEAN_MS = 100;
const CORES = 32;
/** A burst takes 78 % of all cores. */
const FILL = 0.78125;
/** What the bursts are themselves, over all cores and all time. */
const ALONE = (FILL * MEAN_MS) / (EVERY_S * 1e3);

function gridOf(count: number): Grid {
  return {
    policies: [ONE, FOUR, ...RIVALS],
    workloads: [
      {
        name: `${count.toLocaleString('en')} at once`,
        spec: `bursts:n=${count},every=${EVERY_S},mean=${MEAN_MS},law=deterministic`,
        seconds: 2 * EVERY_S,
        warmUpSeconds: EVERY_S / 2,
      },
    ],
    loads: [ALONE, 0.1, 0.2],
    servers: count / FILL / CORES,
    cores: CORES,
    costs: ({ costs }) => warm(costs),
    seedCount: 5,
  };
}

const LAST: Shown = {
  title: 'time until the last has a core',
  measure: metric('startMaxUs'),
  format: formatTime,
  tick: timeTick,
};
const LATENCY: Shown = { title: 'p99 latency', measure: metric('latencyP99Us'), format: formatTime, tick: timeTick };
const SECOND_US = 1e6;

export const elasticity: Claim = {
  name: 'elasticity',
  title: 'Elasticity: many at once',
  source: 'SoCC ’19, sections 2.1, 2.2.2, 3 and 3.1',
  claimed:
    '“Any serverless system must be able to spawn a large number of functions in a short period of time.” The central, core-granular design can “spawn a large number of functions in a short period of time”, where today’s platforms “can take a few seconds to spawn a few thousand function instances”.',
  setUp:
    '1,000 at once on 40 servers of 32 cores, and 10,000 on 400: a burst takes 78 % of all cores, and comes every 5 s. All run for 100 ms, warm everywhere, first come, first served; 5 seeds. The load counts the bursts (0.016 is the bursts alone); the rest arrives at random, so that at 0.2 nearly all cores are taken ' +
    'by a burst. One scheduler decides one after the other, and each decision takes its time; 4 shards are four threads of it. The rivals decide at 16 gateways, all at the same time. A time until the last has a core is that of the worst of all invocations, in both bursts and between them.',
  cells: (setting) => COUNTS.flatMap((count) => cellsOf(gridOf(setting.burst(count)), ownSetting(setting))),
  find: (study, setting) => {
    const studies = COUNTS.map((count) => new GridStudy(gridOf(setting.burst(count)), study, ownSetting(setting)));
    const sooner = (own: Named, other: Named): Verdict => {
      const places = studies.flatMap((each) => each.ratios(own, other, LAST.measure).map(isLess));
      return verdictOf(
        `The last of a burst has a core sooner with ${own.name} than with ${other.name}`,
        LESS_RULE,
        places,
      );
    };
    return {
      parts: [
        'Time until the last has a core:',
        ...studies.map((own) => own.table(LAST)),
        'Latency, p99:',
        ...studies.map((own) => own.table(LATENCY)),
        {
          name: '',
          title: 'The time until the last of a burst has a core, over the load',
          charts: studies.map((own, i) => own.chart(gridOf(setting.burst(COUNTS[i]!)).workloads[0]!, LAST)),
        },
      ],
      verdicts: [
        verdictOf(
          'With one scheduler the last of a burst has a core within a second',
          'yes where the interval of the time until the last has a core lies below 1 s',
          studies.flatMap((own) => own.values(ONE, LAST.measure).map((judged) => isAtMost(judged, SECOND_US))),
        ),
        ...RIVALS.map((rival) => sooner(ONE, rival)),
        sooner(FOUR, ONE),
      ],
    };
  },
};

/** The cluster and the time are as the burst wants them, however small all the rest is. */
function ownSetting(setting: Setting): Setting {
  return { ...setting, servers: (count) => count, seconds: (count) => count };
}
