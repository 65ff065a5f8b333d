import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { type TestContext, test } from 'node:test';
import { PATIENCE_US, Starvation } from '../../../src/worker/agent/starvation.ts';
import { Placement } from '../../../src/worker/sandbox/placement.ts';
import { ROOT_ONLY } from '../sandbox/harness.ts';

const BURNS = 'for (;;);';
const SLEEPS = 'setInterval(() => {}, 1000);';
const CONTENDS = `const { Worker } = require('node:worker_threads');
for (let count = 0; count < 3; count++) new Worker('for (;;);', { eval: true });
for (;;);`;
const INTERVAL_MS = 300;
const LOOKS = 6;

/** On one CPU, all of them. */
function start(t: TestContext, source: string, isBackground: boolean): ChildProcess {
  const child = spawn(process.execPath, ['-e', source], { stdio: 'ignore' });
  t.after(() => child.kill('SIGKILL'));
  const placement = new Placement(() => [child.pid!]);
  assert.ok(placement.place([0], isBackground));
  return child;
}

interface Counted {
  readonly starvedUs: number;
  readonly wallUs: number;
}

async function count(child: ChildProcess, waitedUs: (wallUs: number) => number = () => 0): Promise<Counted> {
  const starvation = new Starvation(1);
  starvation.began(0);
  const tasks = { cgroup: null, processIds: () => [child.pid!] };
  const beginUs = performance.now() * 1000;
  // It has been in the background for long enough to be looked at.
  assert.equal(
    starvation.moreUs(0, () => tasks, beginUs - PATIENCE_US, 0),
    0,
  );
  let starvedUs = 0;
  let wallUs = 0;
  for (let look = 0; look < LOOKS; look++) {
    wallUs = performance.now() * 1000 - beginUs;
    starvedUs += starvation.moreUs(0, () => tasks, beginUs + wallUs, waitedUs(wallUs));
    await sleep(INTERVAL_MS);
  }
  return { starvedUs, wallUs };
}

test('who wants a CPU that others have is starved for about as long', { skip: ROOT_ONLY }, async (t) => {
  start(t, BURNS, false);
  const { starvedUs, wallUs } = await count(start(t, BURNS, true));
  assert.ok(starvedUs > wallUs / 2 && starvedUs <= wallUs, `${starvedUs} of ${wallUs} µs`);
});

test('who sleeps is not', { skip: ROOT_ONLY }, async (t) => {
  start(t, BURNS, false);
  const child = start(t, SLEEPS, false);
  await sleep(1000);
  const { starvedUs, wallUs } = await count(child);
  assert.ok(starvedUs < wallUs / 4, `${starvedUs} of ${wallUs} µs`);
});

test('what its own threads take from each other is not counted', { skip: ROOT_ONLY }, async (t) => {
  const child = start(t, CONTENDS, false);
  await sleep(500);
  const { starvedUs, wallUs } = await count(child);
  // Where others run on that CPU too, it gets a share of it.
  assert.ok(starvedUs < wallUs * 0.8, `${starvedUs} of ${wallUs} µs`);
});

test('what it waited for other functions is counted by whoever knows', { skip: ROOT_ONLY }, async (t) => {
  start(t, BURNS, false);
  const { starvedUs, wallUs } = await count(start(t, BURNS, true), (us) => us);
  assert.ok(starvedUs < wallUs / 4, `${starvedUs} of ${wallUs} µs`);
});

test('of who has nothing to be looked at nothing is counted', () => {
  const starvation = new Starvation(1);
  starvation.began(0);
  assert.equal(
    starvation.moreUs(0, () => null, 0, 0),
    0,
  );
  const gone = { cgroup: '/nowhere', processIds: () => [2 ** 22 + 1] };
  assert.equal(
    starvation.moreUs(0, () => gone, 0, 0),
    0,
  );
  assert.equal(
    starvation.moreUs(0, () => gone, 1e6, 0),
    0,
  );
});
