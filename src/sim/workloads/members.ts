/** The functions of a workload that is made of distributions: who they are, what their invocations do, how often they arrive. */
import { assert } from '../../base/assert.ts';
import { type FunctionShape, PLAIN_FUNCTION } from '../workload.ts';
import type { Program } from './programs.ts';

export interface Member {
  readonly shape: FunctionShape;
  readonly program: Program;
  /** Its arrivals are in proportion to it; 0: only as a step of a chain. */
  readonly weight: number;
}

/** Functions that are all alike but for how often they are invoked. */
export function alike(count: number, shape: Omit<FunctionShape, 'name' | 'next'>, program: Program): Member[] {
  return Array.from({ length: count }, (_, i) => ({
    shape: { ...shape, name: nameOf(i, count), next: -1 },
    program,
    weight: 1,
  }));
}

/** The k-th is invoked in proportion to 1 / k^skew. */
export function skewed(members: readonly Member[], skew: number): Member[] {
  return members.map((member, i) => ({ ...member, weight: (i + 1) ** -skew }));
}

/** Chains: the members of each are the steps, in their order, and only the first one is invoked by others than the step before. */
export function chained<M extends Member>(steps: readonly M[], firstIndex: number): M[] {
  return steps.map((step, i) => ({
    ...step,
    shape: { ...step.shape, next: i + 1 < steps.length ? firstIndex + i + 1 : -1 },
    weight: i === 0 ? step.weight : 0,
  }));
}

function nameOf(index: number, count: number): string {
  return count === 1 ? PLAIN_FUNCTION.name : `${PLAIN_FUNCTION.name}${index}`;
}

/** What a workload has to say of its functions. */
export function statedOf(members: readonly Member[]): {
  functions: FunctionShape[];
  phaseMax: number;
  meanDemandUs: number;
} {
  let phaseMax = 1;
  for (const { program } of members) phaseMax = Math.max(phaseMax, program.phaseMax);
  return { functions: members.map(({ shape }) => shape), phaseMax, meanDemandUs: meanDemandOf(members) };
}

/** Of an arrival, on all of its cores, with all steps that follow it. */
function meanDemandOf(members: readonly Member[]): number {
  const withSteps = new Float64Array(members.length);
  let sum = 0;
  let weights = 0;
  for (let i = members.length - 1; i >= 0; i--) {
    const { shape, program, weight } = members[i]!;
    assert(shape.next < 0 || (shape.next > i && shape.next < members.length), 'a chain that goes back, or nowhere');
    withSteps[i] = program.meanDemandUs * shape.coreCount + (shape.next < 0 ? 0 : withSteps[shape.next]!);
    sum += weight * withSteps[i]!;
    weights += weight;
  }
  return sum / weights;
}
