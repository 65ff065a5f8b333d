/** A node whose certificate is taken back while it is connected. */
import { until } from './dialling-node.ts';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { startClusterPlatform } from '../lib/cluster-platform.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'perch-revoked-'));
after(() => rmSync(folder, { recursive: true }));

test('a gateway ends the connections that it made to a worker which was taken back, and makes no more', async (t) => {
  const list = path.join(folder, 'revoked');
  writeFileSync(list, '# nobody yet\n', { mode: 0o600 });
  const cluster = await startClusterPlatform({ workers: 2, gatewayArgs: ['--revoked', list] });
  t.after(() => cluster.stop());
  const gateway = cluster.gateways[0]!;
  let openCount = -1;
  const count = async (): Promise<void> => {
    const text = await (await fetch(`${gateway.url}/metrics`)).text();
    openCount = Number(/^perch_gateway_workers\{connection="open"\} (\d+)$/m.exec(text)?.[1]);
  };
  const counting = setInterval(() => void count().catch(() => undefined), 50);
  t.after(() => clearInterval(counting));
  await until(() => openCount === 2);
  assert.equal(openCount, 2);
  writeFileSync(list, `${cluster.fingerprints[0]} # the first\n`);
  await until(() => openCount === 1);
  assert.equal(openCount, 1);
  // It dials again, and finds out who that is.
  await until(() => /was revoked/.test(gateway.stderr()));
  assert.match(gateway.stderr(), /was revoked/);
  assert.equal(openCount, 1);
});
