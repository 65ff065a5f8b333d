/**
 * A poller is frozen, and just then something ends it: whatever that is, its caller has a result, nothing stays frozen or is left over,
 * and the core is there for the next one. With simulated sandboxes each moment is met; test/attack has real ones.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameKind } from '../../src/wire/instance-frame.ts';
import type { InvokeResult } from '../../src/gateway/platform.ts';
import type { Play } from './plays.ts';
import { type Ask, SmallPlatform } from './small-platform.ts';
import { TIMEOUT_S } from './small-store.ts';

const ROOM = { coreCount: 1, slotCount: 8, memoryMb: 2000, queueMax: 8, requestCountMax: 20, versionCountMax: 4 };
const ISOLATIONS = ['reuse', 'fresh'] as const;
/** Long enough to be watched, and shorter than any pause. */
const WATCHED_US = 20_000;
const PAUSES_US = 200_000;

interface Stage {
  readonly platform: SmallPlatform;
  readonly ask: Ask;
  readonly play: Play;
}

/** `canCopy`: it is a copy of a zygote. */
async function withPoller(isolation: 'reuse' | 'fresh', canCopy: boolean): Promise<Stage> {
  const platform = new SmallPlatform(ROOM, canCopy, { policy: 'lend', perCore: 2 });
  await platform.open();
  platform.clock.advanceUs(1000);
  platform.store.put('poller', 64, isolation);
  platform.store.put('next', 64, 'reuse');
  if (canCopy) await makeZygote(platform);
  const ask = platform.invoke('poller')!;
  await ready(platform);
  const play = running(platform, 'poller');
  assert.equal(play.instance.origin !== null, canCopy);
  platform.clock.advanceUs(WATCHED_US);
  platform.observer.turn(play.instance.spec.slot, 'polls');
  assert.ok(play.instance.frozen, 'it is frozen');
  platform.check();
  return { platform, ask, play };
}

/** What it runs in at first is a process. */
async function makeZygote(platform: SmallPlatform): Promise<void> {
  platform.invoke('poller');
  await ready(platform);
  const first = running(platform, 'poller');
  first.answer();
  await platform.settle();
  first.instance.exit({ kind: 'exit', code: 0 });
  await ready(platform);
}

/** Whoever is asked for boots. */
async function ready(platform: SmallPlatform): Promise<void> {
  for (let round = 0; round < 6; round++) {
    for (const cell of platform.cells) cell.goOn();
    for (const play of platform.plays) if (!play.ready && !play.ended) play.boot();
    await platform.settle();
  }
}

function running({ plays }: SmallPlatform, functionName: string): Play {
  const found = plays.find((play) => !play.ended && play.running !== null && play.functionName === functionName);
  assert.ok(found, `${functionName} runs`);
  return found;
}

function resultOf({ results }: Ask): InvokeResult {
  assert.equal(results.length, 1, 'its caller has one result');
  return results[0]!;
}

/** Nothing is left of the poller, and others run and end as if it had never been there. */
async function checkOver({ platform, play }: Stage): Promise<void> {
  platform.check();
  assert.deepEqual(platform.observer.slots, [], 'nobody is watched any more');
  assert.ok(play.ended || !play.instance.frozen || play.running === null, 'it is frozen, and runs');
  const next = platform.invoke('next')!;
  await ready(platform);
  const other = running(platform, 'next');
  assert.ok(!other.instance.frozen && !other.instance.isBackground, 'the core is there for the next one');
  // Times that were set for the poller do nothing to who is there now.
  for (let us = 0; us < PAUSES_US; us += 1000) platform.clock.advanceUs(1000);
  assert.ok(!other.instance.frozen);
  other.answer();
  await platform.settle();
  assert.equal(resultOf(next).kind, 'response');
  await platform.answerAll();
  await platform.agent.stop();
  await platform.checkGone();
  platform.checkResults();
  checkCounted(platform);
}

/** Whoever was frozen was let go on: in the end, or to be killed. */
function checkCounted({ metrics }: SmallPlatform): void {
  const freezes = metrics.counter('perch_sharing_freezes_total').value;
  const [slices, wakes] = ['slice', 'awake'].map((why) => metrics.counter('perch_sharing_thaws_total', why).value);
  assert.ok(freezes > 0);
  assert.equal(slices! + wakes!, freezes, `${slices} slices, ${wakes} wakes`);
}

const ENDS: Readonly<Record<string, { end(stage: Stage): void | Promise<void>; isResponse?: boolean }>> = {
  'it is killed from outside': { end: ({ play }) => play.instance.exit({ kind: 'exit', code: 137 }) },
  'it has used all of its memory': { end: ({ play }) => play.instance.exit({ kind: 'oom' }) },
  'its time is over': { end: ({ platform }) => platform.clock.advanceUs(TIMEOUT_S * 1_000_000) },
  'its function is deleted, and its time is over': {
    end: ({ platform }) => {
      platform.store.delete('poller');
      platform.clock.advanceUs(TIMEOUT_S * 1_000_000);
    },
  },
  'its function is deployed anew, and it answers in a slice': {
    isResponse: true,
    end: async (stage) => {
      stage.platform.store.put('poller', 64, 'reuse');
      await inSlice(stage);
      stage.play.answer();
    },
  },
  'it answers in a slice, and exits': {
    end: async (stage) => {
      await inSlice(stage);
      stage.play.answer();
      stage.play.instance.exit({ kind: 'exit', code: 0 });
    },
    isResponse: true,
  },
  'its answer was on its way': { end: ({ play }) => play.answer(), isResponse: true },
  'it breaks the protocol': { end: ({ play }) => void play.instance.answers.write(Buffer.alloc(64, 7)) },
  'it had said more than anybody listens to, and its time is over': {
    end: async ({ platform, play }) => {
      for (let line = 0; line < 400; line++) play.send(FrameKind.log, 0, 'x'.repeat(900));
      for (let count = 0; count < 2000; count++) play.send(FrameKind.sleeping, play.running?.sequence ?? 0, '');
      await platform.settle();
      platform.clock.advanceUs(TIMEOUT_S * 1_000_000);
    },
  },
};

/** It is let go on for a moment, and frozen again after it. */
async function inSlice({ platform, play }: Stage): Promise<void> {
  for (let us = 0; play.instance.frozen; us += 500) {
    assert.ok(us < PAUSES_US, 'it is never let go on');
    platform.clock.advanceUs(500);
  }
  await platform.settle();
}

for (const [name, { end, isResponse = false }] of Object.entries(ENDS)) {
  for (const isolation of ISOLATIONS) {
    for (const canCopy of [false, true]) {
      test(`a poller is frozen: ${name} (${isolation}, ${canCopy ? 'a copy' : 'a process'})`, async () => {
        const stage = await withPoller(isolation, canCopy);
        await end(stage);
        await stage.platform.settle();
        assert.equal(resultOf(stage.ask).kind === 'response', isResponse, JSON.stringify(stage.ask.results));
        await checkOver(stage);
      });
    }
  }
}

test('a poller is frozen, and its zygote goes on: copies of it are made, and are not frozen', async () => {
  const stage = await withPoller('fresh', true);
  const { platform, play } = stage;
  assert.ok(platform.cells.every(({ ended }) => !ended));
  const second = platform.invoke('poller')!;
  await ready(platform);
  // Its core is lent as that of any who waits.
  platform.clock.advanceUs(5000);
  await ready(platform);
  const other = platform.plays.find((each) => each !== play && each.running !== null && !each.ended);
  assert.ok(other, 'another copy runs');
  assert.ok(!other.instance.frozen && play.instance.frozen);
  other.answer();
  await platform.settle();
  assert.equal(resultOf(second).kind, 'response');
  play.instance.exit({ kind: 'oom' });
  await platform.settle();
  assert.notEqual(resultOf(stage.ask).kind, 'response');
  await checkOver(stage);
});

test('a poller is frozen, and room is needed: who is idle goes, it stays, and is evicted when it has answered', async () => {
  const platform = new SmallPlatform({ ...ROOM, slotCount: 3, memoryMb: 256 }, false, { policy: 'lend', perCore: 2 });
  await platform.open();
  platform.clock.advanceUs(1000);
  for (const name of ['poller', 'idle', 'next']) platform.store.put(name, 128, 'reuse');
  const idle = platform.invoke('idle')!;
  await ready(platform);
  running(platform, 'idle').answer();
  await platform.settle();
  assert.equal(resultOf(idle).kind, 'response');
  const ask = platform.invoke('poller')!;
  await ready(platform);
  const play = running(platform, 'poller');
  platform.clock.advanceUs(WATCHED_US);
  platform.observer.turn(play.instance.spec.slot, 'polls');
  assert.ok(play.instance.frozen);
  // A guest on its core needs the room of the idle one.
  platform.clock.advanceUs(5000);
  const next = platform.invoke('next')!;
  await ready(platform);
  assert.ok(!play.ended && play.instance.frozen, 'who has an invocation is not evicted');
  running(platform, 'next').answer();
  await platform.settle();
  assert.equal(resultOf(next).kind, 'response');
  platform.observer.turn(play.instance.spec.slot);
  assert.ok(!play.instance.frozen, 'what it polls for has come');
  play.answer();
  await platform.settle();
  assert.equal(resultOf(ask).kind, 'response');
  await checkOver({ platform, ask, play });
});

for (const canCopy of [false, true]) {
  test(`a poller is frozen, and the platform stops (${canCopy ? 'a copy' : 'a process'})`, async () => {
    const { platform, ask, play } = await withPoller('reuse', canCopy);
    const waits = platform.invoke('next')!;
    await platform.agent.stop();
    await platform.settle();
    assert.notEqual(resultOf(ask).kind, 'response');
    assert.notEqual(resultOf(waits).kind, 'response');
    assert.ok(play.ended);
    await platform.checkGone();
    platform.checkResults();
    checkCounted(platform);
  });
}
