/** Layers: packages that functions share. Published as numbered versions that never change. */
import { UserError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import type { LayerFilter, LayerVersion } from '../../store/store.ts';
import { LAYER_PATH } from '../code-urls.ts';
import type { Answer, ApiRequest } from '../route.ts';
import { parseFields } from './body.ts';
import { timestamp } from './configuration.ts';
import { checkString } from './constraints.ts';
import { ARCHITECTURE, LAYER_RUNTIME, PUBLISH_LAYER } from './fields.ts';
import { listed, readPage, refuseCode, storeCode } from './functions.ts';
import {
  LAYER_VERSION_ARN,
  layerArn,
  layerNotFound,
  layerVersionArn,
  parseLayerName,
  parseLayerVersion,
  parseLayerVersionArn,
} from './layer-names.ts';
import type { LayerVersionRef } from './layer-names.ts';

export async function publishLayerVersion(request: ApiRequest): Promise<Answer> {
  const { account, platform } = request.context;
  const layerName = parseLayerName(account, request.params['LayerName'] ?? '');
  if (layerName instanceof UserError) return layerName;
  const fields = parseFields(PUBLISH_LAYER, request.body);
  if (fields instanceof UserError) return fields;
  const refusal = refuseCode(fields.Content);
  if (refusal !== null) return refusal;
  const code = await storeCode(request, fields.Content, 'content');
  if (code instanceof UserError) return code;
  const version = await platform.store.publishLayerVersion({
    layerName,
    code,
    description: fields.Description ?? '',
    licenseInfo: fields.LicenseInfo ?? '',
    compatibleRuntimes: fields.CompatibleRuntimes ?? [],
    compatibleArchitectures: fields.CompatibleArchitectures ?? [],
  });
  return version instanceof UserError ? version : { status: 201, json: whole(request, version) };
}

export function getLayerVersion(request: ApiRequest): Answer {
  const ref = refInPath(request);
  return ref instanceof UserError ? ref : answerVersion(request, ref);
}

/** ListLayers and GetLayerVersionByArn are one path; the query tells which. */
export function listLayers(request: ApiRequest): Answer {
  const find = request.query.get('find');
  const bad = checkString({ type: 'string', values: ['LayerVersion'] }, find ?? undefined, 'find');
  if (bad !== null) return bad;
  return find === null ? listNewest(request) : getByArn(request);
}

export function listLayerVersions(request: ApiRequest): Answer {
  const { account, platform } = request.context;
  const layerName = parseLayerName(account, request.params['LayerName'] ?? '');
  if (layerName instanceof UserError) return layerName;
  const page = readPage(request, LIMITS.listItemsMax);
  if (page instanceof UserError) return page;
  const filter = readFilter(request);
  if (filter instanceof UserError) return filter;
  const { items, nextMarker } = platform.store.listLayerVersions(layerName, filter, page.marker, page.max);
  return listed(
    'LayerVersions',
    items.map((item) => summary(request, item)),
    nextMarker,
  );
}

export async function deleteLayerVersion(request: ApiRequest): Promise<Answer> {
  const ref = refInPath(request);
  if (ref instanceof UserError) return ref;
  const refusal = await request.context.platform.store.deleteLayerVersion(ref.layerName, ref.version);
  return refusal ?? { status: 204 };
}

function listNewest(request: ApiRequest): Answer {
  const { account, platform } = request.context;
  const page = readPage(request, LIMITS.listItemsMax);
  if (page instanceof UserError) return page;
  const filter = readFilter(request);
  if (filter instanceof UserError) return filter;
  const { items, nextMarker } = platform.store.listLayers(filter, page.marker, page.max);
  const layers = items.map((item) => ({
    LayerName: item.layerName,
    LayerArn: layerArn(account, item.layerName),
    LatestMatchingVersion: summary(request, item),
  }));
  return listed('Layers', layers, nextMarker);
}

function getByArn(request: ApiRequest): Answer {
  const arn = request.query.get('Arn') ?? undefined;
  const bad = checkString({ ...LAYER_VERSION_ARN, required: true }, arn, 'arn');
  if (bad !== null) return bad;
  const ref = parseLayerVersionArn(request.context.account, arn ?? '');
  return ref === null ? layerNotFound() : answerVersion(request, ref);
}

function answerVersion(request: ApiRequest, ref: LayerVersionRef): Answer {
  const version = request.context.platform.store.getLayerVersion(ref.layerName, ref.version);
  return version === null ? layerNotFound() : { status: 200, json: whole(request, version) };
}

function refInPath(request: ApiRequest): LayerVersionRef | UserError {
  const layerName = parseLayerName(request.context.account, request.params['LayerName'] ?? '');
  if (layerName instanceof UserError) return layerName;
  const version = parseLayerVersion(request.params['VersionNumber'] ?? '');
  return version instanceof UserError ? version : { layerName, version };
}

function readFilter(request: ApiRequest): LayerFilter | UserError {
  const runtime = request.query.get('CompatibleRuntime');
  const architecture = request.query.get('CompatibleArchitecture');
  const bad =
    checkString(LAYER_RUNTIME, runtime ?? undefined, 'compatibleRuntime') ??
    checkString(ARCHITECTURE, architecture ?? undefined, 'compatibleArchitecture');
  if (bad !== null) return bad;
  return (version) =>
    (runtime === null || version.compatibleRuntimes.includes(runtime)) &&
    (architecture === null || version.compatibleArchitectures.includes(architecture));
}

function summary(request: ApiRequest, version: LayerVersion): Record<string, unknown> {
  return {
    LayerVersionArn: layerVersionArn(request.context.account, version),
    Version: version.version,
    Description: version.description,
    CreatedDate: timestamp(version.createdMs),
    ...(version.compatibleRuntimes.length > 0 ? { CompatibleRuntimes: version.compatibleRuntimes } : {}),
    ...(version.licenseInfo === '' ? {} : { LicenseInfo: version.licenseInfo }),
    ...(version.compatibleArchitectures.length > 0 ? { CompatibleArchitectures: version.compatibleArchitectures } : {}),
  };
}

function whole(request: ApiRequest, version: LayerVersion): Record<string, unknown> {
  const { account, codeUrls } = request.context;
  const baseUrl = `http://${request.headers.host ?? ''}`;
  const owner = { path: LAYER_PATH, name: version.layerName, version: String(version.version) } as const;
  return {
    ...summary(request, version),
    LayerArn: layerArn(account, version.layerName),
    Content: {
      Location: codeUrls.make(baseUrl, owner, Date.now()),
      CodeSha256: Buffer.from(version.code.sha256, 'hex').toString('base64'),
      CodeSize: version.code.zipBytes,
    },
  };
}
