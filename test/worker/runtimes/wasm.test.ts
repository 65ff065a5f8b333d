/** The WebAssembly runtime alone: boot.cjs as a plain process, spoken to with the agent's own code. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  type Code,
  I32,
  I64,
  op,
  wasmModule,
  type WasmFunction,
  type WasmImport,
  type WasmSpec,
} from '../../lib/wasm-module.ts';
import { FUNCTION_ARN, once, type Outcome, RESPONSE_BYTES_MAX, WasmRunner } from './wasm-runner.ts';

const WASI = 'wasi_snapshot_preview1';
/** Where the payload goes, and where handlers below find their fixed texts. */
const PAYLOAD_AT = 4096;
const MEMORY = { min: 1 };

function wasi(name: string, paramCount: number): WasmImport {
  return { module: WASI, name, params: Array.from({ length: paramCount }, () => I32), results: [I32] };
}

const FD_WRITE = wasi('fd_write', 4);
const PROC_EXIT: WasmImport = { ...wasi('proc_exit', 1), results: [] };
/** Vector at 0 with `length` bytes at `pointer`, then fd_write (function 0). */
function print(fd: number, pointer: number, length: number): Code {
  return [
    [op.i32(0), op.i32(pointer), op.store32],
    [op.i32(4), op.i32(length), op.store32],
    [op.i32(fd), op.i32(0), op.i32(1), op.i32(8), op.call(0), op.drop],
  ];
}

const alloc: WasmFunction = { params: [I32], results: [I32], body: op.i32(PAYLOAD_AT), export: 'alloc' };
function handler(body: Code, more: Partial<WasmFunction> = {}): WasmFunction {
  return { params: [I32, I32], results: [I64], body, export: 'handle', ...more };
}
function start(body: Code): WasmFunction {
  return { params: [], results: [], body, export: '_start' };
}

/** Handler that gives back what it got. */
const ECHO = handler([op.get(0), 0xad, op.i64(32n), 0x86, op.get(1), 0xad, 0x84]);

function handlerModule(body: Code, more: Partial<WasmSpec> = {}): Record<string, Buffer> {
  return { 'm.wasm': wasmModule({ memory: MEMORY, functions: [alloc, handler(body)], ...more }) };
}

/** A command that may call fd_write as function 0 and proc_exit as 1. */
function command(body: Code, more: Partial<WasmSpec> = {}): Record<string, Buffer> {
  const spec: WasmSpec = { imports: [FD_WRITE, PROC_EXIT], memory: MEMORY, functions: [start(body)], ...more };
  return { 'm.wasm': wasmModule(spec) };
}

function assertError(outcome: Outcome, kind: Outcome['kind'], errorType: string, message: RegExp): void {
  assert.equal(outcome.kind, kind, JSON.stringify(outcome));
  assert.equal(outcome.value.errorType, errorType);
  assert.match(outcome.value.errorMessage, message);
  assert.ok(Array.isArray(outcome.value.trace));
}

test('a handler gets the payload and gives back the result, of every size', async () => {
  const runner = new WasmRunner({ 'm.wasm': wasmModule({ memory: { min: 4 }, functions: [alloc, ECHO] }) }, 'm.handle');
  for (const size of [0, 1, 1000, 65_400, 65_536, 90_000]) {
    const text = 'é'.repeat(size / 2) + 'x'.repeat(size % 2);
    const outcome = await runner.invoke({ text });
    assert.equal(outcome.kind, 'response', outcome.text.slice(0, 500));
    assert.equal(outcome.value.text, text);
  }
  runner.stop();
});

test('a command prints its result, and what surrounds it is not part of it', async () => {
  const at = 1024;
  const cases: [string, string][] = [
    ['{"a":1}', '{"a":1}'],
    ['\n [1]\r\n\n', '[1]'],
    ['', 'null'],
    ['\n', 'null'],
  ];
  for (const [printed, expected] of cases) {
    const files = command(print(1, at, printed.length), { data: [{ at, bytes: printed }] });
    const outcome = await once(files, 'm.wasm');
    assert.equal(outcome.kind, 'response');
    assert.equal(outcome.text, expected);
  }
});

test('nothing of an invocation reaches the next: memory, grown memory and globals are as declared', async () => {
  // Returns a digit that counts in a global, in memory and in pages; "11" + pages if all is new.
  const body = [
    [op.globalGet(0), op.i32(1), op.add, op.globalSet(0)],
    [op.i32(100), op.i32(100), op.load8, op.i32(1), op.add, op.store8],
    [op.i32(1), op.grow, op.set(2)],
    // Digits: '0' + each.
    [op.i32(200), op.globalGet(0), op.i32(48), op.add, op.store8],
    [op.i32(201), op.i32(100), op.load8, op.i32(48), op.add, op.store8],
    [op.i32(202), op.get(2), op.i32(48), op.add, op.store8],
    op.packed(200, 3),
  ];
  const functions = [alloc, handler(body, { locals: [I32] })];
  const runner = new WasmRunner({ 'm.wasm': wasmModule({ memory: MEMORY, globals: [0], functions }) }, 'm.handle');
  for (let round = 0; round < 50; round++) assert.equal((await runner.invoke()).value, 111);
  runner.stop();
});

test('an invocation that failed leaves nothing to the next either', async () => {
  // Traps if the first byte of the payload is '{'.
  const body = [
    [op.globalGet(0), 0x04, 0x40, op.unreachable, 0x0b, op.i32(1), op.globalSet(0)],
    [op.get(0), op.load8, op.i32(0x7b), 0x46, 0x04, 0x40, op.unreachable, 0x0b],
    op.packed(PAYLOAD_AT, 1),
  ];
  const runner = new WasmRunner(handlerModule(body, { globals: [0] }), 'm.handle');
  for (let round = 0; round < 5; round++) {
    assertError(await runner.invoke({}), 'error', 'Runtime.WasmTrap', /^unreachable$/);
    assert.equal((await runner.invoke(7)).value, 7);
  }
  assert.equal((await runner.invoke(Buffer.from('{"a":'))).kind, 'badPayload');
  assert.equal((await runner.invoke(Buffer.from([0x22, 0xff, 0x22]))).kind, 'badPayload');
  assert.equal((await runner.invoke(7)).value, 7);
  runner.stop();
});

test('traps are errors of the function', async (t) => {
  const cases: [string, Record<string, Buffer>, RegExp][] = [
    ['unreachable', handlerModule(op.unreachable), /^unreachable$/],
    ['division by zero', handlerModule([op.i32(1), op.i32(0), op.divide, op.drop, op.i64(0n)]), /divide/],
    ['out of bounds', handlerModule([op.i32(-4), op.load32, op.drop, op.i64(0n)]), /out of bounds/],
    ['endless recursion', handlerModule([op.get(0), op.get(1), op.call(1)]), /call stack exhausted/],
    ['a result out of bounds', handlerModule(op.packed(65_530, 100)), /100 bytes at 65530, outside/],
  ];
  for (const [name, files, message] of cases) {
    await t.test(name, async () => {
      assertError(await once(files, 'm.handle'), 'error', 'Runtime.WasmTrap', message);
    });
  }
  await t.test('the trace shows the frames of the module alone', async () => {
    const { value, log } = await once(command(op.unreachable), 'm.wasm');
    assert.equal(value.trace.length, 1);
    assert.match(value.trace[0], /wasm-function\[2\]/);
    assert.match(log, /\tERROR\tInvoke Error\t\{"errorType":"Runtime.WasmTrap"/);
  });
});

test('the exit code of a command decides', async (t) => {
  const exit = (code: number): Code => [op.i32(code), op.call(1)];
  const data = [{ at: 1024, bytes: '{"errorType":"Teapot","errorMessage":"short and stout"}' }];
  await t.test('0 is success, with what it printed', async () => {
    const files = command([print(1, 1024, 55), exit(0), op.unreachable], { data });
    assert.equal((await once(files, 'm.wasm')).value.errorType, 'Teapot');
  });
  await t.test('any other is an error', async () => {
    const outcome = await once(command(exit(3)), 'm.wasm');
    assertError(outcome, 'error', 'Runtime.ExitError', /^RequestId: [-0-9a-f]{36} Error: Runtime exited .*status 3$/);
  });
  await t.test('which the command can describe', async () => {
    const files = command([print(1, 1024, 55), exit(1)], { data });
    assertError(await once(files, 'm.wasm'), 'error', 'Teapot', /^short and stout$/);
  });
  await t.test('a handler flags its error in the length', async () => {
    const described = handlerModule(op.packed(1024, 0x8000_0000 + 55), { data });
    assertError(await once(described, 'm.handle'), 'error', 'Teapot', /^short and stout$/);
    const plain = handlerModule(op.packed(1024, 0x8000_0000 + 3), { data: [{ at: 1024, bytes: 'bad' }] });
    assertError(await once(plain, 'm.handle'), 'error', 'Error', /^bad$/);
  });
});

test('results that cannot be given are refused', async (t) => {
  const text = (bytes: string | Uint8Array): Record<string, Buffer> =>
    handlerModule(op.packed(1024, bytes.length), { data: [{ at: 1024, bytes }] });
  await t.test('not JSON', async () => {
    assertError(await once(text('hello'), 'm.handle'), 'error', 'Runtime.MarshalError', /not JSON: .*hello/);
  });
  await t.test('not UTF-8', async () => {
    const bytes = Buffer.from([0x22, 0xff, 0x22]);
    assertError(await once(text(bytes), 'm.handle'), 'error', 'Runtime.MarshalError', /not UTF-8/);
  });
  await t.test('too large, from a handler', async () => {
    const files = handlerModule(op.packed(0, RESPONSE_BYTES_MAX + 1), { memory: { min: 4 } });
    assertError(await once(files, 'm.handle'), 'error', 'Function.ResponseSizeTooLarge', /\(100000 bytes\)/);
  });
  await t.test('too large, from a command that never stops', async () => {
    const outcome = await once(command(op.forever(print(1, 0, 65_536))), 'm.wasm');
    assertError(outcome, 'error', 'Function.ResponseSizeTooLarge', /\(100000 bytes\)/);
  });
  await t.test('no i64', async () => {
    const functions = [alloc, handler(op.i32(0), { results: [I32] })];
    const files = { 'm.wasm': wasmModule({ memory: MEMORY, functions }) };
    assertError(await once(files, 'm.handle'), 'error', 'Runtime.HandlerNotFound', /no i64/);
  });
  await t.test('no room for the payload', async () => {
    const files = { 'm.wasm': wasmModule({ memory: MEMORY, functions: [{ ...alloc, body: op.i32(0) }, ECHO] }) };
    assertError(await once(files, 'm.handle'), 'error', 'Runtime.OutOfMemory', /alloc\(2\) gave 0/);
  });
});

test('modules that cannot be run are refused at their initialisation', async (t) => {
  const good = wasmModule({ memory: MEMORY, functions: [alloc, ECHO] });
  const withImport = (module: string, name: string): Buffer =>
    wasmModule({ imports: [{ module, name, params: [], results: [] }], memory: MEMORY, functions: [start([])] });
  const component = Buffer.from([0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0]);
  const cases: [string, Record<string, Uint8Array | string>, string, string, RegExp][] = [
    ['no file', { 'm.wasm': good }, 'other.wasm', 'Runtime.ImportModuleError', /Cannot find module 'other.wasm'/],
    ['a folder', { 'm.wasm/x': '' }, 'm.wasm', 'Runtime.ImportModuleError', /Cannot find module 'm.wasm'/],
    ['no handler name', { 'm.wasm': good }, 'm', 'Runtime.MalformedHandlerName', /'m' is neither file.wasm/],
    ['text', { 'm.wasm': '(module)' }, 'm.wasm', 'Runtime.UserCodeSyntaxError', /m.wasm is no WebAssembly/],
    ['nothing', { 'm.wasm': '' }, 'm.wasm', 'Runtime.UserCodeSyntaxError', /m.wasm is no WebAssembly/],
    ['a component', { 'm.wasm': component }, 'm.wasm', 'Runtime.UserCodeSyntaxError', /is a component/],
    ['cut off', { 'm.wasm': good.subarray(0, 40) }, 'm.wasm', 'Runtime.UserCodeSyntaxError', /does not compile/],
    [
      'unknown imports',
      { 'm.wasm': withImport('env', 'emscripten_run') },
      'm.wasm',
      'Runtime.ImportModuleError',
      /env\.emscripten_run \(function\)/,
    ],
    [
      'an unknown function of WASI',
      { 'm.wasm': withImport(WASI, 'sock_open') },
      'm.wasm',
      'Runtime.ImportModuleError',
      /sock_open/,
    ],
    [
      'a name that every object has',
      { 'm.wasm': withImport(WASI, 'toString') },
      'm.wasm',
      'Runtime.ImportModuleError',
      /toString/,
    ],
    ['no _start', { 'm.wasm': good }, 'm.wasm', 'Runtime.HandlerNotFound', /no command.*alloc \(function\), handle/],
    ['no such export', { 'm.wasm': good }, 'm.run', 'Runtime.HandlerNotFound', /does not export a function "run"/],
    ['an export of another kind', { 'm.wasm': good }, 'm.memory', 'Runtime.HandlerNotFound', /a function "memory"/],
    [
      'no memory',
      { 'm.wasm': wasmModule({ functions: [start([])] }) },
      'm.wasm',
      'Runtime.HandlerNotFound',
      /export its memory/,
    ],
    [
      'no allocator',
      { 'm.wasm': wasmModule({ memory: MEMORY, functions: [ECHO] }) },
      'm.handle',
      'Runtime.HandlerNotFound',
      /neither alloc nor malloc/,
    ],
    [
      'other parameters',
      { 'm.wasm': wasmModule({ memory: MEMORY, functions: [alloc, { ...ECHO, params: [I32, I32, I32] }] }) },
      'm.handle',
      'Runtime.HandlerNotFound',
      /handle takes 3 parameters/,
    ],
    [
      'more memory than there is',
      { 'm.wasm': wasmModule({ memory: { min: 2000 }, functions: [alloc, ECHO] }) },
      'm.handle',
      'Runtime.OutOfMemory',
      /more memory than .* leaves for it, 80 MB/,
    ],
    [
      'a trap in the start section',
      { 'm.wasm': wasmModule({ memory: MEMORY, functions: [start(op.unreachable)], start: 0 }) },
      'm.wasm',
      'Runtime.WasmTrap',
      /unreachable/,
    ],
    [
      'a trap in _initialize',
      {
        'm.wasm': wasmModule({
          memory: MEMORY,
          functions: [alloc, ECHO, { ...start(op.unreachable), export: '_initialize' }],
        }),
      },
      'm.handle',
      'Runtime.WasmTrap',
      /unreachable/,
    ],
  ];
  for (const [name, files, handlerName, errorType, message] of cases) {
    await t.test(name, async () => {
      assertError(await once(files, handlerName), 'initError', errorType, message);
    });
  }
});

test('a module in a folder, and malloc in the place of alloc', async () => {
  const bytes = wasmModule({
    memory: MEMORY,
    functions: [
      { ...alloc, export: 'malloc' },
      { ...ECHO, export: 'run' },
    ],
  });
  assert.deepEqual((await once({ 'a/b/m.wasm': bytes }, 'a/b/m.run', [1])).value, [1]);
});

test('memory ends where the memory size of the function does', async () => {
  // Grows by 64 pages (4 MB) until it cannot, and returns how often it could as two digits.
  const body = [
    [0x03, 0x40, op.i32(64), op.grow, op.i32(-1), 0x47, 0x04, 0x40],
    [op.get(2), op.i32(1), op.add, op.set(2), 0x0c, 1, 0x0b, 0x0b],
    [op.i32(200), op.get(2), op.i32(10), 0x6e, op.i32(48), op.add, op.store8],
    [op.i32(201), op.get(2), op.i32(10), 0x70, op.i32(48), op.add, op.store8],
    op.packed(200, 2),
  ];
  const functions = [alloc, handler(body, { locals: [I32] })];
  // What a module says it may grow to is not held against it.
  const bytes = wasmModule({ memory: { min: 1, max: 65_536 }, functions });
  assert.equal((await once({ 'm.wasm': bytes }, 'm.handle')).value, 19);
  assert.equal((await once({ 'm.wasm': bytes }, 'm.handle', {}, { memoryMb: 256 })).value, 51);
});

test('_initialize runs once for each instance, ahead; what it logs is in the log of the invocation', async () => {
  const data = [{ at: 1024, bytes: 'set up\nhandled\n' }];
  const initialize: WasmFunction = {
    ...start([print(2, 1024, 7), op.globalGet(0), op.i32(1), op.add, op.globalSet(0)]),
    export: '_initialize',
  };
  const body = [print(1, 1031, 8), [op.i32(200), op.globalGet(0), op.i32(48), op.add, op.store8, op.packed(200, 1)]];
  const spec: WasmSpec = {
    imports: [FD_WRITE],
    memory: MEMORY,
    globals: [0],
    functions: [initialize, alloc, handler(body)],
    data,
  };
  const runner = new WasmRunner({ 'm.wasm': wasmModule(spec) }, 'm.handle');
  for (let round = 0; round < 3; round++) {
    const outcome = await runner.invoke();
    assert.equal(outcome.value, 1);
    assert.equal(outcome.log, 'set up\nhandled\n');
  }
  runner.stop();
});

test('the environment, the arguments and the invocation can be read', async () => {
  // Calls NAME_get(0, 1024), then writes 2000 bytes from 1024 on to the log.
  const readStrings = (name: string): Record<string, Buffer> =>
    command([op.i32(0), op.i32(1024), op.call(2), op.drop, print(2, 1024, 2000)], {
      imports: [FD_WRITE, PROC_EXIT, wasi(name, 2)],
    });
  const strings = (log: string): string[] => log.split('\0').filter((each) => each !== '');
  const args = await once(readStrings('args_get'), 'm.wasm');
  assert.deepEqual(strings(args.log), ['m.wasm']);

  const runner = new WasmRunner(readStrings('environ_get'), 'm.wasm', { env: { OWN: 'välue' } });
  const requestId = '01234567-89ab-cdef-0123-456789abcdef';
  const first = await runner.invoke({}, { requestId, traceId: 'Root=1', clientContext: '{"custom":{"k":"v"}}' });
  const all = strings(first.log);
  for (const expected of [
    'OWN=välue',
    'AWS_LAMBDA_FUNCTION_NAME=f',
    `LAMBDA_RUNTIME_AWS_REQUEST_ID=${requestId}`,
    `LAMBDA_RUNTIME_INVOKED_FUNCTION_ARN=${FUNCTION_ARN}`,
    'LAMBDA_RUNTIME_CLIENT_CONTEXT={"custom":{"k":"v"}}',
    '_X_AMZN_TRACE_ID=Root=1',
  ])
    assert.ok(all.includes(expected), `${expected} is not in ${all.join('; ')}`);
  assert.ok(!all.some((each) => each.startsWith('PERCH_')));
  const second = await runner.invoke({});
  assert.doesNotMatch(second.log, /TRACE_ID|CLIENT_CONTEXT/);
  runner.stop();
});

test('what a module writes to its log arrives whole and before the answer', async (t) => {
  await t.test('long, without a line end, in characters of every size', async () => {
    const piece = 'aé€😀'.repeat(5000);
    const bytes = Buffer.from(piece);
    const files = command(print(2, 1024, bytes.length), { memory: { min: 2 }, data: [{ at: 1024, bytes }] });
    assert.equal((await once(files, 'm.wasm')).log, piece);
  });
  await t.test('bytes that are no text', async () => {
    const bytes = Buffer.alloc(60_000, 0xbf);
    const files = command(print(2, 1024, bytes.length), { data: [{ at: 1024, bytes }] });
    assert.equal((await once(files, 'm.wasm')).log, '\u{fffd}'.repeat(60_000));
  });
});

test('an endless loop is ended from outside alone', async () => {
  const runner = new WasmRunner(command(op.forever([])), 'm.wasm');
  await runner.ready;
  const outcome = runner.invoke();
  setTimeout(() => runner.stop(), 50);
  assert.deepEqual((await outcome).value, { kind: 'signal', signal: 'SIGKILL' });
});

test('a module that catches its end is ended all the same', async () => {
  // try { proc_exit(4) } catch_all {} then print for ever.
  const body = [0x06, 0x40, op.i32(4), op.call(1), 0x19, 0x0b, op.forever(print(1, 0, 10))];
  assertError(await once(command(body), 'm.wasm'), 'error', 'Runtime.ExitError', /status 4$/);
});

test('memory stays flat over many invocations that use much of it', async () => {
  // Fills 20 MB of the 80 MB that it may have.
  const fill = [op.i32(65_536), op.i32(1), op.i32(20 * 1024 * 1024), 0xfc, 0x0b, 0, op.packed(0, 0)];
  const bytes = wasmModule({ memory: { min: 322 }, functions: [alloc, handler(fill)] });
  const runner = new WasmRunner({ 'm.wasm': bytes }, 'm.handle');
  for (let round = 0; round < 40; round++) assert.equal((await runner.invoke()).value, null);
  const peakKb = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${runner.pid}/status`, 'utf8'))![1]);
  // Its memory size, which its cgroup would hold it to.
  assert.ok(peakKb < 128 * 1024, `${peakKb} KB`);
  runner.stop();
});

test('the example does what it says', async () => {
  const folder = fileURLToPath(new URL('../../../examples/', import.meta.url));
  const files = { 'primes.wasm': readFileSync(path.join(folder, 'primes.wasm')) };
  assert.deepEqual((await once(files, 'primes.handle', { below: 100 })).value, { below: 100, primes: 25 });
  assertError(await once(files, 'primes.handle', {}), 'error', 'BadRequest', /below/);
});

// --- a program of a real compiler -------------------------------------------------------------------------------------

const PROGRAM = `
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <errno.h>
int main(int argc, char **argv) {
  char *text = malloc(1 << 20);
  size_t length = fread(text, 1, 1 << 20, stdin);
  text[length] = 0;
  struct timespec before, after, wall;
  clock_gettime(CLOCK_REALTIME, &wall);
  clock_gettime(CLOCK_MONOTONIC, &before);
  usleep(20000);
  clock_gettime(CLOCK_MONOTONIC, &after);
  long slept = (after.tv_sec - before.tv_sec) * 1000000 + (after.tv_nsec - before.tv_nsec) / 1000;
  unsigned random[2];
  getentropy(random, sizeof random);
  FILE *file = fopen("/etc/passwd", "r");
  const char *why = strerror(errno);
  fprintf(stderr, "to the %s\\n", "log");
  printf("{\\"got\\":%s,\\"argc\\":%d,\\"name\\":\\"%s\\",\\"own\\":\\"%s\\",", text, argc, argv[0], getenv("OWN"));
  printf("\\"wall\\":%lld,\\"slept\\":%ld,\\"random\\":[%u,%u],\\"file\\":\\"%s\\"}\\n", (long long)wall.tv_sec, slept, random[0], random[1],
    file ? "open" : why);
  return strcmp(getenv("OWN"), "fail") == 0 ? 9 : 0;
}`;

const compiler = existsSync('/usr/include/wasm32-wasi/stdio.h') && existsSync('/usr/bin/clang');

test(
  'a C program, compiled for WASI',
  { skip: compiler ? false : 'SKIPPED: needs clang, lld and wasi-libc' },
  async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'perch-wasi-'));
    try {
      writeFileSync(path.join(folder, 'app.c'), PROGRAM);
      const files = ['-o', path.join(folder, 'app.wasm'), path.join(folder, 'app.c')];
      execFileSync('/usr/bin/clang', ['--target=wasm32-wasi', '-O2', ...files], { stdio: 'pipe' });
      const bytes = readFileSync(path.join(folder, 'app.wasm'));
      const runner = new WasmRunner({ 'app.wasm': bytes }, 'app.wasm', { env: { OWN: 'mine' } });
      const event = { text: 'é'.repeat(30_000) };
      const [first, second] = [await runner.invoke(event), await runner.invoke([2])];
      runner.stop();
      assert.equal(first.log, 'to the log\n');
      const { wall, slept, random, ...rest } = first.value;
      assert.deepEqual(rest, { got: event, argc: 1, name: 'app.wasm', own: 'mine', file: 'Capabilities insufficient' });
      assert.ok(Math.abs(wall - Date.now() / 1000) < 60);
      assert.ok(slept >= 20_000);
      assert.deepEqual(second.value.got, [2]);
      assert.notDeepEqual(second.value.random, random);
      const failed = await once({ 'app.wasm': bytes }, 'app.wasm', 1, { env: { OWN: 'fail' } });
      assertError(failed, 'error', 'Runtime.ExitError', /exit status 9$/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);
