/** The account's settings, and what Terraform reads of every function though Perch has only one answer to it. */
import { UserError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import { eachFunction } from '../../store/each-function.ts';
import { codeOf } from '../../store/functions.ts';
import type { FunctionVersion, Store } from '../../store/store.ts';
import type { Answer, ApiRequest } from '../route.ts';
import { runtimeVersionArn } from './configuration.ts';
import { findName, findVersion } from './functions.ts';
import { versionArn } from './names.ts';

export function getAccountSettings(request: ApiRequest): Answer {
  const { store } = request.context.platform;
  const cores = request.context.platform.coreCount();
  let functionCount = 0;
  let reserved = 0;
  for (const record of eachFunction(store)) {
    functionCount++;
    reserved += record.reservedConcurrency ?? 0;
  }
  return {
    status: 200,
    json: {
      AccountLimit: {
        TotalCodeSize: LIMITS.codeStorageBytesMax,
        CodeSizeUnzipped: LIMITS.unzippedBytesMax,
        CodeSizeZipped: LIMITS.zipBytesMax,
        ConcurrentExecutions: cores,
        UnreservedConcurrentExecutions: Math.max(0, cores - reserved),
      },
      AccountUsage: { TotalCodeSize: codeBytes(store), FunctionCount: functionCount },
    },
  };
}

const PAGE_ITEMS = 1000;

/** Each code once, however many versions share it. */
function codeBytes(store: Store): number {
  const sizes = new Map<string, number>();
  for (const fn of allVersions(store)) for (const code of codeOf(fn)) sizes.set(code.sha256, code.zipBytes);
  for (const { layerName } of store.listLayers(() => true, null, Infinity).items) {
    const { items } = store.listLayerVersions(layerName, () => true, null, Infinity);
    for (const { code } of items) sizes.set(code.sha256, code.zipBytes);
  }
  let bytes = 0;
  for (const size of sizes.values()) bytes += size;
  return bytes;
}

function* allVersions(store: Store): Iterable<FunctionVersion> {
  let marker: string | null = null;
  do {
    const page: ReturnType<Store['listAllVersions']> = store.listAllVersions(marker, PAGE_ITEMS);
    yield* page.items;
    marker = page.nextMarker;
  } while (marker !== null);
}

export function getFunctionCodeSigningConfig(request: ApiRequest): Answer {
  const functionName = findName(request);
  return functionName instanceof UserError ? functionName : { status: 200, json: { FunctionName: functionName } };
}

export function getRuntimeManagementConfig(request: ApiRequest): Answer {
  const found = findVersion(request);
  if (found instanceof UserError) return found;
  const { account } = request.context;
  return {
    status: 200,
    json: {
      UpdateRuntimeOn: 'Auto',
      RuntimeVersionArn: runtimeVersionArn(account, found.fn.config.runtime),
      FunctionArn: versionArn(account, found.fn, true),
    },
  };
}

export function getFunctionRecursionConfig(request: ApiRequest): Answer {
  const functionName = findName(request);
  return functionName instanceof UserError ? functionName : { status: 200, json: { RecursiveLoop: 'Allow' } };
}

export function getPolicy(request: ApiRequest): Answer {
  const functionName = findName(request);
  if (functionName instanceof UserError) return functionName;
  return new UserError('ResourceNotFoundException', 'The resource you requested does not exist.');
}
