import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, rmSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { startTestPlatform } from '../lib/platform.ts';
import type { TestPlatform } from '../lib/platform.ts';
import type { Overview } from '../../src/gateway/overview.ts';
import type { Run, RunOptions } from './perch.ts';
import { PERCH, folderWith, perch, whyNoSandbox } from './perch.ts';

const skip = await whyNoSandbox();
if (skip !== '') process.stderr.write(`SKIPPED: ${skip}\n`);

describe('commands against a platform', { skip: skip === '' ? false : skip }, () => {
  let platform: TestPlatform;
  const folder = folderWith({
    'echo.ts':
      'export const handler = async (event: unknown) => { console.log("heard", JSON.stringify(event)); return event; };',
    'fails.cjs': 'exports.handler = async () => { throw new RangeError("too far"); };',
    'settings.mjs':
      'export default async () => ({ env: process.env.LEVEL, other: process.env.OTHER, memory: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE });',
    'app/index.js': 'exports.handler = async () => require("./data.json").n;',
    'app/data.json': '{"n": 7}',
    'vars.env': '# a comment\nLEVEL=file\nOTHER="quoted value"\n',
  });
  const run = (args: readonly string[], options: RunOptions = {}): Promise<Run> =>
    perch(args, { ...options, env: { PERCH_ENDPOINT: platform.url, ...options.env } });
  const ok = async (args: readonly string[], options: RunOptions = {}): Promise<string> => {
    const { code, stdout, stderr } = await run(args, options);
    assert.equal(code, 0, stderr);
    return stdout;
  };

  before(async () => {
    platform = await startTestPlatform();
  });
  after(() => platform.stop());

  test('--concurrency 0 stops a function, and none lets it run again', async () => {
    const file = path.join(folder, 'echo.ts');
    const deploy = (concurrency: string): Promise<string> =>
      ok(['deploy', file, '--name', 'reserved', '--concurrency', concurrency]);
    assert.match(await deploy('none'), /created/);
    assert.match(await deploy('0'), /updated/);
    assert.match(await deploy('0'), /unchanged/);
    assert.equal((await run(['invoke', 'reserved'])).code, 5);
    assert.match(await deploy('none'), /updated/);
    assert.match(await deploy('none'), /unchanged/);
    assert.equal(await ok(['invoke', 'reserved']), '{}\n');
    await ok(['delete', 'reserved']);
  });

  test('top shows the cores and the functions, and what has happened meanwhile', async () => {
    await ok(['deploy', path.join(folder, 'echo.ts'), '--name', 'shown']);
    await ok(['invoke', 'shown']);
    const text = await ok(['top', '--once']);
    assert.match(text, /^cores .* 0 leased, [1-9]\d* idle$/m);
    assert.match(text, /^WORKER +STATE +BUSY/m);
    assert.match(text, /^shown:\$LATEST +0 +0 +0\/s$/m);
    const { cluster, functions } = JSON.parse(await ok(['top', '--once', '--json'])) as Overview;
    assert.ok(cluster!.grantsTotal >= 1);
    assert.deepEqual(
      functions.filter(({ functionName }) => functionName === 'shown').map(({ resultsTotal }) => resultsTotal),
      [1],
    );
    await ok(['delete', 'shown']);
  });

  test('code that was lost on the disk is mended by deploying it again', async () => {
    const file = path.join(folder, 'echo.ts');
    const deployed = await ok(['deploy', file, '--name', 'lost', '--json']);
    const { functions } = JSON.parse(deployed) as { functions: { codeSha256: string }[] };
    const sha256 = Buffer.from(functions[0]?.codeSha256 ?? '', 'base64').toString('hex');
    rmSync(path.join(platform.dataDir, 'code', sha256), { recursive: true });
    assert.equal((await run(['invoke', 'lost'])).code, 1);
    assert.match(await ok(['deploy', file, '--name', 'lost']), /unchanged/);
    assert.equal(await ok(['invoke', 'lost', '-d', '1']), '1\n');
    await ok(['delete', 'lost']);
  });

  test('a function from a file: deploy, list, invoke, log, update, delete', async () => {
    const deployed = await ok(['deploy', path.join(folder, 'echo.ts')]);
    assert.match(deployed, /echo\s+\$LATEST\s+created/);
    const url = /http:\S+/.exec(deployed)?.[0] ?? '';
    const answer = await fetch(url, { method: 'POST', body: '{"by":"http"}' });
    assert.deepEqual(await answer.json(), { by: 'http' });

    assert.match(await ok(['list']), /echo\s+nodejs24\.x\s+index\.handler\s+128 MB\s+3 s/);
    assert.equal(await ok(['invoke', 'echo', '-d', '{"a":[1,"ü"]}']), '{"a":[1,"ü"]}\n');
    assert.equal(await ok(['invoke', 'echo', '-d', '-'], { stdin: '"from stdin"' }), '"from stdin"\n');
    assert.equal(
      await ok(['invoke', 'echo', '-d', `@${path.join(folder, 'app/data.json')}`]),
      '{"n": 7}\n'.replace(' ', ''),
    );
    assert.equal(await ok(['invoke', 'echo']), '{}\n');

    const logged = await run(['invoke', 'echo', '-d', '{"x":1}', '--log']);
    assert.equal(logged.stdout, '{"x":1}\n');
    assert.match(logged.stderr, /START RequestId[\s\S]*heard \{"x":1\}[\s\S]*REPORT/);

    assert.match(await ok(['deploy', path.join(folder, 'echo.ts')]), /echo\s+\$LATEST\s+unchanged/);
    assert.match(await ok(['deploy', path.join(folder, 'echo.ts'), '--memory', '256']), /updated/);
    assert.match(await ok(['list']), /256 MB/);
    assert.match(await ok(['deploy', path.join(folder, 'echo.ts'), '--publish']), /echo\s+1\s+unchanged/);
    assert.equal(await ok(['invoke', 'echo', '--qualifier', '1', '-d', '5']), '5\n');

    assert.equal(await ok(['delete', 'echo', '--qualifier', '1']), 'deleted version 1 of echo\n');
    assert.equal(await ok(['delete', 'echo']), 'deleted echo, all its versions and its log\n');
    assert.equal((await run(['invoke', 'echo'])).code, 3);
    assert.equal((await run(['delete', 'echo'])).code, 3);
  });

  test('--json: one document each', async () => {
    const { functions } = JSON.parse(
      await ok(['deploy', path.join(folder, 'echo.ts'), '--name', 'as-json', '--json']),
    ) as {
      functions: { name: string; status: string; url: string }[];
    };
    assert.deepEqual(
      functions.map(({ name, status }) => [name, status]),
      [['as-json', 'created']],
    );
    const record = JSON.parse(await ok(['invoke', 'as-json', '-d', '{"n":1}', '--json'])) as Record<string, unknown>;
    assert.deepEqual(record['payload'], { n: 1 });
    assert.equal(record['start'], 'cold');
    assert.equal(typeof record['core'], 'number');
    assert.equal(typeof record['queuedUs'], 'number');
    const listed = JSON.parse(await ok(['list', '--json'])) as { FunctionName: string }[];
    assert.ok(listed.some((fn) => fn.FunctionName === 'as-json'));
    const cores = JSON.parse(await ok(['cores', '--json'])) as { core: number; state: string }[];
    assert.ok(cores.length > 0);
    assert.match(await ok(['cores']), /CORE {2}CPUS/);
  });

  test('a function that fails: its error on stderr, exit code 1, nothing on stdout', async () => {
    await ok(['deploy', path.join(folder, 'fails.cjs')]);
    const { code, stdout, stderr } = await run(['invoke', 'fails']);
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /^perch: function 'fails' failed: RangeError: too far\n/);
  });

  test('environment, from options and from a file', async () => {
    const file = path.join(folder, 'settings.mjs');
    await ok(['deploy', file, '--env-file', path.join(folder, 'vars.env'), '--env', 'LEVEL=a=b', '--memory', '192']);
    assert.deepEqual(JSON.parse(await ok(['invoke', 'settings'])), {
      env: 'a=b',
      other: 'quoted value',
      memory: '192',
    });
    await ok(['deploy', file]);
    assert.deepEqual(JSON.parse(await ok(['invoke', 'settings'])), {
      env: 'a=b',
      other: 'quoted value',
      memory: '192',
    });
    assert.equal((await run(['deploy', file, '--env', 'NOVALUE'])).code, 2);
  });

  test('a folder, bundled and as it is', async () => {
    await ok(['deploy', path.join(folder, 'app')]);
    assert.equal(await ok(['invoke', 'app']), '7\n');
    await ok(['deploy', path.join(folder, 'app'), '--name', 'as-it-is', '--no-bundle']);
    assert.equal(await ok(['invoke', 'as-it-is']), '7\n');
    const refused = await run(['deploy', path.join(folder, 'app'), '--no-bundle', '--handler', 'main.handler']);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /no main\.mjs, main\.js, main\.cjs/);
  });

  test('the examples, all of them, twice', async () => {
    assert.equal((await ok(['deploy', 'examples'])).match(/created/g)?.length, 5);
    assert.equal((await ok(['deploy', 'examples'])).match(/unchanged/g)?.length, 5);
    assert.equal(await ok(['invoke', 'hello', '-d', '{"name":"Ada"}']), '{"message":"Hello, Ada!"}\n');
    assert.match(await ok(['invoke', 'word-count', '-d', '{"text":"to be or not to be"}']), /"words":6,"distinct":4/);
    assert.match(await ok(['invoke', 'greet', '-d', '{"name":"Ada"}']), /Good day, Ada\./);
    assert.match(await ok(['invoke', 'wait', '-d', '{"ms":5}']), /waitedMs/);
    assert.match(await ok(['invoke', 'mandelbrot', '-d', '{"iterations":50}']), /picture/);
    assert.equal((await run(['invoke', 'greet', '-d', '{"name":""}'])).code, 1);
    assert.equal((await run(['deploy', 'examples', '--memory', '512'])).code, 2);
    assert.match(await ok(['deploy', 'examples', '--name', 'hello', '--memory', '512']), /hello\s+\$LATEST\s+updated/);
  });

  test('perch.json: a mistake in one function changes none, and is named with its place', async () => {
    const bad = folderWith({
      'perch.json':
        '{\n  "functions": {\n    "fine": { "entry": "fine.mjs" },\n    "bad": { "entry": "fine.mjs", "memori": 1 }\n  }\n}',
      'fine.mjs': 'export const handler = async () => 1;',
    });
    const { code, stderr } = await run(['deploy', bad]);
    assert.equal(code, 2);
    assert.match(stderr, /perch\.json:4 \(functions\.bad\): Unrecognized key: "memori"/);
    assert.equal((await run(['invoke', 'fine'])).code, 3);
  });

  test('of several functions those that the platform takes are deployed, and the others named', async () => {
    const variables = JSON.stringify(
      Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`KEY_${n}`, 'x'.repeat(100)])),
    );
    const half = folderWith({
      'perch.json': `{"functions": {"refused": {"entry": "f.mjs", "environment": ${variables}}, "taken": {"entry": "f.mjs"}}}`,
      'f.mjs': 'export const handler = async () => 1;',
    });
    const { code, stdout, stderr } = await run(['deploy', half]);
    assert.equal(code, 4);
    assert.match(stdout, /taken\s+\$LATEST\s+created/);
    assert.match(stderr, /1 of 2 functions deployed; 'refused': InvalidParameterValueException/);
  });

  test('asynchronous invocations and logs', async () => {
    await ok(['deploy', path.join(folder, 'echo.ts'), '--name', 'later']);
    const follower = spawn(PERCH, ['logs', 'later', '--follow', '--lines', '0'], {
      env: { ...process.env, PERCH_ENDPOINT: platform.url },
    });
    const lines = createInterface({ input: follower.stdout });
    try {
      assert.equal(await ok(['invoke', 'later', '--async', '-d', '{"queued":true}']), '');
      // The follower may come too late for the first one; it sees a later one.
      const pinger = setInterval(() => void run(['invoke', 'later', '-d', '{"queued":true}']), 500);
      for await (const line of lines) if (line.includes('heard {"queued":true}')) break;
      clearInterval(pinger);
    } finally {
      follower.kill();
      await once(follower, 'exit');
    }
    assert.match(await ok(['logs', 'later']), /heard \{"queued":true\}/);
    const [line] = (await ok(['logs', 'later', '-n', '1', '--json'])).trim().split('\n');
    assert.equal(typeof (JSON.parse(line ?? '') as { line: unknown }).line, 'string');
    assert.equal((await run(['logs', 'nobody'])).code, 3);
  });
});

test('wrong usage: exit code 2 and a line that says what would be right', async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['frob'], /unknown command 'frob'/],
    [['deploy'], /missing required argument 'path'/],
    [['list', '--frob'], /unknown option '--frob'/],
    [['deploy', ''], /the path is empty/],
    [['deploy', 'no-such-file.ts'], /no-such-file\.ts does not exist/],
    [['deploy', 'README.md'], /README\.md is none of \.ts/],
    [['deploy', 'docs'], /docs has no perch\.json/],
    [['deploy', 'examples/hello.mjs', '--memory', '5'], /is invalid\. It has to be a whole number from 128/],
    [['up', '--sharing', 'dedicated', '--data', 'README.md'], /README\.md is a file, not a folder/],
    [['up', '--region', 'a b'], /argument 'a b' is invalid\. It has to look like AWS's, such as us-east-1/],
    [['up', '--region', ''], /such as us-east-1/],
    [['up', '--region', 'us-east-1:x'], /such as us-east-1/],
    [
      ['up', '--cores', '0', '--memory', '512', '--sharing', 'packed:64'],
      /admits 64 invocations for each core: with 1 core at most 4, since 512 MB \(--memory\) hold 4 instances of .* 128 MB/,
    ],
    [['up', '--cores', '0', '--memory', '256', '--sharing', 'lend:3'], /admits 3 .* at most 2, since 256 MB/],
    [['invoke', 'x', '-d', '{a}'], /the payload is not JSON/],
    [['invoke', 'x', '-d', '@/no/such/file'], /cannot read the payload/],
    [['list', '--endpoint', 'nonsense'], /endpoint 'nonsense' is not a URL/],
  ];
  for (const [args, expected] of cases) {
    const { code, stdout, stderr } = await perch(args);
    assert.equal(code, 2, args.join(' '));
    assert.equal(stdout, '');
    assert.match(stderr, expected);
    assert.match(stderr, /^perch: /);
  }
});

test('no platform: exit code 69 and what to do', async () => {
  const { code, stderr } = await perch(['list', '--endpoint', 'http://127.0.0.1:1']);
  assert.equal(code, 69);
  assert.match(stderr, /no platform answers at .*perch up/);
});

test('a platform with keys: unsigned and wrongly signed requests are refused, signed ones answered', async () => {
  const file = path.join(folderWith({ keys: 'alice very-secret\n' }), 'keys');
  chmodSync(file, 0o644);
  const open = await perch(['up', '--keys', file]);
  assert.equal(open.code, 2);
  assert.match(open.stderr, /may be used by other users .* run 'chmod 600/);
  chmodSync(file, 0o600);
  const platform = await startTestPlatform({ args: ['--keys', file] });
  try {
    const env = { PERCH_ENDPOINT: platform.url, PERCH_ACCESS_KEY_ID: 'alice', PERCH_SECRET_ACCESS_KEY: 'very-secret' };
    assert.equal((await perch(['list'], { env: { PERCH_ENDPOINT: platform.url } })).code, 4);
    assert.equal((await perch(['list'], { env: { ...env, PERCH_SECRET_ACCESS_KEY: 'wrong' } })).code, 4);
    assert.equal((await perch(['list'], { env })).code, 0);
    assert.equal((await perch(['deploy', 'examples/hello.mjs'], { env })).code, 0);
    assert.equal((await perch(['logs', 'hello', '-n', '5'], { env })).code, 0);
    assert.equal((await perch(['cores'], { env })).code, 0);
  } finally {
    await platform.stop();
  }
});
