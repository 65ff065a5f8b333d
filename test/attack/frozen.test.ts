/**
 * Real pollers that are frozen, and ended just then: by their timeout, by what their code prints, with the platform. A process that is
 * frozen does not die of a signal by itself, and nobody may be left like that.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import { ebpfMissing } from '../../src/worker/observers/ebpf/missing.ts';
import { descendantProcesses } from '../../src/worker/sandbox/affinity.ts';
import { Functions, until } from '../lib/functions.ts';
import { startTestPlatform, type TestPlatform } from '../lib/platform.ts';
import { cpuUsOf, tasksOf } from '../lib/tasks.ts';
import { skip as noSandbox } from './world.ts';

const missing = ebpfMissing();
const skip = noSandbox || (missing !== '' && `NO eBPF HERE: ${missing}`);
const TIMEOUT_S = 3;
/** Longer than a platform waits for those who run. */
const LONG_S = 60;
/** What it uses in this time is less than it would if it ran: who is frozen goes on for a moment now and then. */
const LOOK_MS = 500;
const FROZEN_SHARE_MAX = 0.5;

/** Waits for an answer that never comes, by asking again and again; before that it says as much as it is told. */
const POLLER = {
  'index.mjs': `// the poller
import net from 'node:net';
export const handler = async ({ port, lines = 0 }) => {
  if (port === undefined) return 'idle';
  const socket = net.connect(port, '127.0.0.1');
  await new Promise((resolve) => socket.once('connect', resolve));
  for (let line = 0; line < lines; line++) process.stdout.write('x'.repeat(1000) + '\\n');
  let isThere = false;
  socket.once('data', () => (isThere = true));
  socket.write('x');
  while (!isThere) await new Promise(setImmediate);
  return 'answered';
};`,
};

const ENVIRONMENTS = {
  'a process': { PERCH_ISOLATION: 'process' },
  'a copy': { PERCH_ISOLATION: 'reuse' },
  'a copy for each invocation': { PERCH_ISOLATION: 'fresh' },
} as const;

interface Stage {
  readonly platform: TestPlatform;
  readonly functions: Functions;
  readonly port: number;
}

async function stage(t: TestContext, timeoutS = TIMEOUT_S): Promise<Stage> {
  const server = net.createServer((socket) => socket.on('error', () => {}).resume());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const args = ['--cores', '0', '--sharing', 'lend', '--observer', 'ebpf', '--allow-host-network'];
  const platform = await startTestPlatform({ args });
  t.after(() => platform.stop());
  const functions = new Functions(platform);
  for (const [index, environment] of Object.values(ENVIRONMENTS).entries()) {
    const variables = { ...environment, PERCH_NETWORK: 'host' };
    await functions.deploy(`poller${index}`, { files: POLLER, environment: variables, more: { Timeout: timeoutS } });
    // The second one is a copy, where there are any.
    for (let count = 0; count < 2; count++) assert.equal(await functions.call(`poller${index}`, {}), 'idle');
  }
  return { platform, functions, port: (server.address() as AddressInfo).port };
}

/** Resolves when it has polled, and uses far less of its core than it would. */
async function untilFrozen({ platform }: Stage): Promise<void> {
  await until('it is frozen', async () => {
    const before = cpuUsOf(tasksOf(platform.pid, 'the poller'));
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    const used = cpuUsOf(tasksOf(platform.pid, 'the poller')) - before;
    return before > 0 && used < LOOK_MS * 1000 * FROZEN_SHARE_MAX;
  });
}

describe('pollers that are frozen', { skip }, () => {
  for (const [index, name] of Object.keys(ENVIRONMENTS).entries()) {
    test(`${name}: its time is over, and its caller hears of it`, async (t) => {
      const on = await stage(t);
      const asked = on.functions.invoke(`poller${index}`, { port: on.port });
      await untilFrozen(on);
      const { functionError, value } = await asked;
      assert.notEqual(functionError, null);
      assert.match(JSON.stringify(value), /timed out/i);
      assert.equal(await on.functions.call(`poller${index}`, {}), 'idle', 'the next one is served');
    });
  }

  test('one that has printed without end: the same', async (t) => {
    const on = await stage(t);
    const { functionError } = await on.functions.invoke('poller0', { port: on.port, lines: 20_000 });
    assert.notEqual(functionError, null);
    assert.equal(await on.functions.call('poller0', {}), 'idle', 'the next one is served');
  });

  test('the platform ends: nothing is left of it', async (t) => {
    const on = await stage(t, LONG_S);
    const asked = [0, 1, 2].map((index) => on.functions.invoke(`poller${index}`, { port: on.port }).catch(() => null));
    await untilFrozen(on);
    const before = descendantProcesses(on.platform.pid);
    assert.ok(before.length > 0);
    assert.equal(await on.platform.stop(), 0);
    await Promise.all(asked);
    // Whoever takes the place of a parent that is gone may be slow to hear of its children.
    await until('nothing is left of them', () => before.every((id) => !existsSync(`/proc/${id}`)));
  });
});
