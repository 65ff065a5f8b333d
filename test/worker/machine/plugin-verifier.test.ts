/** What a plug-in may be: each refusal by example, and that nothing which may run for ever is let through, whatever the bytes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createContext, runInContext } from 'node:vm';
import fc from 'fast-check';
import { loadPlugin } from '../../../src/worker/agent/plugins.ts';
import type { Plugin } from '../../../src/worker/machine/directed.ts';
import { type PluginFacts, type PluginFault, verifyPlugin } from '../../../src/worker/machine/plugin-verifier.ts';
import { EventKind } from '../../../src/worker/machine/rules.ts';
import { type Code, I32, I64, op, type WasmFunction, wasmModule, type WasmSpec } from '../../lib/wasm-module.ts';

const ON = { params: [I32, I32, I32], results: [I32], export: 'on' } as const;
const LIMITS = { bytesMax: 4096, functionCountMax: 4, localCountMax: 8, instructionCountMax: 100 };
const F32 = 0x7d;

/** Compilers and the module writer export a memory where there is one, so it is left out where it is not needed. */
function on(body: Code, spec: WasmSpec = {}): Buffer {
  return wasmModule({ ...spec, functions: [{ ...ON, body }, ...(spec.functions ?? [])] });
}

function helper(body: Code, locals: readonly number[] = []): WasmFunction {
  return { params: [], results: [], locals, body };
}

function fault(bytes: Uint8Array, limits = LIMITS): PluginFault {
  const found = verifyPlugin(bytes, limits);
  assert.ok('message' in found, JSON.stringify(found));
  return found;
}

function facts(bytes: Uint8Array, limits = LIMITS): PluginFacts {
  const found = verifyPlugin(bytes, limits);
  assert.ok(!('message' in found), JSON.stringify(found));
  return found;
}

test('a plug-in that only counts is taken, and does what it says', () => {
  // state + 1, in the upper half; asleep for 7 ms at `sent`, else as it was.
  const asleep = [op.get(0), op.i32(EventKind.sent), 0x46, 0x04, I32, op.i32(3 | (7 << 2)), 0x05, op.i32(0), 0x0b];
  const bytes = on([asleep, op.get(2), op.i32(1), op.add, op.i32(16), 0x74, 0x72]);
  assert.deepEqual(facts(bytes), { functionCount: 1, instructionCount: 15, memoryBytes: 0 });
  const plugin = loadPlugin(bytes, assert.fail);
  assert.ok(typeof plugin !== 'string');
  assert.equal(plugin.on(EventKind.sent, 0, 4), (5 << 16) | (7 << 2) | 3);
  assert.equal(plugin.on(EventKind.woken, 0, 0), 1 << 16);
});

test('memory, globals, data and calls that come to an end are taken', () => {
  const spec: WasmSpec = {
    memory: { min: 1, max: 1 },
    globals: [7],
    data: [{ at: 65_532, bytes: 'abcd' }],
    functions: [helper([op.call(2), op.call(2)]), helper([op.globalGet(0), op.drop])],
  };
  // on: 9; helper 1: 3, and twice helper 2, which is 3.
  const bytes = on([op.call(1), op.i32(65_532), op.load32, op.i32(0), op.i32(5), op.store32], spec);
  assert.deepEqual(facts(bytes), { functionCount: 3, instructionCount: 16, memoryBytes: 65_536 });
  const plugin = loadPlugin(bytes, assert.fail);
  assert.ok(typeof plugin !== 'string' && plugin.on(0, 0, 0) === 0x64636261);
});

test('what is not bounded, or not a plug-in, is refused in words that name it', () => {
  const zero = op.i32(0);
  const lone = (extra: Partial<WasmFunction>): Buffer => wasmModule({ functions: [{ ...ON, body: [zero], ...extra }] });
  const cases: readonly (readonly [string, Buffer, RegExp, number])[] = [
    ['nothing', Buffer.alloc(0), /ends in the middle/, -1],
    ['another file', Buffer.from('#!/bin/sh\n'), /no WebAssembly module of version 1/, -1],
    ['no function', wasmModule({}), /no function is exported as 'on'/, -1],
    ['a loop', on([op.forever([]), zero]), /a loop; a plug-in has none/, 0],
    ['itself', on([zero, zero, zero, op.call(0)]), /calls itself/, 0],
    [
      'each other',
      on([op.call(1), zero], { functions: [helper([op.call(2)]), helper([op.call(1)])] }),
      /calls itself/,
      1,
    ],
    ['an unused loop', on([zero], { functions: [helper([op.forever([])])] }), /a loop/, 1],
    ['an import', wasmModule({ imports: [{ module: 'a', name: 'b', params: [], results: [] }] }), /imports/, -1],
    ['a start', on([zero], { start: 1, functions: [helper([])] }), /a start function/, -1],
    ['growth', on([zero, op.grow], { memory: { min: 1, max: 1 } }), /memory\.grow/, 0],
    ['two pages', on([zero], { memory: { min: 1, max: 2 } }), /of 1 to 2 pages; a plug-in has 1/, -1],
    ['no maximum', on([zero], { memory: { min: 1 } }), /no maximum/, -1],
    [
      'data beyond',
      on([zero], { memory: { min: 1, max: 1 }, data: [{ at: 65_533, bytes: 'abcd' }] }),
      /ends at 65537/,
      -1,
    ],
    [
      'data at -1',
      on([zero], { memory: { min: 1, max: 1 }, data: [{ at: -1, bytes: 'a' }] }),
      /ends at 4294967296/,
      -1,
    ],
    ['an indirect call', on([zero, [0x11, 0, 0]]), /an indirect call/, 0],
    ['floats', lone({ locals: [F32] }), /type 0x7d; a plug-in has i32 and i64/, 0],
    ['a float', on([[0x43, 0, 0, 0, 0], op.drop, zero]), /instruction 0x43/, 0],
    ['bulk memory', on([zero, zero, zero, [0xfc, 11, 0], zero]), /instruction 0xfc/, 0],
    ['vectors', on([[0xfd, 12]]), /instruction 0xfd/, 0],
    ['another name', lone({ export: 'off' }), /'off' is exported; a plug-in exports 'on' and nothing else/, -1],
    ['another type', lone({ params: [I32] }), /'on' has to take three i32 and give one/, -1],
    ['i64', lone({ results: [I64] }), /'on' has to take three i32/, -1],
    ['many locals', lone({ locals: new Array<number>(9).fill(I32) }), /more than 8 local variables/, 0],
    [
      'many functions',
      on([zero], { functions: new Array<WasmFunction>(4).fill(helper([])) }),
      /more than 4 functions/,
      -1,
    ],
    ['much code', on([new Array<number>(99).fill(0x01), zero]), /may run 101 instructions, .*; 100 are the most/, 0],
    ['many bytes', Buffer.alloc(4097), /4097 bytes; 4096 are the most/, -1],
    ['deep blocks', on([new Array<Code>(70).fill([0x02, 0x40])]), /nested too deep/, 0],
    ['nobody to call', on([op.call(9), zero]), /calls function 9, and there are 1/, 0],
  ];
  for (const [what, bytes, message, functionIndex] of cases) {
    const found = fault(bytes);
    assert.match(found.message, message, what);
    assert.equal(found.functionIndex, functionIndex, `${what}: ${found.message}`);
    assert.ok(found.offset >= 0 && found.offset <= bytes.length, what);
  }
  const { offset } = fault(on([zero, zero, op.forever([])]));
  assert.equal(on([zero, zero, op.forever([])])[offset], 0x03, 'the offset is that of the loop');
});

test('calls that double are counted and not walked', () => {
  const doubling = Array.from({ length: 60 }, (_, index) =>
    helper(index === 59 ? [] : [op.call(index + 2), op.call(index + 2)]),
  );
  const limits = { ...LIMITS, functionCountMax: 64 };
  assert.match(fault(on([op.call(1), op.i32(0)], { functions: doubling }), limits).message, /may run \d+ instructions/);
});

function loadFault(bytes: Uint8Array): string {
  const found = loadPlugin(bytes, assert.fail);
  assert.ok(typeof found === 'string');
  return found;
}

test('what the engine does not take is an error, and what traps is asked no more', () => {
  assert.match(loadFault(on([op.add])), /the module is not valid: /);
  assert.match(loadFault(on([op.forever([]), op.i32(0)])), /^function 0, at byte \d+: it has a loop/);
  const traps: string[] = [];
  const plugin = loadPlugin(on([op.get(0), op.get(0), op.divide]), (message) => traps.push(message));
  assert.ok(typeof plugin !== 'string');
  assert.deepEqual([plugin.on(1, 0, 0), plugin.on(0, 0, 0), plugin.on(1, 0, 0)], [1, 1, 1]);
  assert.deepEqual(traps, ['divide by zero']);
});

const context: { plugin?: Plugin } = {};
createContext(context);

/** Runs it with a bound that only an endless run meets. */
function endsSoon(bytes: Uint8Array): void {
  const plugin = loadPlugin(bytes, () => {});
  if (typeof plugin === 'string') return;
  context.plugin = plugin;
  runInContext('for (const kind of [0, 1, 6]) plugin.on(kind, 12345, 1)', context, { timeout: 10_000 });
}

const SMALL: WasmSpec = {
  memory: { min: 1, max: 1 },
  globals: [1],
  data: [{ at: 8, bytes: 'data' }],
  functions: [
    {
      ...ON,
      locals: [I32, I64],
      body: [op.get(0), 0x04, I32, op.call(1), op.i32(7), 0x05, op.call(2), op.i32(1), 0x0b],
    },
    helper([op.call(2), 0x02, 0x40, op.i32(1), 0x0d, 0, 0x0c, 0, 0x0b, op.i32(8), op.load32, op.globalSet(0)]),
    helper([op.i64(-1n), op.drop, op.i32(0), 0x0e, 1, 0, 0]),
  ],
};

test('no bytes make the verifier fail, and no change of a good module makes one that runs for ever', () => {
  const good = wasmModule(SMALL);
  facts(good);
  endsSoon(good);
  let takenCount = 0;
  const look = (bytes: Uint8Array): void => {
    const found = verifyPlugin(bytes);
    if ('message' in found) return assert.ok(found.offset <= bytes.length && found.message.endsWith('.'));
    assert.ok(found.instructionCount <= 10_000 && found.memoryBytes <= 65_536);
    takenCount++;
    endsSoon(bytes);
  };
  const header = Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
  const bytes = fc.uint8Array({ size: 'max', maxLength: 400 });
  fc.assert(
    fc.property(bytes, fc.boolean(), (each, isBare) => look(isBare ? each : Buffer.concat([header, each]))),
    { numRuns: 2000 },
  );
  // Bytes that mean something, in place of others; every one place is tried with every one of them below.
  const telling = [0x00, 0x02, 0x03, 0x04, 0x0b, 0x0c, 0x10, 0x11, 0x40, 0x7f, 0x80, 0xff, 0x01];
  const change = fc.record({ at: fc.nat(good.length - 1), to: fc.oneof(fc.constantFrom(...telling), fc.nat(255)) });
  fc.assert(
    fc.property(fc.array(change, { minLength: 2, maxLength: 5 }), (changes) => {
      const changed = Buffer.from(good);
      for (const { at, to } of changes) changed[at] = to;
      look(changed);
    }),
    { numRuns: 5000 },
  );
  for (let at = 0; at < good.length; at++) {
    look(good.subarray(0, at));
    for (let to = 0; to < 256; to++) {
      const changed = Buffer.from(good);
      changed[at] = to;
      look(changed);
    }
  }
  assert.ok(takenCount > 1000, `only ${takenCount} were taken`);
});

/** A body that leaves nothing on the stack, and whether a loop is in it. */
interface Body {
  readonly code: Code;
  readonly hasLoop: boolean;
  readonly calls: readonly number[];
}

const FUNCTIONS = 4;
const none: Body = { code: [], hasLoop: false, calls: [] };
const { body } = fc.letrec<{ body: Body; one: Body }>((tie) => ({
  one: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constant<Body>({ ...none, code: [op.i32(1), op.drop] }),
    fc.constant<Body>({ ...none, code: [op.i32(8), op.load32, op.drop] }),
    fc.integer({ min: 1, max: FUNCTIONS }).map((index): Body => ({ ...none, code: op.call(index), calls: [index] })),
    tie('body').map((inner): Body => ({ ...inner, code: [0x02, 0x40, inner.code, op.i32(1), 0x0d, 0, 0x0b] })),
    tie('body').map((inner): Body => ({ ...inner, code: [op.i32(1), 0x04, 0x40, inner.code, 0x05, inner.code, 0x0b] })),
    tie('body').map((inner): Body => ({ ...inner, code: [0x03, 0x40, inner.code, 0x0b], hasLoop: true })),
  ),
  body: fc.array(tie('one'), { maxLength: 3 }).map((parts) => ({
    code: parts.map((part) => part.code),
    hasLoop: parts.some((part) => part.hasLoop),
    calls: parts.flatMap((part) => part.calls),
  })),
}));

function recurs(bodies: readonly Body[], from: number, path: readonly number[] = []): boolean {
  if (path.includes(from)) return true;
  return bodies[from - 1]!.calls.some((callee) => recurs(bodies, callee, [...path, from]));
}

test('of programs as compilers make them, those with a loop or recursion are refused, and all others are taken', () => {
  let takenCount = 0;
  fc.assert(
    fc.property(fc.tuple(body, body, body, body), (bodies) => {
      const bytes = on([op.call(1), op.i32(1)], {
        memory: { min: 1, max: 1 },
        functions: bodies.map(({ code }) => helper(code)),
      });
      const isEndless = bodies.some(({ hasLoop }) => hasLoop) || bodies.some((_, index) => recurs(bodies, index + 1));
      const found = verifyPlugin(bytes, { ...LIMITS, functionCountMax: 5, bytesMax: 1e6, instructionCountMax: 1e6 });
      assert.equal('message' in found, isEndless, JSON.stringify(found));
      if (isEndless) return;
      takenCount++;
      endsSoon(bytes);
    }),
    { numRuns: 1000 },
  );
  assert.ok(takenCount > 100, `only ${takenCount} were taken`);
});
