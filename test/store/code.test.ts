import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { SimulatedClock } from '../../src/base/clock.ts';
import { UserError } from '../../src/base/errors.ts';
import { LIMITS } from '../../src/base/limits.ts';
import type { EmbeddedStoreLimits } from '../../src/store/embedded/embedded-store.ts';
import type { CodeRef, Store } from '../../src/store/store.ts';
import { diskBytes } from '../../src/worker/code/entry.ts';
import { config, ok, openWithCache, refused, smallZip, temporaryFolder } from './fixtures.ts';
import { LINK, REGULAR, makeZip } from './zips.ts';
import type { ZipEntry } from './zips.ts';
import type { StoreAndCache } from './fixtures.ts';

const TINY = {
  zipBytesMax: 100_000,
  unzippedBytesMax: 10_000,
  zipEntryCountMax: 20,
  codePathBytesMax: 100,
  symlinkTargetBytesMax: 50,
};

interface Scene extends StoreAndCache {
  readonly folder: string;
  readonly reports: string[];
  readonly clock: SimulatedClock;
}

async function open(
  context: TestContext,
  limits: Partial<EmbeddedStoreLimits> = TINY,
  folder?: string,
): Promise<Scene> {
  const path = folder ?? temporaryFolder(context);
  const reports: string[] = [];
  const clock = new SimulatedClock(1_000_000);
  const opened = await openWithCache(path, { limits, clock, report: (message) => void reports.push(message) });
  context.after(() => opened.store.close());
  return { ...opened, folder: path, reports, clock };
}

async function create(store: Store, code: CodeRef, functionName = 'f'): Promise<void> {
  ok(await store.createFunction({ functionName, config: config(), code, tags: {}, publish: false }));
}

/** Everything under the folders of the code. */
function filesIn(folder: string): string[] {
  return ['code', 'zips', 'tmp'].flatMap((name) => readdirSync(join(folder, name)).map((each) => `${name}/${each}`));
}

describe('putCode: what is accepted', () => {
  test('files, folders, executables and links come out as they went in', async (context) => {
    const { store, dirOf } = await open(context);
    const binary = randomBytes(5000);
    const code = ok(
      await store.putCode(
        makeZip([
          { name: 'a/b/', mode: 0o040700 },
          { name: 'a/b/data', content: binary, stored: true, mode: REGULAR | 0o600 },
          { name: 'run.sh', content: '#!/bin/sh\n', mode: REGULAR | 0o700 },
          { name: 'node_modules/.bin/tool', content: '../tool/index.js', mode: LINK },
          { name: 'node_modules/tool/index.js', content: 'x', mode: REGULAR | 0o6777 },
          { name: 'ä €.txt', content: 'no mode' },
          { name: 'empty', content: '' },
          { name: 'x/y/up', content: '../..', mode: LINK },
        ]),
      ),
    );
    const folder = dirOf(code);
    const mode = (path: string): number => statSync(join(folder, path)).mode & 0o7777;
    assert.deepEqual(readFileSync(join(folder, 'a/b/data')), binary);
    assert.deepEqual(readFileSync(join(folder, 'ä €.txt'), 'utf8'), 'no mode');
    assert.equal(statSync(join(folder, 'empty')).size, 0);
    assert.deepEqual([mode('a/b'), mode('a/b/data'), mode('run.sh')], [0o755, 0o644, 0o755]);
    assert.deepEqual([mode('node_modules/tool/index.js'), mode('ä €.txt')], [0o755, 0o644]);
    assert.equal(readlinkSync(join(folder, 'node_modules/.bin/tool')), '../tool/index.js');
    assert.equal(readlinkSync(join(folder, 'x/y/up')), '../..');
    assert.equal(statSync(join(folder, 'a/b/data')).uid, process.getuid?.());
  });
  test('it is named by its hash, and comes back whole', async (context) => {
    const { store } = await open(context);
    const zip = smallZip(1);
    const code = ok(await store.putCode(zip));
    assert.deepEqual(code, { sha256: createHash('sha256').update(zip).digest('hex'), zipBytes: zip.length });
    assert.deepEqual(await store.readZip(code), zip);
    assert.equal(store.codeError(code), null);
  });
  test('exactly as much as the limits allow', async (context) => {
    const { store } = await open(context);
    const files = Array.from({ length: 20 }, (_, index) => ({ name: `f${index}`, content: 'x'.repeat(500) }));
    ok(await store.putCode(makeZip(files)));
    refused(
      await store.putCode(makeZip([...files, { name: 'one-more' }])),
      'InvalidParameterValueException',
      /too many/,
    );
    const larger = [{ name: 'f', content: 'x'.repeat(10_001) }];
    refused(
      await store.putCode(makeZip(larger)),
      'InvalidParameterValueException',
      'Unzipped size must be smaller than 10000 bytes',
    );
  });
  test('the same zip many times at once is unpacked once', async (context) => {
    const { store, folder, dirOf } = await open(context);
    const zips = Array.from({ length: 20 }, (_, index) => smallZip(index % 3));
    const codes = await Promise.all(zips.map((zip) => store.putCode(zip)));
    assert.equal(new Set(codes.map((code) => ok(code).sha256)).size, 3);
    assert.equal(filesIn(folder).length, 6);
    for (const code of codes) assert.ok(existsSync(join(dirOf(ok(code)), 'index.mjs')));
  });
  test('larger ones too, several at once', async (context) => {
    const { store, dirOf } = await open(context, {});
    const contents = Array.from({ length: 4 }, () => randomBytes(3 * 1024 * 1024));
    const codes = await Promise.all(contents.map((content) => store.putCode(makeZip([{ name: 'big', content }]))));
    for (const [index, code] of codes.entries()) {
      assert.ok(readFileSync(join(dirOf(ok(code)), 'big')).equals(contents[index]!));
    }
  });
});

const DEEP = `${Array.from({ length: 45 }, () => 'd').join('/')}/f`;
const file = (name: string | Buffer): ZipEntry => ({ name, content: 'x' });
const link = (name: string, content: string): ZipEntry => ({ name, content, mode: LINK });

const HOSTILE: Record<string, { zip: Buffer | readonly ZipEntry[]; message: RegExp }> = {
  'a path that climbs': { zip: [file('../evil')], message: /leaves the package/ },
  'a path that climbs from within': { zip: [file('a/../../evil')], message: /leaves the package/ },
  'a path that ends in a climb': { zip: [file('a/..')], message: /leaves the package/ },
  'an absolute path': { zip: [file('/etc/evil')], message: /absolute/ },
  'a drive': { zip: [file('C:/evil')], message: /absolute/ },
  backslashes: { zip: [file('..\\evil')], message: /backslash/ },
  'an empty name': { zip: [file('')], message: /the name is empty/ },
  'a lone slash': { zip: [file('/')], message: /the name is empty/ },
  'two slashes': { zip: [file('a//b')], message: /simplest form/ },
  'a dot': { zip: [file('./a')], message: /simplest form/ },
  'a NUL': { zip: [file('a\0.js')], message: /control characters/ },
  'a line end': { zip: [file('a\nb')], message: /control characters/ },
  'a name that is not UTF-8': { zip: [file(Buffer.from([0x66, 0xff, 0xfe]))], message: /not UTF-8/ },
  'a name that is too long': { zip: [file('a'.repeat(101))], message: /too long/ },
  'folders without end': { zip: [file(DEEP)], message: /too many entries/ },
  'the same name twice': { zip: [file('a'), file('a')], message: /there twice/ },
  'the same folder twice': { zip: [{ name: 'a/' }, { name: 'a/' }], message: /there twice/ },
  'a file and then a folder': { zip: [file('a'), file('a/b')], message: /\\"a\\"|"a" is not a folder/ },
  'a folder and then a file': { zip: [file('a/b'), file('a')], message: /a folder has the same name|there twice/ },
  'a file and its name as a folder': { zip: [file('a'), { name: 'a/' }], message: /there twice/ },
  'a file below a link': { zip: [link('a', 'b'), file('a/evil'), file('b/x')], message: /is not a folder/ },
  'a link below a link': { zip: [link('a', 'b'), link('a/c', '..'), file('b/x')], message: /is not a folder/ },
  'a link to an absolute path': { zip: [link('a', '/etc/passwd')], message: /leads out of the package/ },
  'a link that climbs out': { zip: [link('a', '../x')], message: /leads out of the package/ },
  'a link that climbs out from below': { zip: [link('b/a', '../../x')], message: /leads out of the package/ },
  'a link that climbs late': { zip: [link('b/a', 'c/../../../x')], message: /leads out of the package/ },
  'a link that climbs over another': {
    zip: [link('p/q/r', '../..'), link('e', 'p/q/r/../x')],
    message: /leads out of the package/,
  },
  'a link to nothing': { zip: [link('a', '')], message: /target of the link is empty/ },
  'a link with a NUL': { zip: [link('a', 'b\0c')], message: /control characters/ },
  'a link that is too long': { zip: [link('a', 'b'.repeat(51))], message: /target of the link is too long/ },
  'a device': { zip: [{ name: 'a', mode: 0o020666 }], message: /neither a file nor a folder nor a link/ },
  'a pipe': { zip: [{ name: 'a', mode: 0o010666 }], message: /neither a file nor a folder nor a link/ },
  'a folder that is a link': { zip: [{ name: 'a/', mode: LINK }], message: /folder by name and not by mode/ },
  'an encrypted entry': { zip: [{ name: 'a', content: 'x', encrypted: true }], message: /encrypted/ },
  'an unknown compression': { zip: [{ name: 'a', content: 'x', method: 99 }], message: /compression method 99/ },
  'a wrong checksum': { zip: [{ name: 'a', content: 'x', crc: 1 }], message: /entry "a": wrong checksum/ },
  'more than it says': {
    zip: [{ name: 'a', content: 'x'.repeat(9000), size: 10 }],
    message: /more bytes than it says/,
  },
  'less than it says': { zip: [{ name: 'a', content: 'x', size: 10 }], message: /fewer bytes than it says/ },
  'a bomb that says what it is': {
    zip: [{ name: 'a', content: Buffer.alloc(1e7) }],
    message: /^Unzipped size must be/,
  },
  'a bomb that says less': {
    zip: [{ name: 'a', content: Buffer.alloc(1e7), size: 5000 }],
    message: /more bytes than it says/,
  },
  'many that are too large together': {
    zip: Array.from({ length: 5 }, (_, index) => ({ name: `f${index}`, content: Buffer.alloc(2500) })),
    message: /^Unzipped size must be smaller than 10000 bytes$/,
  },
  'no zip': {
    zip: Buffer.from('hello, this is no zip at all, just some text'),
    message: /^Could not unzip uploaded file/,
  },
  'nothing at all': { zip: Buffer.alloc(0), message: /^Uploaded file must be a non-empty zip$/ },
  'a zip without entries': { zip: [], message: /^Uploaded file must be a non-empty zip$/ },
  'half a zip': { zip: smallZip(1).subarray(0, 120), message: /^Could not unzip uploaded file/ },
  'the end of a zip': { zip: smallZip(1).subarray(60), message: /^Could not unzip uploaded file/ },
  'a compressed stream that is none': {
    zip: corrupt(makeZip([{ name: 'a', content: randomBytes(500) }]), 31, 40),
    message: /^Could not unzip uploaded file.*entry "a"/,
  },
};

describe('putCode: what is refused, leaving nothing', () => {
  for (const [name, { zip, message }] of Object.entries(HOSTILE)) {
    test(name, async (context) => {
      const { store, folder } = await open(context);
      const bytes = Buffer.isBuffer(zip) ? zip : makeZip(zip as readonly ZipEntry[]);
      const error = refused(await store.putCode(bytes), 'InvalidParameterValueException', message);
      assert.ok(error.message.length < 500 && !/[\0\n]/.test(error.message));
      assert.deepEqual(filesIn(folder), []);
      // And it goes on.
      ok(await store.putCode(smallZip(1)));
    });
  }
  test('a zip that is too large', async (context) => {
    const { store, folder } = await open(context);
    refused(await store.putCode(Buffer.alloc(100_001)), 'RequestTooLargeException', /100001 bytes; at most 100000/);
    assert.deepEqual(filesIn(folder), []);
  });
  test('every byte of a good zip cut off or changed: an answer, and nothing half-done', async (context) => {
    const scene = await open(context);
    const { store, folder } = scene;
    const zip = smallZip(1);
    for (let index = 0; index < zip.length; index++) {
      for (const bytes of [zip.subarray(0, index), corrupt(zip, index, index + 1)]) {
        const result = await store.putCode(bytes);
        if (result instanceof UserError) assert.equal(result.code, 'InvalidParameterValueException');
        else await assertWhole(scene, result, bytes);
      }
    }
    assert.deepEqual(readdirSync(join(folder, 'tmp')), []);
  });
  test('more than all code together may be', async (context) => {
    const zipBytes = smallZip(1).length;
    const { store } = await open(context, { codeStorageBytesMax: 2 * zipBytes });
    ok(await store.putCode(smallZip(1)));
    ok(await store.putCode(smallZip(2)));
    ok(await store.putCode(smallZip(2)));
    refused(await store.putCode(smallZip(3)), 'CodeStorageExceededException');
  });
});

describe('code that nobody uses', () => {
  test('is kept for the delay and then removed; what is used stays', async (context) => {
    const { store, folder, clock } = await open(context, { codeSweepDelayMs: 1000 });
    const used = ok(await store.putCode(smallZip(1)));
    await create(store, used);
    ok(await store.putCode(smallZip(2)));
    clock.advanceUs(999_000);
    await store.sweep();
    assert.equal(filesIn(folder).length, 4);
    clock.advanceUs(1000);
    await store.sweep();
    assert.deepEqual(filesIn(folder), [`code/${used.sha256}`, `zips/${used.sha256}.zip`]);
    // The delay begins when the last version goes.
    assert.equal(await store.deleteFunction('f', null), null);
    clock.advanceUs(999_000);
    await store.sweep();
    assert.equal(store.codeError(used), null);
    clock.advanceUs(1000);
    await store.sweep();
    assert.deepEqual(filesIn(folder), []);
    refused(store.codeError(used), 'InvalidZipFileException');
    await assert.rejects(store.readZip(used));
    ok(await store.putCode(smallZip(1)));
  });
  test('is spared once more when it is uploaded again, and when a function takes it', async (context) => {
    const { store, clock } = await open(context, { codeSweepDelayMs: 1000 });
    const code = ok(await store.putCode(smallZip(1)));
    clock.advanceUs(900_000);
    ok(await store.putCode(smallZip(1)));
    clock.advanceUs(900_000);
    await store.sweep();
    await create(store, code);
    clock.advanceUs(9_000_000);
    await store.sweep();
    assert.equal(store.codeError(code), null);
    const other = ok(await store.putCode(smallZip(2)));
    ok(await store.updateFunction({ functionName: 'f', code: other, publish: false }));
    await store.sweep();
    assert.equal(store.codeError(code), null, 'an instance may still run it');
    clock.advanceUs(1_000_000);
    await store.sweep();
    assert.notEqual(store.codeError(code), null);
    assert.equal(store.codeError(other), null);
  });
  test('is gone at the next start, with what was half-written', async (context) => {
    const folder = temporaryFolder(context);
    const { store } = await open(context, {}, folder);
    const used = ok(await store.putCode(smallZip(1)));
    await create(store, used);
    ok(await store.putCode(smallZip(2)));
    await store.close();
    mkdirSync(join(folder, 'code', 'a'.repeat(64)));
    mkdirSync(join(folder, 'tmp', '0', 'deep'), { recursive: true });
    writeFileSync(join(folder, 'zips', `${'b'.repeat(64)}.zip`), 'x');
    writeFileSync(join(folder, 'tmp', '1'), 'x');
    const { store: reopened } = await open(context, {}, folder);
    assert.deepEqual(filesIn(folder), [`code/${used.sha256}`, `zips/${used.sha256}.zip`]);
    assert.equal(reopened.codeError(used), null);
  });
});

describe('damaged code', () => {
  const scene = async (context: TestContext): Promise<{ folder: string; code: CodeRef }> => {
    const folder = temporaryFolder(context);
    const { store } = await open(context, {}, folder);
    const code = ok(await store.putCode(smallZip(1)));
    await create(store, code);
    await store.close();
    return { folder, code };
  };
  const zipPath = (folder: string, code: CodeRef): string => join(folder, 'zips', `${code.sha256}.zip`);

  test('a changed zip is found when it is fetched, not run, and mended by uploading it again', async (context) => {
    const { folder, code } = await scene(context);
    writeFileSync(zipPath(folder, code), corrupt(smallZip(1), 40, 41));
    rmSync(join(folder, 'code'), { recursive: true });
    const { store, cache, reports } = await open(context, {}, folder);
    assert.equal(store.codeError(code), null, 'nobody has looked');
    refused(await cache.acquire(store.getFunction('f')!.latest), 'InvalidZipFileException', /does not have its hash/);
    assert.match(reports.join(), new RegExp(`${code.sha256} does not have its hash any more`));
    refused(store.codeError(code), 'InvalidZipFileException', /does not have its hash/);
    refused(await cache.acquire(store.getFunction('f')!.latest), 'InvalidZipFileException', /does not have its hash/);
    await assert.rejects(store.readZip(code), /does not have its hash/);
    assert.notEqual(store.getFunction('f'), null);
    ok(await store.putCode(smallZip(1)));
    assert.equal(store.codeError(code), null);
    assert.deepEqual(await store.readZip(code), smallZip(1));
    cache.release(ok(await cache.acquire(store.getFunction('f')!.latest)));
  });
  test('a zip that is gone', async (context) => {
    const { folder, code } = await scene(context);
    rmSync(zipPath(folder, code));
    const { store, reports } = await open(context, {}, folder);
    assert.match(reports.join(), /cannot be read: ENOENT/);
    refused(store.codeError(code), 'InvalidZipFileException');
  });
  test('a zip that is changed while it is in use is found when it is read', async (context) => {
    const { folder, code } = await scene(context);
    const { store } = await open(context, {}, folder);
    truncateSync(zipPath(folder, code), 50);
    await assert.rejects(store.readZip(code), /does not have its hash/);
    refused(store.codeError(code), 'InvalidZipFileException');
  });
  const damages: Record<string, (path: string) => void> = {
    'the folder is gone': (path) => rmSync(path, { recursive: true }),
    'a file is gone': (path) => rmSync(join(path, 'index.mjs')),
    'a file is cut short': (path) => truncateSync(join(path, 'index.mjs'), 3),
    'a file came in': (path) => writeFileSync(join(path, 'evil.mjs'), 'x'),
    'a folder became a file': (path) => {
      rmSync(join(path, 'lib'), { recursive: true });
      writeFileSync(join(path, 'lib'), 'x');
    },
  };
  for (const [name, damage] of Object.entries(damages)) {
    test(`unpacked again when it is uploaded again: ${name}`, async (context) => {
      const scene = await open(context);
      const { store, folder, dirOf, reports } = scene;
      const code = ok(await store.putCode(smallZip(1)));
      damage(dirOf(code));
      assert.deepEqual(ok(await store.putCode(smallZip(1))), code);
      await assertWhole(scene, code, smallZip(1));
      assert.match(reports.join(), /missing or damaged/);
      assert.deepEqual(readdirSync(join(folder, 'tmp')), []);
      ok(await store.putCode(smallZip(1)));
      assert.equal(reports.length, 1, 'what is whole is left alone');
    });
  }
  test('a zip that is gone while it is in use is stored again when it is uploaded again', async (context) => {
    const { store, folder } = await open(context);
    const code = ok(await store.putCode(smallZip(1)));
    rmSync(zipPath(folder, code));
    ok(await store.putCode(smallZip(1)));
    assert.deepEqual(await store.readZip(code), smallZip(1));
  });
});

async function assertWhole({ store, dirOf }: Scene, code: CodeRef, zip: Buffer): Promise<void> {
  assert.deepEqual(await store.readZip(code), zip);
  const paths = readdirSync(dirOf(code), { recursive: true, withFileTypes: true });
  assert.equal(paths.filter((path) => path.isFile()).length, 2);
}

function corrupt(bytes: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.from(bytes);
  for (let index = start; index < end; index++) copy[index] = copy[index]! ^ 0x55;
  return copy;
}

test('a zip of many gigabytes in few bytes is refused before it is inflated', async (context) => {
  const { store } = await open(context);
  const inner = deflateRawSync(Buffer.alloc(9000));
  const entries = Array.from({ length: 19 }, (_, index) => ({
    name: `f${index}`,
    content: inner,
    method: 8,
    stored: true,
    size: 9000,
  }));
  refused(await store.putCode(makeZip(entries)), 'InvalidParameterValueException', /^Unzipped size must be/);
});

test('the least that a code cache may hold is enough for any one function with its layers', () => {
  const { layersPerFunctionMax: layers, zipEntryCountMax: entries, unzippedBytesMax, codeCacheBytesMin } = LIMITS;
  // A folder takes a block, and so may what a file has beyond its last whole one; a merged list has folders of its own.
  const zip = diskBytes(entries + 2, entries, []);
  const merged = diskBytes(layers * entries + 2, layers * entries, []);
  const bytes = (layers + 1) * zip + unzippedBytesMax + merged;
  assert.ok(bytes <= codeCacheBytesMin, `${bytes} bytes may be needed`);
});
