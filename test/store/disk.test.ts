/** Disks that are full or read-only: real ones, in memory, which takes root to mount. */
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbeddedStore } from '../../src/store/embedded/embedded-store.ts';
import { LogFiles } from '../../src/store/log-files.ts';
import { asyncInvocation, config, ok, openWithCache, refused, smallZip } from './fixtures.ts';
import { makeZip } from './zips.ts';

const skip = process.getuid?.() === 0 ? false : 'mounting takes root';

/** The mount point, or null where even root may not mount (a container). */
function mountDisk(context: TestContext, megabytes: number): string | null {
  const folder = mkdtempSync(join(tmpdir(), 'perch-disk-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder]);
  context.after(() => {
    // Lazily, so that a test that failed half-way does not keep it busy.
    if (mounted.status === 0) execFileSync('umount', ['-l', folder]);
    rmSync(folder, { recursive: true, force: true });
  });
  if (mounted.status !== 0) {
    context.skip('this machine does not let us mount');
    return null;
  }
  return folder;
}

test(
  'a full disk refuses with its reason, changes nothing, and goes on once there is room',
  { skip },
  async (context) => {
    const folder = mountDisk(context, 3);
    if (folder === null) return;
    const { store, cache } = await openWithCache(folder);
    const code = ok(await store.putCode(smallZip(1)));
    ok(await store.createFunction({ functionName: 'f', config: config(), code, tags: {}, publish: false }));
    const large = makeZip([{ name: 'data', content: randomBytes(2_000_000) }]);
    refused(await store.putCode(large), 'ServiceException', /^Cannot store the code in .*ENOSPC/);
    assert.deepEqual(readdirSync(join(folder, 'tmp')), []);
    assert.deepEqual(readdirSync(join(folder, 'code')), [code.sha256]);
    await cache.close();
    assert.deepEqual(readdirSync(join(folder, 'unpacking')), []);

    writeFileSync(join(folder, 'ballast'), '');
    assert.throws(() => writeFileSync(join(folder, 'ballast'), Buffer.alloc(4_000_000)));
    const before = store.getFunction('f');
    const payload = Buffer.alloc(1_000_000);
    refused(
      await store.enqueue(asyncInvocation({ payload })),
      'ServiceException',
      /^Cannot write to the data folder .*full/,
    );
    assert.deepEqual([store.getFunction('f'), store.asyncQueueLength()], [before, 0]);
    rmSync(join(folder, 'ballast'));
    assert.equal(await store.enqueue(asyncInvocation({ payload: Buffer.alloc(1000) })), null);
    await store.close();
    const reopened = await openEmbeddedStore(folder);
    assert.deepEqual([reopened.getFunction('f'), reopened.asyncQueueLength()], [before, 1]);
    await reopened.close();
  },
);

test('a log on a full disk loses lines and nothing else', { skip }, async (context) => {
  const folder = mountDisk(context, 1);
  if (folder === null) return;
  const reports: string[] = [];
  const logs = new LogFiles(join(folder, 'logs'), { report: (message) => void reports.push(message) });
  assert.throws(() => writeFileSync(join(folder, 'ballast'), Buffer.alloc(4_000_000)));
  logs.append('f', 'lost\n');
  await logs.tail('f', 1);
  assert.match(reports.join(), /ENOSPC/);
  rmSync(join(folder, 'ballast'));
  logs.append('f', 'kept\n');
  assert.match(await logs.tail('f', 9), /^kept\n\.\.\. 5 bytes of log dropped\n$/m);
  await logs.close();
});

test('a read-only disk is refused with its path', { skip }, async (context) => {
  const folder = mountDisk(context, 3);
  if (folder === null) return;
  await (await openEmbeddedStore(folder)).close();
  execFileSync('mount', ['-o', 'remount,ro', folder]);
  await assert.rejects(openEmbeddedStore(folder), new RegExp(`data folder ${folder}.*(EROFS|read-only)`));
  await assert.rejects(openEmbeddedStore(join(folder, 'new')), /Cannot use the data folder .*EROFS/);
});
