/** `perch chain`, and chains in perch.json, as people and scripts use them. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import path from 'node:path';
import { writeFileSync } from 'node:fs';
import { startTestPlatform, type TestPlatform } from '../lib/platform.ts';
import { folderWith, perch, type Run, whyNoSandbox } from './perch.ts';

const skip = await whyNoSandbox();

const MANIFEST = {
  functions: { add: { entry: 'add.mjs' }, fail: { entry: 'fail.mjs' } },
  chains: { twice: { steps: ['add', 'add'] } },
};

describe('chains', { skip: skip === '' ? false : skip }, () => {
  let platform: TestPlatform;
  const folder = folderWith({
    'add.mjs': 'export const handler = async (n) => { console.log("adding to", n); return n + 1; };',
    'fail.mjs': 'export const handler = async (n) => { throw new RangeError(`not ${n}`); };',
    'perch.json': JSON.stringify(MANIFEST),
  });
  const run = (args: readonly string[], stdin = ''): Promise<Run> =>
    perch(args, { stdin, env: { PERCH_ENDPOINT: platform.url } });
  const ok = async (args: readonly string[], stdin = ''): Promise<string> => {
    const { code, stdout, stderr } = await run(args, stdin);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const failed = async (args: readonly string[], code: number): Promise<string> => {
    const ended = await run(args);
    assert.equal(ended.code, code, ended.stderr);
    return ended.stderr;
  };

  before(async () => {
    platform = await startTestPlatform();
    const deployed = await ok(['deploy', folder]);
    assert.match(deployed, /CHAIN +STEPS +STATUS +URL/);
    assert.match(deployed, /twice +add > add +created +http\S+\/perch\/v1\/chains\/twice\/invocations/);
  });
  after(() => platform?.stop());

  test('perch.json: deployed again unchanged, then with other steps; and not with one function alone', async () => {
    assert.match(await ok(['deploy', folder]), /twice +add > add +unchanged/);
    const file = path.join(folder, 'perch.json');
    writeFileSync(file, JSON.stringify({ ...MANIFEST, chains: { twice: { steps: ['add', 'add', 'add'] } } }));
    assert.doesNotMatch(await ok(['deploy', folder, '--name', 'add']), /CHAIN/);
    const { chains } = JSON.parse(await ok(['deploy', folder, '--json'])) as { chains: { status: string }[] };
    assert.equal(chains[0]?.status, 'updated');
    assert.equal(await ok(['chain', 'invoke', 'twice', '-d', '1']), '4\n');
    writeFileSync(file, JSON.stringify({ ...MANIFEST, chains: { 'a b': { steps: [] } } }));
    assert.match(await failed(['deploy', folder], 2), /perch\.json:1 \(chains\.a b\): /);
  });

  test('perch.json: of its chains those that the platform takes are made, and the others named', async () => {
    const chains = {
      good: { steps: ['add'] },
      bad: { steps: ['nope'] },
      worse: { steps: ['no'] },
      last: { steps: ['add'] },
    };
    const some = folderWith({
      'add.mjs': 'export const handler = async (n) => n + 1;',
      'perch.json': JSON.stringify({ functions: { more: { entry: 'add.mjs' } }, chains }),
    });
    const { code, stdout, stderr } = await run(['deploy', some]);
    assert.equal(code, 3);
    assert.match(stdout, /more +\$LATEST +created[\s\S]*good +add +created[\s\S]*last +add +created/);
    assert.match(stderr, /1 of 1 functions and 2 of 4 chains deployed; chain 'bad': .*'nope'.*\(and 1 more failed\)/);
    assert.match(stderr, /^ {2}chain 'worse': .*'no'/m);
    const again = await run(['deploy', some, '--json']);
    assert.equal(again.code, 3);
    const told = JSON.parse(again.stdout) as Record<
      'functions' | 'chains' | 'failed',
      { name: string; kind?: string }[]
    >;
    assert.deepEqual(
      [told.functions, told.chains].map((all) => all.map(({ name }) => name)),
      [['more'], ['good', 'last']],
    );
    assert.deepEqual(
      told.failed.map(({ kind, name }) => [kind, name]),
      [
        ['chain', 'bad'],
        ['chain', 'worse'],
      ],
    );
    for (const name of ['good', 'last']) await ok(['chain', 'delete', name]);
  });

  test('create, list, show, invoke, delete', async () => {
    assert.equal(await ok(['chain', 'create', 'sum', 'add', 'add:$LATEST']), 'created sum: add > add\n');
    assert.match(await ok(['chain', 'list']), /^NAME +STEPS +CHANGED\nsum +add > add +\d{4}/m);
    assert.equal(await ok(['chain', 'show', 'sum']), 'sum: add > add\n');
    const shown = JSON.parse(await ok(['chain', 'show', 'sum', '--json'])) as { steps: string[] };
    assert.deepEqual(shown.steps, ['add', 'add']);
    assert.equal(await ok(['chain', 'invoke', 'sum', '-d', '-'], '5'), '7\n');
    assert.equal(await ok(['chain', 'invoke', 'sum', '--payload', '1']), '3\n');
    const logged = await run(['chain', 'invoke', 'sum', '-d', '1', '--log']);
    assert.match(logged.stderr, /START RequestId[\s\S]*adding to 2[\s\S]*REPORT/);
    assert.equal(await ok(['chain', 'invoke', 'sum', '-d', '1', '--event']), '');
    const { payload } = JSON.parse(await ok(['chain', 'invoke', 'sum', '-d', '1', '--json'])) as { payload: number };
    assert.equal(payload, 3);
    const queued = JSON.parse(await ok(['chain', 'invoke', 'sum', '--event', '--json'])) as object;
    assert.ok(!('steps' in queued) && !('step' in queued));
    assert.equal(await ok(['chain', 'create', 'sum', 'add', '--replace']), 'changed sum: add\n');
    assert.equal(await ok(['chain', 'delete', 'sum']), 'deleted chain sum\n');
    assert.match(await failed(['chain', 'show', 'sum'], 3), /no chain 'sum'/);
  });

  test('errors say which step it was, and what is missing', async () => {
    await ok(['chain', 'create', 'breaks', 'add', 'fail', 'add']);
    const error = await failed(['chain', 'invoke', 'breaks', '-d', '1'], 1);
    assert.match(error, /^perch: function 'fail', step 2 of chain 'breaks', failed: RangeError: not 2/);
    assert.match(await failed(['chain', 'create', 'breaks', 'add'], 4), /Chain already exists: breaks/);
    assert.match(await failed(['chain', 'create', 'other', 'add', 'gone'], 3), /Step 2 of chain 'other' is 'gone'/);
    assert.match(await failed(['chain', 'invoke', 'other'], 3), /Chain not found: other/);
    assert.match(await failed(['chain', 'invoke', 'breaks', '-d', '1', '--payload', '2'], 2), /give one of them/);
    await failed(['chain', 'create', 'none'], 2);
  });

  test('as JSON: the step that ended it, and how long each took that ran', async () => {
    interface Shown {
      readonly step: string;
      readonly stepNumber: number;
      readonly steps: readonly { readonly number: number; readonly betweenUs: number; readonly runUs: number }[];
      readonly runUs: number;
      readonly functionError: string | null;
    }
    const check = (stdout: string, step: string, stepNumber: number): Shown => {
      const shown = JSON.parse(stdout) as Shown;
      assert.deepEqual([shown.step, shown.stepNumber], [step, stepNumber]);
      assert.deepEqual(
        shown.steps.map(({ number }) => number),
        Array.from({ length: stepNumber }, (_, index) => index + 1),
      );
      for (const { betweenUs, runUs } of shown.steps) assert.ok(betweenUs > 0 && runUs > 0, stdout);
      assert.equal(shown.steps.at(-1)?.runUs, shown.runUs);
      return shown;
    };
    await ok(['chain', 'create', 'timed', 'add', 'add', 'add:$LATEST']);
    assert.equal(check(await ok(['chain', 'invoke', 'timed', '-d', '1', '--json']), 'add', 3).functionError, null);
    await ok(['chain', 'create', 'stops', 'add', 'fail', 'add']);
    const { code, stdout } = await run(['chain', 'invoke', 'stops', '-d', '1', '--json']);
    assert.equal(code, 1);
    assert.equal(check(stdout, 'fail', 2).functionError, 'Unhandled');
    const single = JSON.parse(await ok(['invoke', 'add', '-d', '1', '--json'])) as object;
    assert.ok(!('steps' in single) && !('step' in single));
  });

  test('the help names what there is', async () => {
    const help = await ok(['chain', '--help']);
    for (const name of ['create', 'list', 'show', 'delete', 'invoke']) assert.ok(help.includes(`  ${name} `), name);
    assert.match(await ok(['--help']), /chain .*run functions in order/);
  });
});
