/** The rules of chains: what a chain was and is asked to be, to what it becomes. No I/O, no clock; every backend shares it. */
import { LATEST } from '../base/arn.ts';
import { UserError } from '../base/errors.ts';
import type { Chain, ChainStep, PutChain, Store } from './store.ts';

export function chainNotFound(chainName: string): UserError {
  return new UserError('ResourceNotFoundException', `Chain not found: ${chainName}`);
}

/** As people write it: `name`, or `name:version` for a published one. */
export function stepText({ functionName, version }: ChainStep): string {
  return version === LATEST ? functionName : `${functionName}:${version}`;
}

export function stepNotFound({ chainName, steps }: Pick<Chain, 'chainName' | 'steps'>, index: number): UserError {
  const step = stepText(steps[index]!);
  const message = `Step ${index + 1} of chain '${chainName}' is '${step}', and there is no such function or version.`;
  return new UserError('ResourceNotFoundException', message);
}

/** The index of the first step from `at` on that there is not, or not any more; -1: all are there. */
export function missingStep(store: Pick<Store, 'getVersion'>, { steps }: Pick<Chain, 'steps'>, at = 0): number {
  return steps.findIndex((step, index) => index >= at && store.getVersion(step.functionName, step.version) === null);
}

export function createChain(before: Chain | undefined, request: PutChain, nowMs: number): Chain | UserError {
  const { chainName, steps } = request;
  if (before) return new UserError('ResourceConflictException', `Chain already exists: ${chainName}`);
  return { chainName, steps, createdMs: nowMs, lastModifiedMs: nowMs };
}

export function updateChain(before: Chain | undefined, request: PutChain, nowMs: number): Chain | UserError {
  if (!before) return chainNotFound(request.chainName);
  return { ...before, steps: request.steps, lastModifiedMs: nowMs };
}
