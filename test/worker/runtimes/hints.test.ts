/** The module `perch` at its edges: where it is found, when it counts, and what it is outside of Perch. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import type { Hint } from '../../../src/worker/agent/instance.ts';
import { nodeRuntime } from '../../../src/worker/runtimes/node/runtime.ts';
import { pythonRuntimes } from '../../../src/worker/runtimes/python/runtime.ts';
import { begin, withClient } from './provided-client.ts';
import { type Outcome, startRuntime } from './runtime-process.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'perch-hints-'));
after(() => rmSync(folder, { recursive: true }));

const pythonRuntime = pythonRuntimes[0]!;
const finding = pythonRuntime.check();
const skipPython = finding.ok ? false : `NOT TESTED: ${finding.detail}`;
const NODE_MODULE = path.join(nodeRuntime.dir, 'perch.cjs');
const PYTHON_MODULES = path.join(pythonRuntime.dir, 'modules');

function write(files: Readonly<Record<string, string>>): string {
  const code = mkdtempSync(path.join(folder, 'code-'));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(code, name)), { recursive: true });
    writeFileSync(path.join(code, name), text);
  }
  return code;
}

/** Invoked so often, one after the other. */
async function run(
  code: string,
  { count = 1, handler = 'index.handler' } = {},
): Promise<{ outcomes: Outcome[]; hints: Hint[] }> {
  const isPython = readdirSync(code).some((name) => name.endsWith('.py'));
  const conversation = startRuntime(isPython ? pythonRuntime : nodeRuntime, code, handler);
  const outcomes: Outcome[] = [];
  for (let index = 0; index < count; index++) {
    const initial = await conversation.ready;
    outcomes.push(initial ?? (await conversation.invoke({ index })));
  }
  conversation.stop();
  await conversation.exit;
  return { outcomes, hints: conversation.hints };
}

async function expectNode(files: Record<string, string>, value: unknown, hints: readonly Hint[]): Promise<void> {
  const found = await run(write(files));
  assert.deepEqual(found.outcomes[0]?.value, value, JSON.stringify(found.outcomes));
  assert.deepEqual(found.hints, hints);
}

const SAYS = 'exports.handler = async () => { perch.sleeping(); perch.awake(); return "said"; };';

test('Node: every way to load it leads to the same', async () => {
  const esm = (importing: string, says = 'perch.sleeping(); perch.awake();'): Record<string, string> => ({
    'index.mjs': `${importing}; export const handler = async () => { ${says} return "said"; };`,
  });
  const forms = [
    { 'index.js': `const perch = require('perch'); ${SAYS}` },
    { 'index.js': `const perch = require('./deep/in/folders.js'); ${SAYS}`, 'deep/in/folders.js': "module.exports = require('perch')" }, // prettier-ignore
    esm("import * as perch from 'perch'"),
    esm("import perch from 'perch'"),
    esm("import { sleeping, awake } from 'perch'", 'sleeping("why"); awake();'),
    esm('', "const perch = await import('perch'); perch.sleeping(); perch.awake();"),
    // Two copies of it: what a bundle has inside, and the runtime's.
    { 'index.js': `const perch = { ...require('./bundled.cjs'), awake: require('perch').awake }; ${SAYS}`, 'bundled.cjs': readFileSync(NODE_MODULE, 'utf8') }, // prettier-ignore
  ];
  for (const files of forms) await expectNode(files, 'said', ['sleeping', 'awake']);
});

test('Node: a package of that name that the function brings comes first', async () => {
  const own = { 'node_modules/perch/index.js': "exports.name = 'its own'" };
  await expectNode({ ...own, 'index.js': "exports.handler = async () => require('perch').name" }, 'its own', []);
  const esm = "import perch from 'perch'; export const handler = async () => perch.name";
  await expectNode({ ...own, 'index.mjs': esm }, 'its own', []);
  // One that is broken is not taken for one that is missing.
  const broken = { 'node_modules/perch/index.js': "throw new Error('it is broken')" };
  const { outcomes } = await run(write({ ...broken, 'index.js': "require('perch')" }));
  assert.deepEqual([outcomes[0]?.kind, outcomes[0]?.value.errorMessage], ['initError', 'it is broken']);
});

test('Node: what is not there is still missed in the same words', async () => {
  const { outcomes } = await run(write({ 'index.js': "require('perch/inner')" }));
  assert.deepEqual(
    [outcomes[0]?.value.errorType, outcomes[0]?.value.errorMessage.split('\n')[0]],
    ['Runtime.ImportModuleError', "Error: Cannot find module 'perch/inner'"],
  );
});

test('Node: outside of an invocation, and in another thread, it counts for nothing', async () => {
  const source = `const perch = require('perch');
const { Worker } = require('node:worker_threads');
perch.sleeping();
const inThread = "require(process.argv[2]).sleeping(); require('node:worker_threads').parentPort.postMessage('done')";
exports.handler = async ({ index }) => {
  await new Promise((resolve) => new Worker(inThread, { eval: true, argv: [require.resolve('perch')] }).on('message', resolve));
  if (index === 0) process.nextTick(() => perch.sleeping());
  else perch.awake();
  return 'said';
};`;
  const { outcomes, hints } = await run(write({ 'index.js': source }), { count: 3 });
  assert.deepEqual(outcomes.map(({ value }) => value), ['said', 'said', 'said']); // prettier-ignore
  assert.deepEqual(hints, ['awake', 'awake']);
});

test('Node: outside of Perch it does nothing', () => {
  const code = write({
    'a.mjs': "import { sleeping, awake } from './perch.cjs'; sleeping('x'); awake(); console.log('ok')",
  });
  cpSync(NODE_MODULE, path.join(code, 'perch.cjs'));
  assert.equal(spawnSync(process.execPath, [path.join(code, 'a.mjs')], { encoding: 'utf8' }).stdout, 'ok\n');
});

test(
  'Python: a module of that name that the function brings comes first, also as its handler',
  { skip: skipPython },
  async () => {
    const own = 'name = "its own"\ndef handler(event, context): return name\n';
    const found = await run(write({ 'perch.py': own }), { handler: 'perch.handler' });
    assert.deepEqual([found.outcomes[0]?.value, found.hints], ['its own', []]);
  },
);

test('Python: outside of an invocation, and in a child, it counts for nothing', { skip: skipPython }, async () => {
  const source = `import os, perch
perch.sleeping()
def handler(event, context):
    child = os.fork()
    if child == 0:
        perch.sleeping()
        os._exit(0)
    os.waitpid(child, 0)
    if event['index'] == 2:
        perch.awake()
    return 'said'
`;
  const { outcomes, hints } = await run(write({ 'index.py': source }), { count: 3 });
  assert.deepEqual(outcomes.map(({ value }) => value), ['said', 'said', 'said']); // prettier-ignore
  assert.deepEqual(hints, ['awake']);
});

test('Python: threads that hint while the handler logs and answers break no frame', { skip: skipPython }, async () => {
  const source = `import perch, threading
# Together fewer than are heard in one tick of an agent, which is not there to tick.
def talk():
    for _ in range(50):
        perch.sleeping()
        perch.awake()
threads = [threading.Thread(target=talk, daemon=True) for _ in range(4)]
def handler(event, context):
    if event['index'] == 0:
        for thread in threads:
            thread.start()
    for line in range(20):
        print('line %d' % line)
    return {'text': 'x' * 20000}
`;
  const { outcomes, hints } = await run(write({ 'index.py': source }), { count: 10 });
  assert.ok(outcomes.every(({ kind, value }) => kind === 'response' && value.text.length === 20_000));
  assert.ok(hints.length <= 400);
});

test('Python: outside of Perch it does nothing', { skip: skipPython }, () => {
  const script = "import perch; perch.sleeping('x'); perch.awake(); print('ok')";
  const { stdout } = spawnSync(pythonRuntime.interpreter(), ['-B', '-c', script], {
    encoding: 'utf8',
    env: { PYTHONPATH: PYTHON_MODULES },
  });
  assert.equal(stdout, 'ok\n');
});

test('provided: what is asked in another way is refused, and what comes between two invocations counts for nothing', async () => {
  await withClient(async (client) => {
    const say = (method: string, url: string): Promise<{ status: number; json: any }> => client.call(method, url);
    assert.equal((await say('POST', '/perch/sleeping')).status, 202);
    const { id, outcome } = await begin(client, {});
    assert.equal((await say('POST', '/perch/sleeping?why=it+waits')).status, 202);
    assert.deepEqual((await say('GET', '/perch/awake')).json.errorType, 'MethodNotAllowed');
    for (const url of ['/perch/', '/perch/asleep', '/perch/sleeping/', '/perch/sleepingly'])
      assert.equal((await say('POST', url)).status, 404, url);
    await client.post(id, 'response', { body: '1' });
    await outcome;
    assert.equal((await say('POST', '/perch/awake')).status, 202);
    assert.deepEqual(client.runner.hints, ['sleeping']);
  });
});
