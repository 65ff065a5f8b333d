/** Told to stop, and told again: a wish said twice is one, another one later does not wait. A parent that goes says it, too. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { test } from 'node:test';
import { EXIT } from '../../../src/cli/exit-codes.ts';
import { SAME_SIGNAL_MS } from '../../../src/cli/stop-signal.ts';

const MODULE = path.resolve(import.meta.dirname, '../../../src/cli/stop-signal.ts');
/** Says `up`, `stopping` when it is told to stop, and `later` when a signal is another wish than the first. Ends with 3 unless it is made to. */
const SCRIPT = `
  import { SAME_SIGNAL_MS, startUnlessStopped, stopSignal, untilStopped } from ${JSON.stringify(MODULE)};
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const stop = stopSignal();
  const alive = setInterval(() => {}, 1000);
  console.log('up');
  if (process.argv.at(-1) === 'starting')
    await startUnlessStopped(stop, () => new Promise((_, reject) => (stop.onabort = () => reject(stop.reason))));
  await untilStopped(stop);
  console.log('stopping');
  await wait(SAME_SIGNAL_MS + 50);
  console.log('later');
  if (process.argv.at(-1) === 'wait') await wait(60_000);
  if (process.argv.at(-1) === 'goes') await new Promise((resolve) => process.once('disconnect', () => setTimeout(resolve, 50)));
  clearInterval(alive);
  process.exitCode = 3;
`;

async function started(last: string): Promise<{ child: ChildProcess; saw: (word: string) => Promise<void> }> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', SCRIPT, last], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  let text = '';
  child.stdout!.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const saw = async (word: string): Promise<void> => {
    while (!text.includes(word)) await once(child.stdout!, 'data');
  };
  await saw('up');
  return { child, saw };
}

test('two signals at once are one: what runs may end', async () => {
  assert.ok(SAME_SIGNAL_MS > 0);
  const { child } = await started('end');
  child.kill('SIGTERM');
  child.kill('SIGINT');
  assert.deepEqual(await once(child, 'exit'), [3, null]);
});

test('one that comes while it starts ends the start, and is a stop like any other', async () => {
  const { child } = await started('starting');
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [EXIT.ok, null]);
});

test('another signal later ends it at once', async () => {
  const { child, saw } = await started('wait');
  child.kill('SIGTERM');
  await saw('later');
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [EXIT.internal, null]);
});

test('a parent that goes is one that says stop', async () => {
  const { child, saw } = await started('end');
  child.disconnect();
  await saw('stopping');
  assert.deepEqual(await once(child, 'exit'), [3, null]);
});

test('one that has said stop before it goes has not said it twice', async () => {
  const { child, saw } = await started('goes');
  child.kill('SIGTERM');
  await saw('later');
  child.disconnect();
  assert.deepEqual(await once(child, 'exit'), [3, null]);
});
