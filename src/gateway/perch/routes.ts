/** Perch's own API: what the command line and Prometheus ask for. */
import { UserError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import { checkQueryInteger } from '../lambda/constraints.ts';
import { findVersion } from '../lambda/functions.ts';
import type { Answer, ApiRequest, Route } from '../route.ts';
import { CODE_PATH, LAYER_PATH } from '../code-urls.ts';
import type { CodeOwner } from '../code-urls.ts';
import type { CodeRef } from '../../store/store.ts';
import { CHAIN_ROUTES } from './chains.ts';
import { copies, functions } from './functions.ts';
import { KNOWLEDGE_ROUTES } from './knowledge.ts';
import { streamLogs } from './logs.ts';

const LINES = 100;
const LINES_MAX = 10_000;
/** About a megabyte of JSON. */
const CORES_PAGE_MAX = 10_000;

function health(): Answer {
  return { status: 200, json: { status: 'ok' } };
}

function metrics(request: ApiRequest): Answer {
  const bytes = request.context.platform.metrics();
  return { status: 200, contentType: 'text/plain; version=0.0.4; charset=utf-8', bytes };
}

/** By pages, since a cluster may have 640,000; the marker is the number of the last core of the page before. */
async function cores({ query, context }: ApiRequest): Promise<Answer> {
  const max = checkQueryInteger(query.get('limit'), 'limit', { min: 1, max: CORES_PAGE_MAX });
  if (max instanceof UserError) return max;
  const after = checkQueryInteger(query.get('marker'), 'marker', { min: 0, max: LIMITS.clusterCoreEnd });
  if (after instanceof UserError) return after;
  const limit = max ?? CORES_PAGE_MAX;
  const found = await context.platform.cores(after ?? -1, limit + 1);
  const page = found.slice(0, limit);
  const nextMarker = found.length > limit ? String(page.at(-1)!.core) : null;
  return { status: 200, json: { cores: page, nextMarker } };
}

async function overview(request: ApiRequest): Promise<Answer> {
  return { status: 200, json: await request.context.platform.overview() };
}

function info(request: ApiRequest): Answer {
  return { status: 200, json: request.context.info };
}

function logs(request: ApiRequest): Answer | Promise<Answer> {
  const found = findVersion(request);
  if (found instanceof UserError) return found;
  const lines = checkQueryInteger(request.query.get('lines'), 'lines', { min: 0, max: LINES_MAX });
  if (lines instanceof UserError) return lines;
  const query = { functionName: found.fn.functionName, lines: lines ?? LINES };
  return request.query.get('follow') === '1'
    ? { stream: (response) => streamLogs(request.context, query, response) }
    : lastLines(request, query);
}

async function lastLines(request: ApiRequest, query: { functionName: string; lines: number }): Promise<Answer> {
  const bytes = query.lines === 0 ? '' : await request.context.platform.logs.tail(query.functionName, query.lines);
  return { status: 200, contentType: 'text/plain; charset=utf-8', bytes };
}

/** What the Location of GetFunction and GetLayerVersion points to. */
async function zip(request: ApiRequest, owner: CodeOwner, code: CodeRef | undefined): Promise<Answer> {
  const { codeUrls, platform } = request.context;
  if (!codeUrls.check(owner, request.query, Date.now())) {
    return new UserError(
      'AccessDeniedException',
      'This address is wrong or too old: ask for a new one with GetFunction or GetLayerVersion.',
    );
  }
  if (code === undefined) return new UserError('ResourceNotFoundException', `There is no ${owner.name} any more.`);
  return { status: 200, contentType: 'application/zip', bytes: await platform.store.readZip(code) };
}

function functionZip(request: ApiRequest): Promise<Answer> {
  const name = request.params['FunctionName'] ?? '';
  const version = request.query.get('version') ?? '';
  const fn = request.context.platform.store.getVersion(name, version);
  return zip(request, { path: CODE_PATH, name, version }, fn?.code);
}

function layerZip(request: ApiRequest): Promise<Answer> {
  const name = request.params['LayerName'] ?? '';
  const version = request.query.get('version') ?? '';
  const layer = request.context.platform.store.getLayerVersion(name, Number(version));
  return zip(request, { path: LAYER_PATH, name, version }, layer?.code);
}

export const PERCH_ROUTES: readonly Route[] = [
  { method: 'GET', path: '/healthz', operation: 'Health', access: 'open', answer: health },
  { method: 'GET', path: '/metrics', operation: 'Metrics', answer: metrics },
  { method: 'GET', path: '/perch/v1/cores', operation: 'Cores', answer: cores },
  { method: 'GET', path: '/perch/v1/overview', operation: 'Overview', answer: overview },
  { method: 'GET', path: '/perch/v1/info', operation: 'Info', answer: info },
  { method: 'GET', path: '/perch/v1/functions', operation: 'Functions', answer: functions },
  { method: 'GET', path: '/perch/v1/functions/:FunctionName/copies', operation: 'Copies', answer: copies },
  ...KNOWLEDGE_ROUTES,
  ...CHAIN_ROUTES,
  { method: 'GET', path: '/perch/v1/logs/:FunctionName', operation: 'Logs', answer: logs },
  { method: 'GET', path: `${CODE_PATH}/:FunctionName`, operation: 'Code', access: 'open', answer: functionZip },
  { method: 'GET', path: `${LAYER_PATH}/:LayerName`, operation: 'LayerCode', access: 'open', answer: layerZip },
];
