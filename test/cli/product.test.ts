/** The product as it is installed: the launcher, the packed tarball, the demo, the doctor, the set-up script. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { PERCH, REPOSITORY, folderWith, perch, whyNoSandbox } from './perch.ts';

const { version } = JSON.parse(readFileSync(path.join(REPOSITORY, 'package.json'), 'utf8')) as { version: string };
const skip = await whyNoSandbox();
if (skip !== '') process.stderr.write(`SKIPPED: ${skip}\n`);

test('the launcher runs through links, from anywhere, without HOME', async () => {
  const folder = folderWith({});
  symlinkSync(PERCH, path.join(folder, 'absolute'));
  symlinkSync('absolute', path.join(folder, 'relative'));
  for (const name of ['absolute', 'relative']) {
    const run = await perch(['--version'], { program: path.join(folder, name), cwd: folder, env: { HOME: '' } });
    assert.deepEqual([run.code, run.stdout, run.stderr], [0, `${version}\n`, '']);
  }
});

test('the launcher without a Node 24 says what to do and exits with 69', async () => {
  const folder = folderWith({ 'bin/perch': readFileSync(PERCH, 'utf8'), 'path/node': '#!/bin/sh\necho v20.1.0\n' });
  chmodSync(path.join(folder, 'bin/perch'), 0o755);
  chmodSync(path.join(folder, 'path/node'), 0o755);
  const run = await perch(['list'], {
    program: path.join(folder, 'bin/perch'),
    env: { PATH: path.join(folder, 'path'), PERCH_NODE: '' },
  });
  assert.equal(run.code, 69);
  assert.match(run.stderr, /no Node 24.*PERCH_NODE/);
});

test('help lists every command, and each command explains itself', async () => {
  const { stdout } = await perch(['--help']);
  for (const file of readdirSync(path.join(REPOSITORY, 'src/cli/commands'))) {
    const name = file.replace('.ts', '');
    assert.match(stdout, new RegExp(`^  ${name} `, 'm'));
    assert.match((await perch([name, '--help'])).stdout, new RegExp(`Usage: perch ${name}`));
  }
});

test('a packed tarball, installed under node_modules, runs', async () => {
  const folder = folderWith({ 'lib/node_modules/.keep': '' });
  const pack = spawnSync('npm', ['run', '--silent', 'package', '--', '--pack-destination', folder, '--silent'], {
    cwd: REPOSITORY,
    encoding: 'utf8',
  });
  assert.equal(pack.status, 0, pack.stderr);
  const modules = path.join(folder, 'lib/node_modules');
  assert.equal(spawnSync('tar', ['xzf', path.join(folder, `perch-${version}.tgz`), '-C', modules]).status, 0);
  // What npm would fetch is here already.
  symlinkSync(path.join(REPOSITORY, 'node_modules'), path.join(modules, 'package/node_modules'));
  const program = path.join(modules, 'package/bin/perch');
  assert.ok(!existsSync(path.join(modules, 'package/src')));
  assert.equal((await perch(['--version'], { program, cwd: folder })).stdout, `${version}\n`);
  assert.match((await perch(['--help'], { program, cwd: folder })).stdout, /Usage: perch/);
  const doctor = await perch(['doctor', '--json'], { program, cwd: folder });
  assert.equal((JSON.parse(doctor.stdout) as { ready: boolean }).ready, doctor.code === 0);
  if (skip !== '') return;
  const demo = await perch(['demo', '--json'], { program, cwd: folder });
  assert.equal(demo.code, 0, demo.stderr);
});

test(
  'the demo runs every example, shows a cold and a warm start of each, and leaves nothing',
  { skip: skip === '' ? false : skip },
  async () => {
    const temporary = folderWith({});
    const { code, stdout, stderr } = await perch(['demo', '--json'], { env: { TMPDIR: temporary } });
    assert.equal(code, 0, stderr);
    const rows = JSON.parse(stdout) as { functionName: string; start: string; core: number; queuedUs: number }[];
    const { functions } = JSON.parse(readFileSync(path.join(REPOSITORY, 'examples/perch.json'), 'utf8')) as {
      functions: object;
    };
    for (const name of Object.keys(functions)) {
      const [first, second] = rows.filter((row) => row.functionName === name);
      assert.deepEqual([first?.start, second?.start], ['cold', 'warm'], name);
    }
    assert.ok(rows.every((row) => Number.isInteger(row.core) && row.queuedUs >= 0));
    assert.deepEqual(readdirSync(temporary), []);
  },
);

test('the demo says why a platform did not start', async () => {
  const { code, stderr } = await perch(['demo', '--cores', '4000']);
  assert.equal(code, 1);
  assert.match(stderr, /the platform did not start.*doctor/);
  assert.match(stderr, /4000/);
});

test('the demo removes what killed ones of earlier versions left, and nothing that is in use or not theirs', async () => {
  const [free, store, worker] = ['perch-demo-aB3dE6', 'perch-demo-bB3dE6', 'perch-demo-cB3dE6'] as const;
  const others = { 'perch-demo-dB3dE6/perch.db': '', 'perch-demo-mine/lock': '', 'elsewhere/lock': '' };
  const locks = Object.fromEntries([free, store, worker].map((name) => [`${name}/lock`, '']));
  const temporary = folderWith({ ...locks, ...others });
  symlinkSync('elsewhere', path.join(temporary, 'perch-demo-eB3dE6'));
  const rest = ['elsewhere', 'perch-demo-dB3dE6', 'perch-demo-eB3dE6', 'perch-demo-mine'];
  const left = async (): Promise<readonly string[]> => {
    assert.match((await perch(['demo', '--cores', '4000'], { env: { TMPDIR: temporary } })).stderr, /4000/);
    return readdirSync(temporary).toSorted();
  };
  const script = `
    import { lockFolder } from ${JSON.stringify(path.join(REPOSITORY, 'src/store/embedded/lock.ts'))};
    globalThis.locks = [lockFolder('${store}'), lockFolder('${worker}', 'worker')];
    console.log('locked');
    setInterval(() => {}, 1000);`;
  const holder = spawn(process.execPath, ['--input-type=module', '-e', script], { cwd: temporary, stdio: 'pipe' });
  const exit = once(holder, 'exit');
  try {
    await once(holder.stdout, 'data');
    assert.deepEqual(await left(), [...rest, store, worker].toSorted());
  } finally {
    holder.kill('SIGKILL');
    await exit;
  }
  assert.deepEqual(await left(), rest);
  assert.ok(existsSync(path.join(temporary, 'elsewhere/lock')));
});

test('the doctor needs no root, and says what to do where something is missing', async () => {
  const { code, stdout, stderr } = await perch(['doctor', '--data', '/proc/nowhere']);
  assert.ok(code === 0 || code === 1, stderr);
  assert.match(stdout, /STATE {2,}WHAT {2,}FOUND/);
  assert.match(stdout, /node +24\./);
  assert.match(stdout, code === 0 ? /can run in a sandbox here/ : /cannot run in a sandbox here yet/);
  const file = await perch(['doctor', '--data', 'README.md/data']);
  assert.match(file.stdout, /no +data folder +\S*README\.md is a file, not a folder/);
  const { findings } = JSON.parse((await perch(['doctor', '--json'])).stdout) as {
    findings: { ok: boolean; fix: string; topic: string }[];
  };
  for (const finding of findings) if (!finding.ok) assert.notEqual(finding.fix, '', finding.topic);
});

test('the set-up script is silent where everything is there, and refuses what it does not know', () => {
  const stamp = path.join(REPOSITORY, 'node_modules/.perch-all');
  const lock = path.join(REPOSITORY, 'package-lock.json');
  const setup = (mode: string): ReturnType<typeof spawnSync> =>
    spawnSync('sh', ['scripts/setup.sh', mode], { cwd: REPOSITORY, encoding: 'utf8' });
  // Where somebody installs while the tests run, it would start to install as well.
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === readFileSync(lock, 'utf8')) {
    const again = setup('dev');
    assert.deepEqual([again.status, again.stdout], [0, '']);
  }
  assert.equal(setup('everything').status, 2);
});

test('the test script counts, ends with the counts, and fails where a test fails or none ran', () => {
  const folder = folderWith({
    'pass.test.mjs': "import { test } from 'node:test'; test('a', () => {}); test('b', { skip: true }, () => {});",
    'fail.test.mjs': "import { test } from 'node:test'; test('c', () => { throw new Error('no'); });",
    'none.test.mjs': '',
  });
  const run = (...names: string[]): { status: number | null; last: string | undefined } => {
    const files = names.map((name) => path.join(folder, `${name}.test.mjs`));
    // Inside of node:test, node --test would run nothing at all.
    const env = { ...process.env, NODE_TEST_CONTEXT: undefined };
    const { status, stdout } = spawnSync('sh', ['scripts/test.sh', ...files], {
      cwd: REPOSITORY,
      encoding: 'utf8',
      env,
    });
    return { status, last: stdout.trimEnd().split('\n').at(-1) };
  };
  assert.deepEqual(run('pass'), { status: 0, last: '1 passed, 0 failed, 1 skipped' });
  assert.deepEqual(run('pass', 'fail'), { status: 1, last: '1 passed, 1 failed, 1 skipped' });
  writeFileSync(
    path.join(folder, 'none.test.mjs'),
    "import { test } from 'node:test'; test('d', { skip: true }, () => {});",
  );
  assert.equal(run('none').status, 1);
});
