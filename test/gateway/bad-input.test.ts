import assert from 'node:assert/strict';
import http from 'node:http';
import test, { after, before } from 'node:test';
import { API_ERRORS } from '../../src/base/errors.ts';
import type { ApiErrorCode } from '../../src/base/errors.ts';
import { startTestPlatform } from '../lib/platform.ts';
import type { TestPlatform } from '../lib/platform.ts';
import { BAD_FUNCTIONS, BAD_REQUESTS, ECHO, ODD_FUNCTIONS, creation, invocation } from './bad-input.ts';
import type { Sent } from './bad-input.ts';

interface Received {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
}

let platform: TestPlatform;

before(async () => {
  platform = await startTestPlatform();
  assert.equal((await send(await creation(ECHO))).status, 201);
});

after(async () => {
  await platform?.stop();
});

async function send(sent: Sent): Promise<Received> {
  const { promise, resolve, reject } = Promise.withResolvers<Received>();
  const chunked = sent.headers?.['transfer-encoding'] === 'chunked';
  const length = sent.body === undefined || chunked ? {} : { 'content-length': String(Buffer.byteLength(sent.body)) };
  const request = http.request(new URL(sent.path, platform.url), {
    method: sent.method ?? 'GET',
    headers: { ...length, ...sent.headers },
    agent: false,
  });
  request.on('error', reject);
  request.on('response', (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
  });
  request.end(sent.body);
  return promise;
}

for (const row of BAD_REQUESTS) {
  test(row.input, async () => {
    const received = await send(await row.send());
    const code = row.expected as ApiErrorCode;
    const spec = API_ERRORS[code];
    assert.equal(received.headers['x-amzn-errortype'], code, received.text);
    assert.equal(received.status, spec.status);
    assert.match(String(received.headers['x-amzn-requestid']), /^[0-9a-f-]{36}$/);
    const body = JSON.parse(received.text) as Record<string, string>;
    assert.match(body[spec.messageKey] ?? '', row.says);
  });
}

test('nothing was left behind by what was refused', async () => {
  const { text } = await send({ path: '/2015-03-31/functions' });
  const { Functions } = JSON.parse(text) as { Functions: { FunctionName: string }[] };
  assert.deepEqual(
    Functions.map((each) => each.FunctionName).filter((name) => !name.startsWith('odd-')),
    [ECHO],
  );
});

async function invokeOnce(name: string, source: string, change: Record<string, unknown>): Promise<Received> {
  const created = await send(await creation(name, { Timeout: 1, ...change }, source));
  assert.equal(created.status, 201, created.text);
  const received = await send(invocation(name));
  await send({ method: 'DELETE', path: `/2015-03-31/functions/${name}` });
  return received;
}

BAD_FUNCTIONS.forEach((row, index) => {
  test(row.input, async () => {
    const received = await invokeOnce(
      `odd-${index}`,
      row.source,
      row.handler === undefined ? {} : { Handler: row.handler },
    );
    assert.equal(received.status, 200, received.text);
    assert.equal(received.headers['x-amz-function-error'], 'Unhandled', received.text);
    const body = JSON.parse(received.text) as { errorType: string; errorMessage: string };
    assert.equal(body.errorType, row.expected, received.text);
    assert.match(body.errorMessage, row.says);
  });
});

ODD_FUNCTIONS.forEach((row, index) => {
  test(row.input, async () => {
    const received = await invokeOnce(`odd-answer-${index}`, row.source, {});
    assert.equal(received.status, 200, received.text);
    assert.equal(received.headers['x-amz-function-error'], undefined, received.text);
    assert.equal(received.text, row.answer);
  });
});

test('failing functions, many at once, take nothing else down', async () => {
  const rows = BAD_FUNCTIONS.filter((row) => row.expected !== 'Sandbox.Timedout').slice(0, 6);
  for (const [index, row] of rows.entries()) {
    const change = row.handler === undefined ? {} : { Handler: row.handler };
    assert.equal((await send(await creation(`odd-storm-${index}`, change, row.source))).status, 201);
  }
  const storm = Array.from({ length: 24 }, (_, index) => send(invocation(`odd-storm-${index % rows.length}`)));
  for (const received of await Promise.all(storm)) {
    assert.equal(received.headers['x-amz-function-error'], 'Unhandled', received.text);
  }
  assert.equal((await send(invocation(ECHO, { body: '[1]' }))).text, '[1]');
});
