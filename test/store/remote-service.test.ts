/** Who may ask the store of a node what, and what it answers to what is no question. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import pino from 'pino';
import { realClock } from '../../src/base/clock.ts';
import { LIMITS } from '../../src/base/limits.ts';
import { connectNode } from '../../src/cluster/node/connect.ts';
import { decodeVersion } from '../../src/cluster/version-body.ts';
import { versionKey } from '../../src/cluster/version-key.ts';
import { ask, NoAnswer } from '../../src/store/remote/client.ts';
import { HEADERS, PATHS } from '../../src/store/remote/protocol.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { config, ok, smallZip, temporaryFolder } from './fixtures.ts';
import { IDENTITIES, openRemote, reach, until } from './remote-nodes.ts';
import { ACCOUNT, HOST, type ServedStore, serveStore } from './served-store.ts';

type Method = 'GET' | 'POST' | 'DELETE';
type Asking = (method: Method, path: string, body?: Buffer, headers?: Record<string, string>) => Promise<Told>;

interface Told {
  readonly status: number;
  readonly text: string;
  readonly error: { code: string; message: string } | undefined;
}

interface Scene {
  readonly served: ServedStore;
  readonly gateway: Asking;
  readonly worker: Asking;
  readonly lines: string[];
  readonly metrics: Metrics;
}

async function scene(context: TestContext): Promise<Scene> {
  const lines: string[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) });
  const metrics = new Metrics();
  const served = await serveStore(temporaryFolder(context), { identity: IDENTITIES.store, log, metrics });
  const asking = (role: 'gateway' | 'worker'): Asking => {
    const node = reach(IDENTITIES[role], served.listener.port);
    context.after(() => node.leave());
    return async (method, path, body, headers = {}) => {
      const question = { method, path, headers, ...(body && { body }), answerBytesMax: 1e6, timeoutMs: 10_000 };
      const answer = await ask(node.agent, node.store, realClock, question);
      assert.ok(!(answer instanceof NoAnswer), JSON.stringify(answer));
      const text = answer.body.toString();
      const error = text.startsWith('{') ? (JSON.parse(text) as { error?: Told['error'] }).error : undefined;
      return { status: answer.status, text, error };
    };
  };
  const [gateway, worker] = [asking('gateway'), asking('worker')];
  context.after(() => served.close());
  return { served, gateway, worker, lines, metrics };
}

test('each path is for its roles; others are told why, and it is logged once', async (context) => {
  const { gateway, worker, lines } = await scene(context);
  const forGateways = [
    ['GET', PATHS.functions],
    ['POST', `${PATHS.call}deleteFunction`],
    ['GET', `${PATHS.logs}/f`],
    ['DELETE', `${PATHS.logs}/f`],
  ] as const;
  for (const [method, path] of [...forGateways, ...forGateways]) {
    const { status, error } = await worker(method, path);
    assert.equal(status, 403, path);
    assert.match(error!.message, /is for a gateway; the certificate of worker says worker\./);
  }
  const refusedGateway = await gateway('GET', PATHS.versions + 'a'.repeat(32));
  assert.equal(refusedGateway.status, 403);
  assert.equal(lines.filter((line) => line.includes('is for a gateway')).length, forGateways.length);
  assert.equal(lines.filter((line) => line.includes('is for a worker')).length, 1);
});

test('unknown paths, methods and values', async (context) => {
  const { gateway, worker } = await scene(context);
  const statuses = async (asked: readonly (readonly [Asking, Method, string, string?])[]): Promise<number[]> => {
    const all: number[] = [];
    for (const [who, method, path, body] of asked)
      all.push(
        (await who(method, path, body === undefined ? undefined : Buffer.from(body), { [HEADERS.call]: randomUUID() }))
          .status,
      );
    return all;
  };
  assert.deepEqual(
    await statuses([
      [gateway, 'GET', '/store/'],
      [gateway, 'GET', '/store/functions/f'],
      [gateway, 'GET', `${PATHS.code}../../etc/passwd`],
      [gateway, 'GET', `${PATHS.logs}/..%2f..`],
      [gateway, 'POST', `${PATHS.call}constructor`, '[]'],
      [gateway, 'GET', PATHS.code + 'a'.repeat(64)],
      [worker, 'GET', PATHS.versions + 'a'.repeat(32)],
    ]),
    Array.from({ length: 7 }, () => 404),
  );
  assert.deepEqual(
    await statuses([
      [gateway, 'POST', PATHS.functions],
      [gateway, 'DELETE', `${PATHS.call}enqueue`],
      [worker, 'GET', PATHS.logs],
    ]),
    [405, 405, 405],
  );
  assert.deepEqual(
    await statuses([
      [worker, 'POST', PATHS.logs, 'no batch'],
      [gateway, 'GET', `${PATHS.logs}/f?lines=-1`],
      [gateway, 'GET', `${PATHS.logs}/f?lines=x`],
    ]),
    [400, 400, 400],
  );
  assert.equal((await gateway('POST', `${PATHS.call}deleteFunction`, Buffer.from('["f",null]'))).status, 400, 'no id');
  const large = await gateway('POST', `${PATHS.call}deleteFunction`, Buffer.alloc(LIMITS.storeCallBytesMax + 1), {
    [HEADERS.call]: randomUUID(),
  });
  assert.equal(large.error?.code, 'RequestTooLargeException');
});

test('calls whose arguments are not those of the store change nothing', async (context) => {
  const { gateway, served } = await scene(context);
  const code = ok(await served.store.putCode(smallZip(1)));
  const good = { functionName: 'f', config: config(), code, tags: {}, publish: true };
  const bad: [string, unknown][] = [
    ['createFunction', 'no JSON'],
    ['createFunction', []],
    ['createFunction', [good, 1]],
    ['createFunction', [null]],
    ['createFunction', [{ ...good, functionName: '../f' }]],
    ['createFunction', [{ ...good, config: { ...good.config, layers: 1 } }]],
    ['createFunction', [{ ...good, config: { ...good.config, environment: { a: 1 } } }]],
    ['createFunction', [{ ...good, code: { sha256: '../../x', zipBytes: 1 } }]],
    ['createFunction', [{ ...good, more: 1 }]],
    ['updateFunction', [{ functionName: 'f', publish: 'yes' }]],
    ['deleteFunction', ['f']],
    ['setReservedConcurrency', ['f', -1]],
    ['setTags', ['f', [], {}]],
    ['setKnowledge', ['f', { sources: [1], rules: null, plugin: null }]],
    ['setKnowledge', ['f', { sources: null, rules: null }]],
    ['enqueue', [[{ id: 'x' }]]],
    ['deleteLayerVersion', ['l', '1']],
  ];
  for (const [method, args] of bad) {
    const body = Buffer.from(args === 'no JSON' ? '{' : JSON.stringify(args));
    const { status, error } = await gateway('POST', PATHS.call + method, body, { [HEADERS.call]: randomUUID() });
    assert.equal(status, 200);
    assert.equal(error?.code, 'InvalidRequestContentException', `${method} ${body.toString()}`);
  }
  assert.deepEqual(served.store.listFunctions(null, 9).items, []);
});

test('a worker asks for provisioned versions by their keys', async (context) => {
  const { worker, served } = await scene(context);
  const { store } = served;
  const code = ok(await store.putCode(smallZip(1)));
  const fn = ok(await store.createFunction({ functionName: 'f', config: config(), code, tags: {}, publish: true }));
  const key = versionKey(ACCOUNT, fn, 'reuse');
  assert.equal((await worker('GET', PATHS.versions + key)).status, 404, 'it is not provisioned');
  ok(await store.setProvisioned('f', '1', 2));
  const { text } = await worker('GET', PATHS.versions + key);
  assert.deepEqual(decodeVersion(Buffer.from(text)), { fn, isolation: 'reuse', peers: [] });
  ok(await store.setTags('f', () => ({ 'perch:isolation': 'fresh' })));
  assert.equal((await worker('GET', PATHS.versions + key)).status, 404, 'under another isolation it has another key');
  const fresh = await worker('GET', PATHS.versions + versionKey(ACCOUNT, fn, 'fresh'));
  assert.equal(decodeVersion(Buffer.from(fresh.text))?.isolation, 'fresh');
  ok(await store.setProvisioned('f', '1', null));
  assert.equal((await worker('GET', PATHS.versions + versionKey(ACCOUNT, fn, 'fresh'))).status, 404);
});

test('a reader that takes nothing is closed; others read on', async (context) => {
  const { served, metrics } = await scene(context);
  const { store } = served;
  const code = ok(await store.putCode(smallZip(1)));
  const environment = { TEXT: 'x'.repeat(4000) };
  const names = Array.from({ length: 20 }, (_, index) => `f${index}`);
  for (const functionName of names) {
    ok(await store.createFunction({ functionName, config: config({ environment }), code, tags: {}, publish: true }));
  }
  // More than lies in the buffers of the kernel on the way.
  for (let timeoutS = 1; timeoutS <= 150; timeoutS++) {
    const changed = config({ environment, timeoutS });
    await Promise.all(
      names.map((functionName) => store.updateFunction({ functionName, config: changed, publish: true })),
    );
  }
  const { port } = served.listener;
  const dialling = {
    identity: IDENTITIES.gateway,
    roles: ['gateway'] as const,
    revoked: () => new Set<string>(),
    clock: realClock,
  };
  const socket = connectNode(dialling, { host: HOST, port }, 'http');
  socket.on('error', () => undefined);
  context.after(() => socket.destroy());
  socket.write(`GET ${PATHS.functions} HTTP/1.1\r\nhost: x\r\n\r\n`);
  const readers = (): string => /^perch_store_readers (\d+)$/m.exec(metrics.text())![1]!;
  await until('it reads', () => readers() === '1');
  const remote = await openRemote(context, port);
  assert.equal(readers(), '2');
  await until('it is closed', () => readers() === '1');
  ok(await remote.setReservedConcurrency('f0', 1));
  assert.equal(remote.getFunction('f0')?.reservedConcurrency, 1);
  assert.deepEqual(remote.listAllVersions(null, 10_000), store.listAllVersions(null, 10_000));
});
