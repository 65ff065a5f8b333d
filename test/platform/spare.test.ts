/** Spare functions have what others leave: the whole way of an invocation with simulated sandboxes, and real functions on all cores. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SHARING_VARIABLE } from '../../src/store/settings.ts';
import type { SharingPolicy } from '../../src/worker/agent/sharing-setting.ts';
import { Functions, until } from '../lib/functions.ts';
import { startTestPlatform } from '../lib/platform.ts';
import { noBubblewrap, ROOT_ONLY } from '../worker/sandbox/harness.ts';
import type { Play } from './plays.ts';
import { SmallPlatform } from './small-platform.ts';

const MANY = 6;
const POLICIES: readonly SharingPolicy[] = ['lend', 'packed', 'preempt'];

async function platformOf(policy: SharingPolicy): Promise<SmallPlatform> {
  const room = {
    coreCount: 2,
    slotCount: 20,
    memoryMb: 100_000,
    queueMax: 30,
    requestCountMax: 40,
    versionCountMax: 9,
  };
  const platform = new SmallPlatform(room, false, { policy, perCore: 2 });
  await platform.open();
  platform.store.put('spare', 64, 'reuse', { [SHARING_VARIABLE]: 'spare' });
  platform.store.put('other', 64, 'reuse');
  return platform;
}

async function invoke(platform: SmallPlatform, functionName: string, count: number): Promise<void> {
  for (let index = 0; index < count; index++) platform.invoke(functionName);
  await platform.settle();
  for (const play of platform.plays) if (!play.ready) play.boot();
  await platform.settle();
  platform.check();
}

function runningOf({ plays }: SmallPlatform, functionName: string): Play[] {
  return plays.filter((play) => play.running !== null && !play.ended && play.functionName === functionName);
}

function inForeground(plays: readonly Play[]): number {
  return plays.filter(({ instance }) => !instance.isBackground).length;
}

async function finish(platform: SmallPlatform): Promise<void> {
  await platform.answerAll();
  platform.checkResults();
  await platform.agent.stop();
  await platform.checkGone();
}

for (const policy of POLICIES) {
  test(`${policy}: a flood of spare invocations has the cores, and keeps nobody waiting`, async () => {
    const platform = await platformOf(policy);
    await invoke(platform, 'spare', MANY);
    assert.equal(runningOf(platform, 'spare').length, 2, 'as many as there are cores');
    assert.equal(inForeground(runningOf(platform, 'spare')), 2);
    await invoke(platform, 'other', 2);
    assert.equal(inForeground(runningOf(platform, 'other')), 2);
    assert.equal(inForeground(runningOf(platform, 'spare')), 0);
    // What they take is made up for: as many others are admitted as without them.
    await invoke(platform, 'other', 2);
    assert.equal(runningOf(platform, 'other').length, policy === 'lend' ? 2 : 4);
    for (const play of runningOf(platform, 'other')) play.answer();
    await platform.settle();
    // Who waited has come in; when all have gone, the cores are theirs again.
    for (const play of runningOf(platform, 'other')) play.answer();
    await platform.settle();
    assert.equal(inForeground(runningOf(platform, 'spare')), 2);
    await finish(platform);
  });

  test(`${policy}: one that comes has the cores that are left, and none where all are used`, async () => {
    const platform = await platformOf(policy);
    await invoke(platform, 'other', 1);
    await invoke(platform, 'spare', 1);
    assert.equal(inForeground([...runningOf(platform, 'spare'), ...runningOf(platform, 'other')]), 2);
    await invoke(platform, 'other', 1);
    assert.equal(inForeground(runningOf(platform, 'other')), 2);
    assert.equal(inForeground(runningOf(platform, 'spare')), 0);
    runningOf(platform, 'other')[0]!.answer();
    await platform.settle();
    assert.equal(inForeground(runningOf(platform, 'spare')), 1);
    await finish(platform);
  });
}

for (const policy of ['dedicated', 'fair'] as const) {
  test(`${policy}: a spare function is served as any other`, async () => {
    const platform = await platformOf(policy);
    await invoke(platform, 'spare', 1);
    await invoke(platform, 'other', 1);
    assert.equal(inForeground([...runningOf(platform, 'spare'), ...runningOf(platform, 'other')]), 2);
    await finish(platform);
  });
}

/** Uses its core until it has had so much of it. */
const SPIN = {
  'index.mjs': `const now = () => Number(process.hrtime.bigint() / 1000n);
export const handler = async ({ burnMs = 0 }) => {
  const startedUs = now();
  const used = process.cpuUsage();
  const usedUs = () => { const { user, system } = process.cpuUsage(used); return user + system; };
  while (usedUs() < burnMs * 1000);
  return { startedUs, endedUs: now() };
};`,
};
const BATCH_MS = 3000;

test(
  'lend: with spare functions on every core, a call is served before they have ended',
  { skip: noBubblewrap || ROOT_ONLY },
  async (t) => {
    const platform = await startTestPlatform({ args: ['--sharing', 'lend', '--cores', '0,1'] });
    t.after(() => platform.stop());
    const functions = new Functions(platform);
    for (const name of ['one', 'two', 'usual']) {
      const environment = { ...(name !== 'usual' && { [SHARING_VARIABLE]: 'spare' }) };
      await functions.deploy(name, { files: SPIN, environment });
      await functions.invoke(name, {});
    }
    const times = async (name: string, burnMs: number): Promise<{ startedUs: number; endedUs: number }> => {
      const { status, value } = await functions.invoke(name, { burnMs });
      assert.equal(status, 200, JSON.stringify(value));
      return value as { startedUs: number; endedUs: number };
    };
    const batch = Promise.all([times('one', BATCH_MS), times('two', BATCH_MS)]);
    await until('both have a core', async () => {
      const { cores } = await functions.json('GET', '/perch/v1/cores');
      return cores.every((core: { state: string }) => core.state === 'leased');
    });
    const usual = [await times('usual', 20), await times('usual', 20)];
    for (const each of await batch) {
      for (const { startedUs, endedUs } of usual) {
        assert.ok(each.startedUs < startedUs && endedUs < each.endedUs, 'it ran while the spare one had a core');
      }
    }
  },
);
