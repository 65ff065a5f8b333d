/**
 * The Python runtime alone: boot.py as a plain process, spoken to over descriptors 3 and 4 with the agent's own code.
 * That the two copies of the frame layout agree is shown by every one of these.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { pythonRuntimes, pythonRuntimesOf } from '../../../src/worker/runtimes/python/runtime.ts';
import { type Conversation, type Outcome, startRuntime } from './runtime-process.ts';
import type { Invocation } from '../../../src/worker/agent/contract.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'perch-python-'));
after(() => rmSync(folder, { recursive: true }));

const runtime = pythonRuntimes[0]!;
const finding = runtime.check();
const skip = finding.ok ? false : `NOT TESTED: ${finding.detail}`;

type Files = Record<string, string>;

function start(files: Files | string, handler = 'index.handler', env: Record<string, string> = {}): Conversation {
  const code = mkdtempSync(path.join(folder, 'code-'));
  for (const [name, text] of Object.entries(typeof files === 'string' ? { 'index.py': files } : files)) {
    mkdirSync(path.dirname(path.join(code, name)), { recursive: true });
    writeFileSync(path.join(code, name), text);
  }
  const { AWS_EXECUTION_ENV = '' } = runtime.env('python3.11');
  return startRuntime(runtime, code, handler, { AWS_EXECUTION_ENV, ...env });
}

async function once(
  files: Files | string,
  event: unknown = {},
  more: { handler?: string; env?: Record<string, string>; invocation?: Partial<Invocation>; raw?: string } = {},
): Promise<Outcome> {
  const started = start(files, more.handler, more.env);
  try {
    return (await started.ready) ?? (await started.invoke(event, more.invocation, more.raw));
  } finally {
    started.stop();
  }
}

const REQUEST_ID = '01234567-89ab-cdef-0123-456789abcdef';

test('handlers in all their forms', { skip }, async (t) => {
  const forms: [string, Files, string, unknown][] = [
    [
      'a function',
      { 'index.py': 'def handler(event, context):\n  return {"got": event["a"]}' },
      'index.handler',
      { got: 1 },
    ],
    ['a lambda', { 'index.py': 'handler = lambda event, context: event["a"]' }, 'index.handler', 1],
    ['nothing returned', { 'index.py': 'def handler(event, context): pass' }, 'index.handler', null],
    ['a callable object', { 'a.py': 'class C:\n  def __call__(self, e, c): return 5\nmain = C()' }, 'a.main', 5],
    [
      'package.module.function',
      {
        'pkg/__init__.py': '',
        'pkg/mod.py': 'from . import other\ndef fn(e, c): return other.value',
        'pkg/other.py': 'value = 7',
      },
      'pkg.mod.fn',
      7,
    ],
    ['folder/module.function', { 'src/app.py': 'def fn(e, c): return "in a folder"' }, 'src/app.fn', 'in a folder'],
    [
      'modules named like those of the runtime',
      {
        'log.py': 'a = 1',
        'context.py': 'b = 2',
        'own.py': 'c = 3',
        'boot.py': 'd = 4',
        'index.py': 'import log, context, own, boot\ndef handler(e, x): return log.a + context.b + own.c + boot.d',
      },
      'index.handler',
      10,
    ],
    [
      'a module named like one of the standard library that the runtime uses',
      { 'json.py': 'broken = True', 'types.py': '', 'index.py': 'def handler(e, x): return [1, "ü"]' },
      'index.handler',
      [1, 'ü'],
    ],
  ];
  for (const [name, files, handler, expected] of forms) {
    await t.test(name, async () => {
      const outcome = await once(files, { a: 1 }, { handler });
      assert.equal(outcome.kind, 'response', JSON.stringify(outcome));
      assert.deepEqual(outcome.value, expected);
    });
  }
});

test('values become JSON as in Lambda', { skip }, async () => {
  const files = `
from decimal import Decimal
def handler(event, context):
    return {"decimal": Decimal("1.5"), "tuple": (1, None), "text": "é漢😀", "lone": "\\ud800", 1: True, "event": event}`;
  const { value } = await once(files, { ключ: ['ü', 1e3, 2 ** 53] });
  assert.deepEqual(value, {
    decimal: 1.5,
    tuple: [1, null],
    text: 'é漢😀',
    lone: '\ud800',
    1: true,
    event: { ключ: ['ü', 1000, 2 ** 53] },
  });
});

test('the trace is that of the invocation, or none', { skip }, async () => {
  const started = start('import os\ndef handler(e, c): return os.environ.get("_X_AMZN_TRACE_ID")');
  assert.equal((await started.invoke({}, { traceId: 'Root=1' })).value, 'Root=1');
  assert.equal((await started.invoke({}, { traceId: 'Root=2' })).value, 'Root=2');
  assert.equal((await started.invoke({})).value, null);
  started.stop();
});

test('the context has what Lambda documents', { skip }, async () => {
  const files = `
def handler(event, c):
    return [c.aws_request_id, c.function_name, c.function_version, c.invoked_function_arn, c.memory_limit_in_mb,
      c.log_group_name, c.log_stream_name, c.client_context and [c.client_context.custom, c.client_context.env,
      c.client_context.client and c.client_context.client.app_title], c.identity.cognito_identity_id,
      c.get_remaining_time_in_millis()]`;
  const env = { AWS_LAMBDA_LOG_GROUP_NAME: 'group', AWS_LAMBDA_LOG_STREAM_NAME: 'stream' };
  const arn = 'arn:aws:lambda:us-east-1:000000000000:function:f';
  const clientContext = '{"custom":{"k":"v"},"client":{"app_title":"t"}}';
  const invocation = { requestId: REQUEST_ID, clientContext, invokedArn: `${arn}:1` };
  const { value } = await once(files, {}, { env, invocation });
  const left = value.pop();
  assert.ok(Number.isInteger(left) && left > 1000 && left <= 3000);
  const client = [{ k: 'v' }, null, 't'];
  assert.deepEqual(value, [REQUEST_ID, 'f', '$LATEST', `${arn}:1`, '128', 'group', 'stream', client, null]);
  const plain = await once(files, {}, { env, invocation: { requestId: REQUEST_ID } });
  assert.deepEqual(plain.value.slice(0, -1), [REQUEST_ID, 'f', '$LATEST', arn, '128', 'group', 'stream', null, null]);
});

test('errors carry type, message and trace', { skip }, async (t) => {
  const cases: [string, string, string, string, RegExp][] = [
    ['raised', 'def handler(e, c):\n  raise KeyError("bad thing")', 'index.handler', 'KeyError', /'bad thing'/],
    [
      'a class of its own',
      'class Own(Exception): pass\ndef handler(e, c): raise Own("mine")',
      'index.handler',
      'Own',
      /^mine$/,
    ],
    [
      'one that cannot be described',
      'class Bad(Exception):\n  def __str__(self): raise ValueError()\ndef handler(e, c): raise Bad()',
      'index.handler',
      'Exception',
      /cannot be described/,
    ],
    [
      'a message without end',
      'def handler(e, c): raise Exception("x" * 20_000_000)',
      'index.handler',
      'Exception',
      /^x{65536}$/,
    ],
    ['endless recursion', 'def handler(e, c): return handler(e, c)', 'index.handler', 'RecursionError', /recursion/],
    ['interrupted', 'def handler(e, c): raise KeyboardInterrupt()', 'index.handler', 'KeyboardInterrupt', /^$/],
    [
      'circular',
      'def handler(e, c):\n  a = {}\n  a["a"] = a\n  return a',
      'index.handler',
      'Runtime.MarshalError',
      /^Unable to marshal response: Circular/,
    ],
    [
      'a set',
      'def handler(e, c): return {1}',
      'index.handler',
      'Runtime.MarshalError',
      /Object of type set is not JSON serializable/,
    ],
    [
      'a coroutine',
      'async def handler(e, c): return 1',
      'index.handler',
      'Runtime.MarshalError',
      /Object of type coroutine/,
    ],
    [
      'too large',
      'def handler(e, c): return "x" * 7_000_000',
      'index.handler',
      'Function.ResponseSizeTooLarge',
      /6291556/,
    ],
    [
      'no such module',
      '',
      'other.handler',
      'Runtime.ImportModuleError',
      /^Unable to import module 'other': No module named 'other'/,
    ],
    [
      'no such import',
      'import nowhere',
      'index.handler',
      'Runtime.ImportModuleError',
      /^Unable to import module 'index': No module named 'nowhere'/,
    ],
    [
      'no such function',
      'other = 1',
      'index.handler',
      'Runtime.HandlerNotFound',
      /^Handler 'handler' missing on module 'index'/,
    ],
    ['no function', 'handler = 1', 'index.handler', 'Runtime.HandlerNotFound', /missing/],
    ['no handler name', '', 'index', 'Runtime.MalformedHandlerName', /Bad handler/],
    ['a built-in module', '', 'sys.exit', 'Runtime.BuiltInModuleConflict', /built-in module sys/],
    [
      'syntax',
      'def handler(:',
      'index.handler',
      'Runtime.UserCodeSyntaxError',
      /^Syntax error in module 'index': .*\(index.py, line 1\)/,
    ],
    ['raised at the top level', 'raise LookupError("init")', 'index.handler', 'LookupError', /^init$/],
  ];
  for (const [name, code, handler, errorType, message] of cases) {
    await t.test(name, async () => {
      const outcome = await once(code, {}, { handler });
      assert.ok(outcome.kind === 'error' || outcome.kind === 'initError', JSON.stringify(outcome));
      assert.equal(outcome.value.errorType, errorType);
      assert.match(outcome.value.errorMessage, message);
      assert.ok(Array.isArray(outcome.value.stackTrace));
    });
  }
});

test(
  'an error that the version of Python may explain names it, where the runtime names another',
  { skip },
  async () => {
    const running = spawnSync(runtime.interpreter(), ['-c', 'import sys; print(sys.version.split()[0])'], {
      encoding: 'utf8',
    });
    const version = running.stdout.trim();
    const own = `python${version.split('.').slice(0, 2).join('.')}`;
    const of = async (code: string, name: string): Promise<string> =>
      (await once(code, {}, { env: { AWS_EXECUTION_ENV: `AWS_Lambda_${name}` } })).value.errorMessage;
    for (const code of ['def handler(:', 'import nowhere']) {
      const plain = await of(code, own);
      assert.doesNotMatch(plain, /this machine/);
      const expected = `${plain} (its runtime is python3.99; this machine runs it on Python ${version})`;
      assert.equal(await of(code, 'python3.99'), expected);
    }
    assert.equal(await of('raise ValueError("no")', 'python3.99'), 'no');
  },
);

test('a trace shows the function, and nothing of the runtime', { skip }, async () => {
  const code = 'def inner():\n    raise ValueError("deep")\ndef handler(e, c):\n    inner()';
  const outcome = await once(code, {}, { invocation: { requestId: REQUEST_ID } });
  assert.equal(outcome.value.requestId, REQUEST_ID);
  const trace = outcome.value.stackTrace as string[];
  assert.equal(trace.length, 2);
  assert.match(trace[0]!, /^ {2}File ".*\/index\.py", line 4, in handler\n {4}inner\(\)\n$/);
  assert.match(trace[1]!, /line 2, in inner\n {4}raise ValueError\("deep"\)\n$/);
  assert.match(outcome.log, /^\[ERROR\] ValueError: deep\rTraceback \(most recent call last\):\r\u00a0\u00a0File /);
  const failed = await once('import json\njson.loads("{")');
  assert.match(failed.value.stackTrace[0], /index\.py", line 2, in <module>/);
});

test('one instance answers many invocations, keeps its globals, and survives its errors', { skip }, async () => {
  const started = start(`
n = 0
def handler(event, context):
    global n
    n += 1
    if event.get("fail"): raise Exception("x")
    return n`);
  assert.equal((await started.invoke({})).value, 1);
  assert.equal((await started.invoke({ fail: true })).kind, 'error');
  assert.equal((await started.invoke({})).value, 3);
  for (const raw of ['{"a":', 'NaN', '[Infinity]', '', '\ufeff{}']) {
    assert.equal((await started.invoke(null, {}, raw)).kind, 'badPayload', raw);
  }
  const deep = await started.invoke(null, {}, '['.repeat(200_000) + ']'.repeat(200_000));
  assert.equal(deep.value.errorType, 'Runtime.UnmarshalError');
  assert.equal((await started.invoke({})).value, 4);
  started.stop();
});

test('payloads of every size arrive whole', { skip }, async () => {
  const started = start('def handler(event, context): return event');
  for (const size of [0, 1, 1000, 65_400, 65_500, 65_536, 70_000, 1_000_000, 6_000_000]) {
    const text = 'é'.repeat(size / 2) + 'x'.repeat(size % 2);
    assert.equal((await started.invoke({ text })).value.text, text);
  }
  started.stop();
});

test('what a handler logs is there before its answer', { skip }, async () => {
  const code = `
import logging, os, sys, threading
def handler(event, context):
    print("one", {"a": 1}); print("two", file=sys.stderr)
    logging.warning("three %d", 3); logging.info("not logged at this level")
    sys.stdout.write("four without its end")
    logging.getLogger("x").error("five")
    sys.stdout.buffer.write(b" six\\n")
    def many():
        for _ in range(50): print("y" * 999)
    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    print("é" * 100_000)`;
  const { kind, log } = await once(code, {}, { invocation: { requestId: REQUEST_ID } });
  assert.equal(kind, 'response');
  const time = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`;
  const expected = `^one \\{'a': 1\\}\ntwo\n\\[WARNING\\]\t${time}\t${REQUEST_ID}\tthree 3\nfour without its end\\[ERROR\\]\t${time}\t${REQUEST_ID}\tfive\n six\n`;
  assert.match(log, new RegExp(expected));
  assert.equal(log.match(/y/g)?.length, 50 * 4 * 999);
  assert.ok(log.includes('é'.repeat(100_000)));
  assert.ok(!log.includes('\ufffd'));
});

test('the JSON format of logs', { skip }, async () => {
  const code = `
import logging
def handler(event, context):
    logging.getLogger("app").info("at level info", extra={"order": 5, "odd": {1}})
    try: 1 / 0
    except ZeroDivisionError: logging.exception("failed")
    print("plain")
    raise ValueError("thrown")`;
  const env = { AWS_LAMBDA_LOG_FORMAT: 'JSON' };
  const { log } = await once(code, {}, { env, invocation: { requestId: REQUEST_ID } });
  const [info, failed, plain, thrown] = log.split('\n');
  const { timestamp, ...rest } = JSON.parse(info!);
  assert.match(timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  const about = { logger: 'app', requestId: REQUEST_ID };
  assert.deepEqual(rest, { level: 'INFO', message: 'at level info', order: '5', odd: '{1}', ...about });
  const exception = JSON.parse(failed!);
  assert.equal(exception.errorType, 'ZeroDivisionError');
  assert.match(exception.location, /index\.py:handler:/);
  assert.equal(plain, 'plain');
  assert.equal(JSON.parse(thrown!).errorMessage, 'thrown');
});

test('formats of the function can name the request', { skip }, async () => {
  const code = `
import logging
logging.getLogger().handlers[0].setFormatter(logging.Formatter("%(aws_request_id)s|%(message)s"))
def handler(event, context): logging.error("x")`;
  const { log } = await once(code, {}, { invocation: { requestId: REQUEST_ID } });
  assert.equal(log, `${REQUEST_ID}|x\n`);
});

test('sys.exit ends the process with its code', { skip }, async () => {
  const code = (value: string): string =>
    `import atexit, sys\natexit.register(lambda: print("bye"))\ndef handler(e, c):\n  sys.exit(${value})`;
  for (const [value, exit] of [
    ['7', 7],
    ['', 0],
    ['"text"', 1],
  ] as const) {
    const outcome = await once(code(value));
    assert.deepEqual(outcome.value, { kind: 'exit', code: exit });
    assert.match(outcome.log, /bye/);
  }
  assert.deepEqual((await once('import sys\nsys.exit(3)')).value, { kind: 'exit', code: 3 });
  assert.deepEqual((await once('import os\ndef handler(e, c): os._exit(9)')).value, { kind: 'exit', code: 9 });
});

test('a function that replaces what the runtime uses is answered all the same', { skip }, async () => {
  const started = start(`
import builtins, decimal, io, json, logging, os, struct, sys, time, traceback, _thread
def broken(*a, **k): raise RuntimeError("broken")
json.loads = json.dumps = json.JSONEncoder.encode = json.JSONEncoder.iterencode = broken
json.JSONEncoder.default = json.JSONDecoder.decode = json.JSONDecoder.raw_decode = broken
os.read = os.write = os.close = os._exit = struct.pack = struct.unpack = struct.Struct = broken
time.time = time.gmtime = time.strftime = traceback.extract_tb = traceback.format_list = broken
decimal.Decimal = None
builtins.print = broken
sys.stdout = sys.stderr = io.StringIO()
logging.Formatter.format = broken
def handler(event, context):
    if event.get("raises"): raise ValueError("thrown")
    sys.__stdout__.write("logged\\n")
    return [event, context.get_remaining_time_in_millis() > 0]`);
  for (const event of [{ n: 1 }, { n: 2, text: 'ü'.repeat(100_000) }]) {
    const outcome = await started.invoke(event, { clientContext: '{"a":1}' });
    assert.deepEqual(outcome.value, [event, true]);
    assert.match(outcome.log, /logged/);
  }
  assert.equal((await started.invoke({ raises: true })).value.errorMessage, 'thrown');
  started.stop();
});

test('children of the function reach neither its channel nor its answers', { skip }, async () => {
  const started = start(`
import multiprocessing, os, subprocess, sys
def child(queue): queue.put(os.getpid()); print("from a child")
def handler(event, context):
    if event.get("returns") and os.fork() == 0: return "from the child"
    if event.get("returns"): os.wait(); return "from the parent"
    found = subprocess.run([sys.executable, "-c", "import os; print(os.listdir('/proc/self/fd'))"], capture_output=True, text=True)
    fork = multiprocessing.get_context("fork")
    queue = fork.SimpleQueue()
    process = fork.Process(target=child, args=(queue,))
    process.start(); process.join()
    return [found.stdout, process.exitcode, queue.get() == process.pid]`);
  const { value } = await started.invoke({});
  assert.doesNotMatch(value[0], /'4'/);
  assert.deepEqual(value.slice(1), [0, true]);
  assert.equal((await started.invoke({ returns: true })).value, 'from the parent');
  assert.equal((await started.invoke({ returns: true })).value, 'from the parent');
  started.stop();
});

test('layers and the function are found on the path, the function first', { skip }, async () => {
  const layers = path.join(folder, 'layers');
  mkdirSync(path.join(layers, 'python/lib/python3.11/site-packages'), { recursive: true });
  writeFileSync(path.join(layers, 'python/shared.py'), 'value = "layer"');
  writeFileSync(path.join(layers, 'python/both.py'), 'value = "layer"');
  const files = {
    'both.py': 'value = "function"',
    'index.py': `
import both, os, shared, subprocess, sys
def handler(e, c):
    child = subprocess.run([sys.executable, "-c", "import shared; print(shared.value)"], capture_output=True, text=True)
    return [shared.value, both.value, child.stdout.strip(), os.environ["AWS_EXECUTION_ENV"]]`,
  };
  const started = start(files, 'index.handler', { PYTHONPATH: path.join(layers, 'python') });
  assert.deepEqual((await started.invoke({})).value, ['layer', 'function', 'layer', 'AWS_Lambda_python3.11']);
  started.stop();
});

test('nothing of the platform is left in the environment', { skip }, async () => {
  const { value } = await once('import os\ndef handler(e, c): return sorted(os.environ)');
  assert.deepEqual(
    value.filter((name: string) => name.startsWith('PERCH')),
    [],
  );
});

test('each name is served by its own interpreter where there is one, else by python3', () => {
  const bin = mkdtempSync(path.join(folder, 'bin-'));
  const names = (): string[][] => pythonRuntimesOf(bin).map(({ label, names: served }) => [label, ...served]);
  const all = ['python3.14', 'python3.13', 'python3.12', 'python3.11', 'python3.10', 'python3.9'];
  assert.deepEqual(names(), [['python', ...all]]);
  const missing = pythonRuntimesOf(bin)[0]!.check();
  assert.deepEqual([missing.ok, missing.fix], [false, 'apt-get install python3']);
  writeFileSync(path.join(bin, 'python3.11'), '');
  symlinkSync('python3.11', path.join(bin, 'python3'));
  assert.deepEqual(names(), [['python', ...all]]);
  writeFileSync(path.join(bin, 'python3.13'), '');
  assert.deepEqual(names(), [
    ['python', ...all.filter((name) => name !== 'python3.13')],
    ['python3.13', 'python3.13'],
  ]);
  const [, newer] = pythonRuntimesOf(bin);
  assert.match(newer!.check().detail, /outside of \/usr/);
  assert.deepEqual(newer!.env('python3.13'), {
    AWS_EXECUTION_ENV: 'AWS_Lambda_python3.13',
    PYTHONPATH: '{code}:{layers}/python:{layers}/python/lib/python3.13/site-packages',
  });
});
