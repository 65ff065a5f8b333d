/**
 * Functions that cannot be copied, on a whole platform: each is answered all the same, in reuse and in fresh, says why once
 * in its log, and `perch doctor NAME` says it too. And initialisations that fail in a zygote.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { perch } from '../cli/perch.ts';
import { type Deployment, functionsOnPlatform, type Invoked, until } from '../lib/functions.ts';
import { noBubblewrap, ROOT_ONLY } from '../worker/sandbox/harness.ts';

const skip = noBubblewrap || ROOT_ONLY;

const { functions, platform } = functionsOnPlatform(skip);

interface Uncopyable extends Deployment {
  readonly what: string;
  readonly runtime: string;
  /** Found in the reason. */
  readonly says: RegExp;
}

const HANDLER_NODE = 'let count = 0; export const handler = async (event) => ({ count: ++count, echo: event });';
const HANDLER_PYTHON = `
count = 0
def handler(event, context):
    global count
    count += 1
    return {'count': count, 'echo': event}
`;

function node(what: string, init: string, says: RegExp): Uncopyable {
  return { what, runtime: 'node', files: { 'index.mjs': `${init}\n${HANDLER_NODE}` }, says };
}

function python(what: string, init: string, says: RegExp): Uncopyable {
  return { what, runtime: 'python', files: { 'index.py': `${init}\n${HANDLER_PYTHON}` }, says };
}

const SELF_CONNECTED = `import net from 'node:net';
const server = net.createServer().listen(0, '127.0.0.1');
await new Promise((resolve) => server.on('listening', resolve));
const client = net.connect(server.address().port, '127.0.0.1');
await new Promise((resolve) => client.on('connect', resolve));`;

// oxfmt-ignore
const UNCOPYABLE: readonly Uncopyable[] = [
  node('an open socket', SELF_CONNECTED, /socket|TCP/),
  node('an interval', 'setInterval(() => {}, 1000);', /timer/),
  node('a timer that is not due soon', 'setTimeout(() => {}, 60_000);', /timer/),
  node('a file request that never ends', "import { readFile } from 'node:fs'; const again = () => readFile('/etc/passwd', again); again();", /a file request under way/),
  node('a worker thread', "import { Worker } from 'node:worker_threads'; const worker = new Worker('setInterval(() => {}, 1000)', { eval: true }); await new Promise((done) => worker.on('online', done));", /thread|MessagePort/),
  node('a file in /tmp', "import { writeFileSync } from 'node:fs'; writeFileSync('/tmp/cache', 'x');", /files left in \/tmp: cache/),
  node('a child process', "import { spawn } from 'node:child_process'; spawn('/bin/sleep', ['600']);", /child process/),
  python('a thread', 'import threading, time\nthreading.Thread(target=lambda: time.sleep(600), daemon=True).start()', /thread/),
  python('an open socket', 'import socket\nserver = socket.create_server(("127.0.0.1", 0))', /listening TCP socket/),
  python('a file in /tmp', 'open("/tmp/cache", "w").close()', /files left in \/tmp: cache/),
  python('a child process', 'import subprocess\nchild = subprocess.Popen(["/bin/sleep", "600"])', /process/),
];

/** What is gone a moment after the initialisation. */
// oxfmt-ignore
const PASSING: readonly (readonly [what: string, init: string])[] = [
  ['a timer that is due at once', 'setTimeout(() => {}, 0);'],
  ['a timer that is due soon', 'setTimeout(() => {}, 20);'],
  ['a chain of immediates', 'let left = 5; const next = () => { if (left-- > 0) setImmediate(next); }; next();'],
  ['a file that is being read', "import { readFile } from 'node:fs'; readFile('/etc/passwd', () => {});"],
  ['a file in /tmp that is being removed', "import { rm, writeFileSync } from 'node:fs'; writeFileSync('/tmp/cache', 'x'); rm('/tmp/cache', () => {});"],
  ['a connection that is refused', "import net from 'node:net'; net.connect(1, '127.0.0.1').on('error', () => {});"],
  ['a child process that ends', "import { spawn } from 'node:child_process'; spawn('/bin/true', { stdio: 'ignore' });"],
  ['bytes that are being compressed', "import { gzip } from 'node:zlib'; globalThis.done = new Promise((resolve) => gzip('x'.repeat(1e4), resolve));"],
  ['random bytes that are being drawn', "import { randomBytes } from 'node:crypto'; globalThis.done = new Promise((resolve) => randomBytes(64, resolve));"],
];

for (const [what, init] of PASSING)
  test(`node, ${what}: copied all the same`, { skip }, async () => {
    const name = `passing-${what.replaceAll(/\W+/g, '-')}`;
    const source = `${init} export const handler = async () => (await globalThis.done, 7);`;
    await functions.deploy(name, { files: { 'index.mjs': source } });
    await functions.cellsWait('node');
    assert.equal(await functions.call(name), 7);
    const { copyable, reasons } = await functions.copies(name);
    assert.deepEqual([copyable, reasons], [true, []]);
  });

async function isRefusedAndSaysSo(name: string, says: RegExp): Promise<void> {
  const { copyable, reasons } = await functions.copies(name);
  assert.equal(copyable, false);
  assert.ok(
    reasons.some((reason) => says.test(reason)),
    `${says} is not in ${JSON.stringify(reasons)}`,
  );
  const doctor = await perch(['doctor', name, '--endpoint', platform.url]);
  assert.match(doctor.stdout, /cannot be copied/, doctor.stderr);
  assert.match(doctor.stdout, says);
}

for (const [index, { what, runtime, files, says }] of UNCOPYABLE.entries())
  for (const isolation of ['reuse', 'fresh'])
    test(`${runtime}, ${isolation}, ${what}: answered by processes of its own, and said once`, { skip }, async () => {
      const name = `uncopyable-${index}-${isolation}`;
      await functions.deploy(name, { files, environment: { PERCH_ISOLATION: isolation } });
      await functions.cellsWait(runtime);
      const counts: number[] = [];
      for (let round = 0; round < 3; round++) {
        const { count, echo } = await functions.call(name, { round });
        assert.deepEqual(echo, { round });
        counts.push(count);
      }
      const both = await Promise.all([functions.call(name, { round: 3 }), functions.call(name, { round: 4 })]);
      assert.deepEqual(
        both.map(({ echo }) => echo.round),
        [3, 4],
      );
      assert.deepEqual(counts, isolation === 'reuse' ? [1, 2, 3] : [1, 1, 1]);
      await until('its log says why', async () => (await functions.logLines(name, 'cannot be copied')).length > 0);
      const lines = await functions.logLines(name, 'cannot be copied');
      assert.equal(lines.length, 1, lines.join('\n'));
      assert.match(lines[0]!, says);
      await isRefusedAndSaysSo(name, says);
    });

test('an environment variable that is read when a process begins', { skip }, async () => {
  const files = { 'index.mjs': 'export const handler = async () => [process.execArgv, process.env.NODE_OPTIONS];' };
  for (const isolation of ['reuse', 'fresh']) {
    const name = `options-${isolation}`;
    const environment = { PERCH_ISOLATION: isolation, NODE_OPTIONS: '--stack-trace-limit=7' };
    await functions.deploy(name, { files, environment });
    assert.equal((await functions.call(name))[1], '--stack-trace-limit=7');
    if (isolation === 'reuse') assert.equal((await functions.invoke(name)).start, 'warm');
    await isRefusedAndSaysSo(name, /environment variable NODE_OPTIONS is read when a process begins/);
  }
});

const GOOD_NODE = { 'index.mjs': 'export const handler = async () => 7;' };
const GOOD_PYTHON = { 'index.py': 'def handler(event, context): return 7' };

interface Failing {
  readonly what: string;
  readonly runtime: string;
  readonly files: Readonly<Record<string, string>>;
  readonly expected: Readonly<Record<string, unknown>>;
}

// oxfmt-ignore
const FAILING: readonly Failing[] = [
  { what: 'throws', runtime: 'node', files: { 'index.mjs': "console.log('init'); throw new TypeError('not today'); export const handler = 1;" },
    expected: { errorType: 'TypeError', errorMessage: 'not today' } },
  { what: 'has no such handler', runtime: 'node', files: { 'index.mjs': "console.log('init'); export const other = 1;" },
    expected: { errorType: 'Runtime.HandlerNotFound' } },
  { what: 'is not there', runtime: 'node', files: { 'other.mjs': '' }, expected: { errorType: 'Runtime.ImportModuleError' } },
  { what: 'exits', runtime: 'node', files: { 'index.mjs': "console.log('init'); process.exit(3);" }, expected: { errorType: 'Runtime.ExitError' } },
  { what: 'leaves a rejection', runtime: 'node', files: { 'index.mjs': "console.log('init'); Promise.reject(new Error('floating')); export const handler = async () => 1;" },
    expected: { errorType: 'Runtime.UnhandledPromiseRejection', errorMessage: 'floating' } },
  { what: 'throws a moment later', runtime: 'node', files: { 'index.mjs': "console.log('init'); setImmediate(() => { throw new TypeError('later') }); export const handler = async () => 1;" },
    expected: { errorType: 'TypeError', errorMessage: 'later' } },
  { what: 'breaks the runtime', runtime: 'node', files: { 'index.mjs': "console.log('init'); globalThis.process = undefined; Promise.reject(new Error('broken')); export const handler = async () => 1;" },
    expected: { errorType: 'Runtime.UnhandledPromiseRejection', errorMessage: 'broken' } },
  { what: 'raises', runtime: 'python', files: { 'index.py': "print('init')\nraise ValueError('not today')" },
    expected: { errorType: 'ValueError', errorMessage: 'not today' } },
  { what: 'has no such handler', runtime: 'python', files: { 'index.py': "print('init')" }, expected: { errorType: 'Runtime.HandlerNotFound' } },
];

for (const [index, { what, runtime, files, expected }] of FAILING.entries())
  for (const isolation of ['reuse', 'fresh'])
    test(
      `${runtime}, ${isolation}, an initialisation that ${what}: as in a process of its own, for all that wait; then tried again`,
      { skip },
      async () => {
        const name = `failing-${index}-${isolation}`;
        const plainName = `${name}-plain`;
        await functions.deploy(name, { files, environment: { PERCH_ISOLATION: isolation } });
        // The variable makes it a process of its own.
        await functions.deploy(plainName, { files, environment: { PERCH_ISOLATION: isolation, LC_TIME: 'C' } });
        await functions.cellsWait(runtime);
        const all = await Promise.all(Array.from({ length: 6 }, () => functions.invoke(name)));
        const plain = await functions.invoke(plainName);
        for (const { status, functionError, value } of [...all, plain]) {
          assert.deepEqual([status, functionError], [200, 'Unhandled'], JSON.stringify(value));
          for (const [field, content] of Object.entries(expected))
            assert.equal(value[field], content, JSON.stringify(value));
        }
        // Below the function's own code lies the way to it, which is another one.
        const own = (frame: string): boolean => !frame.startsWith(' ') || frame.includes('/var/task/');
        const shape = ({ value }: Invoked): unknown => ({
          ...value,
          errorMessage: String(value.errorMessage).replace(/RequestId: \S+/, ''),
          trace: value.trace?.filter(own),
          stackTrace: value.stackTrace?.filter(own),
        });
        for (const answer of all) assert.deepEqual(shape(answer), shape(plain));
        if (!('other.mjs' in files)) assert.ok((await functions.logLines(name, 'init')).length > 0);
        assert.equal((await functions.invoke(name)).functionError, 'Unhandled', 'tried again, it fails again');
        await functions.updateCode(name, runtime === 'node' ? GOOD_NODE : GOOD_PYTHON);
        assert.equal(await functions.call(name), 7);
      },
    );

// oxfmt-ignore
const SLOW = [
  ['node', { 'index.mjs': "console.log('init'); await new Promise((done) => setTimeout(done, 60_000)); export const handler = 1;" }],
  ['python', { 'index.py': "import time\nprint('init')\ntime.sleep(60)" }],
] as const;

for (const [runtime, files] of SLOW)
  test(`${runtime}: an initialisation that takes too long, for all that wait`, { skip }, async () => {
    const name = `slow-${runtime}`;
    await functions.deploy(name, { files });
    await functions.cellsWait(runtime);
    const both = await Promise.all([functions.invoke(name), functions.invoke(name)]);
    for (const { functionError, value } of both) {
      assert.deepEqual([functionError, value.errorType], ['Unhandled', 'Runtime.InitTimeout']);
      assert.match(value.errorMessage, /Initialisation took longer than 10000 ms/);
    }
    assert.equal((await functions.logLines(name, 'init')).filter((line) => line.endsWith('init')).length, 1);
    await functions.updateCode(name, runtime === 'node' ? GOOD_NODE : GOOD_PYTHON);
    assert.equal(await functions.call(name), 7);
  });
