/** Where a worker gets code from: its shelf, other workers, the store; and that it takes from nobody what is not what its name says. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import pino from 'pino';
import { realClock, SimulatedClock } from '../../src/base/clock.ts';
import { LIMITS } from '../../src/base/limits.ts';
import { openListener } from '../../src/cluster/node/listener.ts';
import { RemoteCodeSource, type ZipShelf } from '../../src/store/remote/remote-code-source.ts';
import type { CodeRef } from '../../src/store/store.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { config, ok, refused, smallZip, temporaryFolder } from './fixtures.ts';
import { IDENTITIES, openRemote, reach, until } from './remote-nodes.ts';
import { HOST, type ServedStore, serveStore, SILENT } from './served-store.ts';

class Shelf implements ZipShelf {
  readonly zips = new Map<string, Buffer>();

  get(sha256: string): Promise<Buffer | null> {
    return Promise.resolve(this.zips.get(sha256) ?? null);
  }

  put(sha256: string, bytes: Buffer): void {
    this.zips.set(sha256, bytes);
  }

  drop(sha256: string): void {
    this.zips.delete(sha256);
  }
}

interface Scene {
  readonly folder: string;
  readonly served: ServedStore;
  readonly shelf: Shelf;
  readonly source: RemoteCodeSource;
  readonly code: CodeRef;
  readonly zip: Buffer;
  /** How many were fetched from each, and lies. */
  counts(): Record<string, number>;
  readonly lines: { msg: string }[];
  readonly clock: SimulatedClock;
}

async function scene(context: TestContext): Promise<Scene> {
  const folder = temporaryFolder(context);
  const served = await serveStore(folder, { identity: IDENTITIES.store });
  const store = reach(IDENTITIES.worker, served.listener.port);
  const peers = reach(IDENTITIES.worker, 0, ['worker']);
  const metrics = new Metrics();
  const shelf = new Shelf();
  const lines: { msg: string }[] = [];
  const log = pino(
    { level: 'info' },
    { write: (line: string) => void lines.push(JSON.parse(line) as { msg: string }) },
  );
  // What counts in minutes goes by a clock that is told; the waits of a connection are real.
  const clock = new SimulatedClock();
  const mixed = { ...realClock, nowUs: () => realClock.nowUs() + clock.nowUs() };
  const source = new RemoteCodeSource({ ...store, clock: mixed, peerAgent: peers.agent, shelf, metrics, log });
  context.after(async () => {
    store.leave();
    peers.leave();
    await served.close();
  });
  const zip = smallZip('code');
  const code = ok(await served.store.putCode(zip));
  const counts = (): Record<string, number> => {
    const found = metrics.text().matchAll(/^perch_code_(?:fetched_total\{from="(\w+)"\}|(lies)_total) (\d+)$/gm);
    return Object.fromEntries([...found].map(([, from, lies, count]) => [from ?? lies, Number(count)]));
  };
  return { folder, served, shelf, source, code, zip, counts, lines, clock };
}

/** A worker that answers as it is told; its HOST:PORT. */
async function peer(
  context: TestContext,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<string> {
  const listener = await openListener({
    identity: IDENTITIES.worker,
    roles: ['worker'],
    revoked: () => new Set(),
    host: HOST,
    port: 0,
    clock: realClock,
    log: SILENT,
    http: answer,
  });
  context.after(() => listener.close());
  return `${HOST}:${listener.port}`;
}

test('from the store at first, then from the shelf', async (context) => {
  const { source, code, zip, counts, shelf } = await scene(context);
  assert.deepEqual(ok(await source.fetch(code)), zip);
  assert.deepEqual(counts(), { shelf: 0, peer: 0, store: 1, lies: 0 });
  assert.deepEqual(ok(await source.fetch(code)), zip);
  assert.deepEqual(counts(), { shelf: 1, peer: 0, store: 1, lies: 0 });
  shelf.zips.set(code.sha256, Buffer.from('damaged'));
  assert.deepEqual(ok(await source.fetch(code)), zip, 'what is damaged on the shelf is fetched again');
  assert.deepEqual(shelf.zips.get(code.sha256), zip);
});

test('a worker that has it is asked first', async (context) => {
  const { source, code, zip, counts } = await scene(context);
  const paths: string[] = [];
  const address = await peer(context, (request, response) => {
    paths.push(request.url ?? '');
    response.end(zip);
  });
  source.notePeers(code.sha256, [address]);
  assert.deepEqual(ok(await source.fetch(code)), zip);
  assert.deepEqual(paths, [`/code/${code.sha256}`]);
  assert.deepEqual(counts(), { shelf: 0, peer: 1, store: 0, lies: 0 });
});

test('a worker that lies is logged and not asked again for a while', async (context) => {
  const { source, code, zip, counts, lines, shelf, clock } = await scene(context);
  let asked = 0;
  const liar = await peer(context, (_request, response) => {
    asked++;
    response.end(smallZip('other code'));
  });
  const honest = await peer(context, (_request, response) => void response.end(zip));
  source.notePeers(code.sha256, [liar, honest]);
  const fetch = async (): Promise<void> => {
    shelf.zips.clear();
    assert.deepEqual(ok(await source.fetch(code)), zip);
  };
  await fetch();
  await fetch();
  assert.equal(asked, 1);
  assert.deepEqual(counts(), { shelf: 0, peer: 2, store: 0, lies: 1 });
  assert.equal(lines.length, 1);
  assert.match(lines[0]!.msg, /a worker gave bytes for a zip that are not what it is named/);
  assert.equal((lines[0] as unknown as { peer: string }).peer, liar);
  clock.advanceUs((LIMITS.codePeerDistrustMs + 1) * 1000);
  await fetch();
  assert.equal(asked, 2);
});

test('workers that are gone, silent, without it or without end cost a while, and the store is asked', async (context) => {
  const { source, code, zip, counts } = await scene(context);
  const silent = createServer(() => {}).listen(0, HOST);
  await once(silent, 'listening');
  context.after(() => silent.close());
  const gone = `${HOST}:1`;
  const mute = `${HOST}:${(silent.address() as { port: number }).port}`;
  const without = await peer(context, (_request, response) => void response.writeHead(404).end());
  const endless = await peer(context, (_request, response) => {
    const more = setInterval(() => response.write(Buffer.alloc(65_536)), 1);
    response.on('close', () => clearInterval(more));
  });
  source.notePeers(code.sha256, [gone, without, endless]);
  assert.deepEqual(ok(await source.fetch(code)), zip);
  assert.equal(counts()['store'], 1);
  const second = await scene(context);
  second.source.notePeers(second.code.sha256, [mute, 'not an address']);
  assert.deepEqual(ok(await second.source.fetch(second.code)), zip);
  assert.equal(second.counts()['store'], 1);
});

test('a store that finds its zip damaged says so to the worker and to every gateway, until it is uploaded again', async (context) => {
  const { source, code, zip, folder, served } = await scene(context);
  const remote = await openRemote(context, served.listener.port);
  ok(await remote.createFunction({ functionName: 'f', config: config(), code, tags: {}, publish: false }));
  const path = join(folder, 'data', 'zips', readdirSync(join(folder, 'data', 'zips'))[0]!);
  const bytes = readFileSync(path);
  bytes[bytes.length - 1]! ^= 1;
  writeFileSync(path, bytes);
  refused(await source.fetch(code), 'InvalidZipFileException', /does not have its hash any more; deploy it again/);
  await until('the gateway knows', () => remote.codeError(code) !== null);
  refused(remote.codeError(code), 'InvalidZipFileException', /deploy it again/);
  await assert.rejects(remote.readZip(code), /does not have its hash/);
  const late = await openRemote(context, served.listener.port);
  refused(late.codeError(code), 'InvalidZipFileException');
  ok(await served.store.putCode(zip));
  await until('it is whole again', () => remote.codeError(code) === null && late.codeError(code) === null);
  assert.deepEqual(await remote.readZip(code), zip);
  assert.deepEqual(ok(await source.fetch(code)), zip);
});

test('what cannot be used is answered without being fetched, for a while', async (context) => {
  const { source, code, zip, clock, counts } = await scene(context);
  const error = source.reject(code, 'cannot be unpacked: it is odd');
  refused(error, 'InvalidZipFileException', /cannot be unpacked: it is odd; deploy it again/);
  assert.equal(await source.fetch(code), error);
  clock.advanceUs(LIMITS.codeRejectedMs * 1000);
  assert.deepEqual(ok(await source.fetch(code)), zip);
  assert.equal(counts()['store'], 1);
});

test('code that nobody has, and a store that is away', async (context) => {
  const { source, served } = await scene(context);
  const unknown = { sha256: 'a'.repeat(64), zipBytes: 1 };
  refused(await source.fetch(unknown), 'InvalidZipFileException', /is not stored; deploy it again/);
  assert.equal(source.has(), true);
  await served.listener.close();
  refused(await source.fetch(unknown), 'ServiceUnavailableException', /cannot be reached for the code/);
});

test('many that want large code at once all get it', async (context) => {
  const { served, source } = await scene(context);
  const zips = Array.from({ length: 12 }, (_, index) => smallZip(`${index}`.repeat(1_000_000)));
  const codes: CodeRef[] = [];
  for (const zip of zips) codes.push(ok(await served.store.putCode(zip)));
  const fetched = await Promise.all(codes.map((code) => source.fetch(code)));
  for (const [index, zip] of fetched.entries()) assert.ok(ok(zip).equals(zips[index]!));
});
