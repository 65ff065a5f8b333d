/** Reserved concurrency: the most invocations of a function at once. */
import { UserError } from '../../base/errors.ts';
import type { Answer, ApiRequest } from '../route.ts';
import { parseFields } from './body.ts';
import { PUT_CONCURRENCY } from './fields.ts';
import { findName } from './functions.ts';

export async function putFunctionConcurrency(request: ApiRequest): Promise<Answer> {
  const functionName = findName(request);
  if (functionName instanceof UserError) return functionName;
  const fields = parseFields(PUT_CONCURRENCY, request.body);
  if (fields instanceof UserError) return fields;
  const max = fields.ReservedConcurrentExecutions;
  const refusal = await request.context.platform.store.setReservedConcurrency(functionName, max);
  return refusal ?? { status: 200, json: { ReservedConcurrentExecutions: max } };
}

export function getFunctionConcurrency(request: ApiRequest): Answer {
  const functionName = findName(request);
  if (functionName instanceof UserError) return functionName;
  const max = request.context.platform.store.getFunction(functionName)?.reservedConcurrency ?? null;
  return { status: 200, json: max === null ? {} : { ReservedConcurrentExecutions: max } };
}

export async function deleteFunctionConcurrency(request: ApiRequest): Promise<Answer> {
  const functionName = findName(request);
  if (functionName instanceof UserError) return functionName;
  const refusal = await request.context.platform.store.setReservedConcurrency(functionName, null);
  return refusal ?? { status: 204 };
}
