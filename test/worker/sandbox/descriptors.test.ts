/** Whatever the platform was started with stays with the platform. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { sealDescriptors } from '../../../src/worker/sandbox/descriptors.ts';
import { errorName, libc } from '../../../src/worker/sandbox/libc.ts';
import { type Folders, makeFolders, noBubblewrap, removeFolders } from './harness.ts';

const PLATFORM = fileURLToPath(new URL('./fixtures/descriptors.ts', import.meta.url));
const LEAKED = [3, 9, 40, 41, 251];
const noCalls = libc === undefined && 'NOT TESTED: no koffi';

describe('descriptors of the platform', { skip: noCalls, concurrency: false }, () => {
  let folders: Folders;
  before(() => {
    folders = makeFolders();
  });
  after(() => removeFolders(folders));

  for (const name of ['none', 'bubblewrap']) {
    test(`an instance under ${name} has none of them`, { skip: name === 'none' ? false : noBubblewrap }, async () => {
      const secret = openSync(path.join(folders.base, 'data', 'perch.db'), 'r');
      const root = openSync('/', 'r');
      const stdio: ('ignore' | 'pipe' | 'inherit' | number)[] = Array.from({ length: 252 }, () => 'ignore');
      stdio[1] = 'pipe';
      stdio[2] = 'inherit';
      for (const descriptor of LEAKED) stdio[descriptor] = descriptor % 2 === 0 ? root : secret;
      const child = spawn(process.execPath, [PLATFORM, name, folders.codeRoot, folders.runtimesRoot], { stdio });
      const exited = once(child, 'exit');
      let text = '';
      for await (const chunk of child.stdout ?? []) text += String(chunk);
      const [code] = await exited;
      for (const descriptor of [secret, root]) closeSync(descriptor);
      assert.equal(code, 0);
      const has = JSON.parse(text) as [descriptor: number, target: string][];
      assert.ok(has.length >= 3, text);
      // The low numbers may be its channel, and what its Node opened.
      const leaked = has.filter(
        ([descriptor, target]) => descriptor >= 40 || target === '/' || target.endsWith('perch.db'),
      );
      assert.deepEqual(leaked, []);
    });
  }

  test('an old kernel, and a machine without the C library', () => {
    const { fcntl } = libc!;
    const F_GETFD = 1;
    const F_SETFD = 2;
    const descriptor = openSync('/', 'r');
    try {
      const old = { ...libc!, closeRange: () => -38 };
      assert.equal(errorName(-38), 'ENOSYS');
      assert.equal(fcntl(descriptor, F_SETFD, 0), 0);
      assert.throws(() => sealDescriptors(null), new RegExp(`descriptors (.*, )?${descriptor}\\b.* without koffi`));
      sealDescriptors(old);
      assert.equal(fcntl(descriptor, F_GETFD, 0), 1);
      assert.equal(fcntl(descriptor, F_SETFD, 0), 0);
      sealDescriptors();
      assert.equal(fcntl(descriptor, F_GETFD, 0), 1);
    } finally {
      closeSync(descriptor);
    }
  });
});
