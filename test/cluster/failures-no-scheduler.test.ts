/** A gateway whose scheduler is not there: what it says of that, once it has waited. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { endProcess } from '../lib/end-process.ts';
import { Functions } from '../lib/functions.ts';
import { startGateway } from './gateway-process.ts';
import { makeCluster, temporaryFolder } from './identity/cluster.ts';

/** Longer than a gateway lets what is new wait for a scheduler. */
const NO_SCHEDULER_MS = 20_000;

test('without a scheduler a gateway answers, and what is invoked is refused after a while', async (t) => {
  const cluster = await makeCluster();
  const { out } = await cluster.add('g', ['gateway']);
  const data = path.join(temporaryFolder(), 'g');
  const gateway = await startGateway(out, { scheduler: 1, data });
  t.after(() => endProcess(gateway));
  const functions = new Functions(gateway);
  await functions.deploy('one', { files: { 'index.mjs': 'export const handler = async () => 1;' } });
  const refused = await Promise.race([functions.invoke('one'), sleep(NO_SCHEDULER_MS)]);
  assert.ok(refused !== undefined, 'it waits');
  assert.equal(refused.status, 503);
  assert.match(refused.value.Message ?? refused.value.message, /scheduler of the cluster cannot be reached/);
});
