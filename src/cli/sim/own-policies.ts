/** Errors in what the user has written, as the command line says them. */
import { policiesOf } from '../../sim/batch/policy-files.ts';
import type { PolicyKind } from '../../sim/policy.ts';
import { SpecError } from '../../sim/spec.ts';
import { CliError, EXIT } from '../exit-codes.ts';

export function policiesWith(files: readonly string[]): Promise<readonly PolicyKind[]> {
  return orUsage(() => policiesOf(files));
}

export async function orUsage<T>(what: () => T | Promise<T>): Promise<T> {
  try {
    return await what();
  } catch (error) {
    if (error instanceof SpecError) throw new CliError(EXIT.usage, error.message);
    throw error;
  }
}
