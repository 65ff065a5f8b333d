/** Who may talk to the gateway: real platforms, real clients, right and wrong keys, and the platform's own functions. */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { after, before, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import * as sdk from '@aws-sdk/client-lambda';
import { sign } from '../../src/gateway/sigv4.ts';
import { startTestPlatform } from '../lib/platform.ts';
import type { TestPlatform } from '../lib/platform.ts';
import { creation } from './bad-input.ts';

const KEY = { accessKeyId: 'AKPERCHTEST', secretAccessKey: 'c0rrect/horse+battery' };
const WRONG = { ...KEY, secretAccessKey: 'wrong' };
const STRANGER = { ...KEY, accessKeyId: 'AKSTRANGER' };

let locked: TestPlatform;
let folder: string;
let keyArgs: readonly string[];

before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'perch-access-'));
  const file = path.join(folder, 'keys');
  writeFileSync(file, `${KEY.accessKeyId} ${KEY.secretAccessKey}\n`, { mode: 0o600 });
  keyArgs = ['--keys', file];
  locked = await startTestPlatform({ args: keyArgs });
});

after(async () => {
  await locked?.stop();
  rmSync(folder, { recursive: true, force: true });
});

interface SignedAs {
  readonly method?: string;
  readonly path: string;
  readonly body?: string | Buffer | undefined;
  readonly key?: typeof KEY;
}

function fetchSigned(base: string, { method = 'GET', path, body = '', key = KEY }: SignedAs): Promise<Response> {
  const url = new URL(path, base);
  const target = url.pathname + url.search;
  const headers = sign({ method, target, headers: { host: url.host } }, body, key, {
    region: 'us-east-1',
    nowMs: Date.now(),
  });
  return fetch(url, { method, headers, ...(method === 'GET' ? {} : { body: body as string }) });
}

test('with keys, everything but the health check asks for a signature', async () => {
  for (const path of [
    '/2015-03-31/functions',
    '/metrics',
    '/perch/v1/info',
    '/perch/v1/cores',
    '/nowhere',
    '/2015-03-31/functions/x',
  ]) {
    const response = await fetch(new URL(path, locked.url));
    assert.equal(response.status, 403, path);
    assert.equal(response.headers.get('x-amzn-errortype'), 'MissingAuthenticationTokenException');
    await response.text();
    assert.notEqual((await fetchSigned(locked.url, { path })).status, 403, path);
  }
  assert.equal((await fetch(new URL('/healthz', locked.url))).status, 200);
});

test('our own signatures: right, wrong, and of a stranger', async () => {
  const { method, path, body } = await creation('signed');
  const as = { method: method ?? '', path, body };
  const code = async (key: typeof KEY): Promise<string | null> =>
    (await fetchSigned(locked.url, { ...as, key })).headers.get('x-amzn-errortype');
  assert.equal(await code(WRONG), 'InvalidSignatureException');
  assert.equal(await code(STRANGER), 'UnrecognizedClientException');
  assert.equal(await code(KEY), null);
  const invoke = { method: 'POST', path: '/2015-03-31/functions/signed/invocations', body: '{"a":1}' };
  assert.equal(await (await fetchSigned(locked.url, invoke)).text(), '{"a":1}');
  const wrong = await fetchSigned(locked.url, { ...invoke, key: WRONG });
  assert.equal(wrong.headers.get('x-amzn-errortype'), 'InvalidSignatureException');
});

test('who is not known learns nothing about what functions there are', async () => {
  const path = '/2015-03-31/functions/nobody/invocations';
  const answer = await fetchSigned(locked.url, { method: 'POST', path, body: '{}', key: WRONG });
  assert.equal(answer.headers.get('x-amzn-errortype'), 'InvalidSignatureException');
});

test('@aws-sdk/client-lambda with the right key, a wrong one and a strange one', async () => {
  const outcome = async (credentials: typeof KEY): Promise<string> => {
    const client = new sdk.LambdaClient({ endpoint: locked.url, region: 'eu-central-1', maxAttempts: 1, credentials });
    const payload = {
      FunctionName: 'signed',
      Payload: '{"é":"&"}',
      ClientContext: Buffer.from('{"a":1}').toString('base64'),
    };
    const sent = client.send(new sdk.InvokeCommand(payload));
    return sent.then(
      (answer) => answer.Payload?.transformToString() ?? '',
      (error: Error) => error.name,
    );
  };
  assert.equal(await outcome(KEY), '{"é":"&"}');
  assert.equal(await outcome(WRONG), 'InvalidSignatureException');
  assert.equal(await outcome(STRANGER), 'UnrecognizedClientException');
});

const BOTO3 = `
import sys, boto3
from botocore.config import Config
from botocore.exceptions import ClientError
c = boto3.client('lambda', endpoint_url=sys.argv[1], aws_access_key_id=sys.argv[2], aws_secret_access_key=sys.argv[3],
                 region_name='ap-south-1', config=Config(retries={'max_attempts': 0}))
try:
    c.tag_resource(Resource='arn:aws:lambda:us-east-1:000000000000:function:signed', Tags={"it's (a)*": 'b c'})
    c.untag_resource(Resource='arn:aws:lambda:us-east-1:000000000000:function:signed', TagKeys=["it's (a)*", 'é+/=&'])
    print(c.invoke(FunctionName='signed', Qualifier='$LATEST', Payload=b'{"a": 1}')['StatusCode'])
except ClientError as error:
    print(error.response['Error']['Code'])`;

const hasBoto3 = spawnSync('/usr/bin/python3', ['-c', 'import boto3']).status === 0;

test(
  'boto3 with the right key and a wrong one',
  { skip: hasBoto3 ? false : 'NOT TESTED: boto3 is missing (apt install python3-boto3)' },
  async () => {
    const outcome = async (key: typeof KEY): Promise<string> => {
      const { stdout } = await promisify(execFile)('/usr/bin/python3', [
        '-c',
        BOTO3,
        locked.url,
        key.accessKeyId,
        key.secretAccessKey,
      ]);
      return stdout.trim();
    };
    assert.equal(await outcome(KEY), '200');
    assert.equal(await outcome(WRONG), 'InvalidSignatureException');
  },
);

test('the address of the code carries its own right, for that version alone', async () => {
  const answer = await fetchSigned(locked.url, { path: '/2015-03-31/functions/signed' });
  const { Code } = (await answer.json()) as { Code: { Location: string } };
  const zip = await fetch(Code.Location);
  assert.equal(zip.status, 200);
  assert.equal(Buffer.from(await zip.arrayBuffer()).readUInt32LE(0), 0x04034b50);
  for (const [name, value] of [
    ['version', '1'],
    ['expires', '9999999999999'],
    ['token', 'x'],
  ] as const) {
    const url = new URL(Code.Location);
    url.searchParams.set(name, value);
    assert.equal((await fetch(url)).status, 403, name);
  }
});

test('secrets are not in the log of the platform', () => {
  assert.ok(!locked.stderr().includes(KEY.secretAccessKey));
});

test('other addresses than loopback need keys', async () => {
  await assert.rejects(startTestPlatform({ args: ['--host', '0.0.0.0'] }), /Refusing to listen on 0\.0\.0\.0.*--keys/s);
  const open = await startTestPlatform({ args: ['--host', '0.0.0.0', ...keyArgs] });
  const url = `http://127.0.0.1:${new URL(open.url).port}`;
  assert.equal((await fetch(`${url}/metrics`)).status, 403);
  assert.equal((await fetchSigned(url, { path: '/metrics' })).status, 200);
  await open.stop();
});

const SNOOP = `
export const handler = async ({ url }) => {
  const outcome = async (path, options) => fetch(url + path, options).then((answer) => answer.status, (error) => error.cause?.code ?? error.message);
  return [await outcome('/2015-03-31/functions'), await outcome('/2015-03-31/functions/snoop', { method: 'DELETE' }), await outcome('/healthz')];
};`;

const isRoot = process.getuid?.() === 0;

/** A platform with one function of a user of its own; null, and the test is skipped, where the sandbox has no such users. */
async function startWith(t: TestContext, deploy: Awaited<ReturnType<typeof creation>>): Promise<TestPlatform | null> {
  const platform = await startTestPlatform({ args: ['--allow-host-network'] });
  t.after(() => platform.stop());
  const info = (await (await fetch(`${platform.url}/perch/v1/info`)).json()) as { sandbox: string };
  if (info.sandbox !== 'bubblewrap') {
    t.skip(`NOT TESTED: the sandbox is ${info.sandbox}`);
    return null;
  }
  const { path, body } = deploy;
  assert.equal((await fetch(platform.url + path, { method: 'POST', body: body as string })).status, 201);
  return platform;
}

const CONTROL: Record<string, unknown> = {
  host: [403, 403, 403],
  outbound: ['ECONNREFUSED', 'ECONNREFUSED', 'ECONNREFUSED'],
};

for (const [network, expected] of Object.entries(CONTROL)) {
  test(
    `a function with the network ${network} does not reach the API that controls it`,
    { skip: isRoot ? false : 'NOT TESTED: functions have users of their own only where the platform is root' },
    async (t) => {
      const settings = { Timeout: 10, Environment: { Variables: { PERCH_NETWORK: network } } };
      const platform = await startWith(t, await creation('snoop', settings, SNOOP));
      if (platform === null) return;
      const answer = await fetch(`${platform.url}/2015-03-31/functions/snoop/invocations`, {
        method: 'POST',
        body: JSON.stringify({ url: platform.url }),
      });
      assert.deepEqual(await answer.json(), expected);
    },
  );
}

const HOST_NETWORK = { Environment: { Variables: { PERCH_NETWORK: 'host' } } };

/** Says nothing on its connections, so that nothing but the gateway ends them. */
const FLOOD = `
import net from 'node:net';
const one = (port, host) => new Promise((closed) => {
  let answer = '';
  const socket = net.connect(port, host).on('close', () => closed(answer)).on('error', () => {});
  socket.on('data', (chunk) => (answer += chunk)).on('end', () => socket.end());
});
export const handler = async ({ port, host, count, atOnce }) => {
  const answers = [];
  const open = async () => { while (answers.length < count) answers.push(await one(port, host)); };
  await Promise.all(Array.from({ length: atOnce }, open));
  return { ended: answers.length, told: answers.some((answer) => /^HTTP.1.1 403 .*AccessDeniedException/s.test(answer)) };
};`;

test(
  'connections of a function are ended at once, and nobody else has to wait for them',
  { skip: isRoot ? false : 'NOT TESTED: functions have users of their own only where the platform is root' },
  async (t) => {
    const platform = await startWith(t, await creation('flood', { Timeout: 30, ...HOST_NETWORK }, FLOOD));
    if (platform === null) return;
    const { hostname: host, port } = new URL(platform.url);
    let answered = false;
    const answer = fetch(`${platform.url}/2015-03-31/functions/flood/invocations`, {
      method: 'POST',
      body: JSON.stringify({ host, port: Number(port), count: 2000, atOnce: 400 }),
    }).finally(() => (answered = true));
    while (!answered) assert.equal((await fetch(`${platform.url}/healthz`)).status, 200);
    const { ended, told } = (await (await answer).json()) as { ended: number; told: boolean };
    assert.ok(ended >= 2000, `${ended} of 2000 ended`);
    assert.ok(told, 'no connection was told why');
  },
);
