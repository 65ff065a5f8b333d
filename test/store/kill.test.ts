/**
 * A process that changes the store is killed at a random moment, again and again on the same folder. Every time: what
 * was acknowledged is there, what was acknowledged as deleted is not, what was in doubt is wholly there or not at all,
 * and no file is left that nothing needs. PERCH_KILL_COUNT kills; 20 by default.
 */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Store } from '../../src/store/store.ts';
import { ok, openWithCache, temporaryFolder } from './fixtures.ts';
import { KillModel } from './kill-log.ts';

const KILL_COUNT = Number(process.env['PERCH_KILL_COUNT'] ?? 20);

test(`killed ${KILL_COUNT} times at random moments`, async (context) => {
  const folder = temporaryFolder(context);
  const model = new KillModel();
  for (let round = 0; round < KILL_COUNT; round++) {
    const seed = randomInt(2 ** 31);
    model.read(await runUntilKilled(folder, seed, randomInt(250)));
    const reports: string[] = [];
    const opened = await openWithCache(folder, { report: (message) => void reports.push(message) });
    const { store, cache, dirOf } = opened;
    try {
      for (const fn of store.listAllVersions(null, 10_000).items) cache.release(ok(await cache.acquire(fn)));
      model.checkAndSettle(store, dirOf);
      assert.deepEqual(reports, []);
      cache.checkInvariants();
      assertNoOrphans(folder, store);
    } catch (error) {
      context.diagnostic(`seed ${seed}, round ${round}`);
      throw error;
    } finally {
      await store.close();
    }
  }
  context.diagnostic(`${model.acknowledgedCount} changes were acknowledged`);
  assert.ok(model.acknowledgedCount > KILL_COUNT);
});

/** What the child said before it died. */
async function runUntilKilled(folder: string, seed: number, afterMs: number): Promise<string> {
  const script = new URL('./kill-child.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [script, folder, String(seed)], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const closed = once(child, 'close');
  // One kill in five comes while it starts.
  if (afterMs > 50) await Promise.race([once(child.stdout, 'data'), closed]);
  await sleep(afterMs);
  child.kill('SIGKILL');
  const [, signal] = (await closed) as [number | null, string | null];
  assert.equal(signal, 'SIGKILL', errors);
  return output;
}

function assertNoOrphans(folder: string, store: Store): void {
  const used = new Set(store.listAllVersions(null, 10_000).items.map((version) => version.code.sha256));
  const inOrder = [...used].toSorted();
  assert.deepEqual(readdirSync(`${folder}/code`).toSorted(), inOrder);
  assert.deepEqual(
    readdirSync(`${folder}/zips`).toSorted(),
    inOrder.map((sha256) => `${sha256}.zip`),
  );
  assert.deepEqual(readdirSync(`${folder}/tmp`), []);
}
