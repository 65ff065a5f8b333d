/** Who begins before others on its core is in real time at first, and not for long: the whole way with simulated sandboxes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SharingPolicy } from '../../src/worker/agent/sharing-setting.ts';
import type { Play } from './plays.ts';
import { SmallPlatform } from './small-platform.ts';

const HEAD_START_US = 3000;
const TICK_US = 1000;
/** With `preempt` who has used as much goes after who comes new. */
const LONG_USE_US = 100_000;

async function platformOf(policy: SharingPolicy): Promise<SmallPlatform> {
  const platform = new SmallPlatform({ coreCount: 1, memoryMb: 100_000 }, false, { policy, perCore: 3 });
  await platform.open();
  platform.clock.advanceUs(1); // what begins at 0 has not begun
  platform.store.put('long', 64, 'reuse');
  platform.store.put('short', 64, 'reuse');
  return platform;
}

async function invoke(platform: SmallPlatform, functionName: string): Promise<Play> {
  platform.invoke(functionName);
  await platform.settle();
  for (const play of platform.plays) if (!play.ready) play.boot();
  await platform.settle();
  const found = platform.plays.find((play) => play.functionName === functionName && play.running !== null);
  assert.ok(found);
  return found;
}

/** One that computes has the only core, and has had it for long. */
async function besideLong(policy: SharingPolicy): Promise<{ platform: SmallPlatform; long: Play }> {
  const platform = await platformOf(policy);
  const long = await invoke(platform, 'long');
  assert.equal(long.instance.isFirst, false, 'it is alone on its core, and needs no head start');
  platform.clock.advanceUs(20_000);
  platform.observer.use(long.instance.spec.slot, LONG_USE_US);
  platform.clock.advanceUs(20_000);
  await platform.settle();
  return { platform, long };
}

async function finish(platform: SmallPlatform): Promise<void> {
  await platform.answerAll();
  for (const { instance } of platform.plays)
    assert.equal(instance.isFirst, false, 'nothing that is idle is in real time');
  await platform.agent.stop();
  await platform.checkGone();
}

test('who comes before others is in real time for its first milliseconds', async () => {
  const { platform, long } = await besideLong('preempt');
  const short = await invoke(platform, 'short');
  assert.ok(long.instance.isBackground);
  assert.ok(short.instance.isFirst);
  platform.clock.advanceUs(HEAD_START_US - TICK_US);
  assert.ok(short.instance.isFirst);
  platform.clock.advanceUs(2 * TICK_US);
  assert.deepEqual([short.instance.isFirst, short.instance.isBackground], [false, false]);
  assert.ok(long.instance.isBackground);
  await finish(platform);
});

test('a head start ends with the result', async () => {
  const { platform } = await besideLong('preempt');
  const short = await invoke(platform, 'short');
  assert.ok(short.instance.isFirst);
  short.answer();
  await platform.settle();
  assert.equal(short.instance.isFirst, false);
  const again = await invoke(platform, 'short');
  assert.equal(again, short);
  assert.ok(again.instance.isFirst, 'each of its invocations has one');
  await finish(platform);
});

test('who begins in the background has none', async () => {
  const { platform, long } = await besideLong('packed');
  const short = await invoke(platform, 'short');
  assert.ok(short.instance.isBackground, 'with packed who came first goes first');
  assert.deepEqual([short.instance.isFirst, long.instance.isFirst], [false, false]);
  await finish(platform);
});

for (const policy of ['fair', 'dedicated'] as const) {
  test(`with ${policy} nobody has one`, async () => {
    const platform = await platformOf(policy);
    await invoke(platform, 'long');
    platform.invoke('short');
    await platform.settle();
    for (const play of platform.plays) if (!play.ready) play.boot();
    await platform.settle();
    for (const { instance } of platform.plays) assert.equal(instance.isFirst, false);
    await finish(platform);
  });
}
