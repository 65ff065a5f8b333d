import { test } from 'node:test';
import type { TestContext } from 'node:test';
import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { LogFiles } from '../../src/store/log-files.ts';
import type { LogFilesLimits } from '../../src/store/log-files.ts';
import { temporaryFolder } from './fixtures.ts';

interface Scene {
  readonly folder: string;
  readonly logs: LogFiles;
  readonly reports: string[];
}

function open(context: TestContext, limits: Partial<LogFilesLimits> = {}, folder?: string): Scene {
  const path = folder ?? temporaryFolder(context);
  const reports: string[] = [];
  const logs = new LogFiles(path, { limits, report: (message) => void reports.push(message) });
  context.after(() => logs.close());
  return { folder: path, logs, reports };
}

test('the last lines, oldest first, after a restart too', async (context) => {
  const { logs, folder } = open(context);
  assert.equal(await logs.tail('f', 10), '');
  logs.append('f', 'one\ntwo\n');
  logs.append('f', 'three ä\n');
  logs.append('g', 'other\n');
  assert.equal(await logs.tail('f', 2), 'two\nthree ä\n');
  assert.equal(await logs.tail('f', 99), 'one\ntwo\nthree ä\n');
  assert.equal(await logs.tail('f', 0), '');
  await logs.close();
  const { logs: reopened } = open(context, {}, folder);
  assert.equal(await reopened.tail('f', 1), 'three ä\n');
  assert.equal(await reopened.tail('g', 1), 'other\n');
  assert.equal(statSync(join(folder, 'f', 'log')).mode & 0o777, 0o600);
});

test('it is flushed by itself, by time and by size', async (context) => {
  const { logs, folder } = open(context, { logFlushMs: 1, logFlushBytes: 10 });
  const path = join(folder, 'f', 'log');
  logs.append('f', 'short\n');
  while (!existsSync(path) || statSync(path).size === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  const { logs: bySize, folder: other } = open(context, { logFlushMs: 1e9, logFlushBytes: 10 });
  bySize.append('f', 'long enough\n');
  while (!existsSync(join(other, 'f', 'log')) || statSync(join(other, 'f', 'log')).size === 0) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
});

test('two files at most, and the newest lines are in them', async (context) => {
  const { logs, folder } = open(context, { logFileBytesMax: 100 });
  for (let index = 0; index < 100; index++) {
    logs.append('f', `line ${index}\n`);
    await logs.tail('f', 0);
  }
  assert.deepEqual(readdirSync(join(folder, 'f')).toSorted(), ['log', 'log.1']);
  for (const name of ['log', 'log.1']) assert.ok(statSync(join(folder, 'f', name)).size <= 100);
  assert.equal(await logs.tail('f', 3), 'line 97\nline 98\nline 99\n');
  const all = (await logs.tail('f', 1000)).trimEnd().split('\n');
  assert.ok(all.length > 12, 'reaches into the older file');
  assert.deepEqual(
    all,
    Array.from({ length: all.length }, (_, index) => `line ${100 - all.length + index}`),
  );
});

test('followers get what comes from now on, until they stop', async (context) => {
  const { logs } = open(context);
  logs.append('f', 'before\n');
  const seen: string[] = [];
  const listener = (text: string): void => void seen.push(text);
  const stop = logs.follow('f', listener);
  const stopOther = logs.follow('f', listener);
  logs.append('f', 'a\n');
  stop();
  stop();
  logs.append('f', 'b\n');
  stopOther();
  logs.append('f', 'c\n');
  logs.append('g', 'd\n');
  assert.deepEqual(seen, ['a\n', 'a\n', 'b\n']);
});

test('followers survive a delete', async (context) => {
  const { logs, folder } = open(context);
  const seen: string[] = [];
  logs.follow('f', (text) => void seen.push(text));
  logs.append('f', 'a\n');
  await logs.delete('f');
  assert.ok(!existsSync(join(folder, 'f')));
  assert.equal(await logs.tail('f', 9), '');
  logs.append('f', 'b\n');
  assert.equal(await logs.tail('f', 9), 'b\n');
  assert.deepEqual(seen, ['a\n', 'b\n']);
});

test('what the disk cannot keep up with is dropped and counted', async (context) => {
  const { logs } = open(context, { logBufferBytesMax: 20, logMemoryBytesMax: 30, logFlushMs: 1e9 });
  logs.append('f', '0123456789abcde\n');
  logs.append('f', 'too much\n');
  logs.append('f', 'is\n');
  logs.append('g', '0123456789ab\n');
  assert.equal(await logs.tail('f', 9), '0123456789abcde\nis\n... 9 bytes of log dropped\n');
  assert.equal(await logs.tail('g', 9), '... 13 bytes of log dropped\n');
  logs.append('g', '0123456789ab\n');
  assert.equal(await logs.tail('g', 1), '0123456789ab\n');
});

test('a disk that refuses is told once, and the log goes on when it takes again', async (context) => {
  const { logs, folder, reports } = open(context);
  // A file where the folder should be.
  writeFileSync(join(folder, 'f'), '');
  for (let index = 0; index < 3; index++) {
    logs.append('f', 'lost\n');
    await logs.tail('f', 1).catch(() => undefined);
  }
  assert.equal(reports.length, 1);
  assert.match(reports[0]!, /cannot write the log in .*\/f: /);
  rmSync(join(folder, 'f'));
  logs.append('f', 'kept\n');
  assert.equal(await logs.tail('f', 9), 'kept\n... 15 bytes of log dropped\n');
});

test('half a line, left by a kill, does not run into the next one', async (context) => {
  const { logs, folder } = open(context);
  mkdirSync(join(folder, 'f'));
  appendFileSync(join(folder, 'f', 'log'), 'whole\nhal');
  assert.equal(await logs.tail('f', 9), 'whole\nhal\n');
  logs.append('f', 'next\n');
  assert.equal(await logs.tail('f', 9), 'whole\nhal\nnext\n');
  assert.equal(readFileSync(join(folder, 'f', 'log'), 'utf8'), 'whole\nhal\nnext\n');
});

test('a name that would be a path is a bug', (context) => {
  const { logs } = open(context);
  for (const name of ['', '.', '..', '../f', 'a/b', 'a\0', 'a b', 'x'.repeat(141)]) {
    assert.throws(() => logs.append(name, 'x\n'), /name of a function/);
    assert.throws(() => logs.follow(name, () => undefined), /name of a function/);
  }
});

test('any lines, any tail: what was appended', async (context) => {
  const folder = temporaryFolder(context);
  let count = 0;
  const lines = fc.array(fc.string({ unit: 'binary', maxLength: 300 }).map((text) => text.replaceAll('\n', '') + '\n'));
  await fc.assert(
    fc.asyncProperty(lines, fc.nat(20), async (texts, lineCount) => {
      const { logs } = open(context, {}, join(folder, String(count++)));
      for (const text of texts) logs.append('f', text);
      const wanted = lineCount === 0 ? [] : texts.slice(-lineCount);
      assert.equal(await logs.tail('f', lineCount), wanted.join(''));
      await logs.close();
    }),
    { numRuns: 100 },
  );
});

test('long lines are found from the end of a large file', async (context) => {
  const { logs } = open(context, { logBufferBytesMax: 1e7 });
  const lines = Array.from({ length: 30 }, (_, index) => `${index} ${'x'.repeat(50_000)}\n`);
  for (const line of lines) logs.append('f', line);
  for (const lineCount of [1, 2, 3, 29, 30, 31]) {
    assert.equal(await logs.tail('f', lineCount), lines.slice(-lineCount).join(''));
  }
});
