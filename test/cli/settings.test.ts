/** Isolation, network, provisioned concurrency and runtimes, from the command line to a real platform and back. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startTestPlatform } from '../lib/platform.ts';
import type { TestPlatform } from '../lib/platform.ts';
import type { Run } from './perch.ts';
import { folderWith, perch, whyNoSandbox } from './perch.ts';

const skip = await whyNoSandbox();
if (skip !== '') process.stderr.write(`SKIPPED: ${skip}\n`);
const noPython = existsSync('/usr/bin/python3') ? false : 'NOT TESTED: python3 is missing (apt-get install python3)';
const noCurl = existsSync('/usr/bin/curl') ? false : 'NOT TESTED: curl is missing (apt-get install curl)';

const BOOTSTRAP = `#!/bin/sh
api=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation
while :; do
  event=$(curl -sS -D /tmp/headers "$api/next")
  id=$(grep -i aws-request-id /tmp/headers | tr -d '\\r' | cut -d: -f2 | tr -d ' ')
  curl -sS -X POST "$api/$id/response" -d "{\\"echo\\":$event}" >/dev/null
done
`;

describe('settings of Perch', { skip: skip === '' ? false : skip }, () => {
  let platform: TestPlatform;
  const folder = folderWith({
    'echo.mjs': 'export const handler = async (event) => event;',
    'failing.mjs': 'throw new TypeError("not today"); export const handler = 1;',
    'other.mjs': 'export const handler = async () => "other";',
    'py/app.py': 'from helper import double\ndef handler(event, context):\n    return double(event)\n',
    'py/helper.py': 'def double(n):\n    return 2 * n\n',
    'own/bootstrap': BOOTSTRAP,
    'many/perch.json': JSON.stringify({
      functions: {
        first: { entry: '../echo.mjs', isolation: 'fresh', network: 'none', provisioned: 1 },
        second: { entry: '../py', runtime: 'python3.11', cores: 2 },
      },
    }),
    'odd/perch.json': '{"functions": {"f": {"entry": "../echo.mjs", "cores": 64}}}',
    'bad/perch.json': '{"functions": {"f": {"entry": "../echo.mjs", "isolation": "clean"}}}',
  });
  const file = (name: string): string => path.join(folder, name);
  const run = (...args: string[]): Promise<Run> => perch(args, { env: { PERCH_ENDPOINT: platform.url } });
  const ok = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await run(...args);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const doctor = async (...args: string[]): Promise<Record<string, any>> =>
    JSON.parse(await ok('doctor', ...args, '--json')) as Record<string, unknown>;

  before(async () => {
    chmodSync(file('own/bootstrap'), 0o755);
    platform = await startTestPlatform();
  });
  after(() => platform.stop());

  test('isolation and network stay when other variables are replaced, and are shown', async () => {
    await ok('deploy', file('echo.mjs'), '--env', 'LEVEL=1');
    assert.doesNotMatch(await ok('list'), /ISOLATION/);
    assert.match(await ok('deploy', file('echo.mjs'), '--isolation', 'fresh', '--network', 'none'), /updated/);
    assert.match(await ok('deploy', file('echo.mjs'), '--isolation', 'fresh'), /unchanged/);
    assert.match(await ok('deploy', file('echo.mjs'), '--env', 'LEVEL=2'), /updated/);
    const report = await doctor('echo');
    assert.deepEqual([report['isolation'], report['network'], report['refusal']], ['fresh', 'none', null]);
    assert.match(await ok('list'), /ISOLATION[\s\S]*echo .* fresh /);
    assert.match(await ok('deploy', file('echo.mjs'), '--isolation', 'process'), /updated/);
    const words = await ok('doctor', 'echo');
    assert.match(words, /^isolation +process$/m);
    assert.match(words, /^copies +none: every instance is a process of its own, as its isolation says$/m);
    assert.match(await ok('deploy', file('echo.mjs'), '--isolation', 'reuse'), /updated/);
    assert.equal((await doctor('echo'))['isolation'], 'reuse');
    const refused = await run('deploy', file('echo.mjs'), '--network', 'host');
    assert.deepEqual([refused.code, /--allow-host-network/.test(refused.stderr)], [4, true]);
    const unknown = await run('deploy', file('echo.mjs'), '--isolation', 'clean');
    assert.deepEqual([unknown.code, /reuse, fresh, process/.test(unknown.stderr)], [2, true], unknown.stderr);
    await ok('delete', 'echo');
  });

  test('cores: kept when other variables are replaced, shown, and refused where they are none', async () => {
    await ok('deploy', file('echo.mjs'), '--name', 'threads');
    assert.equal((await doctor('threads'))['cores'], 1);
    assert.doesNotMatch(await ok('list'), /CORES/);
    assert.match(await ok('deploy', file('echo.mjs'), '--name', 'threads', '--cores', '4'), /updated/);
    assert.match(await ok('deploy', file('echo.mjs'), '--name', 'threads', '--env', 'LEVEL=2'), /updated/);
    assert.match(await ok('deploy', file('echo.mjs'), '--name', 'threads', '--cores', '4'), /unchanged/);
    assert.equal((await doctor('threads'))['cores'], 4);
    assert.match(await ok('doctor', 'threads'), /^cores +4 for each invocation$/m);
    assert.match(await ok('list'), /CORES[\s\S]*threads .* 4 /);
    for (const cores of ['0', '33', 'all', '1.5']) {
      const bad = await run('deploy', file('echo.mjs'), '--cores', cores);
      assert.deepEqual([bad.code, /a whole number from 1 to 32/.test(bad.stderr)], [2, true], bad.stderr);
    }
    const variable = await run('deploy', file('echo.mjs'), '--env', 'PERCH_CORES=33');
    assert.deepEqual([variable.code, /'33'; it has to be a whole number from 1/.test(variable.stderr)], [4, true]);
    assert.match((await run('deploy', file('odd'))).stderr, /perch\.json:1 \(functions\.f\.cores\).*32/);
    await ok('delete', 'threads');
  });

  test('provisioned concurrency publishes a version, and leaves the older one', async () => {
    const name = ['--name', 'ready'] as const;
    assert.match(
      await ok('deploy', file('echo.mjs'), ...name, '--provisioned', '2'),
      /ready +1 +created .*Qualifier=1/,
    );
    assert.match(await ok('deploy', file('echo.mjs'), ...name, '--provisioned', '2'), /ready +1 +unchanged/);
    assert.match(await ok('deploy', file('other.mjs'), ...name, '--provisioned', '1'), /ready +2 +updated/);
    const { provisioned } = await doctor('ready');
    assert.deepEqual(
      (provisioned as { version: string; requested: number }[]).map((each) => [each.version, each.requested]),
      [['2', 1]],
    );
    assert.equal(await ok('invoke', 'ready', '--qualifier', '2'), '"other"\n');
    // What shrinks is never more than what is reserved, nor what grows.
    assert.match(await ok('deploy', file('other.mjs'), ...name, '--provisioned', '3', '--concurrency', '3'), /updated/);
    assert.match(await ok('deploy', file('other.mjs'), ...name, '--provisioned', '1', '--concurrency', '1'), /updated/);
    assert.match(await ok('deploy', file('other.mjs'), ...name, '--provisioned', '2', '--concurrency', '4'), /updated/);
    const tooMany = await run('deploy', file('echo.mjs'), ...name, '--provisioned', '9');
    assert.match(tooMany.stderr, /4 are reserved/);
    const [kept] = (await doctor('ready'))['provisioned'] as { version: string; requested: number }[];
    assert.deepEqual([kept?.version, kept?.requested], ['2', 2], 'what was ready is given up for what is refused');
    assert.match(await ok('deploy', file('other.mjs'), ...name, '--provisioned', 'none'), /updated/);
    assert.deepEqual((await doctor('ready'))['provisioned'], []);
    assert.match((await run('deploy', file('other.mjs'), ...name, '--provisioned', '9')).stderr, /4 are reserved/);
    await ok('delete', 'ready');
  });

  test('perch.json has them too, and names a mistake', { skip: noPython }, async () => {
    await ok('deploy', file('many'));
    assert.deepEqual([(await doctor('first'))['isolation'], (await doctor('first'))['network']], ['fresh', 'none']);
    const second = await doctor('second');
    assert.deepEqual([second['runtime'], second['cores']], ['python3.11', 2]);
    assert.equal(await ok('invoke', 'second', '-d', '4'), '8\n');
    assert.equal((await ok('deploy', file('many'))).match(/unchanged/g)?.length, 2);
    const bad = await run('deploy', file('bad'));
    assert.equal(bad.code, 2);
    assert.match(bad.stderr, /perch\.json:1 \(functions\.f\.isolation\).*"reuse"\|"fresh"\|"process"/);
  });

  test('Python: the folder of the file; another kind of code changes the runtime', { skip: noPython }, async () => {
    await ok('deploy', file('py/app.py'), '--name', 'changing');
    assert.equal(await ok('invoke', 'changing', '-d', '21'), '42\n');
    assert.match(await ok('deploy', file('py'), '--name', 'changing'), /unchanged/);
    assert.match(await ok('deploy', file('echo.mjs'), '--name', 'changing'), /updated/);
    assert.equal(await ok('invoke', 'changing', '-d', '21'), '21\n');
    assert.equal((await doctor('changing'))['runtime'], 'nodejs24.x');
  });

  test('a bootstrap of its own', { skip: noCurl }, async () => {
    assert.match(await ok('deploy', file('own/bootstrap')), /own +\$LATEST +created/);
    assert.equal(await ok('invoke', 'own', '-d', '[1]'), '{"echo":[1]}\n');
    assert.match(await ok('deploy', file('own')), /unchanged/);
    assert.match(await ok('doctor', 'own'), /^copies +none: .* as always with the runtime provided\.al2023$/m);
  });

  test('doctor NAME in words, of a version, and of what is not there', async () => {
    await ok('deploy', file('echo.mjs'), '--name', 'words', '--publish');
    const text = await ok('doctor', 'words', '--qualifier', '1');
    assert.match(text, /^function +words 1$/m);
    assert.equal(await ok('doctor', 'words:1'), text);
    assert.match(text, /^runs here +yes$/m);
    assert.match(text, /^provisioned +none$/m);
    assert.match(text, /^copies +\S/m);
    await ok('deploy', file('failing.mjs'));
    assert.doesNotMatch(await ok('doctor', 'failing'), /^initialises/m);
    assert.equal((await run('invoke', 'failing')).code, 1);
    assert.match(await ok('doctor', 'failing'), /^initialises +no: TypeError: not today$/m);
    assert.match(await ok('doctor', 'failing'), /^copies +not known; it has not been initialised; /m);
    assert.equal((await run('doctor', 'nobody')).code, 3);
    assert.equal((await run('doctor', 'words', '--qualifier', '9')).code, 3);
  });
});

test('the doctor lists the runtimes', async () => {
  const { stdout } = await perch(['doctor']);
  assert.match(stdout, /runtime node +Node v24\./);
  assert.match(stdout, /runtime python /);
});
