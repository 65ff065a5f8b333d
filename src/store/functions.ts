/**
 * The rules of functions and their versions, as Lambda has them: each call of the store as a plain calculation from
 * what a function was to what it becomes. No I/O, no clock, no randomness; every backend shares it.
 *
 * States are never changed in place, so a backend may hold two at once: the one that is on disk, which readers see,
 * and the one that calls still on their way to the disk have decided on.
 */
import { DEFAULT_ACCOUNT, functionArn, LATEST } from '../base/arn.ts';
import { UserError } from '../base/errors.ts';
import type {
  CodeRef,
  CreateFunction,
  FunctionConfig,
  FunctionKnowledge,
  FunctionRecord,
  FunctionVersion,
  PublishVersion,
  Tags,
  UpdateFunction,
} from './store.ts';

export interface FunctionState {
  readonly record: FunctionRecord;
  /** The published versions, in order of their numbers. */
  readonly published: ReadonlyMap<string, FunctionVersion>;
  /** What $LATEST was when a version was last published, and that version; null if none ever was. */
  readonly publishedAs: PublishedAs | null;
}

export interface PublishedAs {
  readonly version: string;
  readonly config: FunctionConfig;
  readonly sha256: string;
}

/** What a calculation cannot know by itself. */
export interface Fresh {
  readonly nowMs: number;
  /** Two UUIDs: one for $LATEST, one for a version published along with it. */
  readonly revisionIds: readonly [string, string];
  /** The highest number that a version of a function of this name ever had, 0 if none: numbers are never reused. */
  readonly lastNumber: number;
}

export interface Change {
  readonly state: FunctionState;
  readonly result: FunctionVersion;
}

export function notFound(functionName: string, qualifier?: string): UserError {
  return new UserError(
    'ResourceNotFoundException',
    `Function not found: ${functionArn(DEFAULT_ACCOUNT, functionName, qualifier)}`,
  );
}

export function createFunction(
  before: FunctionState | undefined,
  request: CreateFunction,
  fresh: Fresh,
): Change | UserError {
  if (before) {
    return new UserError('ResourceConflictException', `Function already exist: ${request.functionName}`);
  }
  const latest: FunctionVersion = {
    functionName: request.functionName,
    version: LATEST,
    config: request.config,
    code: request.code,
    revisionId: fresh.revisionIds[0],
    lastModifiedMs: fresh.nowMs,
  };
  const record = { latest, createdMs: fresh.nowMs, tags: request.tags, reservedConcurrency: null, provisioned: {} };
  const state = { record, published: new Map(), publishedAs: null };
  return request.publish ? publish(state, null, fresh) : { state, result: latest };
}

export function updateFunction(
  before: FunctionState | undefined,
  request: UpdateFunction,
  fresh: Fresh,
): Change | UserError {
  if (!before) return notFound(request.functionName);
  const stale = checkRevision(before, request.revisionId);
  if (stale) return stale;
  const latest: FunctionVersion = {
    ...before.record.latest,
    config: request.config ?? before.record.latest.config,
    code: request.code ?? before.record.latest.code,
    revisionId: fresh.revisionIds[0],
    lastModifiedMs: fresh.nowMs,
  };
  const state = { ...before, record: { ...before.record, latest } };
  return request.publish ? publish(state, null, fresh) : { state, result: latest };
}

export function publishVersion(
  before: FunctionState | undefined,
  request: PublishVersion,
  fresh: Fresh,
): Change | UserError {
  if (!before) return notFound(request.functionName);
  const stale = checkRevision(before, request.revisionId);
  if (stale) return stale;
  const wrongCode = checkCode(before.record.latest.code, request.codeSha256);
  if (wrongCode) return wrongCode;
  return publish(before, request.description ?? null, fresh);
}

export function deleteVersion(
  before: FunctionState | undefined,
  functionName: string,
  version: string,
): FunctionState | UserError {
  if (!before) return notFound(functionName);
  if (version === LATEST) {
    const message = '$LATEST version cannot be deleted without deleting the function.';
    return new UserError('InvalidParameterValueException', message);
  }
  if (!before.published.has(version)) return notFound(functionName, version);
  const published = new Map(before.published);
  published.delete(version);
  return { ...before, published, record: withoutProvisioned(before.record, version) };
}

export function setReservedConcurrency(
  before: FunctionState | undefined,
  functionName: string,
  max: number | null,
): FunctionState | UserError {
  if (!before) return notFound(functionName);
  const provisioned = provisionedSum(before.record);
  if (max !== null && max < provisioned) {
    const message =
      `A reserved concurrency of ${max} is less than the provisioned concurrency of ${functionName}, which is ${provisioned} ` +
      'over all its versions. Lower that first.';
    return new UserError('InvalidParameterValueException', message);
  }
  return { ...before, record: { ...before.record, reservedConcurrency: max } };
}

export function setProvisioned(
  before: FunctionState | undefined,
  wanted: { readonly functionName: string; readonly version: string; readonly count: number | null },
  nowMs: number,
): FunctionState | UserError {
  const { functionName, version, count } = wanted;
  if (!before) return notFound(functionName);
  if (version === LATEST) {
    const message = 'Provisioned Concurrency Configs cannot be applied to unpublished function versions.';
    return new UserError('InvalidParameterValueException', message);
  }
  if (!before.published.has(version)) return notFound(functionName, version);
  const others = withoutProvisioned(before.record, version);
  if (count === null) return { ...before, record: others };
  const { reservedConcurrency } = others;
  const sum = provisionedSum(others) + count;
  if (reservedConcurrency !== null && sum > reservedConcurrency) {
    const message =
      'Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function: ' +
      `all versions together would have ${sum}, and ${reservedConcurrency} are reserved.`;
    return new UserError('InvalidParameterValueException', message);
  }
  const provisioned = { ...others.provisioned, [version]: { count, lastModifiedMs: nowMs } };
  return { ...before, record: { ...others, provisioned } };
}

export function setTags(
  before: FunctionState | undefined,
  functionName: string,
  decide: (before: Tags) => Tags | UserError,
): FunctionState | UserError {
  if (!before) return notFound(functionName);
  const tags = decide(before.record.tags);
  return tags instanceof UserError ? tags : { ...before, record: { ...before.record, tags } };
}

export function setKnowledge(
  before: FunctionState | undefined,
  { functionName, knowledge }: { readonly functionName: string; readonly knowledge: FunctionKnowledge | null },
  nowMs: number,
): FunctionState | UserError {
  if (!before) return notFound(functionName);
  // Whoever hears of it on several ways takes the latest.
  const knowledgeMs = Math.max(nowMs, knowledgeMsOf(before.record) + 1);
  return { ...before, record: { ...before.record, knowledge, knowledgeMs } };
}

/** Since when what is said of the function is as it is. */
export function knowledgeMsOf({ createdMs, knowledgeMs }: FunctionRecord): number {
  return knowledgeMs ?? createdMs;
}

function provisionedSum(record: FunctionRecord): number {
  return Object.values(record.provisioned).reduce((sum, each) => sum + each.count, 0);
}

function withoutProvisioned(record: FunctionRecord, version: string): FunctionRecord {
  const { [version]: gone, ...provisioned } = record.provisioned;
  return gone === undefined ? record : { ...record, provisioned };
}

/** Every version, $LATEST first. */
export function versionsOf(state: FunctionState): FunctionVersion[] {
  return [state.record.latest, ...state.published.values()];
}

export function versionOf(state: FunctionState, version: string): FunctionVersion | null {
  return version === LATEST ? state.record.latest : (state.published.get(version) ?? null);
}

/** All that its instances need. */
export function codeOf(version: FunctionVersion): CodeRef[] {
  return [version.code, ...version.config.layers.map((layer) => layer.code)];
}

/** $LATEST comes before 1; NaN for what is no version at all. */
export function versionNumber(version: string): number {
  if (version === LATEST) return 0;
  return /^[1-9][0-9]{0,14}$/.test(version) ? Number(version) : NaN;
}

function publish(before: FunctionState, description: string | null, fresh: Fresh): Change {
  const { latest } = before.record;
  const unchanged = publishedUnchanged(before);
  if (unchanged) return { state: before, result: unchanged };
  const version = String(fresh.lastNumber + 1);
  const result: FunctionVersion = {
    ...latest,
    version,
    config: description === null ? latest.config : { ...latest.config, description },
    revisionId: fresh.revisionIds[1],
    lastModifiedMs: fresh.nowMs,
  };
  const published = new Map(before.published).set(version, result);
  const publishedAs = { version, config: latest.config, sha256: latest.code.sha256 };
  return { state: { ...before, published, publishedAs }, result };
}

/** A description given only for the version does not count as a change of the function. */
function publishedUnchanged(state: FunctionState): FunctionVersion | undefined {
  const { publishedAs, record } = state;
  if (!publishedAs || publishedAs.sha256 !== record.latest.code.sha256) return undefined;
  if (!sameConfig(publishedAs.config, record.latest.config)) return undefined;
  return state.published.get(publishedAs.version);
}

function sameConfig(a: FunctionConfig, b: FunctionConfig): boolean {
  return a === b || canonicalJson(a) === canonicalJson(b);
}

/** JSON with the keys of every object in order, so that equal values give equal text. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner;
    return Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1));
  });
}

function checkRevision(state: FunctionState, revisionId: string | undefined): UserError | null {
  if (revisionId === undefined || revisionId === state.record.latest.revisionId) return null;
  const message =
    'The RevisionId provided does not match the latest RevisionId. Call the GetFunction/GetFunctionConfiguration API ' +
    'to retrieve the latest RevisionId for your function.';
  return new UserError('PreconditionFailedException', message);
}

function checkCode(code: CodeRef, codeSha256: string | undefined): UserError | null {
  if (codeSha256 === undefined || codeSha256 === code.sha256) return null;
  // Clients know these hashes in base64.
  const given = Buffer.from(codeSha256, 'hex').toString('base64');
  const current = Buffer.from(code.sha256, 'hex').toString('base64');
  const message =
    `CodeSHA256 (${given}) is different from current CodeSHA256 in $LATEST (${current}). ` +
    'Please try again with the CodeSHA256 in $LATEST.';
  return new UserError('InvalidParameterValueException', message);
}
