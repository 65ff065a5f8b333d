/**
 * The Node.js runtime alone: boot.cjs as a plain process, spoken to over descriptors 3 and 4 with the agent's own code.
 * That the two copies of the frame layout agree is shown by every one of these.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import type { Invocation } from '../../../src/worker/agent/contract.ts';
import { nodeRuntime } from '../../../src/worker/runtimes/node/runtime.ts';
import { type Conversation, type Outcome, startRuntime } from './runtime-process.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'perch-runtime-'));
after(() => rmSync(folder, { recursive: true }));

/** A function in a process of its own. */
function start(files: Record<string, string>, handler: string, env: Record<string, string> = {}): Conversation {
  const code = mkdtempSync(path.join(folder, 'code-'));
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(code, name), text);
  return startRuntime(nodeRuntime, code, handler, env);
}

async function once(
  files: Record<string, string>,
  handler: string,
  event: unknown = {},
  more: Partial<Invocation> = {},
): Promise<Outcome> {
  const runner = start(files, handler);
  try {
    const initial = await runner.ready;
    return initial ?? (await runner.invoke(event, more));
  } finally {
    runner.stop();
  }
}

const cjs = (body: string): Record<string, string> => ({ 'index.js': body });
const mjs = (body: string): Record<string, string> => ({ 'index.mjs': body });

test('handlers in all their forms', async (t) => {
  const forms: [string, Record<string, string>, unknown][] = [
    ['async CommonJS', cjs('exports.handler = async (event) => ({ got: event.a })'), { got: 1 }],
    ['async ES module', mjs('export const handler = async (event) => ({ got: event.a })'), { got: 1 }],
    [
      'ES module with top-level await',
      mjs('const b = await Promise.resolve(2); export const handler = async (e) => e.a + b'),
      3,
    ],
    [
      'ES module in a .js file',
      { 'index.js': 'export const handler = async (e) => e.a', 'package.json': '{"type":"module"}' },
      1,
    ],
    ['default-exported object', mjs('export default { handler: async () => "x" }'), 'x'],
    ['callback', cjs('exports.handler = (e, c, callback) => setTimeout(() => callback(null, e.a), 5)'), 1],
    ['callback at once', cjs('exports.handler = (e, c, callback) => { callback(null, e.a) }'), 1],
    ['context.succeed', cjs('exports.handler = (e, c) => { setTimeout(() => c.succeed("s"), 5) }'), 's'],
    ['plain value', cjs('exports.handler = (e) => e.a'), 1],
    ['nothing returned', cjs('exports.handler = async () => {}'), null],
    ['nothing at all', cjs('exports.handler = () => {}'), null],
    ['a promise that never settles', cjs('exports.handler = () => new Promise(() => {})'), null],
  ];
  for (const [name, files, expected] of forms) {
    await t.test(name, async () => {
      const outcome = await once(files, 'index.handler', { a: 1 });
      assert.equal(outcome.kind, 'response', JSON.stringify(outcome));
      assert.deepEqual(outcome.value, expected);
    });
  }
  await t.test('nested file and export', async () => {
    const outcome = await once({ 'app.cjs': 'exports.api = { get: async () => "nested" }' }, 'app.api.get');
    assert.equal(outcome.value, 'nested');
  });
});

test('callbackWaitsForEmptyEventLoop decides when a callback answers', async () => {
  const body = (wait: boolean): Record<string, string> =>
    cjs(`let late = false; exports.handler = (e, c, callback) => { c.callbackWaitsForEmptyEventLoop = ${wait};
      setTimeout(() => { late = true; console.log('late') }, 50); callback(null, 'now'); }`);
  const waiting = await once(body(true), 'index.handler');
  assert.equal(waiting.value, 'now');
  assert.match(waiting.log, /late/);
  const eager = await once(body(false), 'index.handler');
  assert.equal(eager.value, 'now');
  assert.doesNotMatch(eager.log, /late/);
});

test('the trace is that of the invocation, or none', async () => {
  const runner = start(mjs('export const handler = async () => process.env._X_AMZN_TRACE_ID ?? null'), 'index.handler');
  try {
    assert.equal((await runner.invoke({}, { traceId: 'Root=1' })).value, 'Root=1');
    assert.equal((await runner.invoke({}, { traceId: 'Root=2' })).value, 'Root=2');
    assert.equal((await runner.invoke({})).value, null);
  } finally {
    runner.stop();
  }
});

test('the context has what Lambda documents', async () => {
  const outcome = await once(
    mjs('export const handler = async (e, c) => ({ ...c, left: c.getRemainingTimeInMillis() })'),
    'index.handler',
    {},
    {
      clientContext: '{"custom":{"k":"v"}}',
      invokedArn: 'arn:aws:lambda:us-east-1:000000000000:function:f:1',
      requestId: '01234567-89ab-cdef-0123-456789abcdef',
    },
  );
  const { left, ...rest } = outcome.value;
  assert.ok(left > 1000 && left <= 3000);
  assert.deepEqual(rest, {
    callbackWaitsForEmptyEventLoop: true,
    functionName: 'f',
    functionVersion: '$LATEST',
    memoryLimitInMB: '128',
    clientContext: { custom: { k: 'v' } },
    invokedFunctionArn: 'arn:aws:lambda:us-east-1:000000000000:function:f:1',
    awsRequestId: '01234567-89ab-cdef-0123-456789abcdef',
  });
});

test('errors carry type, message and trace', async (t) => {
  const cases: [string, Record<string, string>, string, string, RegExp][] = [
    [
      'thrown',
      mjs('export const handler = async () => { throw new TypeError("bad thing") }'),
      'index.handler',
      'TypeError',
      /bad thing/,
    ],
    [
      'thrown synchronously',
      cjs('exports.handler = () => { throw new RangeError("r") }'),
      'index.handler',
      'RangeError',
      /^r$/,
    ],
    ['a string rejected', cjs('exports.handler = () => Promise.reject("text")'), 'index.handler', 'string', /text/],
    ['callback error', cjs('exports.handler = (e, c, cb) => cb(new Error("cb"))'), 'index.handler', 'Error', /cb/],
    [
      'circular',
      cjs('exports.handler = async () => { const a = {}; a.a = a; return a }'),
      'index.handler',
      'Runtime.MarshalError',
      /circular/i,
    ],
    ['BigInt', cjs('exports.handler = async () => 1n'), 'index.handler', 'Runtime.MarshalError', /BigInt/],
    [
      'too large',
      cjs('exports.handler = async () => "x".repeat(7e6)'),
      'index.handler',
      'Function.ResponseSizeTooLarge',
      /6291556/,
    ],
    ['no such file', cjs(''), 'other.handler', 'Runtime.ImportModuleError', /Cannot find module 'other'/],
    [
      'no such import',
      mjs('import "nowhere"; export const handler = 1'),
      'index.handler',
      'Runtime.ImportModuleError',
      /nowhere/,
    ],
    [
      'no such export',
      cjs('exports.other = 1'),
      'index.handler',
      'Runtime.HandlerNotFound',
      /index.handler is undefined/,
    ],
    ['no handler name', cjs(''), 'index', 'Runtime.MalformedHandlerName', /Bad handler/],
    [
      'syntax',
      cjs('exports.handler = async ( => 1'),
      'index.handler',
      'Runtime.UserCodeSyntaxError',
      /SyntaxError.*index\.js:1/s,
    ],
    ['thrown at the top level', cjs('throw new URIError("init")'), 'index.handler', 'URIError', /init/],
    [
      'uncaught',
      cjs('exports.handler = () => new Promise(() => setTimeout(() => { throw new Error("late") }))'),
      'index.handler',
      'Error',
      /late/,
    ],
    [
      'unhandled rejection',
      cjs('exports.handler = () => new Promise(() => { Promise.reject(new Error("lost")) })'),
      'index.handler',
      'Runtime.UnhandledPromiseRejection',
      /lost/,
    ],
  ];
  for (const [name, files, handler, errorType, message] of cases) {
    await t.test(name, async () => {
      const outcome = await once(files, handler);
      assert.ok(outcome.kind === 'error' || outcome.kind === 'initError', JSON.stringify(outcome));
      assert.equal(outcome.value.errorType, errorType);
      assert.match(outcome.value.errorMessage, message);
      assert.ok(Array.isArray(outcome.value.trace));
    });
  }
});

test('what goes wrong before the first invocation is an error of the initialisation', async (t) => {
  const good = 'exports.handler = async () => 1;';
  const cases: [string, string, string, string][] = [
    ['a rejection', "Promise.reject(new Error('floating'));", 'Runtime.UnhandledPromiseRejection', 'floating'],
    ['a rejection with a text', "Promise.reject('floating');", 'Runtime.UnhandledPromiseRejection', 'floating'],
    ['an exception on the next tick', "process.nextTick(() => { throw new TypeError('tick') });", 'TypeError', 'tick'],
    ['an exception a turn later', "setImmediate(() => { throw new TypeError('turn') });", 'TypeError', 'turn'],
    [
      'a rejection without a runtime',
      "globalThis.process = undefined; Promise.reject(new Error('broken'));",
      'Runtime.UnhandledPromiseRejection',
      'broken',
    ],
  ];
  for (const [name, init, errorType, errorMessage] of cases)
    await t.test(name, async () => {
      const outcome = await once(cjs(`${init} ${good}`), 'index.handler');
      assert.deepEqual(
        [outcome.kind, outcome.value.errorType, outcome.value.errorMessage, outcome.last],
        ['initError', errorType, errorMessage, true],
      );
    });
  await t.test('none', async () => {
    const init = "Promise.reject(new Error('handled')).catch(() => {}); globalThis.process = undefined;";
    assert.equal((await once(cjs(init + good), 'index.handler')).value, 1);
  });
});

test('one instance answers many invocations, keeps its globals, and survives its errors', async () => {
  const runner = start(
    cjs('let n = 0; exports.handler = async (e) => { n++; if (e.fail) throw new Error("x"); return n }'),
    'index.handler',
  );
  assert.equal((await runner.invoke({})).value, 1);
  assert.equal((await runner.invoke({ fail: true })).kind, 'error');
  assert.equal((await runner.invoke({})).value, 3);
  const bad = await runner.invoke(null, {}, '{"a":');
  assert.equal(bad.kind, 'badPayload');
  assert.equal((await runner.invoke({})).value, 4);
  runner.stop();
});

test('payloads of every size arrive whole', async () => {
  const runner = start(mjs('export const handler = async (e) => e'), 'index.handler');
  for (const size of [0, 1, 1000, 65_400, 65_500, 65_536, 70_000, 1_000_000, 6_000_000]) {
    const text = 'é'.repeat(size / 2) + 'x'.repeat(size % 2);
    const outcome = await runner.invoke({ text });
    assert.equal(outcome.value.text, text);
  }
  runner.stop();
});

test('what a handler logs is there before its answer', async () => {
  const files = mjs(`export const handler = async () => {
    console.log('one', { a: [1] }); console.error(new Error('two')); process.stdout.write('three\\n');
    console.log('y'.repeat(300000)); return 1 }`);
  const { log } = await once(files, 'index.handler', {}, { requestId: '01234567-89ab-cdef-0123-456789abcdef' });
  assert.match(log, /^\d{4}-\d\d-\d\dT[\d:.]+Z\t01234567-89ab-cdef-0123-456789abcdef\tINFO\tone \{ a: \[ 1 \] \}\n/);
  assert.match(log, /\tERROR\tError: two\n/);
  assert.match(log, /\nthree\n/);
  assert.ok(log.includes('y'.repeat(300_000)));
});

test('process.exit ends the process with its code', async () => {
  const outcome = await once(cjs('exports.handler = () => process.exit(7)'), 'index.handler');
  assert.deepEqual(outcome.value, { kind: 'exit', code: 7 });
});

test('a function that replaces globals is answered all the same', async () => {
  const files = cjs(`
    const broken = () => 'broken';
    JSON.stringify = JSON.parse = broken;
    globalThis.setImmediate = process.nextTick = process.reallyExit = broken;
    Buffer.allocUnsafeSlow = Buffer.byteLength = broken;
    for (const name of ['copy', 'latin1Slice', 'readDoubleLE', 'readUInt16LE', 'readUInt32LE', 'utf8Slice', 'utf8Write',
      'writeUInt16LE', 'writeUInt32LE']) Buffer.prototype[name] = broken;
    exports.handler = async (event) => { if (event.throws) throw new Error('thrown'); console.log('logged'); return event; };`);
  const runner = start(files, 'index.handler');
  for (const event of [{ n: 1 }, { n: 2, text: 'ü'.repeat(100_000) }]) {
    const outcome = await runner.invoke(event, { clientContext: '{"a":1}' });
    assert.deepEqual(outcome.value, event);
    assert.match(outcome.log, /logged/);
  }
  assert.equal((await runner.invoke({ throws: true })).value.errorMessage, 'thrown');
  runner.stop();
});

test('nothing of the platform is left in the environment', async () => {
  const outcome = await once(mjs('export const handler = async () => Object.keys(process.env)'), 'index.handler');
  assert.deepEqual(
    outcome.value.filter((name: string) => name.startsWith('PERCH')),
    [],
  );
});
