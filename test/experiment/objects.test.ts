/** How the functions of the experiment read answers, however these come in pieces. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { after, test } from 'node:test';
import { Worker } from 'node:worker_threads';

interface Wait {
  readonly sentUs: number;
  readonly heardUs: number;
  readonly cpuSentUs: number;
  readonly cpuHeardUs: number;
}

interface Objects {
  get(key: string): Promise<Buffer>;
}

type Work = (objects: Objects) => Promise<string>;

const { step } = createRequire(import.meta.url)('../../src/experiment/functions/objects.cjs') as {
  step(name: string, build: string, work: Work): (payload: object) => Promise<{ steps: { waits: Wait[] }[] }>;
};

/** In a thread of its own, since who polls lets nobody else run. The key says after how many bytes each piece ends; the last one is the rest. */
const SERVER = `
  const { createServer } = require('node:net');
  const { parentPort } = require('node:worker_threads');
  const server = createServer({ noDelay: true }, (socket) => socket.on('data', async (request) => {
    const [, size, cuts] = /GET \\/bucket\\/(\\d+):([\\d,]*) /.exec(request.toString('latin1'));
    const body = Buffer.from(Array.from({ length: Number(size) }, (_, index) => index % 251));
    const answer = Buffer.concat([Buffer.from('HTTP/1.1 200 OK\\r\\ncontent-length: ' + size + '\\r\\n\\r\\n'), body]);
    let from = 0;
    for (const cut of [...cuts.split(',').filter(Boolean).map(Number), answer.length]) {
      socket.write(answer.subarray(from, cut));
      from = cut;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }));
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));
`;

const server = new Worker(SERVER, { eval: true });
after(() => server.terminate());
const listening = once(server, 'message').then(([port]) => port as number);

/** What `key` brought, and the waits. */
async function read(build: string, keys: readonly string[]): Promise<{ bodies: Buffer[]; waits: Wait[] }> {
  const bodies: Buffer[] = [];
  const run = step('test', build, async (objects) => {
    for (const key of keys) bodies.push(await objects.get(key));
    return '';
  });
  const { steps } = await run({ host: '127.0.0.1', port: await listening, bucket: 'bucket', chain: 0, steps: [] });
  return { bodies, waits: steps[0]!.waits };
}

const CASES: readonly (readonly [number, string])[] = [
  [0, ''],
  [0, '10'],
  [3, '20,38'],
  [500, '41'],
  [1000, ''],
  [200_000, '5,30'],
  [200_000, '700,65536,131000'],
  [1_000_000, ''],
];

for (const build of ['block', 'poll', 'hint'])
  test(`${build}: the whole object comes, and when its first bytes came is known`, async () => {
    const { bodies, waits } = await read(
      build,
      CASES.map(([size, cuts]) => `${size}:${cuts}`),
    );
    for (const [index, [size, cuts]] of CASES.entries()) {
      const body = bodies[index]!;
      assert.equal(body.length, size, `${size} cut at ${cuts}`);
      assert.ok(
        body.every((byte, at) => byte === at % 251),
        `${size} cut at ${cuts}`,
      );
      const { sentUs, heardUs, cpuSentUs, cpuHeardUs } = waits[index]!;
      assert.ok(sentUs <= heardUs && cpuSentUs <= cpuHeardUs, JSON.stringify(waits[index]));
    }
    assert.equal(waits.length, CASES.length);
  });
