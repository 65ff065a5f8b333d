/** An asynchronous chain whose platform is killed in the middle of it runs to its end once the platform is back. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { Functions, until } from '../lib/functions.ts';
import { startTestPlatform } from '../lib/platform.ts';
import { noBubblewrap, ROOT_ONLY } from '../worker/sandbox/harness.ts';

const CHAINS = '/perch/v1/chains';
const SLOW = `export const handler = async (n) => {
  console.log('step', n);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  return n + 1;
};`;

test('a chain goes on after a kill -9', { skip: noBubblewrap || ROOT_ONLY }, async (context) => {
  const dataDir = mkdtempSync(path.join(tmpdir(), 'perch-test-'));
  let platform = await startTestPlatform({ dataDir });
  // In this order: a platform that ends still writes.
  context.after(async () => {
    await platform.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });
  const functions = new Functions({
    get url() {
      return platform.url;
    },
  });
  const log = async (): Promise<string> => (await functions.request('GET', '/perch/v1/logs/slow?lines=100')).text();
  await functions.deploy('slow', { files: { 'index.mjs': SLOW }, more: { Timeout: 20 } });
  await functions.json('POST', CHAINS, { name: 'three', steps: ['slow', 'slow', 'slow'] });
  const options = { method: 'POST', body: '1', headers: { 'X-Amz-Invocation-Type': 'Event' } };
  assert.equal((await fetch(`${platform.url}${CHAINS}/three/invocations`, options)).status, 202);
  await until('its second step', async () => (await log()).includes('step 2'));
  await platform.stop('SIGKILL');
  platform = await startTestPlatform({ dataDir });
  await until('its third step', async () => (await log()).includes('step 3'));
  const metrics = async (): Promise<string> => (await fetch(`${platform.url}/metrics`)).text();
  await until('its end', async () => (await metrics()).includes('perch_chain_invocations_total{outcome="response"} 1'));
  await until('an empty queue', async () => (await metrics()).includes('perch_async_queue_length 0'));
});
