/** Files of logs stay open between writes: how many, how long, and what holds when somebody else gets at them. */
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import assert from 'node:assert/strict';
import { createHook } from 'node:async_hooks';
import { readdirSync, readFileSync, readlinkSync, renameSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { LogFiles } from '../../src/store/log-files.ts';
import type { LogFilesLimits } from '../../src/store/log-files.ts';
import { temporaryFolder } from './fixtures.ts';

function open(context: TestContext, limits: Partial<LogFilesLimits> = {}): { folder: string; logs: LogFiles } {
  const folder = temporaryFolder(context);
  const logs = new LogFiles(folder, { limits });
  context.after(() => logs.close());
  return { folder, logs };
}

/** Of this process, below the folder. */
function openFiles(folder: string): string[] {
  const targets = readdirSync('/proc/self/fd').flatMap((descriptor) => {
    try {
      return [readlinkSync(`/proc/self/fd/${descriptor}`)];
    } catch {
      return []; // The one by which the folder was read.
    }
  });
  return targets.filter((target) => target.startsWith(folder)).toSorted();
}

/** Waits until it is written. */
async function append(logs: LogFiles, functionName: string, text: string): Promise<void> {
  logs.append(functionName, text);
  await logs.tail(functionName, 0);
}

test('to write to a log that was written to is one operation on its file', async (context) => {
  const { logs, folder } = open(context, { logFileLookMs: 1e9 });
  await append(logs, 'f', 'first\n');
  let operationCount = 0;
  const hook = createHook({
    init: (_id, type) => {
      if (type.startsWith('FSREQ')) operationCount++;
    },
  }).enable();
  for (let index = 0; index < 10; index++) await append(logs, 'f', `line ${index}\n`);
  hook.disable();
  assert.equal(operationCount, 10);
  assert.equal(readFileSync(join(folder, 'f', 'log'), 'utf8').split('\n').length, 12);
});

test('so many stay open, those that were written to last', async (context) => {
  const { logs, folder } = open(context, { logFilesOpenMax: 2 });
  for (const line of ['1\n', '2\n']) for (const name of ['a', 'b', 'c', 'd']) await append(logs, name, line);
  await append(logs, 'c', '3\n');
  await append(logs, 'a', '3\n');
  assert.deepEqual(openFiles(folder), [join(folder, 'a', 'log'), join(folder, 'c', 'log')]);
  const texts = await Promise.all(['a', 'b', 'c', 'd'].map((name) => logs.tail(name, 9)));
  assert.deepEqual(texts, ['1\n2\n3\n', '1\n2\n', '1\n2\n3\n', '1\n2\n']);
  await logs.close();
  assert.deepEqual(openFiles(folder), []);
});

test('many functions that write at once, and few files that may stay open', async (context) => {
  const { logs, folder } = open(context, { logFilesOpenMax: 3, logFlushMs: 1, logFlushBytes: 40 });
  const names = Array.from({ length: 20 }, (_, index) => `f${index}`);
  const lines = Array.from({ length: 50 }, (_, index) => `line ${index}\n`);
  for (const line of lines) {
    for (const name of names) logs.append(name, line);
    await new Promise((resolve) => setImmediate(resolve));
  }
  for (const name of names) assert.equal(await logs.tail(name, 99), lines.join(''));
  assert.ok(openFiles(folder).length <= 3);
});

test('one that nothing is written to is closed, and opened again', async (context) => {
  const { logs, folder } = open(context, { logFileIdleMs: 1 });
  await append(logs, 'f', 'one\n');
  while (openFiles(folder).length > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  await append(logs, 'f', 'two\n');
  assert.equal(await logs.tail('f', 9), 'one\ntwo\n');
});

test('a deleted log leaves no file open', async (context) => {
  const { logs, folder } = open(context);
  await append(logs, 'f', 'one\n');
  await logs.delete('f');
  assert.deepEqual(openFiles(folder), []);
  await append(logs, 'f', 'two\n');
  assert.equal(await logs.tail('f', 9), 'two\n');
});

test('a log that somebody else removed, moved or cut goes on', async (context) => {
  const { logs, folder } = open(context, { logFileLookMs: 0, logFileBytesMax: 100 });
  const file = join(folder, 'f', 'log');
  await append(logs, 'f', 'one\n');
  rmSync(file);
  await append(logs, 'f', 'two\n');
  assert.equal(await logs.tail('f', 9), 'two\n');
  rmSync(join(folder, 'f'), { recursive: true });
  await append(logs, 'f', 'three\n');
  assert.equal(await logs.tail('f', 9), 'three\n');
  renameSync(file, join(folder, 'elsewhere'));
  await append(logs, 'f', 'four\n');
  assert.equal(await logs.tail('f', 9), 'four\n');
  truncateSync(file, 2);
  await append(logs, 'f', 'five\n');
  assert.equal(await logs.tail('f', 9), 'fo\nfive\n');
  truncateSync(file, 0);
  await append(logs, 'f', 'six\n');
  assert.equal(readFileSync(file, 'utf8'), 'six\n');
});

test('one that was removed is missed for a moment, not for ever', async (context) => {
  const { logs, folder } = open(context, { logFileLookMs: 20 });
  await append(logs, 'f', 'one\n');
  rmSync(join(folder, 'f'), { recursive: true });
  for (let index = 0; (await logs.tail('f', 1)) === ''; index++) await append(logs, 'f', `line ${index}\n`);
  await append(logs, 'f', 'last\n');
  assert.equal(await logs.tail('f', 1), 'last\n');
});

test('a log that was cut is not put aside as full', async (context) => {
  const { logs, folder } = open(context, { logFileLookMs: 1e9, logFileBytesMax: 100 });
  await append(logs, 'f', 'x'.repeat(90) + '\n');
  truncateSync(join(folder, 'f', 'log'), 0);
  await append(logs, 'f', 'y'.repeat(50) + '\n');
  assert.deepEqual(readdirSync(join(folder, 'f')), ['log']);
});
