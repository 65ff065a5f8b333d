/**
 * What one function does to itself costs itself: its caller gets Lambda's error, its core serves the next invocation,
 * and a neighbour that is called all the while notices nothing.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { instancesOf } from '../lib/instances.ts';
import { startTestPlatform, type TestPlatform } from '../lib/platform.ts';
import { makeZip } from '../lib/zip.ts';

const sandboxed = process.getuid?.() === 0;
const skip = sandboxed ? false : 'SKIPPED: needs root, for instances with limits of their own';

let platform: TestPlatform;
before(async () => {
  platform = await startTestPlatform(sandboxed ? {} : { args: ['--sandbox', 'none'] });
  await deploy('neighbour', 'let n = 0; export const handler = async () => ++n');
});
after(() => platform.stop());

interface Answer {
  status: number;
  functionError: string | null;
  value: any;
  core: string | null;
  start: string | null;
  tail: string;
}

async function deploy(name: string, source: string, more: Record<string, unknown> = {}): Promise<void> {
  const zip = await makeZip({ 'index.mjs': source });
  const response = await fetch(`${platform.url}/2015-03-31/functions`, {
    method: 'POST',
    body: JSON.stringify({
      FunctionName: name,
      Runtime: 'nodejs24.x',
      Handler: 'index.handler',
      Role: 'arn:aws:iam::000000000000:role/test',
      Code: { ZipFile: zip.toString('base64') },
      ...more,
    }),
  });
  assert.equal(response.status, 201, await response.text());
}

async function invoke(name: string, event: unknown = {}): Promise<Answer> {
  const response = await fetch(`${platform.url}/2015-03-31/functions/${name}/invocations`, {
    method: 'POST',
    body: JSON.stringify(event),
    headers: { 'X-Amz-Log-Type': 'Tail' },
  });
  const text = await response.text();
  return {
    status: response.status,
    functionError: response.headers.get('x-amz-function-error'),
    value: JSON.parse(text),
    core: response.headers.get('x-perch-core'),
    start: response.headers.get('x-perch-start'),
    tail: Buffer.from(response.headers.get('x-amz-log-result') ?? '', 'base64').toString(),
  };
}

/** Calls the neighbour until told to stop; it must answer each time, and from the one instance it has. */
function watchNeighbour(): () => Promise<void> {
  let running = true;
  const watching = (async () => {
    let last = 0;
    for (; running; await new Promise((resolve) => setTimeout(resolve, 20))) {
      const { functionError, value } = await invoke('neighbour');
      assert.equal(functionError, null);
      assert.ok(value > last || last === 0, 'the neighbour lost its instance');
      last = value;
    }
  })();
  return async () => {
    running = false;
    await watching;
  };
}

interface Fault {
  readonly what: string;
  readonly source: string;
  readonly settings?: Record<string, unknown>;
  readonly errorType: string;
  readonly message: RegExp;
  readonly needsRoot?: boolean;
}

const FAULTS: readonly Fault[] = [
  {
    what: 'process.exit',
    source: 'process.exit(3)',
    errorType: 'Runtime.ExitError',
    message: /Runtime exited with error: exit status 3$/,
  },
  {
    what: 'process.exit(0)',
    source: 'process.exit(0)',
    errorType: 'Runtime.ExitError',
    message: /Runtime exited without providing a reason$/,
  },
  {
    what: 'a signal to itself',
    source: 'process.kill(process.pid, "SIGKILL"); await new Promise(() => setInterval(() => {}, 1e6))',
    errorType: 'Runtime.ExitError',
    message: /signal: (killed|SIGKILL)$/i,
  },
  { what: 'abort', source: 'process.abort()', errorType: 'Runtime.ExitError', message: /signal: /i },
  {
    what: 'an endless loop',
    source: 'for (;;);',
    settings: { Timeout: 1 },
    errorType: 'Sandbox.Timedout',
    message: /Task timed out after 1\.00 seconds$/,
  },
  {
    what: 'a wait beyond the timeout',
    source: 'await new Promise((resolve) => setTimeout(resolve, 60_000))',
    settings: { Timeout: 1 },
    errorType: 'Sandbox.Timedout',
    message: /Task timed out after 1\.00 seconds$/,
  },
  {
    what: 'out of memory in buffers',
    source: 'const all = []; for (;;) all.push(Buffer.alloc(1 << 20, 1))',
    errorType: 'Runtime.OutOfMemory',
    message: /signal: killed$/,
    settings: { Timeout: 20 },
    needsRoot: true,
  },
  {
    what: 'out of memory in the heap',
    source: 'const all = []; for (;;) all.push(new Array(1000).fill(Math.random()))',
    errorType: 'Runtime.',
    message: /Runtime exited/,
    settings: { Timeout: 20 },
  },
  {
    what: 'an unhandled rejection',
    source: 'Promise.reject(new Error("lost")); await new Promise((resolve) => setTimeout(resolve, 100))',
    errorType: 'Runtime.UnhandledPromiseRejection',
    message: /lost/,
  },
  {
    what: 'an uncaught exception',
    source:
      'setTimeout(() => { throw new TypeError("late") }); await new Promise((resolve) => setTimeout(resolve, 100))',
    errorType: 'TypeError',
    message: /late/,
  },
  {
    what: 'a fork bomb',
    source:
      'const { spawn } = await import("node:child_process"); for (;;) { try { spawn("/bin/sh", ["-c", "while :; do sleep 1 & done"]).on("error", () => {}) } catch {} await new Promise((r) => setTimeout(r, 5)) }',
    settings: { Timeout: 2 },
    errorType: 'Sandbox.Timedout',
    message: /timed out/,
    needsRoot: true,
  },
  {
    what: 'garbage on the channel',
    source:
      '(await import("node:fs")).writeSync(4, Buffer.alloc(64, 7)); await new Promise((resolve) => setTimeout(resolve, 500))',
    errorType: 'Runtime.InvalidProtocol',
    message: /protocol/,
  },
  {
    what: 'a forged answer with another sequence',
    source:
      'const f = Buffer.alloc(20); f.writeUInt32LE(4, 0); f[4] = 18; f.writeUInt32LE(12345, 8); f.write("true", 16); (await import("node:fs")).writeSync(4, f); await new Promise((resolve) => setTimeout(resolve, 500))',
    errorType: 'Runtime.InvalidProtocol',
    message: /protocol/,
  },
  {
    what: 'the channel closed',
    source: '(await import("node:fs")).closeSync(4); await new Promise((resolve) => setTimeout(resolve, 500))',
    settings: { Timeout: 2 },
    errorType: 'Runtime.',
    message: /./,
  },
];

for (const [index, fault] of FAULTS.entries()) {
  test(
    `${fault.what}: its caller gets the error, nobody else notices`,
    { skip: fault.needsRoot === true ? skip : false },
    async () => {
      const name = `fault-${index}`;
      const source = `export const handler = async (event) => { if (event.fine) return 'fine'; ${fault.source} }`;
      await deploy(name, source, fault.settings);
      const stop = watchNeighbour();
      const answer = await invoke(name);
      assert.equal(answer.status, 200);
      assert.equal(answer.functionError, 'Unhandled', JSON.stringify(answer.value));
      assert.ok(answer.value.errorType.startsWith(fault.errorType), JSON.stringify(answer.value));
      assert.match(answer.value.errorMessage, fault.message);
      assert.match(answer.tail, /REPORT RequestId/);
      const next = await invoke(name, { fine: true });
      assert.equal(next.value, 'fine');
      await stop();
    },
  );
}

test('megabytes of log neither stop the function nor fill the disk', async () => {
  await deploy(
    'talker',
    'export const handler = async () => { for (let i = 0; i < 300; i++) console.log("x".repeat(100_000)); return "said" }',
    { Timeout: 30 },
  );
  const stop = watchNeighbour();
  const answer = await invoke('talker');
  assert.equal(answer.value, 'said');
  await stop();
  const logs = await (await fetch(`${platform.url}/perch/v1/logs/talker?lines=5`)).text();
  assert.match(logs, /bytes of log dropped/);
  assert.ok(logs.length < 2_000_000);
});

test("a flood of what is no answer is one line of the platform's log", async () => {
  await deploy(
    'flooder',
    `import fs from 'node:fs';
    const frames = (kind) => { const one = Buffer.alloc(16); one[4] = kind; return Buffer.concat(Array(4000).fill(one)); };
    export const handler = async ({ kind }) => { for (;;) fs.writeSync(4, frames(kind)); };`,
    { Timeout: 10 },
  );
  const lineCount = (): number => platform.stderr().match(/"flooder".*broke its protocol/g)?.length ?? 0;
  for (const [index, kind] of [16, 17, 18, 99].entries()) {
    const answer = await invoke('flooder', { kind });
    assert.equal(answer.value.errorType, 'Runtime.InvalidProtocol');
    assert.equal(lineCount(), index + 1);
  }
});

test('an instance killed from outside costs its one invocation, and its core serves the next', { skip }, async () => {
  await deploy(
    'victim',
    'export const handler = async (event) => { await new Promise((r) => setTimeout(r, event.ms ?? 0)); return process.pid }',
    { Timeout: 20 },
  );
  await invoke('victim');
  const pending = invoke('victim', { ms: 5000 });
  await new Promise((resolve) => setTimeout(resolve, 200));
  const core = (await cores()).find((each) => each.functionName.startsWith('victim'))!.core;
  for (const id of instancesOf(platform.pid, 'event.ms')) process.kill(id, 'SIGKILL');
  const answer = await pending;
  assert.equal(answer.functionError, 'Unhandled');
  assert.equal(answer.value.errorType, 'Runtime.ExitError');
  const again = await Promise.all(Array.from({ length: 8 }, () => invoke('victim')));
  assert.ok(again.every((each) => each.functionError === null));
  const state = (await cores()).find((each) => each.core === core)!.state;
  assert.equal(state, 'idle');
  assert.ok(
    again.some((each) => each.core === String(core)),
    'the core never served again',
  );
});

interface Core {
  core: number;
  state: string;
  functionName: string;
}

async function cores(): Promise<Core[]> {
  const answer = (await (await fetch(`${platform.url}/perch/v1/cores`)).json()) as { cores: Core[] };
  return answer.cores;
}
