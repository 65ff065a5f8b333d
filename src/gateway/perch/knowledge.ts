/** What an operator says of when a function sleeps: rules or a plug-in, and whose word counts. docs/KNOWLEDGE.md */
import { UserError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import type { FunctionKnowledge } from '../../store/store.ts';
import { KNOWLEDGE_LIMITS, knowledgeFault } from '../../worker/agent/operator-knowledge.ts';
import { decodeBase64, parseFields } from '../lambda/body.ts';
import { findName } from '../lambda/functions.ts';
import type { Answer, ApiRequest, Route } from '../route.ts';

const PATH = '/perch/v1/functions/:FunctionName/knowledge';
const BODY_BYTES_MAX = 64 * 1024;
const FIELDS = {
  sources: { type: 'list', item: { type: 'string' }, countMax: LIMITS.knowledgeSourcesMax },
  rules: { type: 'string' },
  plugin: { type: 'string' },
} as const;
const NOTHING: FunctionKnowledge = { sources: null, rules: null, plugin: null };

function get(request: ApiRequest): Answer {
  const functionName = findName(request);
  if (functionName instanceof UserError) return functionName;
  const said = request.context.platform.store.getFunction(functionName)?.knowledge ?? NOTHING;
  return { status: 200, json: { functionName, ...said } };
}

/** In place of all that was said before. */
async function put(request: ApiRequest): Promise<Answer> {
  const functionName = findName(request);
  if (functionName instanceof UserError) return functionName;
  const fields = parseFields(FIELDS, request.body);
  if (fields instanceof UserError) return fields;
  const { sources = null, rules = null, plugin = null } = fields;
  const said = { sources, rules, plugin };
  const fault = faultOf(said);
  if (fault !== null) return new UserError('InvalidParameterValueException', fault);
  const refusal = await request.context.platform.store.setKnowledge(functionName, said);
  return refusal ?? { status: 200, json: { functionName, ...said } };
}

async function remove(request: ApiRequest): Promise<Answer> {
  const functionName = findName(request);
  if (functionName instanceof UserError) return functionName;
  return (await request.context.platform.store.setKnowledge(functionName, null)) ?? { status: 204 };
}

function faultOf(said: FunctionKnowledge): string | null {
  const { sources, rules, plugin } = said;
  if (sources === null && rules === null && plugin === null)
    return 'Nothing is said: give sources, rules or a plug-in; DELETE takes back what was said.';
  if (plugin !== null && decodeBase64(plugin) === null)
    return 'The plug-in is not in base64; it has to be a WebAssembly module, in base64.';
  return knowledgeFault(said);
}

export const KNOWLEDGE_ROUTES: readonly Route[] = [
  { method: 'GET', path: PATH, operation: 'GetKnowledge', answer: get },
  {
    method: 'PUT',
    path: PATH,
    operation: 'PutKnowledge',
    bodyBytesMax: BODY_BYTES_MAX,
    bodyLimits: KNOWLEDGE_LIMITS,
    answer: put,
  },
  { method: 'DELETE', path: PATH, operation: 'DeleteKnowledge', answer: remove },
];
