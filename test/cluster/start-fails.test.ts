/** Nodes that cannot start: each says why, and its process ends. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { lockFolder } from '../../src/store/embedded/lock.ts';
import { makeCluster, temporaryFolder } from './identity/cluster.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const NOBODY = ['--scheduler', '127.0.0.1:1', '--log-level', 'silent'];
const cluster = await makeCluster();
const { out: gatewayFile } = await cluster.add('g1', ['gateway']);
const { out: schedulerFile } = await cluster.add('s1', ['scheduler']);
const { out: workerFile } = await cluster.add('w1', ['worker'], { addresses: ['10.0.0.7', 'w1.lan'] });
let other: Server;
let taken = '';

before(async () => {
  other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  taken = String((other.address() as AddressInfo).port);
});
after(() => other.close());

interface Ended {
  readonly code: number | null;
  readonly said: string;
}

async function run(...args: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, said };
}

test('a gateway whose cluster port is taken', async () => {
  const places = ['--listen', `127.0.0.1:${taken}`, '--port', '0', '--data', temporaryFolder()];
  const { code, said } = await run('gateway', '--join', gatewayFile, ...NOBODY, ...places);
  assert.equal(code, 4, said);
  assert.match(said, new RegExp(`Cannot listen on 127\\.0\\.0\\.1:${taken}: EADDRINUSE`));
});

test('a gateway whose port for clients is taken', async () => {
  const places = ['--listen', '127.0.0.1:0', '--port', taken, '--data', temporaryFolder()];
  const { code, said } = await run('gateway', '--join', gatewayFile, ...NOBODY, ...places);
  assert.equal(code, 4, said);
  assert.match(said, new RegExp(`127\\.0\\.0\\.1:${taken} is in use by another process`));
});

const WORKER = ['worker', '--join', workerFile, ...NOBODY, '--store', '127.0.0.1:1', '--sandbox', 'none'];

test('a worker whose data folder another one uses', async () => {
  const data = temporaryFolder();
  const lock = lockFolder(data, 'worker');
  const { code, said } = await run(...WORKER, '--listen', '127.0.0.1:0', '--data', data);
  lock.release();
  assert.equal(code, 4, said);
  assert.match(said, new RegExp(`${data} is in use by another platform or worker \\(process ${process.pid}\\)`));
});

test('a worker whose port is taken', async () => {
  const { code, said } = await run(...WORKER, '--listen', `127.0.0.1:${taken}`, '--data', temporaryFolder());
  assert.equal(code, 4, said);
  assert.match(said, new RegExp(`Cannot listen on 127\\.0\\.0\\.1:${taken}: EADDRINUSE`));
});

for (const shards of ['1', '2'])
  test(`a scheduler whose port is taken, --shards ${shards}`, async () => {
    const where = ['--listen', `127.0.0.1:${taken}`, '--shards', shards];
    const { code, said } = await run('scheduler', '--join', schedulerFile, ...where);
    assert.equal(code, 4, said);
    assert.match(said, new RegExp(`Cannot listen on 127\\.0\\.0\\.1:${taken}: EADDRINUSE`));
  });

for (const shards of ['1', '2'])
  test(`a scheduler that is to listen where it cannot, --shards ${shards}`, async () => {
    const { code, said } = await run(
      'scheduler',
      '--join',
      schedulerFile,
      '--listen',
      '192.0.2.1:0',
      '--shards',
      shards,
    );
    assert.equal(code, 4, said);
    assert.match(said, /Cannot listen on 192\.0\.2\.1:0: EADDRNOTAVAIL/);
  });

test('a worker that is to be reached where its certificate does not say', async () => {
  const { code, said } = await run(...WORKER, '--advertise', '10.0.0.8', '--data', temporaryFolder());
  assert.equal(code, 2, said);
  assert.match(said, /is for 10\.0\.0\.7, w1\.lan: --advertise has to be one of these, and not 10\.0\.0\.8/);
});
