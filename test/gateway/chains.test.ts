/** Chains over HTTP, with real functions: what each step is fed, how a chain ends, what is kept, and who is told what. */
import assert from 'node:assert/strict';
import http from 'node:http';
import test, { after, before } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startTestPlatform, type TestPlatform } from '../lib/platform.ts';
import { Functions, until } from '../lib/functions.ts';

const CHAINS = '/perch/v1/chains';

let platform: TestPlatform;
const functions = new Functions({
  get url() {
    return platform.url;
  },
});

const SOURCES: Readonly<Record<string, string>> = {
  add: `export const handler = async (n, context) => { console.log('add', n, context.awsRequestId); return n + 1; };`,
  double: `export const handler = async (n) => n * 2;`,
  fail: `export const handler = async (n) => { throw new RangeError('no ' + n); };`,
  slow: `export const handler = async ({ ms, ...rest }) => { await new Promise((done) => setTimeout(done, ms)); return { ms, ...rest }; };`,
  id: `export const handler = async (ids, context) => [...ids, context.awsRequestId];`,
  big: `export const handler = async () => 'x'.repeat(6291500);`,
  text: `export const handler = async (value) => typeof value;`,
  once: `let count = 0; export const handler = async () => { if (count++ === 0) throw new Error('at first'); return count; };`,
};

before(async () => {
  platform = await startTestPlatform();
  for (const [name, source] of Object.entries(SOURCES))
    await functions.deploy(name, { files: { 'index.mjs': source }, more: { Timeout: 20 } });
});

after(async () => {
  await platform?.stop();
});

async function create(name: string, steps: readonly string[]): Promise<void> {
  await functions.json('POST', CHAINS, { name, steps });
}

function invoke(name: string, payload: unknown, headers: Record<string, string> = {}): Promise<Response> {
  const body = payload === undefined ? '' : JSON.stringify(payload);
  return fetch(`${platform.url}${CHAINS}/${name}/invocations`, { method: 'POST', body, headers });
}

async function metric(line: string): Promise<number> {
  const text = await (await fetch(`${platform.url}/metrics`)).text();
  const found = text.split('\n').find((each) => each.startsWith(`${line} `));
  return Number(found?.slice(line.length + 1) ?? 0);
}

test('each step is fed what the one before returned', async () => {
  await create('sum', ['add', 'double', 'add:$LATEST', 'arn:aws:lambda:us-east-1:000000000000:function:double']);
  const answer = await invoke('sum', 1, { 'X-Amz-Log-Type': 'Tail' });
  assert.equal(await answer.text(), '10');
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get('content-type'), 'application/json');
  assert.equal(answer.headers.get('x-amz-executed-version'), '$LATEST');
  assert.equal(answer.headers.get('x-amz-function-error'), null);
  assert.deepEqual([answer.headers.get('x-perch-step'), answer.headers.get('x-perch-step-number')], ['double', '4']);
  for (const name of ['x-perch-steps-between-us', 'x-perch-steps-run-us'])
    assert.match(answer.headers.get(name) ?? '', /^\d+(, \d+){3}$/);
  const tail = Buffer.from(answer.headers.get('x-amz-log-result') ?? '', 'base64').toString();
  assert.match(tail, /^START[\s\S]*REPORT/);
  assert.equal((await invoke('sum', 1)).headers.get('x-amz-log-result'), null);
});

test('a step has a request id of its own, the first that of the chain', async () => {
  await create('ids', ['id', 'id', 'id']);
  const answer = await invoke('ids', []);
  const ids = (await answer.json()) as string[];
  assert.equal(ids[0], answer.headers.get('x-amzn-requestid'));
  assert.equal(new Set(ids).size, 3);
  for (const id of ids) assert.equal(id.slice(0, -2), ids[0]!.slice(0, -2));
});

test('an error in the middle ends the chain with the error of that function', async () => {
  await create('broken', ['add', 'fail', 'double']);
  const steps = await metric('perch_chain_steps_total');
  const answer = await invoke('broken', 1);
  const error = (await answer.json()) as Record<string, unknown>;
  assert.deepEqual([error['errorType'], error['errorMessage']], ['RangeError', 'no 2']);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get('x-amz-function-error'), 'Unhandled');
  assert.deepEqual([answer.headers.get('x-perch-step'), answer.headers.get('x-perch-step-number')], ['fail', '2']);
  assert.equal(await metric('perch_chain_steps_total'), steps + 2);
});

test('a refusal of a step is that of the chain, and names the step', async () => {
  await create('refused', ['add', 'double']);
  await functions.json('PUT', '/2017-10-31/functions/double/concurrency', { ReservedConcurrentExecutions: 0 });
  const answer = await invoke('refused', 1);
  await functions.request('DELETE', '/2017-10-31/functions/double/concurrency');
  assert.equal(answer.status, 429);
  assert.equal(answer.headers.get('x-amzn-errortype'), 'TooManyRequestsException');
  assert.equal(answer.headers.get('x-perch-step'), 'double');
  const { message, Reason } = (await answer.json()) as { message: string; Reason: string };
  assert.match(message, /^Step 2 of chain 'refused' \(double\): /);
  assert.equal(Reason, 'ReservedFunctionConcurrentInvocationLimitExceeded');
});

test('payloads are checked as those of invocations, and between steps', async () => {
  await create('checked', ['text']);
  const url = `${platform.url}${CHAINS}/checked/invocations`;
  assert.equal(await (await fetch(url, { method: 'POST' })).text(), '"object"');
  const send = async (body: string, headers: Record<string, string> = {}): Promise<string> => {
    const answer = await fetch(url, { method: 'POST', body, headers });
    await answer.text();
    return `${answer.status} ${answer.headers.get('x-amzn-errortype')}`;
  };
  assert.equal(await send('{'), '400 InvalidRequestContentException');
  assert.equal(await send(`"${'x'.repeat(6291456)}"`), '413 RequestTooLargeException');
  const event = { 'X-Amz-Invocation-Type': 'Event' };
  assert.equal(await send(`"${'x'.repeat(1024 * 1024)}"`, event), '413 RequestTooLargeException');
  assert.equal(await send('1', { 'X-Amz-Invocation-Type': 'Later' }), '400 ValidationException');
  assert.equal(await send('1', { 'X-Amz-Invocation-Type': 'DryRun' }), '204 null');
  await create('too-big', ['big', 'text']);
  const answer = await invoke('too-big', 1);
  assert.equal(answer.status, 413);
  const { message } = (await answer.json()) as { message: string };
  assert.match(message, /The output of step 1 of chain 'too-big' \(big\) has 6291502 bytes/);
  assert.match(message, /^Step 2 of chain 'too-big' \(text\): /);
  assert.equal(answer.headers.get('x-perch-step'), 'text');
});

test('chains are made, listed, changed and deleted', async () => {
  await functions.json('POST', '/2015-03-31/functions/add/versions', {});
  const created = await functions.json('POST', CHAINS, { name: 'one', steps: ['add:1', 'double'] });
  assert.deepEqual([created.name, created.steps], ['one', ['add:1', 'double']]);
  const { sleepPlans, ...shown } = await functions.json('GET', `${CHAINS}/one`);
  assert.deepEqual(shown, created);
  assert.deepEqual(
    sleepPlans.map(({ before, next }: { before: unknown; next: unknown }) => [before, next]),
    [
      [null, 1],
      [{ kind: 'output', steps: [0], mayWait: false }, null],
    ],
  );
  const refused = async (method: string, suffix: string, body?: unknown): Promise<string> => {
    const answer = await functions.request(method, CHAINS + suffix, body);
    const { message, Message } = (await answer.json()) as { message?: string; Message?: string };
    return `${answer.status} ${message ?? Message}`;
  };
  assert.match(await refused('POST', '', { name: 'one', steps: ['add'] }), /^409 Chain already exists: one$/);
  assert.match(await refused('POST', '', { name: 'two', steps: ['add', 'nowhere'] }), /^404 Step 2 .*'nowhere'/);
  assert.match(await refused('POST', '', { name: 'two', steps: ['add:9'] }), /^404 Step 1 .*'add:9'/);
  assert.match(await refused('POST', '', { name: 'two', steps: ['a b'] }), /^400 Step 1: .*functionName/);
  assert.match(await refused('POST', '', { name: 'two', steps: [] }), /^400 .*greater than or equal to 1/);
  assert.match(await refused('POST', '', { name: 'a:b', steps: ['add'] }), /^400 .*pattern/);
  const many = Array.from({ length: 33 }, () => 'add');
  assert.match(await refused('POST', '', { name: 'two', steps: many }), /^400 .*less than or equal to 32/);
  assert.match(await refused('PUT', '/two', { steps: ['add'] }), /^404 Chain not found: two/);
  assert.match(await refused('GET', '/two'), /^404 Chain not found: two/);
  assert.match(await refused('DELETE', '/two'), /^404 Chain not found: two/);
  assert.equal((await invoke('two', 1)).status, 404);

  const changed = await functions.json('PUT', `${CHAINS}/one`, { steps: ['double', 'double'] });
  assert.deepEqual(changed.steps, ['double', 'double']);
  assert.equal(changed.created, created.created);
  assert.equal(await (await invoke('one', 3)).text(), '12');
  const names: string[] = [];
  for (let marker: string | null = ''; marker !== null;) {
    const query: string = marker === '' ? '' : `&marker=${marker}`;
    const page = await functions.json('GET', `${CHAINS}?max=2${query}`);
    names.push(...page.chains.map((each: { name: string }) => each.name));
    marker = page.nextMarker;
  }
  assert.ok(names.includes('one'));
  assert.deepEqual(names, names.toSorted());
  assert.equal((await functions.request('DELETE', `${CHAINS}/one`)).status, 204);
  assert.equal((await functions.request('GET', `${CHAINS}/one`)).status, 404);
});

test('a step that is deleted later is named, and nothing of the chain runs', async () => {
  await functions.deploy('passing', { files: { 'index.mjs': SOURCES['double']! } });
  await create('holed', ['add', 'passing']);
  await functions.request('DELETE', '/2015-03-31/functions/passing');
  const steps = await metric('perch_chain_steps_total');
  const answer = await invoke('holed', 1);
  assert.equal(answer.status, 404);
  assert.match(await answer.text(), /Step 2 of chain 'holed' is 'passing'/);
  const stepOf = ({ headers }: Response): unknown => [headers.get('x-perch-step'), headers.get('x-perch-step-number')];
  assert.deepEqual(stepOf(answer), ['passing', '2']);
  const dropped = await metric('perch_async_dropped_total{reason="function-deleted"}');
  for (const type of ['DryRun', 'Event']) {
    const same = await invoke('holed', 1, { 'X-Amz-Invocation-Type': type });
    assert.equal(same.status, 404, type);
    assert.match(await same.text(), /Step 2 of chain 'holed' is 'passing'/);
    assert.deepEqual(stepOf(same), ['passing', '2'], type);
  }
  assert.equal(await metric('perch_async_dropped_total{reason="function-deleted"}'), dropped);
  assert.equal(await metric('perch_chain_steps_total'), steps);
});

test('an asynchronous chain is kept, runs, and goes on where it was put back', async () => {
  await create('later', ['add', 'double', 'add']);
  const before = await metric('perch_chain_invocations_total{outcome="response"}');
  const answer = await invoke('later', 1, { 'X-Amz-Invocation-Type': 'Event' });
  assert.equal(answer.status, 202);
  assert.equal(await answer.text(), '');
  await until('an answer', async () => (await metric('perch_chain_invocations_total{outcome="response"}')) > before);
  await until('an empty queue', async () => (await metric('perch_async_queue_length')) === 0);

  // The second step is refused for a while; what the first did is not done again.
  const reserve = '/2017-10-31/functions/double/concurrency';
  await functions.json('PUT', reserve, { ReservedConcurrentExecutions: 0 });
  const steps = await metric('perch_chain_steps_total');
  await invoke('later', 5, { 'X-Amz-Invocation-Type': 'Event' });
  await until('a refusal', async () => (await metric('perch_async_retries_total{reason="refused"}')) > 0);
  assert.equal(await metric('perch_chain_steps_total'), steps + 1);
  await functions.request('DELETE', reserve);
  await until('an empty queue', async () => (await metric('perch_async_queue_length')) === 0);
  assert.equal(await metric('perch_chain_steps_total'), steps + 3);
  const log = await (await functions.request('GET', '/perch/v1/logs/add?lines=50')).text();
  assert.match(log, /add 12 /);
});

test('an asynchronous chain whose next function is deleted while it runs is given up at once', async () => {
  await functions.deploy('fleeting', { files: { 'index.mjs': SOURCES['double']! } });
  await create('fading', ['slow', 'fleeting']);
  const dropped = await metric('perch_async_dropped_total{reason="function-deleted"}');
  const retries = await metric('perch_async_retries_total{reason="refused"}');
  const steps = await metric('perch_chain_steps_total');
  const leased = (): Promise<number> => metric('perch_cores{state="leased"}');
  await until('idle cores', async () => (await leased()) === 0);
  assert.equal((await invoke('fading', { ms: 2000 }, { 'X-Amz-Invocation-Type': 'Event' })).status, 202);
  await until('the first step', async () => (await leased()) > 0);
  await functions.request('DELETE', '/2015-03-31/functions/fleeting');
  await until('an empty queue', async () => (await metric('perch_async_queue_length')) === 0);
  assert.equal(await metric('perch_chain_steps_total'), steps + 1);
  assert.equal(await metric('perch_async_dropped_total{reason="function-deleted"}'), dropped + 1);
  assert.equal(await metric('perch_async_retries_total{reason="refused"}'), retries);
});

test('a client that goes away ends a chain after the step that runs', async () => {
  await create('left', ['slow', 'slow', 'slow']);
  const steps = await metric('perch_chain_steps_total');
  const withdrawn = await metric('perch_chain_invocations_total{outcome="withdrawn"}');
  const url = `${platform.url}${CHAINS}/left/invocations`;
  const request = http.request(url, { method: 'POST', agent: false });
  request.on('error', () => {});
  request.end('{"ms":400}');
  await sleep(200);
  request.destroy();
  const outcome = 'perch_chain_invocations_total{outcome="withdrawn"}';
  await until('a withdrawal', async () => (await metric(outcome)) === withdrawn + 1);
  await until('the end of a step', async () => (await metric('perch_chain_steps_total')) === steps + 1);
  await sleep(600);
  assert.equal(await metric('perch_chain_steps_total'), steps + 1);
});
