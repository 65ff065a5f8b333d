/** All claims, or some: what they ask for is simulated, each simulation once; then each is judged, and the document written. */
import { type BatchOptions, type Run, runBatch } from '../batch/batch.ts';
import type { SimulationSpec } from '../spec.ts';
import type { Claim, Setting } from './claim.ts';
import type { SourcedCosts } from './costs.ts';
import { type Making, write, type Written, type Found } from './document.ts';
import { loadText } from './format.ts';
import { specKeyOf, specsOf, Study } from './study.ts';

export interface Evaluation {
  readonly claims: readonly Claim[];
  readonly costs: SourcedCosts;
  readonly isSmoke: boolean;
  readonly options: BatchOptions;
}

export class EvaluationError extends Error {}

export function specsFor({ claims, costs, isSmoke }: Omit<Evaluation, 'options'>): SimulationSpec[] {
  const setting = settingOf(costs, isSmoke);
  const specs = claims.flatMap((claim) => claim.cells(setting).flatMap(specsOf));
  return [...new Map(specs.map((spec) => [specKeyOf(spec), spec])).values()];
}

/** Throws an EvaluationError where a simulation fails or was stopped. */
export async function evaluate(
  evaluation: Evaluation,
  made: Pick<Making, 'version' | 'command' | 'isWhole'>,
): Promise<Written> {
  const runs = await runBatch(specsFor(evaluation), evaluation.options);
  for (const { spec, result, error } of runs) {
    if (result !== null) continue;
    throw new EvaluationError(`${spec.policy} on ${spec.workload}: ${error?.message ?? 'it was stopped'}`);
  }
  return write({ ...made, found: findAll(evaluation, runs), runs, costs: evaluation.costs });
}

function findAll({ claims, costs, isSmoke }: Evaluation, runs: readonly Run[]): readonly Found[] {
  const setting = settingOf(costs, isSmoke);
  const study = new Study(runs);
  return claims.map((claim) => ({
    claim,
    finding: claim.find(study, setting),
    warnings: warningsOf(claim, study, setting),
  }));
}

/** One line for each policy on each workload: at which loads its figures do not hold, and why at the highest of them. */
function warningsOf(claim: Claim, study: Study, setting: Setting): readonly string[] {
  const warned = claim.cells(setting).flatMap((cell) => {
    const warning = study.warning(cell);
    const place = `\`${cell.policy}\` on \`${cell.workload}\``;
    return warning === null ? [] : [{ place, warning, load: cell.load ?? 0 }];
  });
  return [...Map.groupBy(warned, ({ place }) => place)].map(([place, own]) => {
    const loads = [...new Set(own.map(({ load }) => loadText(load)))].join(', ');
    return `${place}, load ${loads}: ${own.at(-1)!.warning.toLowerCase()}`;
  });
}

const SMOKE_SHARE = 0.01;
const SMOKE_SERVERS_MAX = 4;
const SMOKE_SEEDS = 2;
const SMOKE_BURST_MAX = 100;

function settingOf({ costs }: SourcedCosts, isSmoke: boolean): Setting {
  if (!isSmoke) {
    const same = (count: number): number => count;
    return { costs, servers: same, seconds: same, seeds: same, burst: same };
  }
  return {
    costs,
    servers: (count) => Math.min(count, SMOKE_SERVERS_MAX),
    seconds: (count) => count * SMOKE_SHARE,
    seeds: (count) => Math.min(count, SMOKE_SEEDS),
    burst: (count) => Math.min(count, SMOKE_BURST_MAX),
  };
}
