/** The Runtime API of the provided runtime, asked by the test itself in the place of a bootstrap. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import net from 'node:net';
import { test } from 'node:test';
import { begin, VERSION, withClient } from './provided-client.ts';
import { FUNCTION_ARN, RESPONSE_BYTES_MAX, Runner } from './provided-runner.ts';

const PYTHON = '/usr/bin/python3';
const OK = { status: 'OK' };

test('next: the event, and every header that Lambda documents', () =>
  withClient(async (client) => {
    const requestId = randomUUID();
    const { reply, outcome } = await begin(
      client,
      { text: 'käse ☃' },
      {
        requestId,
        traceId: 'Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1',
        clientContext: '{"custom":{"k":"schön 😀"}}',
        invokedArn: `${FUNCTION_ARN}:live`,
      },
    );
    assert.equal(reply.status, 200);
    assert.deepEqual(reply.json, { text: 'käse ☃' });
    assert.equal(reply.headers['lambda-runtime-aws-request-id'], requestId);
    assert.equal(reply.headers['lambda-runtime-invoked-function-arn'], `${FUNCTION_ARN}:live`);
    assert.equal(reply.headers['lambda-runtime-trace-id'], 'Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1');
    assert.match(String(reply.headers['lambda-runtime-deadline-ms']), /^\d{13}$/);
    assert.deepEqual(JSON.parse(String(reply.headers['lambda-runtime-client-context'])), { custom: { k: 'schön 😀' } });
    assert.match(String(reply.headers['lambda-runtime-client-context']), /^[\x20-\x7e]+$/);
    assert.equal(reply.headers['content-type'], 'application/json');
    const accepted = await client.post(requestId, 'response', { body: '"done"' });
    assert.deepEqual([accepted.status, accepted.json], [202, OK]);
    assert.deepEqual((await outcome).value, 'done');

    const plain = await begin(client, {});
    assert.equal(plain.reply.headers['lambda-runtime-invoked-function-arn'], FUNCTION_ARN);
    for (const absent of ['trace-id', 'client-context', 'cognito-identity'])
      assert.equal(plain.reply.headers[`lambda-runtime-${absent}`], undefined);
  }));

test('next again before the answer brings the same invocation again', () =>
  withClient(async (client) => {
    const { reply, id, outcome } = await begin(client, { n: 1 });
    const again = await client.next();
    assert.deepEqual(again.json, reply.json);
    assert.equal(again.headers['lambda-runtime-aws-request-id'], id);
    await client.post(id, 'response', { body: '1' });
    assert.equal((await outcome).value, 1);
  }));

test('a poll whose connection was lost does not swallow an invocation', () =>
  withClient(async (client) => {
    const lost = net.connect(client.port, client.host);
    lost.write(`GET ${VERSION}/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n`);
    await client.runner.ready;
    lost.destroy();
    const { id, outcome } = await begin(client, {});
    await client.post(id, 'response', { body: '1' });
    assert.equal((await outcome).value, 1);
  }));

test('answers out of turn are refused as AWS refuses them', () =>
  withClient(async (client) => {
    const early = await client.post(randomUUID(), 'response', { body: '1' });
    assert.deepEqual([early.status, early.json.errorType], [400, 'InvalidRequestID']);
    const { id, outcome } = await begin(client, {});
    const other = await client.post(randomUUID(), 'response', { body: '1' });
    assert.deepEqual([other.status, other.json], [400, { errorMessage: 'Invalid request ID', errorType: 'InvalidRequestID' }]); // prettier-ignore
    const mode = await client.post(id, 'response', { body: '1', headers: { 'Lambda-Runtime-Function-Response-Mode': 'odd' } }); // prettier-ignore
    assert.deepEqual([mode.status, mode.json.errorType], [400, 'InvalidFunctionResponseMode']);
    const late = await client.call('POST', `${VERSION}/init/error`, { body: '{}' });
    assert.deepEqual([late.status, late.json.errorType], [403, 'InvalidStateTransition']);
    assert.equal((await client.post(id, 'response', { body: '1' })).status, 202);
    for (const what of ['response', 'error'] as const) {
      const second = await client.post(id, what, { body: '2' });
      assert.deepEqual([second.status, second.json.errorType], [403, 'InvalidStateTransition']);
    }
    assert.equal((await outcome).value, 1);
    const following = await begin(client, {});
    const stale = await client.post(id, 'response', { body: '3' });
    assert.equal(stale.status, 400);
    await client.post(following.id, 'response', { body: '4' });
    assert.equal((await following.outcome).value, 4);
  }));

test('what is not there is not found, and says why', () =>
  withClient(async (client) => {
    const cases: [string, string, number, RegExp][] = [
      ['GET', '/', 404, /not part of the Runtime API/],
      ['GET', '/2018-06-01/runtime', 404, /not part/],
      ['GET', `${VERSION}/restore/next`, 404, /not restored from a snapshot/],
      ['POST', `${VERSION}/restore/error`, 404, /not restored/],
      ['POST', '/2020-01-01/extension/register', 404, /extensions are not supported/],
      ['GET', '/2020-01-01/extension/event/next', 404, /extensions are not supported/],
      ['PUT', '/2022-07-01/telemetry', 404, /extensions are not supported/],
      ['PUT', '/2020-08-15/logs', 404, /extensions are not supported/],
      ['POST', `${VERSION}/invocation/next`, 405, /use GET/],
      ['GET', `${VERSION}/invocation/x/response`, 405, /use POST/],
    ];
    for (const [method, url, status, message] of cases) {
      const reply = await client.call(method, url, method === 'GET' ? {} : { body: '{}' });
      assert.equal(reply.status, status, url);
      assert.match(reply.json.errorMessage, message);
    }
  }));

test('errors: handed on as they are, or made into what Lambda answers', () =>
  withClient(async (client) => {
    const type = { 'Lambda-Runtime-Function-Error-Type': 'Function.Odd' };
    const cases: [string, Record<string, string>, unknown][] = [
      ['{"errorType":"E","errorMessage":"m","stackTrace":["a"]}', type, { errorType: 'E', errorMessage: 'm', stackTrace: ['a'] }], // prettier-ignore
      ['{"errorMessage":"m"}', type, { errorType: 'Function.Odd', errorMessage: 'm' }],
      ['{"errorMessage":"m"}', {}, { errorMessage: 'm' }],
      ['not JSON', type, { errorType: 'Function.Odd', errorMessage: 'not JSON' }],
      ['', type, { errorType: 'Function.Odd', errorMessage: '' }],
      ['["list"]', {}, { errorType: 'Runtime.Unknown', errorMessage: '["list"]' }],
    ];
    for (const [body, headers, expected] of cases) {
      const { id, outcome } = await begin(client, {});
      const reply = await client.post(id, 'error', { body, headers });
      assert.deepEqual([reply.status, reply.json], [202, OK]);
      const { kind, value } = await outcome;
      assert.deepEqual([kind, value], ['error', expected]);
    }
    // The cause of an error for tracing, of up to a megabyte, comes in a header.
    const { id, outcome } = await begin(client, {});
    const cause = { 'Lambda-Runtime-Function-XRay-Error-Cause': 'x'.repeat(1024 * 1024) };
    assert.equal((await client.post(id, 'error', { body: '{"errorType":"E"}', headers: cause })).status, 202);
    assert.equal((await outcome).kind, 'error');
  }));

test('a response may be anything up to its limit, and one byte more is refused', () =>
  withClient(async (client) => {
    for (const size of [0, 1, 65_519, 65_520, 65_521, 1_000_000, RESPONSE_BYTES_MAX]) {
      const { id, outcome } = await begin(client, {});
      const body = Buffer.alloc(size, 0xff);
      assert.equal((await client.post(id, 'response', { body })).status, 202);
      assert.ok((await outcome).bytes.equals(body));
    }
    for (const what of ['response', 'error'] as const) {
      const { id, outcome } = await begin(client, {});
      const reply = await client.post(id, what, { body: Buffer.alloc(RESPONSE_BYTES_MAX + 1, 0x20) });
      assert.deepEqual([reply.status, reply.json.errorType], [413, 'RequestEntityTooLarge']);
      const { kind, value } = await outcome;
      assert.deepEqual([kind, value.errorType], ['error', 'Function.ResponseSizeTooLarge']);
      assert.match(value.errorMessage, /6291556 bytes/);
    }
  }));

test('events of every size arrive whole', () =>
  withClient(async (client) => {
    for (const size of [0, 1, 65_400, 65_536, 1_000_000, 6_000_000]) {
      const text = 'é'.repeat(size / 2);
      const { reply, id, outcome } = await begin(client, { text });
      assert.equal(reply.json.text, text);
      await client.post(id, 'response', { body: reply.text });
      assert.equal((await outcome).value.text, text);
    }
  }));

test('an event that is no JSON never reaches the bootstrap', () =>
  withClient(async (client) => {
    const asked = client.next();
    const bad = await client.runner.invoke(null, { payload: Buffer.from('{"a":') });
    assert.equal(bad.kind, 'badPayload');
    const outcome = client.runner.invoke({ n: 2 });
    const reply = await asked;
    assert.deepEqual(reply.json, { n: 2 });
    await client.post(String(reply.headers['lambda-runtime-aws-request-id']), 'response', { body: '2' });
    assert.equal((await outcome).value, 2);
  }));

test('streamed responses arrive whole, and with the error in their trailers as an error', () =>
  withClient(async (client) => {
    const streaming = {
      'Lambda-Runtime-Function-Response-Mode': 'streaming',
      'Transfer-Encoding': 'chunked',
      'Content-Type': 'application/vnd.awslambda.http-integration-response',
    };
    const good = await begin(client, {});
    const body = Buffer.concat([Buffer.from('{"statusCode":200}'), Buffer.alloc(8), Buffer.from('part one, part two')]);
    const reply = await client.post(good.id, 'response', { body, headers: streaming, trailers: {} });
    assert.equal(reply.status, 202);
    assert.ok((await good.outcome).bytes.equals(body));

    const bad = await begin(client, {});
    const failed = { errorType: 'Error', errorMessage: 'midway', stackTrace: [] };
    await client.post(bad.id, 'response', {
      body: 'begun',
      headers: { ...streaming, Trailer: 'Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body' },
      trailers: {
        'Lambda-Runtime-Function-Error-Type': 'Error',
        'Lambda-Runtime-Function-Error-Body': Buffer.from(JSON.stringify(failed)).toString('base64'),
      },
    });
    const { kind, value } = await bad.outcome;
    assert.deepEqual([kind, value], ['error', failed]);
  }));

test('an answer that breaks off is none, and can be given again', () =>
  withClient(async (client) => {
    const { id, outcome } = await begin(client, {});
    const broken = net.connect(client.port, client.host);
    broken.write(`POST ${VERSION}/invocation/${id}/response HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"hal`);
    await new Promise<void>((resolve) => broken.end(resolve));
    broken.destroy();
    assert.equal((await client.post(id, 'response', { body: '"whole"' })).status, 202);
    assert.equal((await outcome).value, 'whole');
  }));

test('init/error is the result, once, and nothing follows it', () =>
  withClient(async (client) => {
    const failed = { errorType: 'Init.Broken', errorMessage: 'no database', stackTrace: [] };
    const body = JSON.stringify(failed);
    const reply = await client.call('POST', `${VERSION}/init/error`, { body });
    assert.deepEqual([reply.status, reply.json], [202, OK]);
    const after = await client.next().catch(() => null);
    if (after !== null) assert.deepEqual([after.status, after.json.errorType], [403, 'InvalidStateTransition']);
    const outcome = await client.runner.ready;
    assert.deepEqual([outcome?.kind, outcome?.value], ['initError', failed]);
  }));

test('what a bootstrap sees of its surroundings', async () => {
  const runner = new Runner(
    '#!/bin/sh\nenv; pwd; echo "arguments $#"; ls -l /proc/self/fd | cat; echo one >/dev/stdout; echo two >/dev/stderr; exit 0\n',
  );
  await runner.ready;
  assert.doesNotMatch(runner.log, /^PERCH/m);
  assert.doesNotMatch(runner.log, /^AWS_EXECUTION_ENV/m);
  assert.match(runner.log, /^_HANDLER=function\.handler$/m);
  assert.match(runner.log, new RegExp(`^LAMBDA_TASK_ROOT=${runner.code}$`, 'm'));
  assert.match(runner.log, /^AWS_LAMBDA_RUNTIME_API=127\.0\.0\.1:\d+$/m);
  assert.ok(runner.log.includes(`\n${runner.code}\n`));
  assert.match(runner.log, /arguments 0/);
  // Its outputs can be opened by name, as on Lambda.
  assert.match(runner.log, /one\ntwo\n$/);
  // Not the channel to the agent.
  assert.doesNotMatch(runner.log, /\s[34] -> socket/);
});

test('two instances have Runtime APIs of their own', () =>
  withClient(async (one) =>
    withClient(async (two) => {
      assert.notEqual(one.port, two.port);
    }),
  ));

const isRoot = process.getuid?.() === 0;
test('another user of the machine cannot reach it', { skip: isRoot ? false : 'NEEDS ROOT' }, () =>
  withClient(async (client) => {
    const script = `import urllib.request as u\ntry:\n  print(u.urlopen('http://127.0.0.1:${client.port}/', timeout=5).status)\nexcept Exception as e: print(type(e).__name__, getattr(e, 'code', ''))`;
    const as = (uid: number): string =>
      spawnSync(PYTHON, ['-c', script], { uid, gid: uid, encoding: 'utf8', env: {} }).stdout;
    assert.match(as(0), /HTTPError 404/);
    assert.match(as(65534), /RemoteDisconnected|ConnectionResetError/);
    // An address of IPv6 that stands for one of IPv4 is the same user still.
    const mapped = script.replace('127.0.0.1', '[::ffff:127.0.0.1]');
    const reply = spawnSync(PYTHON, ['-c', mapped], { encoding: 'utf8', env: {} }).stdout;
    assert.match(reply, /HTTPError 404/);
  }),
);
