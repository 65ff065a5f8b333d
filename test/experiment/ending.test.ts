/** `perch experiment sleepy` that is ended before it is done, and one whose results cannot be written: real platforms, real signals. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startTime } from '../../src/worker/sandbox/identity.ts';
import { PERCH, folderWith, perch } from '../cli/perch.ts';

const SMALL = ['--smoke', '--policies', 'dedicated', '--pipelines', 'image', '--builds', 'block', '--chains', '1'];
const WAIT_MS = 60_000;

/** One whose platform is up and has functions. `temporary`: where its data folder is, alone. */
async function running(): Promise<{ command: ChildProcess; temporary: string; platformPid: number }> {
  const temporary = folderWith({});
  const env = { ...process.env, TMPDIR: temporary };
  const command = spawn(PERCH, ['experiment', 'sleepy', ...SMALL], { env, stdio: 'ignore' });
  const data = (): string => path.join(temporary, readdirSync(temporary)[0] ?? 'none');
  await until(() => existsSync(path.join(data(), 'pid')) && !isEmpty(path.join(data(), 'zips')));
  return { command, temporary, platformPid: Number(readFileSync(path.join(data(), 'pid'), 'utf8')) };
}

async function until(isSo: () => boolean): Promise<void> {
  for (const endMs = performance.now() + WAIT_MS; !isSo(); await sleep(20)) {
    assert.ok(performance.now() < endMs, `not within ${WAIT_MS} ms`);
  }
}

function isEmpty(folder: string): boolean {
  return !existsSync(folder) || readdirSync(folder).length === 0;
}

test('told twice to stop, it still removes what it has made', async () => {
  const { command, temporary, platformPid } = await running();
  const exit = once(command, 'exit');
  command.kill('SIGINT');
  await sleep(100); // two at once are one for the kernel
  command.kill('SIGINT');
  const [code, signal] = (await exit) as [number | null, string | null];
  assert.ok(code === 130 || signal === 'SIGINT', `${code} ${signal}`); // the second may come while the process goes
  assert.equal(startTime(platformPid), 0);
  assert.deepEqual(readdirSync(temporary), []);
});

test('killed, it takes its platform along, and the next command removes the folder', async () => {
  const { command, temporary, platformPid } = await running();
  const exit = once(command, 'exit');
  command.kill('SIGKILL');
  await exit;
  try {
    await until(() => startTime(platformPid) === 0);
  } finally {
    if (startTime(platformPid) !== 0) process.kill(platformPid, 'SIGKILL');
  }
  assert.equal(readdirSync(temporary).length, 1);
  const next = await perch(['demo', '--cores', '4000'], { env: { TMPDIR: temporary } });
  assert.match(next.stderr, /4000/);
  assert.deepEqual(readdirSync(temporary), []);
});

test('results that cannot be written in the end are printed all the same', async () => {
  const out = path.join(folderWith({}), 'results');
  const done = perch(['experiment', 'sleepy', ...SMALL, '--json', '--out', out]);
  await until(() => existsSync(out));
  rmdirSync(out);
  writeFileSync(out, 'in the way');
  const { code, stdout, stderr } = await done;
  assert.equal(code, 2, stderr);
  assert.ok(stderr.includes(`--out '${out}' cannot be written`), stderr);
  assert.equal((JSON.parse(stdout) as { rows: readonly unknown[] }).rows.length, 1);
});
