/** docs/EVALUATION.md: text in, text out. */
import { COST_NAMES } from '../costs.ts';
import type { Run } from '../batch/batch.ts';
import { formatTime } from '../report/format.ts';
import type { Claim, Figure, Finding, Table } from './claim.ts';
import type { SourcedCosts } from './costs.ts';
import { drawFigure } from './figure.ts';
import { tableText } from './format.ts';
import { hashOf } from './hash.ts';
import { OUTCOMES, type Verdict } from './verdict.ts';

export interface Found {
  readonly claim: Claim;
  readonly finding: Finding;
  /** Figures of its simulations that do not hold, each with the reason. */
  readonly warnings: readonly string[];
}

export interface Written {
  /** By its path under the folder of the document. */
  readonly files: ReadonlyMap<string, string>;
}

export interface Making {
  readonly found: readonly Found[];
  readonly runs: readonly Run[];
  readonly costs: SourcedCosts;
  readonly version: string;
  readonly command: string;
  readonly isWhole: boolean;
}

const FIGURES = 'evaluation';
export const DOCUMENT = 'EVALUATION.md';

export function write(making: Making): Written {
  const files = new Map([[DOCUMENT, textOf(making)]]);
  for (const { claim, finding } of making.found) {
    for (const part of finding.parts) if (isFigure(part)) files.set(pathOf(claim, part), drawFigure(part));
  }
  return { files };
}

function textOf(making: Making): string {
  const { found, costs } = making;
  return (
    [
      '# Evaluation',
      ...introduction(making),
      '## Verdicts',
      ...verdictsOf(found),
      '## What things cost',
      costs.origin,
      tableText(costTable(costs)),
      ...found.flatMap((each, i) => sectionOf(each, i + 1)),
      ...NOT_SIMULATED,
      '## How it was made',
      ...makingOf(making),
      '',
    ]
      .join('\n\n')
      .trimEnd() + '\n'
  );
}

function introduction({ isWhole }: Making): readonly string[] {
  return [
    ...(isWhole ? [] : ['**Only a part, or so small that its figures mean nothing: this is not the evaluation.**']),
    'What two papers claim, tried in virtual time with the machines that Perch ships and with the schedulers that they are compared with: *SoCC ’19* is Kaffes, Yadwadkar, Kozyrakis, ' +
      '*Centralized Core-granular Scheduling for Serverless Functions*; *SoCC ’21* is Mvondo, Barbalace, Tchana, Muller, *Tell me when you are sleepy and what may wake you up!* The first ' +
      'has no evaluation, the second none of what it proposes. `perch sim paper` writes this document, and nothing in it is typed by hand: a verdict follows from the results by the rule that stands beside it.',
    'What is simulated and what each figure means is said in [SIMULATOR.md](SIMULATOR.md), the policies in [POLICIES.md](POLICIES.md), the workloads in [WORKLOADS.md](WORKLOADS.md). ± is a 95 % confidence ' +
      'interval over the seeds (Student’s t). All policies of a seed have the same arrivals, and ratios are taken seed by seed. A slowdown is the latency over what the function takes alone.',
    'A statement is looked at in several places (loads, workloads). Each says yes or no if the whole interval is on one side of the limit, and nothing otherwise. All yes: **holds**; some: **holds when**, and ' +
      'where; no yes but a no: **does not hold**; else **not decided**. `(!)` marks figures of a run that could not bear its load, or did not end: what is wrong is said below the table, and such a run never speaks for the policy whose it is.',
  ];
}

function verdictsOf(found: readonly Found[]): readonly string[] {
  const rows = found.flatMap(({ claim, finding }, i) =>
    finding.verdicts.map((verdict, j) => [
      j === 0 ? `[${i + 1}. ${claim.title}](#${anchorOf(`${i + 1}. ${claim.title}`)}): ${tallyOf(finding)}` : '',
      verdict.statement,
      `**${verdict.outcome}**${verdict.where === '' ? '' : `: ${verdict.where}`}`,
    ]),
  );
  return [tableText({ columns: ['claim', 'statement', 'verdict'], rows })];
}

/** How many statements came out how. */
function tallyOf({ verdicts }: Finding): string {
  const groups = Map.groupBy(verdicts, ({ outcome }) => outcome);
  return OUTCOMES.flatMap((outcome) => {
    const count = groups.get(outcome)?.length ?? 0;
    return count === 0 ? [] : [`${count} ${outcome}`];
  }).join(', ');
}

/** As GitHub makes them of headings. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

function sectionOf({ claim, finding, warnings }: Found, number: number): readonly string[] {
  return [
    `## ${number}. ${claim.title}`,
    `**Claim** (${claim.source}). ${claim.claimed}`,
    `**Set-up.** ${claim.setUp}`,
    '**Result.**',
    ...finding.parts.map((part) => partText(claim, part)),
    ...(warnings.length === 0 ? [] : [warnings.map((warning) => `- (!) ${warning}`).join('\n')]),
    ...finding.verdicts.map(verdictText),
  ];
}

function verdictText({ statement, rule, outcome, where }: Verdict): string {
  return `**Verdict: ${outcome}**${where === '' ? '' : ` (${where})`}. ${statement}. *Rule: ${rule}.*`;
}

function partText(claim: Claim, part: string | Table | Figure): string {
  if (typeof part === 'string') return part;
  return isFigure(part) ? `![${part.title}](${pathOf(claim, part)})` : tableText(part);
}

function isFigure(part: string | Table | Figure): part is Figure {
  return typeof part !== 'string' && 'charts' in part;
}

function pathOf(claim: Claim, figure: Figure): string {
  return `${FIGURES}/${claim.name}${figure.name === '' ? '' : `-${figure.name}`}.svg`;
}

function costTable({ costs, sources }: SourcedCosts): Table {
  return {
    columns: ['cost', 'takes', 'from'],
    rows: COST_NAMES.map((name) => [`\`${name}\``, formatTime(costs[name]), sources[name]]),
  };
}

const NOT_SIMULATED: readonly string[] = [
  '## What is not simulated',
  tableText({
    columns: ['claim', 'where', 'why not, and where else it is looked at'],
    rows: [
      [
        'A scheduler core makes decisions at the rate that a cluster of 640,000 cores needs',
        'SoCC ’19, 3 and 3.2',
        'a simulator says nothing of how fast code runs: [SPECIFICATION.md](SPECIFICATION.md), Scheduling and Cluster',
      ],
      [
        'No two functions on a core, so none spoils another one’s caches',
        'SoCC ’19, 3',
        'caches are not simulated; a busy neighbour on the real platform: [SPECIFICATION.md](SPECIFICATION.md), Isolation between functions',
      ],
      [
        'A failure of a worker touches at most as many invocations as it has cores; a new scheduler learns all from its workers',
        'SoCC ’19, 3.2',
        'an invariant of the machines, which the bug finder looks for with faults ([FUZZING.md](FUZZING.md)); how long it takes: [SPECIFICATION.md](SPECIFICATION.md), Cluster, `restart`',
      ],
      [
        'Clean copies of an instance start in milliseconds, and isolate',
        'SoCC ’19, 4.1',
        'measured and attacked: [SPECIFICATION.md](SPECIFICATION.md), Clean copies; [ATTACKS.md](ATTACKS.md)',
      ],
      [
        'Functions find and talk to each other; cores are withdrawn and returned',
        'SoCC ’19, 4.3 and 4.4',
        'neither says how fast or how good anything would be',
      ],
      [
        'Units that spin, or whose guests have an idle loop, waste their CPU time; knowledge of who sleeps wins it back',
        'SoCC ’21, 2.2 to 4',
        'needs real kernels: measured as in the paper, with functions that poll and that block, with and without knowledge: [SPECIFICATION.md](SPECIFICATION.md), Sleep and wake; [EXPERIMENT.md](EXPERIMENT.md)',
      ],
    ],
  }),
];

function makingOf({ runs, version, command, found }: Making): readonly string[] {
  const events = runs.reduce((sum, { result }) => sum + result!.eventCount, 0);
  const arrived = runs.reduce((sum, { result }) => sum + result!.arrived, 0);
  const hash = hashOf(runs.map(({ result }) => result!.traceHash));
  return [
    `\`${command}\`, Perch ${version}: ${found.length} ${found.length === 1 ? 'claim' : 'claims'}, ${runs.length} simulations, ${arrived} invocations counted, ${events} events. The trace hash over all of them is \`${hash}\`: the same version gives the same hash and the same ` +
      'bytes on every machine, whatever it runs beside.',
  ];
}
