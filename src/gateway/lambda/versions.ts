/** Published versions. */
import { UserError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import type { Answer, ApiRequest } from '../route.ts';
import { decodeBase64, parseFields } from './body.ts';
import { toConfiguration } from './configuration.ts';
import { PUBLISH_VERSION } from './fields.ts';
import { findName, listed, readPage } from './functions.ts';

export async function publishVersion(request: ApiRequest): Promise<Answer> {
  const { account, platform } = request.context;
  const functionName = findName(request);
  if (functionName instanceof UserError) return functionName;
  const fields = parseFields(PUBLISH_VERSION, request.body);
  if (fields instanceof UserError) return fields;
  const fn = await platform.store.publishVersion({
    functionName,
    ...(fields.Description ? { description: fields.Description } : {}),
    ...(fields.RevisionId ? { revisionId: fields.RevisionId } : {}),
    ...(fields.CodeSha256 ? { codeSha256: decodeBase64(fields.CodeSha256)?.toString('hex') ?? fields.CodeSha256 } : {}),
  });
  return fn instanceof UserError ? fn : { status: 201, json: toConfiguration(account, fn, true) };
}

export function listVersionsByFunction(request: ApiRequest): Answer {
  const { account, platform } = request.context;
  const functionName = findName(request);
  if (functionName instanceof UserError) return functionName;
  const page = readPage(request, LIMITS.listVersionsItemsMax);
  if (page instanceof UserError) return page;
  const { items, nextMarker } = platform.store.listVersions(functionName, page.marker, page.max);
  return listed(
    'Versions',
    items.map((item) => toConfiguration(account, item, true)),
    nextMarker,
  );
}
