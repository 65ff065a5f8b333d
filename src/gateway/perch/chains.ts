/** Chains: functions that run in order, each fed the output of the one before. Their invocations are in lambda/invoke.ts. */
import { UserError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import { chainNotFound, stepText } from '../../store/chains.ts';
import type { Chain, ChainStep } from '../../store/store.ts';
import { sleepPlansOf } from '../../workflow/sleep-plans.ts';
import { parseFields } from '../lambda/body.ts';
import { checkQueryInteger } from '../lambda/constraints.ts';
import { type Account, LATEST, parseFunctionRef } from '../lambda/names.ts';
import type { Answer, ApiRequest, Route } from '../route.ts';

const NAME = {
  type: 'string',
  required: true,
  lengthMin: 1,
  lengthMax: LIMITS.functionNameLengthMax,
  pattern: '[a-zA-Z0-9-_]+',
} as const;

const STEPS = {
  type: 'list',
  required: true,
  item: { type: 'string' },
  countMin: 1,
  countMax: LIMITS.chainStepsMax,
} as const;

const PATH = '/perch/v1/chains';
const BODY_BYTES_MAX = 64 * 1024;

function shownChain({ chainName, steps, createdMs, lastModifiedMs }: Chain): Record<string, unknown> {
  const moment = (ms: number): string => new Date(ms).toISOString();
  const times = { created: moment(createdMs), lastModified: moment(lastModifiedMs) };
  return { name: chainName, steps: steps.map(stepText), ...times };
}

function list({ context, query }: ApiRequest): Answer {
  const max = checkQueryInteger(query.get('max'), 'max', { min: 1, max: LIMITS.listItemsMax });
  if (max instanceof UserError) return max;
  const page = context.platform.store.listChains(query.get('marker'), max ?? LIMITS.listItemsMax);
  return { status: 200, json: { chains: page.items.map(shownChain), nextMarker: page.nextMarker } };
}

function get({ context, params }: ApiRequest): Answer {
  const name = params['ChainName'] ?? '';
  const chain = context.platform.store.getChain(name);
  if (chain === null) return chainNotFound(name);
  return { status: 200, json: { ...shownChain(chain), sleepPlans: sleepPlansOf(chain) } };
}

async function create({ context, body }: ApiRequest): Promise<Answer> {
  const fields = parseFields({ name: NAME, steps: STEPS }, body);
  if (fields instanceof UserError) return fields;
  const steps = parseSteps(context.account, fields.steps);
  if (steps instanceof UserError) return steps;
  const chain = await context.platform.store.createChain({ chainName: fields.name, steps });
  return chain instanceof UserError ? chain : { status: 201, json: shownChain(chain) };
}

async function update({ context, params, body }: ApiRequest): Promise<Answer> {
  const name = params['ChainName'] ?? '';
  if (context.platform.store.getChain(name) === null) return chainNotFound(name);
  const fields = parseFields({ steps: STEPS }, body);
  if (fields instanceof UserError) return fields;
  const steps = parseSteps(context.account, fields.steps);
  if (steps instanceof UserError) return steps;
  const chain = await context.platform.store.updateChain({ chainName: name, steps });
  return chain instanceof UserError ? chain : { status: 200, json: shownChain(chain) };
}

async function remove({ context, params }: ApiRequest): Promise<Answer> {
  const name = params['ChainName'] ?? '';
  // What no chain can be called is none; the store of another node would not even be asked.
  if (context.platform.store.getChain(name) === null) return chainNotFound(name);
  return (await context.platform.store.deleteChain(name)) ?? { status: 204 };
}

/** Each is named as functions are everywhere: a name, `name:version`, an ARN. */
function parseSteps(account: Account, texts: readonly string[]): readonly ChainStep[] | UserError {
  const steps: ChainStep[] = [];
  for (const [index, text] of texts.entries()) {
    const ref = parseFunctionRef(account, text, null);
    if (ref instanceof UserError) return new UserError(ref.code, `Step ${index + 1}: ${ref.message}`);
    steps.push({ functionName: ref.functionName, version: ref.qualifier ?? LATEST });
  }
  return steps;
}

export const CHAIN_ROUTES: readonly Route[] = [
  { method: 'GET', path: PATH, operation: 'ListChains', answer: list },
  { method: 'POST', path: PATH, operation: 'CreateChain', bodyBytesMax: BODY_BYTES_MAX, answer: create },
  { method: 'GET', path: `${PATH}/:ChainName`, operation: 'GetChain', answer: get },
  { method: 'PUT', path: `${PATH}/:ChainName`, operation: 'UpdateChain', bodyBytesMax: BODY_BYTES_MAX, answer: update },
  { method: 'DELETE', path: `${PATH}/:ChainName`, operation: 'DeleteChain', answer: remove },
];
