/**
 * Functions that poll for an answer, seen by the observer in the kernel: whoever says so (an operator, a chain's plan, the function itself, or nobody but
 * the observer), they have their answer, and do not burn their core while they wait. What is asserted is logic, with wide margins; the
 * figures are printed.
 */
import assert from 'node:assert/strict';
import net, { type AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Functions } from '../lib/functions.ts';
import { startTestPlatform, type TestPlatform } from '../lib/platform.ts';
import { ebpfMissing } from '../../src/worker/observers/ebpf/missing.ts';
import { noBubblewrap, ROOT_ONLY } from '../worker/sandbox/harness.ts';

const missing = ebpfMissing();
const skip = noBubblewrap || ROOT_ONLY || (missing !== '' && `NO eBPF HERE: ${missing}`);
const ANSWER_MS = 100;
const ROUNDS = 6;
/** Of the time that a function waits, what it may burn at most. Without anybody's word it is nearly all, on a machine that does nothing else. */
const BURNT_SHARE_MAX = 0.5;

/** Asks a server again and again, and waits for each answer as it is told; answers how long it waited, and with how much CPU time. */
const ASKS = {
  'index.mjs': `import net from 'node:net';
import { Worker } from 'node:worker_threads';
import { awake, sleeping } from 'perch';
const used = () => { const { user, system } = process.cpuUsage(); return user + system; };
const burn = (ms) => { const until = used() + ms * 1000; while (used() < until); };

async function polls(socket, says) {
  let isThere = false;
  socket.once('data', () => (isThere = true));
  socket.write('x');
  if (says) sleeping('for the answer');
  while (!isThere) await new Promise(setImmediate);
  if (says) awake();
}

/** No call, and so nothing that the kernel sees: another thread asks. */
function spins(worker, flag) {
  Atomics.store(flag, 0, 0);
  worker.postMessage(null);
  while (Atomics.load(flag, 0) === 0);
}

async function threadFor(port) {
  const flag = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(\`const { workerData, parentPort } = require('node:worker_threads');
const socket = require('node:net').connect(workerData.port, '127.0.0.1', () => parentPort.postMessage('ready'));
socket.on('data', () => Atomics.store(workerData.flag, 0, 1));
parentPort.on('message', () => socket.write('x'));\`, { eval: true, workerData: { port, flag } });
  await new Promise((resolve) => worker.once('message', resolve));
  return { worker, flag };
}

export const handler = async ({ port, rounds, how = 'polls', waits = [] }) => {
  const socket = net.connect(port, '127.0.0.1');
  await new Promise((resolve) => socket.once('connect', resolve));
  const thread = how === 'spins' ? await threadFor(port) : null;
  // It has run for long enough to be looked at.
  burn(15);
  for (let round = 0; round < rounds; round++) {
    const [from, before] = [Date.now(), used()];
    if (thread === null) await polls(socket, how === 'says');
    else spins(thread.worker, thread.flag);
    waits.push({ ms: Date.now() - from, cpuMs: (used() - before) / 1000 });
    burn(5);
  }
  socket.destroy();
  await thread?.worker.terminate();
  return { port, rounds, how, waits };
};`,
};

interface Asked {
  readonly waits: readonly { readonly ms: number; readonly cpuMs: number }[];
}

class World {
  readonly platform: TestPlatform;
  readonly functions: Functions;
  readonly port: number;

  constructor(platform: TestPlatform, port: number) {
    this.platform = platform;
    this.functions = new Functions(platform);
    this.port = port;
  }

  async knows(rules: string): Promise<void> {
    const url = `${this.platform.url}/perch/v1/functions/asks/knowledge`;
    assert.equal((await fetch(url, { method: 'PUT', body: JSON.stringify({ rules }) })).status, 200);
  }

  async ask(how: string): Promise<Asked> {
    const event = { port: this.port, rounds: ROUNDS, how };
    const { status, functionError, value } = await this.functions.invoke('asks', event);
    assert.deepEqual([status, functionError], [200, null], JSON.stringify(value));
    return value as Asked;
  }
}

/** A platform that believes one source, and a server that takes its time. */
async function start(t: TestContext, source: string): Promise<World> {
  const server = net.createServer((socket) => {
    socket.on('data', () => setTimeout(() => socket.write('y'), ANSWER_MS));
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const args = ['--cores', '0', '--sharing', 'lend', '--observer', 'ebpf', '--knowledge', source];
  const platform = await startTestPlatform({ args: [...args, '--allow-host-network'] });
  t.after(() => platform.stop());
  const world = new World(platform, (server.address() as AddressInfo).port);
  await world.functions.deploy('asks', { files: ASKS, environment: { PERCH_NETWORK: 'host' } });
  // From now on it is known to take long.
  await world.functions.invoke('asks', { port: world.port, rounds: 1 });
  return world;
}

function burntShare(t: TestContext, { waits }: Asked): number {
  const sum = (values: readonly number[]): number => values.reduce((before, value) => before + value, 0);
  const share = sum(waits.map(({ cpuMs }) => cpuMs)) / sum(waits.map(({ ms }) => ms));
  t.diagnostic(`${(share * 100).toFixed(1)} % of ${waits.length} waits burnt`);
  return share;
}

function assertIdle(t: TestContext, asked: Asked, count = ROUNDS): void {
  assert.equal(asked.waits.length, count, 'each answer came');
  const share = burntShare(t, asked);
  assert.ok(share < BURNT_SHARE_MAX, `${share} of the time of the waits`);
}

test('learning: who is seen to poll is frozen until its answer comes', { skip }, async (t) => {
  const world = await start(t, 'learning');
  assertIdle(t, await world.ask('polls'));
});

test('directed: by a rule, who polls is frozen, and who spins without a call too', { skip }, async (t) => {
  const world = await start(t, 'directed');
  await world.knows('after sent sleep until received or 5s');
  assertIdle(t, await world.ask('polls'));
  assertIdle(t, await world.ask('spins'));
});

test('directed: the steps of a chain have their sleep plan, and rules go before it', { skip }, async (t) => {
  const world = await start(t, 'directed');
  const ask = async (path: string, body: object): Promise<any> => {
    const answer = await fetch(`${world.platform.url}/perch/v1/chains${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
    });
    assert.ok(answer.ok, String(answer.status));
    return answer.json();
  };
  await ask('', { name: 'twice', steps: ['asks', 'asks'] });
  const event = { port: world.port, rounds: ROUNDS };
  assertIdle(t, await ask('/twice/invocations', event), 2 * ROUNDS);
  // Nothing that it does is said to be sleep.
  await world.knows('after started wake');
  const asked = (await ask('/twice/invocations', { ...event, rounds: 1 })) as Asked;
  assert.equal(asked.waits.length, 2);
  burntShare(t, asked);
});

test('collaborative: who says that it sleeps, and polls, is frozen until its answer comes', { skip }, async (t) => {
  const world = await start(t, 'collaborative');
  assertIdle(t, await world.ask('says'));
  const silent = await world.ask('polls');
  assert.equal(silent.waits.length, ROUNDS, 'who says nothing is let alone, and has its answers');
  burntShare(t, silent);
});
