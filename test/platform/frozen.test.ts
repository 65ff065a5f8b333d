/** Who is frozen by whose word, and what thaws them, on the small platform with its simulated observer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FunctionKnowledge } from '../../src/store/store.ts';
import { FrameKind } from '../../src/wire/instance-frame.ts';
import type { SourceName } from '../../src/worker/agent/sharing-setting.ts';
import type { Play } from './plays.ts';
import { SmallPlatform } from './small-platform.ts';

interface Stage {
  readonly platform: SmallPlatform;
  readonly play: Play;
  readonly slot: number;
  /** What it says of itself arrives. */
  hint(kind: FrameKind): Promise<void>;
}

/** One invocation that runs, and has been watched for a while. `said`: by its operator. */
async function running(source: SourceName, said: Partial<FunctionKnowledge> | null, isStep = false): Promise<Stage> {
  const platform = new SmallPlatform({ coreCount: 1 }, false, { policy: 'lend', perCore: 2, sources: [source] });
  await platform.open();
  // The agent takes what began at 0 for what has not begun.
  platform.clock.advanceUs(1000);
  platform.store.put('a', 64);
  if (said !== null) platform.knowledge.say('a', said);
  const sleepsOn = isStep ? { sleepsOn: ['response', 'timer'] as const } : {};
  platform.invokeVersion(platform.store.getVersion('a')!, sleepsOn);
  await platform.settle();
  const [play] = platform.plays;
  assert.ok(play !== undefined);
  play.boot();
  await platform.settle();
  platform.clock.advanceUs(20_000);
  const [slot] = platform.observer.slots;
  assert.ok(slot !== undefined && play.running !== null, 'it runs, and is watched');
  const hint = async (kind: FrameKind): Promise<void> => {
    play.send(kind, play.running!.sequence, '');
    await platform.settle();
  };
  return { platform, play, slot, hint };
}

async function end({ platform }: Stage): Promise<void> {
  platform.check();
  await platform.answerAll();
  await platform.agent.stop();
  await platform.checkGone();
}

test('learning: who is seen to poll is frozen until something comes', async () => {
  const stage = await running('learning', null);
  const { observer } = stage.platform;
  observer.turn(stage.slot, 'polls');
  assert.equal(stage.play.instance.frozen, true);
  observer.traffic(stage.slot, 'received');
  assert.equal(stage.play.instance.frozen, false);
  await end(stage);
});

test('directed: nobody is asked whether it polls, unless a rule, a plug-in or its plan wants to know', async () => {
  for (const [said, isStep, isFrozen] of [
    [null, false, false],
    [null, true, true],
    [{ rules: 'while polling sleep' }, false, true],
    [{ rules: 'while blocked sleep' }, true, false],
  ] as const) {
    const stage = await running('directed', said, isStep);
    stage.platform.observer.turn(stage.slot, 'polls');
    assert.equal(stage.play.instance.frozen, isFrozen, JSON.stringify([said, isStep]));
    stage.platform.observer.traffic(stage.slot, 'received');
    assert.equal(stage.play.instance.frozen, false);
    await end(stage);
  }
});

test('directed: who is said to sleep and uses its core is frozen; what an observer makes of that is no news', async () => {
  const stage = await running('directed', { rules: 'after sent sleep until received or woken or 40ms' });
  const { platform, play, slot } = stage;
  const { observer, clock } = platform;
  for (const cause of ['received', 'time'] as const) {
    observer.traffic(slot, 'sent');
    assert.equal(play.instance.frozen, false, 'it may be about to block');
    observer.use(slot, 10_000);
    clock.advanceUs(2000);
    assert.equal(play.instance.frozen, true);
    observer.turn(slot, 'sleeps');
    observer.turn(slot, 'sleeps');
    assert.equal(play.instance.frozen, true, 'it is off its core, and on it again, because of us');
    if (cause === 'received') observer.traffic(slot, 'received');
    else clock.advanceUs(50_000);
    assert.equal(play.instance.frozen, false);
    // Its core is its own again, and it may be told to sleep anew.
    clock.advanceUs(1000);
  }
  observer.traffic(slot, 'sent');
  observer.turn(slot, 'sleeps');
  observer.use(slot, 10_000);
  clock.advanceUs(2000);
  assert.equal(play.instance.frozen, false, 'who blocks is not frozen');
  await end(stage);
});

test('collaborative: who says that it sleeps is frozen once it polls, and who says nothing is not', async () => {
  const stage = await running('collaborative', null);
  const { platform, play, slot } = stage;
  const { observer } = platform;
  observer.turn(slot, 'polls');
  assert.equal(observer.polls(slot), false, 'it may not be stopped');
  await stage.hint(FrameKind.sleeping);
  assert.equal(play.instance.frozen, false);
  observer.turn(slot, 'polls');
  assert.equal(play.instance.frozen, true);
  observer.traffic(slot, 'received');
  assert.equal(play.instance.frozen, false);
  observer.turn(slot, 'polls');
  assert.equal(play.instance.frozen, true, 'it has not said that it is awake, and waits for the rest');
  await stage.hint(FrameKind.awake);
  assert.equal(play.instance.frozen, false);
  // From now on it is stopped before its word is here, and goes on without it.
  observer.turn(slot, 'polls');
  assert.deepEqual([play.instance.frozen, observer.polls(slot)], [false, false]);
  observer.turn(slot, 'polls');
  assert.equal(observer.polls(slot), false, 'not a second time');
  await stage.hint(FrameKind.sleeping);
  observer.turn(slot, 'polls');
  assert.equal(play.instance.frozen, true);
  await end(stage);
});
