/** What the tests of every store backend share. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import assert from 'node:assert/strict';
import { realClock } from '../../src/base/clock.ts';
import { UserError } from '../../src/base/errors.ts';
import { LIMITS } from '../../src/base/limits.ts';
import { openEmbeddedStore } from '../../src/store/embedded/embedded-store.ts';
import type {
  EmbeddedStore,
  EmbeddedStoreLimits,
  EmbeddedStoreOptions,
} from '../../src/store/embedded/embedded-store.ts';
import type { ApiErrorCode } from '../../src/base/errors.ts';
import type { AsyncInvocation, CodeRef, FunctionConfig } from '../../src/store/store.ts';
import { CodeCache } from '../../src/worker/code/code-cache.ts';
import type { CodeCacheLimits } from '../../src/worker/code/code-cache.ts';
import { makeZip } from './zips.ts';

export function temporaryFolder(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'perch-store-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function config(over: Partial<FunctionConfig> = {}): FunctionConfig {
  return {
    runtime: 'nodejs24.x',
    handler: 'index.handler',
    role: 'arn:aws:iam::000000000000:role/test',
    description: '',
    timeoutS: 3,
    memoryMb: 128,
    ephemeralStorageMb: 512,
    architecture: 'x86_64',
    environment: {},
    tracingMode: 'PassThrough',
    logFormat: 'Text',
    deadLetterTargetArn: '',
    layers: [],
    ...over,
  };
}

/** A small package whose content depends on `seed`, and so its hash. */
export function smallZip(seed: string | number): Buffer {
  return makeZip([
    { name: 'index.mjs', content: `export const handler = () => ${JSON.stringify(seed)};\n` },
    { name: 'lib/data.txt', content: `${seed}` },
  ]);
}

export function asyncInvocation(over: Partial<AsyncInvocation> = {}): AsyncInvocation {
  return {
    id: crypto.randomUUID(),
    functionName: 'f',
    version: '$LATEST',
    payload: Buffer.from('{}'),
    clientContext: '',
    acceptedMs: 1000,
    attempts: 0,
    dueMs: 1000,
    ...over,
  };
}

export function ok<T>(value: T | UserError): T {
  if (value instanceof UserError) assert.fail(`${value.code}: ${value.message}`);
  return value;
}

export function refused(value: unknown, code: ApiErrorCode, message?: string | RegExp): UserError {
  assert.ok(value instanceof UserError, `expected ${code}, got ${JSON.stringify(value)}`);
  assert.equal(value.code, code, value.message);
  if (typeof message === 'string') assert.equal(value.message, message);
  else if (message) assert.match(value.message, message);
  return value;
}

export interface StoreAndCache {
  readonly store: EmbeddedStore;
  readonly cache: CodeCache;
  /** Where the cache has the code, once it has. */
  dirOf(code: CodeRef): string;
}

/** As `perch up` puts them together; the cache is closed with the store. */
export async function openWithCache(
  folder: string,
  options: Omit<EmbeddedStoreOptions, 'sink' | 'limits'> & {
    readonly limits?: Partial<EmbeddedStoreLimits & CodeCacheLimits>;
  } = {},
): Promise<StoreAndCache> {
  const { clock = realClock, report = () => undefined } = options;
  const cache = new CodeCache({ folder, limits: { ...LIMITS, ...options.limits }, clock, report });
  const store = await openEmbeddedStore(folder, { ...options, sink: cache });
  await cache.open(store.codeSource);
  const close = store.close.bind(store);
  store.close = async () => {
    await close();
    await cache.close();
  };
  return { store, cache, dirOf: (code) => join(folder, 'code', code.sha256, 'files') };
}
