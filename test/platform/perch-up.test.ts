/** What a whole platform does under load, under change, and at its end: `perch up` and real instances. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startTestPlatform, type TestPlatform, type TestPlatformOptions } from '../lib/platform.ts';
import { makeZip } from '../lib/zip.ts';

const SANDBOX: readonly string[] = process.getuid?.() === 0 ? [] : ['--sandbox', 'none'];
/** One core, which who sleeps holds too, and memory for two instances of the smallest size. */
const SMALL: readonly string[] = [...SANDBOX, '--cores', '0', '--memory', '256', '--sharing', 'dedicated'];
const REQUEST_QUEUE_MAX = 1024;

const FUNCTIONS = '/2015-03-31/functions';
const SLEEPER = (says: string): string =>
  `export const handler = async (event) => { await new Promise((r) => setTimeout(r, event.ms ?? 0)); return ${JSON.stringify(says)}; }`;

interface Answer {
  readonly status: number;
  readonly functionError: string | null;
  readonly start: string | null;
  readonly value: any;
}

class Client {
  readonly #url: string;

  constructor(platform: TestPlatform) {
    this.#url = platform.url;
  }

  async request(method: string, suffix: string, body?: unknown): Promise<Response> {
    return fetch(this.#url + suffix, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  }

  async deploy(name: string, source: string, more: Record<string, unknown> = {}): Promise<void> {
    const zip = await makeZip({ 'index.mjs': source });
    const response = await this.request('POST', FUNCTIONS, {
      FunctionName: name,
      Runtime: 'nodejs24.x',
      Handler: 'index.handler',
      Role: 'arn:aws:iam::000000000000:role/test',
      Code: { ZipFile: zip.toString('base64') },
      Timeout: 60,
      ...more,
    });
    assert.equal(response.status, 201, await response.text());
  }

  async update(name: string, source: string): Promise<void> {
    const zip = await makeZip({ 'index.mjs': source });
    const response = await this.request('PUT', `${FUNCTIONS}/${name}/code`, { ZipFile: zip.toString('base64') });
    assert.equal(response.status, 200, await response.text());
  }

  async invoke(name: string, event: unknown = {}): Promise<Answer> {
    const response = await this.request('POST', `${FUNCTIONS}/${name}/invocations`, event);
    return {
      status: response.status,
      functionError: response.headers.get('x-amz-function-error'),
      start: response.headers.get('x-perch-start'),
      value: await response.json(),
    };
  }

  async event(name: string, event: unknown): Promise<void> {
    const response = await fetch(`${this.#url}${FUNCTIONS}/${name}/invocations`, {
      method: 'POST',
      headers: { 'X-Amz-Invocation-Type': 'Event' },
      body: JSON.stringify(event),
    });
    assert.equal(response.status, 202, await response.text());
  }

  async metric(name: string): Promise<number> {
    const text = await (await this.request('GET', '/metrics')).text();
    return Number(new RegExp(`^${name.replaceAll(/[{}"]/g, '\\$&')} (\\S+)$`, 'm').exec(text)?.[1] ?? NaN);
  }
}

async function until(
  what: string,
  condition: () => Promise<boolean>,
  seen: () => Promise<string> = async () => '',
): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`it never came that ${what} ${await seen()}`);
}

/** Has the one core; `running` is what it comes to, which is not yet. */
async function untilItRuns(caller: Client, running: Promise<Answer | null>): Promise<void> {
  let early: Answer | null | undefined;
  void running.then(
    (answer) => (early = answer),
    () => (early = null),
  );
  const runs = async (): Promise<boolean> => {
    assert.equal(early, undefined, `it ended before it was seen to run: ${JSON.stringify(early)}`);
    return (await caller.metric(LEASED)) === 1;
  };
  await until('it runs', runs, async () => (await caller.request('GET', '/metrics')).text());
}

async function startSmall(options: TestPlatformOptions = {}): Promise<{ platform: TestPlatform; client: Client }> {
  const platform = await startTestPlatform({ args: SMALL, ...options });
  return { platform, client: new Client(platform) };
}

const LEASED = 'perch_cores{state="leased"}';
const WAITING = 'perch_queue_length';

let platform: TestPlatform;
let client: Client;
before(async () => {
  ({ platform, client } = await startSmall());
  await client.deploy('sleeper', SLEEPER('slept'));
});
after(() => platform.stop());

test('reserved concurrency of 0 and 1', async () => {
  await client.deploy('reserved', SLEEPER('ran'));
  const reserve = async (count: number): Promise<void> => {
    const response = await client.request('PUT', '/2017-10-31/functions/reserved/concurrency', {
      ReservedConcurrentExecutions: count,
    });
    assert.equal(response.status, 200, await response.text());
  };
  await reserve(0);
  const none = await client.invoke('reserved');
  assert.equal(none.status, 429);
  assert.equal(none.value.Reason, 'ReservedFunctionConcurrentInvocationLimitExceeded');
  await reserve(1);
  const first = client.invoke('reserved', { ms: 1500 });
  await untilItRuns(client, first);
  assert.equal((await client.invoke('reserved')).status, 429);
  assert.equal((await first).value, 'ran');
  assert.equal((await client.invoke('reserved')).value, 'ran');
});

test('instances and zygotes share the memory: something goes for each that comes, and nobody waits for ever', async () => {
  for (const name of ['one', 'two', 'three']) await client.deploy(name, SLEEPER(name), { MemorySize: 128 });
  await client.deploy('whole', SLEEPER('whole'), { MemorySize: 256 });
  await client.deploy('giant', SLEEPER('giant'), { MemorySize: 257 });
  assert.equal((await client.invoke('one')).start, 'cold');
  // No cell had waited for it, so one takes the place of what is worth less than it, once, and that may be this instance.
  const starts: string[] = [];
  while (starts.length < 5 || starts.slice(-5).includes('cold')) {
    starts.push((await client.invoke('one')).start!);
    assert.ok(starts.length < 20, `it stays: ${starts.join(' ')}`);
  }
  assert.equal((await client.invoke('two')).start, 'cold');
  assert.equal((await client.invoke('three')).start, 'cold');
  assert.equal((await client.invoke('whole')).start, 'cold', 'it takes all the memory there is');
  assert.equal((await client.invoke('one')).start, 'cold');
  assert.equal((await client.invoke('giant')).status, 400);
  const names = Array.from({ length: 40 }, (_, index) => ['one', 'two', 'three', 'whole'][index % 4]!);
  const answers = await Promise.all(names.map((name) => client.invoke(name)));
  assert.deepEqual(
    answers.map((answer) => answer.value),
    names,
  );
});

test('new code while the old one runs: each invocation has the code that it was accepted for', async () => {
  await client.deploy('changing', SLEEPER('old'));
  const running = client.invoke('changing', { ms: 1500 });
  await untilItRuns(client, running);
  const waiting = client.invoke('changing');
  await until('one waits', async () => (await client.metric(WAITING)) === 1);
  await client.update('changing', SLEEPER('new'));
  const later = client.invoke('changing');
  assert.equal((await running).value, 'old');
  assert.equal((await waiting).value, 'old');
  assert.equal((await later).value, 'new');
  assert.equal((await client.invoke('changing')).value, 'new');
});

test('deleted while it runs: what was accepted is answered, and then it is gone', async () => {
  await client.deploy('doomed', SLEEPER('still here'));
  const running = client.invoke('doomed', { ms: 1500 });
  await untilItRuns(client, running);
  const waiting = client.invoke('doomed');
  await until('one waits', async () => (await client.metric(WAITING)) === 1);
  assert.equal((await client.request('DELETE', `${FUNCTIONS}/doomed`)).status, 204);
  assert.equal((await client.invoke('doomed')).status, 404);
  assert.equal((await running).value, 'still here');
  assert.equal((await waiting).value, 'still here');
  await client.deploy('doomed', SLEEPER('another'));
  assert.equal((await client.invoke('doomed')).value, 'another');
});

test('who went away while waiting is not run', async () => {
  const running = client.invoke('sleeper', { ms: 1500 });
  await untilItRuns(client, running);
  const leaving = new AbortController();
  const left = fetch(`${platform.url}${FUNCTIONS}/sleeper/invocations`, { method: 'POST', signal: leaving.signal });
  await until('one waits', async () => (await client.metric(WAITING)) === 1);
  const before = await client.metric('perch_invocation_starts_total{start="warm"}');
  leaving.abort();
  await assert.rejects(left);
  await until('nobody waits', async () => (await client.metric(WAITING)) === 0);
  assert.equal((await running).value, 'slept');
  const runs = (await client.metric('perch_invocation_starts_total{start="warm"}')) - before;
  assert.ok(runs <= 1, `${runs} ran`);
});

test('asked to stop, it finishes what runs and what waits, and exits with 0', async (t) => {
  const { platform: stopping, client: caller } = await startSmall();
  t.after(() => stopping.stop('SIGKILL'));
  await caller.deploy('sleeper', SLEEPER('slept'));
  const running = caller.invoke('sleeper', { ms: 2000 });
  await untilItRuns(caller, running);
  const waiting = [1, 2, 3].map(() => caller.invoke('sleeper', { ms: 100 }));
  await until('three wait', async () => (await caller.metric(WAITING)) === 3);
  const stopped = stopping.stop();
  assert.equal((await running).value, 'slept');
  for (const answer of await Promise.all(waiting)) assert.equal(answer.value, 'slept');
  assert.equal(await stopped, 0, stopping.stderr());
});

// Each has a platform of its own, and most of their time is a platform's patience with a function that does not end.
describe('at a stop', { concurrency: true }, () => {
  test('a full queue refuses, and at a stop every caller has an answer although a function does not end', async (t) => {
    // Without the sandbox, since the owner of each of a thousand connections is looked up with it, which takes its time.
    const { platform: stopping, client: caller } = await startSmall({
      args: ['--sandbox', 'none', '--cores', '0', '--sharing', 'dedicated'],
    });
    t.after(() => stopping.stop('SIGKILL'));
    await caller.deploy('sleeper', SLEEPER('slept'));
    const running = caller.invoke('sleeper', { ms: 60_000 });
    await untilItRuns(caller, running);
    const surplus = 20;
    const others = Array.from({ length: REQUEST_QUEUE_MAX + surplus }, () => caller.invoke('sleeper'));
    const counts = async (): Promise<number[]> => [
      await caller.metric(WAITING),
      await caller.metric('perch_invocations_refused_total{reason="queue-full"}'),
    ];
    await until('all are there', async () => (await counts()).join() === `${REQUEST_QUEUE_MAX},${surplus}`);
    const stopped = stopping.stop();
    const cut = await running;
    assert.equal(cut.functionError, 'Unhandled');
    assert.equal(cut.value.errorType, 'Runtime.ExitError');
    const answers = await Promise.all(others);
    const refused = answers.filter((answer) => answer.status === 429);
    assert.equal(refused.length, surplus);
    assert.ok(refused.every((answer) => answer.value.Reason === 'ConcurrentInvocationLimitExceeded'));
    assert.equal(answers.filter((answer) => answer.status === 503).length, REQUEST_QUEUE_MAX);
    assert.equal(await stopped, 0, stopping.stderr());
  });

  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    test(`asynchronous invocations accepted before a ${signal} run after the next start`, async (t) => {
      const dataDir = mkdtempSync(path.join(tmpdir(), 'perch-test-'));
      const started: TestPlatform[] = [];
      t.after(async () => {
        for (const each of started) await each.stop('SIGKILL');
        rmSync(dataDir, { recursive: true, force: true });
      });
      const { platform: first, client: caller } = await startSmall({ dataDir });
      started.push(first);
      const source = `export const handler = async ({ n }) => { await new Promise((r) => setTimeout(r, 400)); console.log('done ' + n + '.'); }`;
      await caller.deploy('worker', source);
      await caller.deploy('sleeper', SLEEPER('slept'));
      // The one core is busy for longer than the platform waits at its end.
      const busy = caller.invoke('sleeper', { ms: 30_000 }).catch(() => null);
      await untilItRuns(caller, busy);
      const numbers = Array.from({ length: 8 }, (_, index) => index);
      await Promise.all(numbers.map((n) => caller.event('worker', { n })));
      await first.stop(signal);
      await busy;
      const { platform: second, client: again } = await startSmall({ dataDir });
      started.push(second);
      const logs = async (): Promise<string> => (await again.request('GET', '/perch/v1/logs/worker?lines=1000')).text();
      await until('all have run', async () => {
        const text = await logs();
        return numbers.every((n) => text.includes(`done ${n}.`));
      });
      await until('the queue is empty', async () => (await again.metric('perch_async_queue_length')) === 0);
      assert.equal(await second.stop(), 0, second.stderr());
    });
  }
});
