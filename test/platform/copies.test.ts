/** Clean copies on a whole platform, in Node and in Python: what reuse keeps and fresh never does, and one initialisation for all. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { functionsOnPlatform, type Invoked, until } from '../lib/functions.ts';
import { noBubblewrap, ROOT_ONLY } from '../worker/sandbox/harness.ts';

const skip = noBubblewrap || ROOT_ONLY;

const FRESH = { PERCH_ISOLATION: 'fresh' };

/** Says who initialised it, which invocation of this instance it is, and what a copy draws. */
const COUNTER_NODE = `import { randomUUID, randomBytes } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
const init = randomUUID();
console.log('initialised ' + init);
let count = 0;
export const handler = async (event) => {
  const found = existsSync('/tmp/left');
  writeFileSync('/tmp/left', 'x');
  await new Promise((resolve) => setTimeout(resolve, event.ms ?? 0));
  return { init, count: ++count, found, draw: [Math.random(), randomUUID(), randomBytes(8).toString('hex')].join() };
};`;

const COUNTER_PYTHON = `import os, random, secrets, time, uuid
init = str(uuid.uuid4())
print('initialised ' + init)
count = 0
def handler(event, context):
    global count
    count += 1
    found = os.path.exists('/tmp/left')
    open('/tmp/left', 'w').close()
    time.sleep(event.get('ms', 0) / 1000)
    draw = [str(random.random()), str(uuid.uuid4()), secrets.token_hex(8)]
    return {'init': init, 'count': count, 'found': found, 'draw': ','.join(draw)}
`;

const COUNTERS = [
  ['node', { 'index.mjs': COUNTER_NODE }],
  ['python', { 'index.py': COUNTER_PYTHON }],
] as const;

const { functions } = functionsOnPlatform(skip);

function values(answers: readonly Invoked[]): readonly any[] {
  for (const { status, functionError, value } of answers)
    assert.deepEqual([status, functionError], [200, null], JSON.stringify(value));
  return answers.map((answer) => answer.value);
}

function unlike(all: readonly unknown[]): number {
  return new Set(all).size;
}

for (const [runtime, files] of COUNTERS) {
  test(
    `${runtime}, reuse: cold, then warm with its state; a second instance is a copy without an initialisation`,
    { skip },
    async () => {
      const name = `${runtime}-reuse`;
      await functions.deploy(name, { files });
      await functions.cellsWait(runtime);
      const first = await functions.invoke(name);
      const second = await functions.invoke(name);
      assert.deepEqual([first.start, second.start], ['cold', 'warm']);
      const [one, two] = values([first, second]);
      assert.deepEqual([one.count, one.found, two.count, two.found], [1, false, 2, true]);
      const both = await Promise.all([functions.invoke(name, { ms: 400 }), functions.invoke(name, { ms: 400 })]);
      assert.deepEqual(both.map(({ start }) => String(start)).toSorted(), ['copy', 'warm']);
      const all = [one, two, ...values(both)];
      assert.equal(unlike(all.map(({ init }) => init)), 1, 'all from one initialisation');
      assert.deepEqual(
        values(both)
          .map(({ count }) => Number(count))
          .toSorted((a, b) => a - b),
        [1, 3],
        'a copy is of the zygote, not of the other instance',
      );
      assert.equal(unlike(all.map(({ draw }) => draw)), 4);
      assert.equal((await functions.logLines(name, 'initialised ')).length, 1);
      const state = await functions.copies(name);
      assert.deepEqual([state.copyable, state.zygote, state.reasons], [true, 'ready', []]);
    },
  );

  test(`${runtime}: the memory that was used holds what initialisation made`, { skip }, async () => {
    const name = `${runtime}-memory`;
    const held: Readonly<Record<string, string>> =
      runtime === 'node'
        ? { 'index.mjs': 'const held = Buffer.alloc(60e6, 1);\nexport const handler = async () => held.length;' }
        : { 'index.py': "held = b'1' * 60_000_000\ndef handler(event, context): return len(held)" };
    await functions.deploy(name, { files: held, more: { MemorySize: 256 } });
    await functions.cellsWait(runtime);
    for (let round = 0; round < 2; round++) assert.equal(await functions.call(name), 60_000_000);
    const usedMb = (await functions.logLines(name, 'Max Memory Used')).map((line) =>
      Number(/Max Memory Used: (\d+) MB/.exec(line)?.[1]),
    );
    assert.equal(usedMb.length, 2);
    for (const mb of usedMb) assert.ok(mb > 60 && mb <= 256, `${mb} MB`);
  });

  test(`${runtime}, fresh: no invocation finds anything of another, from one initialisation`, { skip }, async () => {
    const name = `${runtime}-fresh`;
    await functions.deploy(name, { files, environment: FRESH });
    await functions.cellsWait(runtime);
    const first = await functions.invoke(name);
    assert.equal(first.start, 'cold');
    const later: Invoked[] = [];
    for (let count = 0; count < 8; count++) later.push(await functions.invoke(name));
    await until('a copy waits', async () => (await functions.copies(name)).waiting > 0);
    later.push(await functions.invoke(name));
    assert.equal(later.at(-1)!.start, 'warm');
    const all = values([first, ...later]);
    for (const { count, found } of all) assert.deepEqual([count, found], [1, false]);
    assert.equal(unlike(all.map(({ init }) => init)), 1);
    assert.equal(unlike(all.map(({ draw }) => draw)), all.length);
    assert.equal((await functions.logLines(name, 'initialised ')).length, 1);
  });

  for (const isolation of ['reuse', 'fresh'])
    test(`${runtime}, ${isolation}: twenty first invocations at once share one initialisation`, { skip }, async () => {
      const name = `${runtime}-many-${isolation}`;
      await functions.deploy(name, { files, environment: { PERCH_ISOLATION: isolation } });
      await functions.cellsWait(runtime);
      const all = values(await Promise.all(Array.from({ length: 20 }, () => functions.invoke(name))));
      assert.equal(unlike(all.map(({ init }) => init)), 1);
      assert.equal(unlike(all.map(({ draw }) => draw)), 20);
      assert.equal((await functions.logLines(name, 'initialised ')).length, 1);
    });

  test(
    `${runtime}: another function has another zygote, and so has the same one after a change of its configuration`,
    { skip },
    async () => {
      const names = [`${runtime}-one`, `${runtime}-other`];
      for (const name of names) await functions.deploy(name, { files });
      const inits = [];
      for (const name of names) inits.push((await functions.call(name)).init);
      await functions.configure(names[0]!, { Timeout: 9 });
      inits.push((await functions.call(names[0]!)).init);
      assert.equal(unlike(inits), 3);
    },
  );
}

test('no cell waits in the network of the host, which is not allowed here', { skip }, async () => {
  await functions.cellsWait('node', 'python');
  for (const runtime of ['node', 'python'])
    assert.equal(await functions.metric(`perch_cells{runtime="${runtime}, network host"}`), NaN);
});

for (const isolation of ['reuse', 'fresh'])
  test(`${isolation}: new code and new configuration while copies of the old wait`, { skip }, async () => {
    const name = `changing-${isolation}`;
    const environment = { PERCH_ISOLATION: isolation };
    const says = (text: string): Record<string, string> => ({
      'index.mjs': `export const handler = async () => '${text} ' + process.env.WORD;`,
    });
    await functions.deploy(name, { files: says('old'), environment: { ...environment, WORD: 'one' } });
    await functions.cellsWait('node');
    for (let round = 0; round < 3; round++) {
      await functions.configure(name, { Environment: { Variables: { ...environment, WORD: 'one' } } });
      await functions.updateCode(name, says('old'));
      assert.equal(await functions.call(name), 'old one');
      await until('a copy waits', async () => (await functions.copies(name)).waiting > 0);
      await functions.updateCode(name, says('new'));
      assert.equal(await functions.call(name), 'new one');
      await functions.configure(name, { Environment: { Variables: { ...environment, WORD: 'two' } } });
      const all = await Promise.all(Array.from({ length: 6 }, () => functions.call(name)));
      assert.deepEqual([...new Set(all)], ['new two']);
    }
  });
