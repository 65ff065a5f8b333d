import { test } from 'node:test';
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { openEmbeddedStore } from '../../src/store/embedded/embedded-store.ts';
import { StoreError } from '../../src/store/store.ts';
import { storeContract } from './contract.ts';
import { asyncInvocation, config, ok, openWithCache, refused, smallZip, temporaryFolder } from './fixtures.ts';

storeContract({
  name: 'embedded',
  open: (folder, limits) => openEmbeddedStore(join(folder, 'data'), { limits }),
});

const silent = { report: () => undefined };

test('a second platform on the folder is refused, and says where and who', async (context) => {
  const folder = temporaryFolder(context);
  const store = await openEmbeddedStore(folder);
  for (let attempt = 0; attempt < 3; attempt++) {
    await assert.rejects(openEmbeddedStore(folder), (error: Error) => {
      assert.ok(error instanceof StoreError);
      assert.match(
        error.message,
        new RegExp(`data folder ${folder} is in use by another platform \\(process ${process.pid}\\)`),
      );
      return true;
    });
  }
  await store.close();
  await (await openEmbeddedStore(folder)).close();
});

test('a folder of a newer Perch is refused and left alone', async (context) => {
  const folder = temporaryFolder(context);
  await (await openEmbeddedStore(folder)).close();
  const database = new DatabaseSync(join(folder, 'perch.db'));
  database.exec('PRAGMA user_version = 999');
  database.close();
  await assert.rejects(openEmbeddedStore(folder), /written by a newer Perch \(format 999; this one knows up to \d+\)/);
});

test('what is no data folder is refused with its path', async (context) => {
  const folder = temporaryFolder(context);
  writeFileSync(join(folder, 'file'), '');
  const { mode } = statSync(join(folder, 'file'));
  await assert.rejects(
    openEmbeddedStore(join(folder, 'file')),
    new RegExp(`Cannot use the data folder ${folder}/file: ${folder}/file is a file, not a folder`),
  );
  assert.equal(statSync(join(folder, 'file')).mode, mode, 'it is left as it was');
  await assert.rejects(
    openEmbeddedStore(join(folder, 'file', 'data')),
    (error: Error) => error instanceof StoreError && error.message.includes(`${folder}/file is a file, not a folder`),
  );
  mkdirSync(join(folder, 'locked', 'lock'), { recursive: true });
  await assert.rejects(
    openEmbeddedStore(join(folder, 'locked')),
    new RegExp(`Cannot use the data folder ${folder}/locked: lock in it: unable to open`),
  );
  const damaged = join(folder, 'damaged');
  mkdirSync(damaged);
  writeFileSync(join(damaged, 'perch.db'), 'this is not a database'.repeat(100));
  await assert.rejects(openEmbeddedStore(damaged), /Cannot open the database in .*damaged: SQLite says/);
});

test('the folder is private but for the code', async (context) => {
  const folder = join(temporaryFolder(context), 'data');
  const mask = process.umask(0o077);
  context.after(() => process.umask(mask));
  const { store, dirOf } = await openWithCache(folder);
  const code = ok(await store.putCode(smallZip(1)));
  const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);
  assert.equal(mode(folder), '700');
  for (const name of ['perch.db', 'perch.db-wal', 'lock', 'pid']) assert.equal(mode(join(folder, name)), '600', name);
  for (const name of ['zips', 'tmp', 'unpacking']) assert.equal(mode(join(folder, name)), '700', name);
  for (const path of [join(folder, 'code'), join(dirOf(code), '..'), dirOf(code), join(dirOf(code), 'lib')]) {
    assert.equal(mode(path), '755');
  }
  assert.equal(mode(join(dirOf(code), 'index.mjs')), '644');
  await store.close();
});

test('a full database refuses, changes nothing, and goes on once there is room', async (context) => {
  const folder = temporaryFolder(context);
  const store = await openEmbeddedStore(folder, { ...silent, limits: { databasePageCountMax: 40 } });
  const code = ok(await store.putCode(smallZip(1)));
  ok(await store.createFunction({ functionName: 'f', config: config(), code, tags: {}, publish: false }));
  const before = store.getFunction('f');
  const small = asyncInvocation();
  assert.equal(await store.enqueue(small), null);
  const [first, second] = await Promise.all([
    store.enqueue(asyncInvocation({ payload: Buffer.alloc(1024 * 1024) })),
    store.updateFunction({ functionName: 'f', config: config({ timeoutS: 9 }), publish: true }),
  ]);
  refused(first, 'ServiceException', new RegExp(`^Cannot write to the data folder ${folder}: SQLite says: .*full`));
  refused(second, 'ServiceException', /full/);
  assert.deepEqual([store.getFunction('f'), store.getVersion('f', '1'), store.asyncQueueLength()], [before, null, 1]);
  ok(await store.updateFunction({ functionName: 'f', config: config({ timeoutS: 5 }), publish: false }));
  assert.deepEqual(store.takeDue(5000, 9), [small]);
  await store.close();
  const reopened = await openEmbeddedStore(folder);
  assert.equal(reopened.getFunction('f')?.latest.config.timeoutS, 5);
  assert.equal(reopened.asyncQueueLength(), 1);
  await reopened.close();
});

test('writes of one turn do not wait for each other', async (context) => {
  const folder = temporaryFolder(context);
  const store = await openEmbeddedStore(folder);
  const code = ok(await store.putCode(smallZip(1)));
  ok(await store.createFunction({ functionName: 'f', config: config(), code, tags: {}, publish: false }));
  const walBytes = (): number => statSync(join(folder, 'perch.db-wal')).size;
  const start = walBytes();
  assert.equal(await store.enqueue(asyncInvocation()), null);
  const one = walBytes() - start;
  await Promise.all(Array.from({ length: 100 }, () => store.enqueue(asyncInvocation())));
  // A transaction appends every page that it changes: a hundred of them would append about a hundred times as much.
  assert.ok(walBytes() - start - one < 20 * one, `${one} bytes for one, ${walBytes() - start - one} for a hundred`);
  await store.close();
});

test('too much that waits for the disk is refused', async (context) => {
  const store = await openEmbeddedStore(temporaryFolder(context), { limits: { commitBytesMax: 1000 } });
  const code = ok(await store.putCode(smallZip(1)));
  ok(await store.createFunction({ functionName: 'f', config: config(), code, tags: {}, publish: false }));
  const payload = Buffer.alloc(400);
  const enqueue = () => store.enqueue(asyncInvocation({ payload }));
  const [first, second, third] = await Promise.all([enqueue(), enqueue(), enqueue()]);
  assert.deepEqual([first, second], [null, null]);
  refused(third, 'TooManyRequestsException', /waiting for the disk/);
  assert.equal(await enqueue(), null);
  await store.close();
});

test(
  'a folder that may not be written to is refused',
  { skip: process.getuid?.() === 0 && 'root may write anywhere' },
  async (context) => {
    const folder = temporaryFolder(context);
    chmodSync(folder, 0o500);
    await assert.rejects(openEmbeddedStore(join(folder, 'data')), /Cannot use the data folder/);
  },
);

test('the pid of the holder is written down', async (context) => {
  const folder = temporaryFolder(context);
  const store = await openEmbeddedStore(folder);
  assert.equal(readFileSync(join(folder, 'pid'), 'utf8'), `${process.pid}\n`);
  await store.close();
});
