/** Create, read, list, change and delete functions. */
import { UserError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import type { CodeRef, FunctionConfig, FunctionVersion } from '../../store/store.ts';
import { CODE_PATH } from '../code-urls.ts';
import type { Answer, ApiRequest } from '../route.ts';
import { decodeBase64, parseFields } from './body.ts';
import { defaultConfig, isFilled, mergeConfig, notOffered } from './config.ts';
import { toConfiguration } from './configuration.ts';
import { checkQueryInteger, checkString } from './constraints.ts';
import type { FieldsOf } from './constraints.ts';
import { CREATE_FUNCTION, UPDATE_CODE, UPDATE_CONFIGURATION } from './fields.ts';
import type { CodeFields, ConfigFields } from './fields.ts';
import { findLayers, tooLargeTogether } from './function-layers.ts';
import { LATEST, functionArn, notFound, parseFunctionRef, parseUnqualified } from './names.ts';
import { badTags } from './tags.ts';

const PAGE_ITEMS_MAX = 10_000;

/** The version that the path and the query name. */
export function findVersion(request: ApiRequest): { fn: FunctionVersion; qualified: boolean } | UserError {
  const { account, platform } = request.context;
  const ref = parseFunctionRef(account, request.params['FunctionName'] ?? '', request.query.get('Qualifier'));
  if (ref instanceof UserError) return ref;
  const fn = platform.store.getVersion(ref.functionName, ref.qualifier ?? LATEST);
  return fn === null ? notFound(account, ref) : { fn, qualified: ref.qualifier !== null };
}

/** The name of the function that the path names, if it exists. */
export function findName(request: ApiRequest): string | UserError {
  const { account, platform } = request.context;
  const functionName = parseUnqualified(account, request.params['FunctionName'] ?? '');
  if (functionName instanceof UserError) return functionName;
  return platform.store.getFunction(functionName) === null
    ? notFound(account, { functionName, qualifier: null })
    : functionName;
}

export async function createFunction(request: ApiRequest): Promise<Answer> {
  const { account, platform } = request.context;
  const fields = parseFields(CREATE_FUNCTION, request.body);
  if (fields instanceof UserError) return fields;
  const functionName = parseUnqualified(account, fields.FunctionName);
  if (functionName instanceof UserError) return functionName;
  const refusal = refuseCreation(fields);
  if (refusal !== null) return refusal;
  const config = withArchitecture(mergeAll(request, defaultConfig(), fields), fields.Architectures);
  if (config instanceof UserError) return config;
  if (platform.store.getFunction(functionName) !== null) {
    return new UserError('ResourceConflictException', `Function already exist: ${functionName}`);
  }
  const notAdmitted = platform.admission.refuseConfig(config, null);
  if (notAdmitted !== null) return notAdmitted;
  const code = await storeCode(request, fields.Code, 'code');
  if (code instanceof UserError) return code;
  const tooLarge = await tooLargeTogether(platform.store, code, config.layers);
  if (tooLarge !== null) return tooLarge;
  const tags = fields.Tags ?? {};
  const fn = await platform.store.createFunction({
    functionName,
    config,
    code,
    tags,
    publish: fields.Publish === true,
  });
  return fn instanceof UserError ? fn : { status: 201, json: toConfiguration(account, fn, false) };
}

/** With the layers that the ARNs mean. */
function mergeAll(
  request: ApiRequest,
  base: FunctionConfig,
  fields: ConfigFields & { readonly Role?: string | undefined },
): FunctionConfig | UserError {
  const config = mergeConfig(base, fields);
  if (config instanceof UserError || fields.Layers === undefined || fields.Layers === null) return config;
  const layers = findLayers(request.context, fields.Layers);
  return layers instanceof UserError ? layers : { ...config, layers };
}

function refuseCreation(fields: FieldsOf<typeof CREATE_FUNCTION>): UserError | null {
  if (fields.PackageType === 'Image') return notOffered('PackageType Image (container images)');
  if ((fields.CodeSigningConfigArn ?? '') !== '') return notOffered('CodeSigningConfigArn');
  if (isFilled(fields.TenancyConfig)) return notOffered('TenancyConfig');
  if ((fields.Runtime ?? '') === '' || (fields.Handler ?? '') === '') {
    return new UserError(
      'InvalidParameterValueException',
      'Runtime and Handler are mandatory parameters for functions created with deployment packages.',
    );
  }
  return badTags(fields.Tags ?? {}) ?? refuseCode(fields.Code);
}

function withArchitecture(
  config: FunctionConfig | UserError,
  architectures: readonly ('x86_64' | 'arm64')[] | undefined | null,
): FunctionConfig | UserError {
  const architecture = architectures?.[0];
  return config instanceof UserError || architecture === undefined ? config : { ...config, architecture };
}

export function refuseCode(code: CodeFields): UserError | null {
  if ((code.ImageUri ?? '') !== '') return notOffered('ImageUri (container images)');
  if ((code.S3Bucket ?? '') !== '' || (code.S3Key ?? '') !== '') {
    return new UserError(
      'InvalidParameterValueException',
      'Perch has no S3: give the code inline as ZipFile instead of S3Bucket and S3Key.',
    );
  }
  return (code.ZipFile ?? '') === ''
    ? new UserError('InvalidParameterValueException', 'Please provide a source for function code.')
    : null;
}

/** `field`: where in the request it is, for messages. */
export async function storeCode(request: ApiRequest, code: CodeFields, field: string): Promise<CodeRef | UserError> {
  const zip = decodeBase64(code.ZipFile ?? '');
  if (zip === null)
    return new UserError('SerializationException', `ZipFile is not valid base64 (at '${field}.zipFile')`);
  return request.context.platform.store.putCode(zip);
}

export function getFunction(request: ApiRequest): Answer {
  const found = findVersion(request);
  if (found instanceof UserError) return found;
  const { account, codeUrls, platform } = request.context;
  const { fn } = found;
  const record = platform.store.getFunction(fn.functionName);
  const baseUrl = `http://${request.headers.host ?? ''}`;
  const owner = { path: CODE_PATH, name: fn.functionName, version: fn.version } as const;
  const reserved = record?.reservedConcurrency ?? null;
  const tags = record?.tags ?? {};
  return {
    status: 200,
    json: {
      Configuration: toConfiguration(account, fn, found.qualified),
      Code: { RepositoryType: 'S3', Location: codeUrls.make(baseUrl, owner, Date.now()) },
      ...(isFilled(tags) ? { Tags: tags } : {}),
      ...(reserved === null ? {} : { Concurrency: { ReservedConcurrentExecutions: reserved } }),
    },
  };
}

export function getFunctionConfiguration(request: ApiRequest): Answer {
  const found = findVersion(request);
  if (found instanceof UserError) return found;
  return { status: 200, json: toConfiguration(request.context.account, found.fn, found.qualified) };
}

export function listFunctions(request: ApiRequest): Answer {
  const { account, platform } = request.context;
  const all = request.query.get('FunctionVersion');
  const bad = checkString({ type: 'string', values: ['ALL'] }, all ?? undefined, 'functionVersion');
  if (bad !== null) return bad;
  const page = readPage(request, LIMITS.listItemsMax);
  if (page instanceof UserError) return page;
  if (all === null) {
    const { items, nextMarker } = platform.store.listFunctions(page.marker, page.max);
    return listed(
      'Functions',
      items.map((item) => toConfiguration(account, item.latest, false)),
      nextMarker,
    );
  }
  const { items, nextMarker } = platform.store.listAllVersions(page.marker, page.max);
  return listed(
    'Functions',
    items.map((item) => toConfiguration(account, item, true)),
    nextMarker,
  );
}

export function readPage(request: ApiRequest, itemsMax: number): { marker: string | null; max: number } | UserError {
  const asked = checkQueryInteger(request.query.get('MaxItems'), 'maxItems', { min: 1, max: PAGE_ITEMS_MAX });
  if (asked instanceof UserError) return asked;
  const marker = request.query.get('Marker');
  return { marker: marker === '' ? null : marker, max: Math.min(asked ?? itemsMax, itemsMax) };
}

export function listed(key: string, items: readonly unknown[], nextMarker: string | null): Answer {
  return { status: 200, json: { [key]: items, ...(nextMarker === null ? {} : { NextMarker: nextMarker }) } };
}

export async function updateFunctionCode(request: ApiRequest): Promise<Answer> {
  const { account, platform } = request.context;
  const functionName = findName(request);
  if (functionName instanceof UserError) return functionName;
  const fields = parseFields(UPDATE_CODE, request.body);
  if (fields instanceof UserError) return fields;
  const refusal = refuseCode(fields) ?? staleRevision(request, functionName, fields.RevisionId);
  if (refusal !== null) return refusal;
  const code = await storeCode(request, fields, 'code');
  if (code instanceof UserError) return code;
  const latest = platform.store.getFunction(functionName)?.latest;
  if (latest === undefined) return notFound(account, { functionName, qualifier: null });
  const config = withArchitecture(latest.config, fields.Architectures) as FunctionConfig;
  const tooLarge = await tooLargeTogether(platform.store, code, latest.config.layers);
  if (tooLarge !== null) return tooLarge;
  if (fields.DryRun === true)
    return { status: 200, json: toConfiguration(account, { ...latest, code, config }, false) };
  const fn = await platform.store.updateFunction({
    functionName,
    code,
    ...(config === latest.config ? {} : { config }),
    publish: fields.Publish === true,
    revisionId: fields.RevisionId ?? latest.revisionId,
  });
  return updated(request, functionName, fn, fields.RevisionId);
}

export async function updateFunctionConfiguration(request: ApiRequest): Promise<Answer> {
  const { account, platform } = request.context;
  const functionName = findName(request);
  if (functionName instanceof UserError) return functionName;
  const fields = parseFields(UPDATE_CONFIGURATION, request.body);
  if (fields instanceof UserError) return fields;
  const latest = platform.store.getFunction(functionName)?.latest;
  if (latest === undefined) return notFound(account, { functionName, qualifier: null });
  const config = mergeAll(request, latest.config, fields);
  if (config instanceof UserError) return config;
  const notAdmitted = platform.admission.refuseConfig(config, latest.config);
  if (notAdmitted !== null) return notAdmitted;
  const tooLarge =
    config.layers === latest.config.layers ? null : await tooLargeTogether(platform.store, latest.code, config.layers);
  if (tooLarge !== null) return tooLarge;
  const fn = await platform.store.updateFunction({
    functionName,
    config,
    publish: false,
    revisionId: fields.RevisionId ?? latest.revisionId,
  });
  return updated(request, functionName, fn, fields.RevisionId);
}

export async function deleteFunction(request: ApiRequest): Promise<Answer> {
  const { account, platform } = request.context;
  const ref = parseFunctionRef(account, request.params['FunctionName'] ?? '', request.query.get('Qualifier'));
  if (ref instanceof UserError) return ref;
  if (ref.qualifier === LATEST) {
    return new UserError(
      'InvalidParameterValueException',
      `$LATEST version cannot be deleted without deleting the function: ${functionArn(account, ref.functionName)}`,
    );
  }
  if (platform.store.getVersion(ref.functionName, ref.qualifier ?? LATEST) === null) return notFound(account, ref);
  const refusal = await platform.store.deleteFunction(ref.functionName, ref.qualifier);
  if (refusal !== null) return refusal;
  if (ref.qualifier === null) await platform.logs.delete(ref.functionName);
  return { status: 204 };
}

/**
 * An update is worked out from the function as it was read, and would undo another one that came in between: the first
 * one holds, as on Lambda. `asked`: the RevisionId of the request.
 */
function updated(
  request: ApiRequest,
  functionName: string,
  fn: FunctionVersion | UserError,
  asked: string | undefined | null,
): Answer {
  const { account } = request.context;
  if (!(fn instanceof UserError)) return { status: 200, json: toConfiguration(account, fn, false) };
  if (fn.code !== 'PreconditionFailedException' || (asked ?? null) !== null) return fn;
  return new UserError(
    'ResourceConflictException',
    `The operation cannot be performed at this time. An update is in progress for resource: ${functionArn(account, functionName)}`,
  );
}

/** Looked at before the code is stored; the store looks again when it makes the change. */
function staleRevision(
  request: ApiRequest,
  functionName: string,
  revisionId: string | undefined | null,
): UserError | null {
  if (revisionId === undefined || revisionId === null) return null;
  if (request.context.platform.store.getFunction(functionName)?.latest.revisionId === revisionId) return null;
  return new UserError(
    'PreconditionFailedException',
    'The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id',
  );
}
