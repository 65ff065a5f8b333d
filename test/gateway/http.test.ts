/** Connections: pipelining, clients that go away, Perch's own API, and closing down. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import test, { after, before } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../lib/functions.ts';
import { startTestPlatform } from '../lib/platform.ts';
import type { TestPlatform } from '../lib/platform.ts';
import { ECHO, creation } from './bad-input.ts';

let platform: TestPlatform;

const SLOW = `export const handler = async ({ ms }) => { console.log('waiting', ms); await new Promise((done) => setTimeout(done, ms)); return ms; };`;

async function deploy(on: TestPlatform, name: string, source?: string): Promise<void> {
  const { path, body } = await creation(name, { Timeout: 20 }, source);
  const answer = await fetch(on.url + path, { method: 'POST', body: body as string });
  assert.equal(answer.status, 201, await answer.text());
}

before(async () => {
  platform = await startTestPlatform();
  await deploy(platform, ECHO);
  await deploy(platform, 'slow', SLOW);
});

after(async () => {
  await platform?.stop();
});

const invocations = (name: string): string => `${platform.url}/2015-03-31/functions/${name}/invocations`;

test('an answer says where and how it ran', async () => {
  await fetch(invocations(ECHO), { method: 'POST' });
  const answer = await fetch(invocations(ECHO), { method: 'POST', body: '[1]' });
  assert.equal(await answer.text(), '[1]');
  assert.equal(answer.headers.get('content-type'), 'application/json');
  assert.equal(answer.headers.get('x-amz-executed-version'), '$LATEST');
  assert.match(answer.headers.get('x-amzn-requestid') ?? '', /^[0-9a-f-]{36}$/);
  assert.match(answer.headers.get('x-perch-core') ?? '', /^\d+$/);
  assert.match(answer.headers.get('x-perch-start') ?? '', /^(cold|warm)$/);
  for (const name of ['x-perch-queued-us', 'x-perch-start-us', 'x-perch-run-us'])
    assert.match(answer.headers.get(name) ?? '', /^\d+$/);
});

test('pipelined invocations are answered in order', async () => {
  const { hostname, port } = new URL(platform.url);
  const socket = net.connect(Number(port), hostname);
  const request = (body: string): string =>
    `POST /2015-03-31/functions/${ECHO}/invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const bodies = ['"a"', '"bb"', '', '"c"'];
  socket.write(bodies.map(request).join(''));
  let text = '';
  for await (const chunk of socket) {
    text += String(chunk);
    if (text.endsWith('"c"')) break;
  }
  assert.deepEqual(
    text.match(/\r\n\r\n[^\r]*?(?=HTTP|$)/g)?.map((part) => part.trim()),
    ['"a"', '"bb"', '{}', '"c"'],
  );
});

test('a client that goes away while its request waits is withdrawn, and the core is free for the next', async () => {
  const url = invocations('slow');
  // More than there are cores: the last of them wait.
  const gone = Array.from({ length: 20 }, () => http.request(url, { method: 'POST', agent: false }));
  for (const request of gone) {
    request.on('error', () => {});
    request.end('{"ms":300}');
  }
  await sleep(150);
  for (const request of gone) request.destroy();
  const answer = await fetch(url, { method: 'POST', body: '{"ms":1}' });
  assert.equal(await answer.text(), '1');
});

test('of changes that come at once none is undone: tags add up, and of two updates one is told to wait', async () => {
  await deploy(platform, 'shared');
  const send = (method: string, target: string, body?: object): Promise<Response> =>
    fetch(platform.url + target, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const tags = '/2017-03-31/tags/arn:aws:lambda:us-east-1:000000000000:function:shared';
  const keys = ['a', 'b', 'c', 'd', 'e'];
  const tagged = await Promise.all(keys.map((key) => send('POST', tags, { Tags: { [key]: '' } })));
  assert.deepEqual(
    tagged.map(({ status }) => status),
    keys.map(() => 204),
  );
  const { Tags: kept } = (await (await send('GET', tags)).json()) as { Tags: object };
  assert.deepEqual(Object.keys(kept).toSorted(), keys);

  const target = '/2015-03-31/functions/shared/configuration';
  const changes = [{ Timeout: 7 }, { MemorySize: 300 }, { Description: 'new' }];
  const answers = await Promise.all(changes.map((change) => send('PUT', target, change)));
  const configuration = (await (await send('GET', target)).json()) as Record<string, unknown>;
  for (const [index, { status, headers }] of answers.entries()) {
    const [[key, value] = ['', '']] = Object.entries(changes[index]!);
    if (status === 200) assert.equal(configuration[key], value, `${key} was answered with 200, and is lost`);
    else assert.equal(headers.get('x-amzn-errortype'), 'ResourceConflictException');
  }
});

test("Perch's own API", async () => {
  const json = async (path: string): Promise<Record<string, unknown>> =>
    (await fetch(platform.url + path)).json() as Promise<Record<string, unknown>>;
  assert.deepEqual(await json('/healthz'), { status: 'ok' });
  assert.match(String((await json('/perch/v1/info'))['version']), /^\d+\.\d+\.\d+/);
  // Seats that are lent come and go as long as something runs.
  let cores: { core: number; state: string }[] = [];
  await until('every core is idle', async () => {
    ({ cores } = (await json('/perch/v1/cores')) as { cores: typeof cores });
    return cores.length > 0 && cores.every(({ state }) => state === 'idle');
  });
  const numbers: unknown[] = [];
  let marker: string | null = '';
  while (marker !== null) {
    const page = await json(`/perch/v1/cores?limit=1&marker=${marker}`);
    numbers.push(...(page['cores'] as { core: number }[]).map(({ core }) => core));
    marker = page['nextMarker'] as string | null;
  }
  assert.deepEqual(
    numbers,
    cores.map(({ core }) => core),
  );
  for (const wrong of ['limit=0', 'limit=10001', 'marker=x'])
    assert.equal((await fetch(`${platform.url}/perch/v1/cores?${wrong}`)).status, 400, wrong);
  const metrics = await fetch(`${platform.url}/metrics`);
  assert.match(metrics.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  assert.match(await metrics.text(), /^# TYPE perch_/m);
  assert.equal((await fetch(`${platform.url}/perch/v1/logs/nobody`)).status, 404);
  assert.equal((await fetch(`${platform.url}/healthz`, { method: 'HEAD' })).status, 200);
  const options = await fetch(`${platform.url}/2015-03-31/functions`, { method: 'OPTIONS' });
  assert.equal(options.headers.get('allow'), 'GET, POST, HEAD, OPTIONS');
});

test('logs: the last lines, and what comes after', async () => {
  await fetch(invocations('slow'), { method: 'POST', body: '{"ms":1}' });
  const lines = await (await fetch(`${platform.url}/perch/v1/logs/slow?lines=3`)).text();
  assert.equal(lines.trimEnd().split('\n').length, 3);
  const following = await fetch(`${platform.url}/perch/v1/logs/slow?lines=0&follow=1`);
  const invoked = fetch(invocations('slow'), { method: 'POST', body: '{"ms":2}' });
  let text = '';
  for await (const chunk of following.body ?? []) {
    text += Buffer.from(chunk as Uint8Array).toString();
    if (text.includes('REPORT')) break;
  }
  assert.match(text, /START RequestId.*waiting 2.*REPORT RequestId/s);
  await invoked;
});

test('closing down finishes what is in flight, ends followed logs, and takes no more', async () => {
  const closing = await startTestPlatform();
  await deploy(closing, 'slow', SLOW);
  const url = `${closing.url}/2015-03-31/functions/slow/invocations`;
  const following = await fetch(`${closing.url}/perch/v1/logs/slow?follow=1`);
  const inFlight = fetch(url, { method: 'POST', body: '{"ms":700}' });
  // Wait until it runs, as its log tells.
  let text = '';
  const reader = following.body?.getReader();
  while (reader !== undefined && !text.includes('waiting'))
    text += Buffer.from((await reader.read()).value ?? []).toString();
  const stopped = closing.stop();
  assert.equal(await (await inFlight).text(), '700');
  while (reader !== undefined && !(await reader.read()).done);
  await stopped;
  await assert.rejects(fetch(url, { method: 'POST' }));
});

test('a refused upload leaves its connection in order', async () => {
  const { hostname, port } = new URL(platform.url);
  const socket = net.connect(Number(port), hostname);
  const announced = 7 * 1024 * 1024;
  socket.write(
    `POST /2015-03-31/functions/${ECHO}/invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${announced}\r\n\r\n`,
  );
  socket.write(Buffer.alloc(announced, 'x'));
  let text = '';
  socket.on('data', (chunk) => (text += String(chunk)));
  await once(socket, 'end');
  assert.match(text, /^HTTP\/1\.1 413 .*RequestTooLargeException.*Connection: close.*smaller than 6291456 bytes/s);
});

/** Everything that comes back for these bytes. */
async function raw(bytes: string): Promise<string> {
  const { hostname, port } = new URL(platform.url);
  const socket = net.connect(Number(port), hostname);
  socket.write(bytes);
  let text = '';
  socket.on('data', (chunk) => (text += String(chunk)));
  await once(socket, 'close');
  return text;
}

test('what node:http would refuse with a bare status has our answer too', async () => {
  const noHost = await raw('GET /healthz HTTP/1.1\r\n\r\n');
  assert.match(noHost, /^HTTP\/1\.1 400 .*x-amzn-ErrorType: InvalidRequestContentException.*no Host header/s);
  assert.match(await raw('GET /healthz HTTP/1.0\r\n\r\n'), /^HTTP\/1\.1 200 /);
  const expecting = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nExpect: banana\r\n\r\n';
  assert.match(await raw(expecting), /^HTTP\/1\.1 400 .*x-amzn-ErrorType: InvalidRequestContentException.*'banana'/s);
  const proxy = 'CONNECT example.com:443 HTTP/1.1\r\nHost: localhost\r\n\r\n';
  assert.match(await raw(proxy), /^HTTP\/1\.1 404 .*x-amzn-ErrorType: UnknownOperationException/s);
});
