/** The code cache against real folders, under budgets that hold a few packages. */
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { SimulatedClock } from '../../../src/base/clock.ts';
import { UserError } from '../../../src/base/errors.ts';
import { LIMITS } from '../../../src/base/limits.ts';
import type { CodeSource } from '../../../src/store/code/code-source.ts';
import { sha256Of } from '../../../src/store/code/files.ts';
import { planZip, ZipRefusal } from '../../../src/store/code/zip-plan.ts';
import type { CodeRef, FunctionVersion } from '../../../src/store/store.ts';
import { CodeCache } from '../../../src/worker/code/code-cache.ts';
import type { CodeCacheLimits, CodeFolders } from '../../../src/worker/code/code-cache.ts';
import { config, ok, refused, smallZip, temporaryFolder } from '../../store/fixtures.ts';
import { LINK, makeZip } from '../../store/zips.ts';

/** What the cache counts for a `smallZip`: three folders, two files of one block, and their names. */
const SMALL_BYTES = 5 * 4096 + 3 * 64;
const LARGE = 1024 * 1024 * 1024;

/** Zips in memory, that can be lost and damaged. */
class Zips implements CodeSource {
  readonly zips = new Map<string, Buffer>();
  readonly rejected: string[] = [];
  fetchCount = 0;

  async add(zip: Buffer): Promise<CodeRef> {
    const sha256 = await sha256Of(zip);
    this.zips.set(sha256, zip);
    return { sha256, zipBytes: zip.length };
  }

  has(sha256: string): boolean {
    return this.zips.has(sha256);
  }

  async fetch(code: CodeRef): Promise<Buffer | UserError> {
    this.fetchCount++;
    return this.zips.get(code.sha256) ?? new UserError('InvalidZipFileException', 'it is lost');
  }

  reject(_code: CodeRef, why: string): UserError {
    this.rejected.push(why);
    return new UserError('InvalidZipFileException', why);
  }
}

/** Everything takes a millisecond. */
class TickingClock extends SimulatedClock {
  override nowUs(): number {
    this.advanceUs(1000);
    return super.nowUs();
  }
}

interface Scene {
  readonly folder: string;
  readonly source: Zips;
  readonly cache: CodeCache;
  readonly reports: string[];
}

function makeCache(folder: string, limits: Partial<CodeCacheLimits>, reports: string[] = []): CodeCache {
  const all = { ...LIMITS, codeCacheBytesMax: LARGE, codeCacheEntryCountMax: 64, ...limits };
  const clock = new TickingClock();
  const report = (message: string): void => void reports.push(message);
  const small = { ...all, codeCacheEntryCountMax: Math.ceil(all.codeCacheBytesMax / 4096) };
  return new CodeCache({ folder, limits: all.codeCacheBytesMax === LARGE ? all : small, clock, report });
}

async function open(context: TestContext, limits: Partial<CodeCacheLimits> = {}): Promise<Scene> {
  const folder = temporaryFolder(context);
  const source = new Zips();
  const reports: string[] = [];
  const cache = makeCache(folder, limits, reports);
  await cache.open(source);
  context.after(() => cache.close());
  return { folder, source, cache, reports };
}

function fn(code: CodeRef, layers: readonly CodeRef[] = []): FunctionVersion {
  const uses = layers.map((layer, index) => ({ layerName: `l${index}`, version: 1, code: layer }));
  return {
    functionName: 'f',
    version: '$LATEST',
    config: config({ layers: uses }),
    code,
    revisionId: '',
    lastModifiedMs: 0,
  };
}

async function acquire(cache: CodeCache, version: FunctionVersion): Promise<CodeFolders> {
  return ok(await cache.acquire(version));
}

function contents(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((each) => each.isFile());
  const paths = files.map((file) => join(file.parentPath, file.name));
  return Object.fromEntries(paths.map((path) => [path.slice(folder.length + 1), readFileSync(path, 'utf8')]));
}

describe('acquire', () => {
  test('fetches, checks and unpacks once, however many ask; then it is there at once', async (context) => {
    const { cache, source } = await open(context);
    const version = fn(await source.add(smallZip(1)), [
      await source.add(smallZip(2)),
      await source.add(smallZip(3)),
      await source.add(smallZip(4)),
    ]);
    const all = await Promise.all(Array.from({ length: 20 }, () => acquire(cache, version)));
    assert.equal(new Set(all.map((folders) => folders.layersDir)).size, 1);
    assert.deepEqual([source.fetchCount, cache.counts.unpackCount, cache.entryCount], [4, 4, 5]);
    const again = cache.acquire(version);
    assert.ok(!(again instanceof Promise));
    for (const folders of [...all, ok(again)]) cache.release(folders);
    cache.checkInvariants();
    assert.throws(() => cache.release(all[0]!), /released again/);
  });
  test('an error reaches all who wait, holds nothing, and is no verdict for ever', async (context) => {
    const { cache, source } = await open(context);
    const code = await source.add(smallZip(1));
    const damaged = { ...(await source.add(smallZip(2))) };
    source.zips.set(damaged.sha256, smallZip(3));
    const version = fn(code, [damaged, code]);
    const both = await Promise.all([cache.acquire(version), cache.acquire(version)]);
    for (const each of both) refused(each, 'InvalidZipFileException', /does not have its hash/);
    cache.checkInvariants();
    assert.equal(cache.entryCount, 1);
    source.zips.set(damaged.sha256, smallZip(2));
    cache.release(await acquire(cache, version));
    source.zips.delete(code.sha256);
    cache.drop(code.sha256);
    refused(await cache.acquire(version), 'InvalidZipFileException', /lost/);
    assert.equal(source.rejected.length, 1);
  });
  test('code in use stays; where it leaves no room there is a refusal that passes', async (context) => {
    const { cache, source } = await open(context, { codeCacheBytesMax: 2 * SMALL_BYTES });
    const versions = await Promise.all([1, 2, 3].map(async (seed) => fn(await source.add(smallZip(seed)))));
    const first = await acquire(cache, versions[0]!);
    const second = await acquire(cache, versions[1]!);
    refused(await cache.acquire(versions[2]!), 'TooManyRequestsException', /no room/);
    assert.ok(existsSync(first.codeDir) && existsSync(second.codeDir));
    cache.release(first);
    const third = await acquire(cache, versions[2]!);
    assert.ok(existsSync(third.codeDir) && existsSync(second.codeDir) && !existsSync(first.codeDir));
    cache.checkInvariants();
  });
  test('what is used often outlives what is used once', async (context) => {
    const { cache, source } = await open(context, { codeCacheBytesMax: 3 * SMALL_BYTES });
    const use = async (seed: number): Promise<void> =>
      cache.release(await acquire(cache, fn(await source.add(smallZip(seed)))));
    for (let round = 0; round < 5; round++) await use(0);
    for (let seed = 1; seed < 6; seed++) await use(seed);
    source.fetchCount = 0;
    await use(0);
    assert.equal(source.fetchCount, 0);
    // It ages all the same.
    for (let seed = 10; seed < 40; seed++) await use(seed);
    source.fetchCount = 0;
    await use(0);
    assert.equal(source.fetchCount, 1);
  });
  test('what cannot be put into its place leaves nothing behind, and is tried again', async (context) => {
    const { folder, cache, source } = await open(context);
    const version = fn(await source.add(smallZip(1)));
    rmSync(join(folder, 'code'), { recursive: true });
    refused(await cache.acquire(version), 'ServiceException', /Cannot unpack code/);
    assert.deepEqual([cache.bytes, readdirSync(join(folder, 'unpacking'))], [0, []]);
    mkdirSync(join(folder, 'code'));
    cache.release(await acquire(cache, version));
    cache.checkInvariants();
  });
  test('what cannot be mended is not shown to anybody any more', async (context) => {
    const { folder, cache, source } = await open(context);
    const code = await source.add(smallZip(1));
    cache.release(await acquire(cache, fn(code)));
    rmSync(join(folder, 'code'), { recursive: true });
    const plan = await planZip(smallZip(1), LIMITS);
    assert.ok(!(plan instanceof ZipRefusal));
    await assert.rejects(cache.put(code, plan), /ENOENT/);
    assert.deepEqual([cache.entryCount, cache.bytes], [0, 0]);
    mkdirSync(join(folder, 'code'));
    assert.ok(existsSync((await acquire(cache, fn(code))).codeDir));
    cache.checkInvariants();
  });
  test('a link counts with a block: its target may take one', async (context) => {
    const { cache, source } = await open(context, { codeCacheBytesMax: 100 * 4096 });
    const links = Array.from({ length: 5 }, (_, index) => ({
      name: `link${index}`,
      content: 'a'.repeat(200),
      mode: LINK,
    }));
    const code = await source.add(makeZip([{ name: 'a'.repeat(200), content: 'x' }, ...links]));
    const { codeDir } = await acquire(cache, fn(code));
    const onDisk = readdirSync(codeDir).map((name) => lstatSync(join(codeDir, name)).blocks * 512);
    assert.ok(cache.bytes >= 6 * 4096, `${cache.bytes} are counted, ${onDisk.join(' + ')} taken`);
  });
});

describe('layers', () => {
  const layered = async (scene: Scene, ...layers: Record<string, string>[]): Promise<CodeFolders> => {
    const { source, cache } = scene;
    const refs: CodeRef[] = [];
    for (const layer of layers) {
      refs.push(await source.add(makeZip(Object.entries(layer).map(([name, content]) => ({ name, content })))));
    }
    return acquire(cache, fn(await source.add(smallZip(1)), refs));
  };
  test('later ones lie over earlier ones', async (context) => {
    const scene = await open(context);
    const one = { 'lib/a': '1', 'lib/b': '1', x: '1', 'y/deep/z': '1' };
    const two = { 'lib/b': '2', 'x/now/a/folder': '2', y: '2', 'bin/c': '2' };
    const { layersDir } = await layered(scene, one, two);
    assert.deepEqual(contents(layersDir), { 'lib/a': '1', 'lib/b': '2', 'x/now/a/folder': '2', y: '2', 'bin/c': '2' });
    const other = await layered(scene, two, one);
    assert.deepEqual(contents(other.layersDir), { ...one, 'bin/c': '2' });
  });
  test('are linked, not copied; one alone is shown where it lies', async (context) => {
    const scene = await open(context);
    const alone = await layered(scene, { data: 'x'.repeat(10_000) });
    const merged = await layered(scene, { data: 'x'.repeat(10_000) }, { more: 'y' });
    assert.notEqual(alone.layersDir, merged.layersDir);
    assert.equal(statSync(join(alone.layersDir, 'data')).ino, statSync(join(merged.layersDir, 'data')).ino);
    assert.equal(statSync(merged.layersDir).mode & 0o777, 0o755);
    const none = await layered(scene);
    assert.equal(none.layersDir, '');
  });
  test('what a list links to goes with it, and stays while it is used', async (context) => {
    const scene = await open(context);
    const { source, cache } = scene;
    const folders = await layered(scene, { a: '1' }, { b: '2' });
    for (const sha256 of source.zips.keys()) cache.drop(sha256);
    assert.deepEqual(contents(folders.layersDir), { a: '1', b: '2' });
    cache.release(folders);
    cache.checkInvariants();
    assert.deepEqual([cache.entryCount, existsSync(folders.layersDir)], [0, false]);
  });
});

describe('the start', () => {
  const filled = async (context: TestContext): Promise<Scene & { version: FunctionVersion }> => {
    const scene = await open(context);
    const { source, cache } = scene;
    const layers = [await source.add(smallZip(2)), await source.add(smallZip(3))];
    const version = fn(await source.add(smallZip(1)), layers);
    cache.release(await acquire(cache, version));
    await cache.close();
    return { ...scene, version };
  };
  test('takes over what is whole and stored, and nothing else', async (context) => {
    const { folder, source, version, cache: before } = await filled(context);
    mkdirSync(join(folder, 'code', 'f'.repeat(64), 'files'), { recursive: true });
    writeFileSync(join(folder, 'code', 'stray'), 'x');
    mkdirSync(join(folder, 'unpacking', '7'), { recursive: true });
    const cache = makeCache(folder, {});
    await cache.open(source);
    cache.checkInvariants();
    assert.equal(cache.bytes, before.bytes);
    assert.ok(!(cache.acquire(version) instanceof Promise));
    await cache.close();
    assert.equal(readdirSync(join(folder, 'code')).length, 4);
    assert.deepEqual(readdirSync(join(folder, 'unpacking')), []);
    source.zips.delete(version.config.layers[0]!.code.sha256);
    const last = makeCache(folder, {});
    await last.open(source);
    assert.equal(last.entryCount, 2, 'a list goes with the layers that it links to');
    last.checkInvariants();
  });
  test('takes over nothing of another boot: nobody knows what of it reached the disk', async (context) => {
    const { folder, source } = await filled(context);
    for (const name of readdirSync(join(folder, 'code'))) {
      const file = join(folder, 'code', name, 'entry.json');
      writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), boot: 'another' }));
    }
    const cache = makeCache(folder, {});
    await cache.open(source);
    assert.deepEqual([cache.entryCount, cache.bytes], [0, 0]);
    await cache.close();
    assert.deepEqual(readdirSync(join(folder, 'code')), []);
  });
  test('takes over no more than the budget', async (context) => {
    const { folder, source } = await filled(context);
    const cache = makeCache(folder, { codeCacheBytesMax: 2 * SMALL_BYTES });
    await cache.open(source);
    cache.checkInvariants();
    assert.equal(cache.entryCount, 2);
    await cache.close();
  });
});

type Step =
  | { readonly kind: 'acquire'; readonly code: number; readonly layers: readonly number[] }
  | { readonly kind: 'release' | 'drop' | 'put' | 'lose' | 'find' | 'damage' | 'settle'; readonly pick: number };

const SEED_COUNT = 5;
const pick = fc.nat(SEED_COUNT - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('acquire' as const),
      code: pick,
      layers: fc.array(pick, { maxLength: 3 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom('release', 'release', 'release', 'drop', 'put', 'lose', 'find', 'damage', 'settle'),
      pick,
    }),
  },
);

class Player {
  readonly #scene: Scene;
  readonly #refs: readonly CodeRef[];
  readonly #held: { folders: CodeFolders; code: number; layers: readonly number[] }[] = [];
  readonly #running = new Set<Promise<unknown>>();

  constructor(scene: Scene, refs: readonly CodeRef[]) {
    this.#scene = scene;
    this.#refs = refs;
  }

  async play(each: Step): Promise<void> {
    const { cache, source } = this.#scene;
    switch (each.kind) {
      case 'acquire':
        return this.#acquire(each.code, each.layers);
      case 'release': {
        const [held] = this.#held.splice(each.pick % Math.max(1, this.#held.length), 1);
        if (held !== undefined) cache.release(held.folders);
        return;
      }
      case 'drop':
        return cache.drop(this.#refs[each.pick]!.sha256);
      case 'put':
        return this.#put(each.pick);
      case 'lose':
        return void source.zips.delete(this.#refs[each.pick]!.sha256);
      case 'find':
        return void source.zips.set(this.#refs[each.pick]!.sha256, smallZip(each.pick));
      case 'damage':
        return void source.zips.set(this.#refs[each.pick]!.sha256, smallZip(99));
      case 'settle':
        return this.settle();
    }
  }

  check(): void {
    this.#scene.cache.checkInvariants();
    for (const { folders, code, layers } of this.#held) {
      assert.equal(readFileSync(join(folders.codeDir, 'lib/data.txt'), 'utf8'), String(code));
      if (layers.length > 0) {
        assert.equal(readFileSync(join(folders.layersDir, 'lib/data.txt'), 'utf8'), String(layers.at(-1)));
      }
    }
  }

  async settle(): Promise<void> {
    await Promise.all(this.#running);
  }

  async end(): Promise<void> {
    await this.settle();
    for (const { folders } of this.#held.splice(0)) this.#scene.cache.release(folders);
    await this.#scene.cache.close();
    this.check();
    const { folder, cache } = this.#scene;
    assert.equal(readdirSync(join(folder, 'code')).length, cache.entryCount);
    assert.deepEqual(readdirSync(join(folder, 'unpacking')), []);
    assert.equal(cache.bytes === 0, cache.entryCount === 0);
    for (const ref of this.#refs) cache.drop(ref.sha256);
    await cache.close();
    assert.deepEqual([cache.entryCount, cache.bytes, readdirSync(join(folder, 'code'))], [0, 0, []]);
  }

  #acquire(code: number, layers: readonly number[]): void {
    const version = fn(
      this.#refs[code]!,
      layers.map((layer) => this.#refs[layer]!),
    );
    const got = this.#scene.cache.acquire(version);
    const take = (folders: CodeFolders | UserError): void => {
      if (!(folders instanceof UserError)) this.#held.push({ folders, code, layers });
      else assert.ok(['InvalidZipFileException', 'TooManyRequestsException'].includes(folders.code), folders.message);
    };
    if (got instanceof Promise) this.#track(got.then(take));
    else take(got);
  }

  async #put(seed: number): Promise<void> {
    const plan = await planZip(smallZip(seed), LIMITS);
    assert.ok(!(plan instanceof ZipRefusal));
    this.#track(this.#scene.cache.put(this.#refs[seed]!, plan).then((refusal) => assert.equal(refusal, null)));
  }

  #track(promise: Promise<unknown>): void {
    this.#running.add(promise);
    void promise.finally(() => this.#running.delete(promise)).catch(() => {});
  }
}

test('whatever is asked of it, in any order and at once', async (context) => {
  const base = temporaryFolder(context);
  const property = async (steps: readonly Step[], room: number): Promise<void> => {
    const folder = join(base, crypto.randomUUID());
    mkdirSync(folder);
    const source = new Zips();
    const refs: CodeRef[] = [];
    for (let seed = 0; seed < SEED_COUNT; seed++) refs.push(await source.add(smallZip(seed)));
    const cache = makeCache(folder, { codeCacheBytesMax: room * SMALL_BYTES });
    await cache.open(source);
    const player = new Player({ folder, source, cache, reports: [] }, refs);
    for (const each of steps) {
      await player.play(each);
      player.check();
    }
    await player.end();
    rmSync(folder, { recursive: true });
  };
  const steps = fc.array(step, { minLength: 1, maxLength: 40, size: 'max' });
  await fc.assert(fc.asyncProperty(steps, fc.integer({ min: 1, max: 8 }), property), { numRuns: 60 });
});
