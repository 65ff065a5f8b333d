/** Nodes that are told to stop while they start: each leaves nothing, and exits as at any other stop. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { cgroupsOf } from '../lib/cgroups.ts';
import { noBubblewrap, ROOT_ONLY, until } from '../worker/sandbox/harness.ts';
import { makeCluster, temporaryFolder } from './identity/cluster.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const NOBODY = ['--scheduler', '127.0.0.1:1', '--store', '127.0.0.1:1'];
const cluster = await makeCluster();
const { out: gatewayFile } = await cluster.add('g1', ['gateway']);
const { out: workerFile } = await cluster.add('w1', ['worker']);

function start(...args: readonly string[]): { child: ChildProcess; said: () => string } {
  const child = spawn(process.execPath, [MAIN, ...args, '--data', temporaryFolder()], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  return { child, said: () => said };
}

test('a gateway that waits for its store', async () => {
  const { child, said } = start('gateway', '--join', gatewayFile, ...NOBODY, '--port', '0', '--log-level', 'warn');
  const ended = once(child, 'exit');
  await until(() => said().includes('the store is not connected') || child.exitCode !== null);
  child.kill('SIGTERM');
  assert.deepEqual(await ended, [0, null], said());
});

test('a worker whose sandbox is being opened', { skip: noBubblewrap || ROOT_ONLY }, async () => {
  const places = ['--listen', '127.0.0.1:0', '--drain', '0', '--log-level', 'silent'];
  const { child, said } = start('worker', '--join', workerFile, ...NOBODY, ...places);
  const ended = once(child, 'exit');
  await until(() => cgroupsOf(child.pid!).length > 0 || child.exitCode !== null);
  child.kill('SIGTERM');
  assert.deepEqual(await ended, [0, null], said());
  assert.deepEqual(cgroupsOf(child.pid!), []);
});
