/** What Perch adds to a function, and how it is with copies of it: for `perch list` and `perch doctor NAME`. */
import { UserError } from '../../base/errors.ts';
import { eachFunction } from '../../store/each-function.ts';
import { coresOf, isolationOf, networkOf, sharingOf } from '../../store/settings.ts';
import type { FunctionRecord, FunctionVersion } from '../../store/store.ts';
import { findVersion } from '../lambda/functions.ts';
import type { Answer, ApiRequest } from '../route.ts';

function settingsOf(fn: FunctionVersion, tags: FunctionRecord['tags']): Record<string, unknown> {
  const { functionName, version, config } = fn;
  const isolation = isolationOf(config, tags);
  const network = networkOf(config);
  return { functionName, version, isolation, network, cores: coresOf(config), sharing: sharingOf(config) };
}

/** Of every function, as its latest version has it. */
export function functions(request: ApiRequest): Answer {
  const all = [...eachFunction(request.context.platform.store)];
  return { status: 200, json: { functions: all.map(({ latest, tags }) => settingsOf(latest, tags)) } };
}

export async function copies(request: ApiRequest): Promise<Answer> {
  const found = findVersion(request);
  if (found instanceof UserError) return found;
  const { fn } = found;
  const { platform } = request.context;
  const refusal = platform.admission.refuseVersion(fn)?.message ?? null;
  const tags = platform.store.getFunction(fn.functionName)?.tags ?? {};
  return { status: 200, json: { ...settingsOf(fn, tags), refusal, ...(await platform.copyState(fn)) } };
}
