/** What initialises on a core that is lent: it goes behind the holder like any other guest, and is not ended for having waited. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Functions, until } from '../lib/functions.ts';
import { startTestPlatform } from '../lib/platform.ts';
import { tasksOf } from '../lib/tasks.ts';
import { noBubblewrap, ROOT_ONLY } from '../worker/sandbox/harness.ts';

const skip = noBubblewrap || ROOT_ONLY;

const COMMON = `const now = () => Number(process.hrtime.bigint() / 1000n);
const burn = (ms) => {
  const before = process.cpuUsage();
  const usedUs = () => { const { user, system } = process.cpuUsage(before); return user + system; };
  while (usedUs() < ms * 1000);
};
`;
/** Sleeps until it is told to go on, and then computes for longer than an initialisation may take. */
const HOLDER = `${COMMON}export const handler = async ({ url }) => {
  if (url === undefined) return;
  await (await fetch(url)).text();
  burn(12_000);
  return now();
};`;
const GUEST = `${COMMON}console.log('this is the guest');
burn(1000);
const initialisedUs = now();
export const handler = async () => initialisedUs;`;

/** Keeps whoever asks until it is released. */
async function gate(t: TestContext): Promise<{ readonly url: string; isAsked(): boolean; release(): void }> {
  const waiting: ServerResponse[] = [];
  const server = createServer((_request, response) => void waiting.push(response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return { url, isAsked: () => waiting.length > 0, release: () => waiting.splice(0).forEach((each) => each.end()) };
}

for (const isolation of ['reuse', 'fresh', 'process']) {
  test(
    `a guest that initialises (isolation ${isolation}) waits for a holder that wakes, and then goes on`,
    { skip },
    async (t) => {
      const platform = await startTestPlatform({ args: ['--cores', '0', '--sharing', 'lend', '--allow-host-network'] });
      t.after(() => platform.stop());
      const functions = new Functions(platform);
      const holds = { PERCH_NETWORK: 'host' };
      await functions.deploy('holder', { files: { 'index.mjs': HOLDER }, environment: holds });
      await functions.invoke('holder', {});
      const environment = { PERCH_ISOLATION: isolation };
      await functions.deploy('guest', { files: { 'index.mjs': GUEST }, environment, more: { MemorySize: 128 } });
      const { url, isAsked, release } = await gate(t);
      const holding = functions.invoke('holder', { url });
      await until('it sleeps', async () => isAsked());
      const asked = functions.invoke('guest', {});
      await until('the guest initialises', async () =>
        tasksOf(platform.pid, 'this is the guest', true).some((task) => task.isRunnable),
      );
      release();
      const [holder, guest] = await Promise.all([holding, asked]);
      assert.deepEqual([guest.status, guest.functionError], [200, null], JSON.stringify(guest.value));
      assert.ok(guest.value > holder.value, 'it took nothing of the core of the holder that had woken');
    },
  );
}
