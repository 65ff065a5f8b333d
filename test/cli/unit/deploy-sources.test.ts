/** What a path is, and which handler it has, before anything is packed. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { folderWith } from '../perch.ts';
import { readManifest } from '../../../src/cli/deploy/manifest.ts';
import { packPlan } from '../../../src/cli/deploy/pack.ts';
import { nameOf, sourceAt } from '../../../src/cli/deploy/plan.ts';
import { pythonHandler, pythonNames } from '../../../src/cli/deploy/python.ts';
import { CliError, EXIT } from '../../../src/cli/exit-codes.ts';

const HELLO_PY = 'def lambda_handler(event, context):\n    return event\n';

function refusal(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    assert.ok(error instanceof CliError);
    assert.equal(error.exitCode, EXIT.usage);
    return error.message;
  }
  return 'accepted';
}

const kindOf = (file: string, runtime?: string, asIs = false): string => sourceAt(file, { asIs, runtime }).kind;

test('a file is told by its name', () => {
  const folder = folderWith({ 'a.ts': '', 'b.py': '', 'c.wasm': '', 'd.zip': '', bootstrap: '', 'e.rb': '' });
  const at = (name: string): string => path.join(folder, name);
  assert.deepEqual(
    ['a.ts', 'b.py', 'c.wasm', 'd.zip', 'bootstrap'].map((name) => kindOf(at(name))),
    ['bundle', 'python', 'wasm', 'zip', 'provided'],
  );
  assert.match(
    refusal(() => kindOf(at('e.rb'))),
    /e\.rb is none of .*\.py, \.wasm, \.zip and bootstrap/,
  );
  assert.match(
    refusal(() => kindOf(at('b.py'), 'nodejs24.x')),
    /b\.py is code for python3\.12, and --runtime .* says nodejs24/,
  );
  assert.equal(kindOf(at('b.py'), 'python3.9'), 'python');
  assert.equal(kindOf(at('d.zip'), 'python3.9'), 'zip');
});

test('a folder is told by what is in it, Node first, or by the runtime that is asked for', () => {
  const node = { 'index.js': '', 'tool.py': '' };
  const python = { 'app.py': '', 'other.py': '' };
  const cases: readonly (readonly [Record<string, string>, string | undefined, boolean, string])[] = [
    [node, undefined, false, 'bundle'],
    [node, undefined, true, 'folder'],
    [node, 'python3.12', false, 'python'],
    [python, undefined, false, 'python'],
    [python, undefined, true, 'python'],
    [{ bootstrap: '', 'a.py': '' }, undefined, false, 'provided'],
    [{ bootstrap: '', 'a.py': '' }, 'python3.12', false, 'python'],
    [{ 'only.wasm': '' }, undefined, false, 'wasm'],
    [{ 'main.js': '' }, undefined, true, 'folder'],
  ];
  for (const [files, runtime, asIs, expected] of cases) {
    assert.equal(kindOf(folderWith(files), runtime, asIs), expected, JSON.stringify([files, runtime, asIs]));
  }
  assert.match(
    refusal(() => kindOf(folderWith({ 'a.py': '', 'b.py': '' }))),
    /nor is there a bootstrap, a single \.py/,
  );
  assert.match(
    refusal(() => kindOf(folderWith({}), 'provided.al2023')),
    /no file named bootstrap/,
  );
  assert.match(
    refusal(() => kindOf(folderWith({ 'a.wasm': '', 'b.wasm': '' }), 'wasm')),
    /exactly one \.wasm/,
  );
});

test('a function is named after its file, or its folder where the file says nothing', () => {
  assert.equal(nameOf('/x/shop/resize.py'), 'resize');
  assert.equal(nameOf('/x/shop/lambda_function.py'), 'shop');
  assert.equal(nameOf('/x/shop/bootstrap'), 'shop');
  assert.equal(nameOf('/x/shop/fast.one.wasm'), 'fast-one');
});

test('the handler of a Python function', () => {
  const folder = folderWith({
    'hello.py': HELLO_PY,
    'both.py': 'def handler(e, c):\n  pass\ndef lambda_handler(e, c):\n  pass\n',
    'none.py': 'def run(e, c):\n  pass\n',
    'pkg/mod.py': 'run = print\n',
    'pack/__init__.py': '',
  });
  assert.equal(pythonHandler(folder, 'hello.py', undefined), 'hello.lambda_handler');
  assert.equal(pythonHandler(folder, 'both.py', undefined), 'both.handler');
  assert.equal(pythonHandler(folder, 'none.py', 'run'), 'none.run');
  assert.equal(pythonHandler(folder, undefined, 'pkg.mod.run'), 'pkg.mod.run');
  assert.equal(pythonHandler(folder, undefined, 'pkg/mod.run'), 'pkg/mod.run');
  assert.equal(pythonHandler(folder, undefined, 'pack.run'), 'pack.run');
  assert.match(
    refusal(() => pythonHandler(folder, 'none.py', undefined)),
    /no handler; it defines 'run'.*lambda_handler/,
  );
  assert.match(
    refusal(() => pythonHandler(folder, 'hello.py', 'walk')),
    /no 'walk'; it defines 'lambda_handler'/,
  );
  assert.match(
    refusal(() => pythonHandler(folder, undefined, undefined)),
    /--handler, as in app\.handler/,
  );
  assert.match(
    refusal(() => pythonHandler(folder, undefined, 'gone.run')),
    /has no gone\.py/,
  );
});

test('names of a Python module are read from its text where the text shows them', () => {
  assert.deepEqual(
    pythonNames('from a import b, c as d\nasync def e(): pass\nf: int = 1\ng = 2\n  h = 3\nif g == 2: pass'),
    ['e', 'f', 'g', 'b', 'd'],
  );
  assert.equal(pythonNames('from a import *'), null);
  assert.equal(pythonNames('from a import (\n b)'), null);
});

test('what is packed, for which runtime, and nothing that Python compiled', async () => {
  const folder = folderWith({
    'app.py': HELLO_PY,
    'lib/part.py': '',
    '__pycache__/app.cpython-311.pyc': 'x',
    'lib/__pycache__/part.pyc': 'x',
    '.venv/x.py': '',
  });
  const pack = (source: string, handler?: string): ReturnType<typeof packPlan> =>
    packPlan({
      name: 'f',
      source: sourceAt(path.join(folder, source), { asIs: false, runtime: undefined }),
      external: [],
      settings: {},
      ...(handler !== undefined && { handler }),
    });
  const python = await pack('app.py');
  assert.deepEqual([python.settings.Handler, python.runtimeDefault], ['app.lambda_handler', 'python3.12']);
  const text = python.zip.toString('latin1');
  assert.match(text, /lib\/part\.py/);
  assert.doesNotMatch(text, /pycache|\.venv/);
});

test('a WebAssembly module: a command, a handler, or neither', async () => {
  const module = (name: string): string => {
    // (module (func) (export NAME (func 0)))
    const exported = [1, name.length, ...Buffer.from(name), 0, 0];
    const bytes = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 7, exported.length, ...exported];
    return Buffer.from([...bytes, 10, 4, 1, 2, 0, 0x0b]).toString('latin1');
  };
  const handlerOf = async (text: string, handler?: string): Promise<string | undefined> => {
    const folder = folderWith({ 'm.wasm': text });
    const source = sourceAt(path.join(folder, 'm.wasm'), { asIs: false, runtime: undefined });
    const plan = { name: 'f', source, external: [], settings: {}, ...(handler !== undefined && { handler }) };
    const packed = await packPlan(plan).catch((error: unknown) => error);
    if (packed instanceof CliError) return packed.message;
    return (packed as Awaited<ReturnType<typeof packPlan>>).settings.Handler;
  };
  assert.equal(await handlerOf(module('_start')), 'index.wasm');
  assert.equal(await handlerOf(module('handle')), 'index.handle');
  assert.equal(await handlerOf(module('run'), 'm.run'), 'index.run');
  assert.match((await handlerOf(module('run'))) ?? '', /neither a WASI command.*'handle'; it exports 'run'/);
  assert.match((await handlerOf(module('run'), 'walk')) ?? '', /no export 'walk'/);
  assert.match((await handlerOf('no wasm')) ?? '', /is no WebAssembly module/);
});

test('mistakes in perch.json are named with their place, and what would be right', () => {
  const cases: readonly (readonly [unknown, string])[] = [
    [{}, '(functions): it is missing; it has to be an object of functions by their names, such as {"hello": {"entry":'],
    [[], '(top level): it has to be an object, not []'],
    [{ functions: { f: {} } }, '(functions.f.entry): it is missing; it has to be a file or a folder, from'],
    [{ functions: { f: { entry: '' } } }, '(functions.f.entry): it has to have at least 1 character, and has 0'],
    [{ functions: { f: { entry: 'f', memory: 5 } } }, '(functions.f.memory): it has to be at least 128, not 5'],
    [{ functions: { f: { entry: 'f', timeout: '5' } } }, '(functions.f.timeout): it has to be a whole number, not "5"'],
    [{ functions: { f: { entry: 'f', network: 'x' } } }, '(functions.f.network): it has to be one of "none"|'],
    [{ functions: { 'a b': { entry: 'f' } } }, '(functions.a b): "a b" is no name here: a function name has 1 to 64'],
    [{ functions: {}, chains: { 'p q': { steps: ['f'] } } }, '(chains.p q): "p q" is no name here: a chain name has'],
    [{ functions: {}, chains: { c: { steps: [] } } }, '(chains.c.steps): it has to have at least 1 item, and has 0'],
    [{ functions: {}, chains: { c: {} } }, '(chains.c.steps): it is missing; it has to be a list of functions, such'],
    [{ functions: {}, chains: { c: { steps: [7] } } }, '(chains.c.steps.0): it has to be a string, not 7'],
  ];
  for (const [manifest, words] of cases) {
    const folder = folderWith({ 'perch.json': JSON.stringify(manifest) });
    const message = refusal(() => readManifest(path.join(folder, 'perch.json')));
    assert.ok(message.includes(`perch.json:1 ${words}`), message);
  }
});

test('the runtime of the examples is deployed with its handler, as a folder', async () => {
  const folder = path.resolve(import.meta.dirname, '../../../examples/own-runtime');
  const [plan, ...others] = readManifest(path.join(folder, 'perch.json'));
  assert.equal(others.length, 0);
  const { settings } = await packPlan(plan!);
  assert.equal(settings.Handler, 'shout.shout');
  assert.equal(plan!.source.kind, 'provided');
});
