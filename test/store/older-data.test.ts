/** Data folders that an older Perch wrote: what it did not know of yet is absent, and nothing else changes. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { openEmbeddedStore } from '../../src/store/embedded/embedded-store.ts';
import { isolationOf, networkOf } from '../../src/store/settings.ts';
import { config, ok, smallZip, temporaryFolder } from './fixtures.ts';

test('functions that were stored before there was provisioned concurrency have none, and can get some', async (context) => {
  const folder = temporaryFolder(context);
  const store = await openEmbeddedStore(folder);
  const code = ok(await store.putCode(smallZip(1)));
  // Any value was a plain variable then.
  const environment = { PERCH_ISOLATION: 'clean', PERCH_NETWORK: '' };
  const request = { functionName: 'f', config: config({ environment }), code, tags: { a: '1' }, publish: true };
  ok(await store.createFunction(request));
  const before = store.getFunction('f');
  await store.close();
  const database = new DatabaseSync(join(folder, 'perch.db'));
  database.exec("UPDATE functions SET body = json_remove(body, '$.provisioned')");
  database.close();
  const reopened = await openEmbeddedStore(folder);
  assert.deepEqual(reopened.getFunction('f'), before);
  assert.deepEqual(reopened.getFunction('f')?.provisioned, {});
  const fn = reopened.getVersion('f', '1');
  assert.ok(fn !== null);
  assert.deepEqual([isolationOf(fn.config), networkOf(fn.config)], ['reuse', 'outbound']);
  ok(await reopened.setProvisioned('f', '1', 2));
  assert.equal(reopened.getFunction('f')?.provisioned['1']?.count, 2);
  await reopened.close();
});
