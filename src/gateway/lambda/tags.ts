/** Tags of functions. The resource is always a whole ARN. */
import { UserError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import { settingTagsFault } from '../../store/settings.ts';
import type { FunctionRecord, Tags } from '../../store/store.ts';
import type { Answer, ApiRequest } from '../route.ts';
import { parseFields } from './body.ts';
import { validationError } from './constraints.ts';
import { TAG_RESOURCE } from './fields.ts';
import { notFound, parseUnqualified } from './names.ts';

/** All tags of a function, as they would be. */
export function badTags(tags: Tags): UserError | null {
  const count = Object.keys(tags).length;
  const message =
    count > LIMITS.tagCountMax
      ? `A function has at most ${LIMITS.tagCountMax} tags; this would make ${count}.`
      : settingTagsFault(tags);
  return message === null ? null : new UserError('InvalidParameterValueException', message);
}

function findTagged(request: ApiRequest): { functionName: string; record: FunctionRecord } | UserError {
  const { account, platform } = request.context;
  const arn = request.params['Resource'] ?? '';
  if (!/^arn:aws[a-zA-Z-]*:lambda:[^:]*:\d{12}:function:/.test(arn)) {
    return validationError([
      `Value '${arn}' at 'resource' failed to satisfy constraint: Member must be the ARN of a function, like arn:aws:lambda:${account.region}:${account.accountId}:function:NAME`,
    ]);
  }
  const functionName = parseUnqualified(account, arn);
  if (functionName instanceof UserError) return functionName;
  const record = platform.store.getFunction(functionName);
  return record === null ? notFound(account, { functionName, qualifier: null }) : { functionName, record };
}

export async function tagResource(request: ApiRequest): Promise<Answer> {
  const found = findTagged(request);
  if (found instanceof UserError) return found;
  const fields = parseFields(TAG_RESOURCE, request.body);
  if (fields instanceof UserError) return fields;
  return setTags(request, found.functionName, (before) => ({ ...before, ...fields.Tags }));
}

export async function untagResource(request: ApiRequest): Promise<Answer> {
  const found = findTagged(request);
  if (found instanceof UserError) return found;
  const gone = new Set(request.query.getAll('tagKeys'));
  if (gone.size === 0) {
    return validationError(["Value null at 'tagKeys' failed to satisfy constraint: Member must not be null"]);
  }
  return setTags(request, found.functionName, (before) =>
    Object.fromEntries(Object.entries(before).filter(([key]) => !gone.has(key))),
  );
}

async function setTags(request: ApiRequest, functionName: string, change: (before: Tags) => Tags): Promise<Answer> {
  const refusal = await request.context.platform.store.setTags(functionName, (before) => {
    const tags = change(before);
    return badTags(tags) ?? tags;
  });
  return refusal ?? { status: 204 };
}

export function listTags(request: ApiRequest): Answer {
  const found = findTagged(request);
  return found instanceof UserError ? found : { status: 200, json: { Tags: found.record.tags } };
}
