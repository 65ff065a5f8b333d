/**
 * Properties of the way of an invocation, through all its parts at once: random calls of clients, deeds of instances,
 * changes of functions and passing time. Every invariant of every part is checked after every step, and at the end that
 * each invocation had exactly one result and that nothing was lost or kept.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FrameKind } from '../../src/wire/instance-frame.ts';
import { SMALL, SmallPlatform } from './small-platform.ts';
import { anyStep, isRunning, NAMES, OFTEN, pick, put, type Step, STEPS } from './steps.ts';

const MEMORY_MB_MAX = 1200;
/** With a slot for each core, two stem cells, a zygote and copies beside. */
const SLOT_COUNT_MAX = 10;
const step = anyStep(STEPS, OFTEN);

interface Machine {
  readonly slotCount: number;
  readonly memoryMb: number;
  readonly versionCountMax: number;
  readonly canCopy: boolean;
}

async function play(steps: readonly Step[], { canCopy, ...limits }: Machine): Promise<SmallPlatform> {
  const platform = new SmallPlatform(limits, canCopy);
  await platform.open();
  for (const name of NAMES) put(platform, name);
  for (const each of steps) {
    STEPS[each.kind]!(platform, each);
    platform.check();
    if (!each.settled) continue;
    await platform.settle();
    platform.check();
  }
  return platform;
}

/** Nothing is left, neither of instances nor of functions. */
function checkEmpty(platform: SmallPlatform): void {
  platform.checkResults();
  platform.check();
  assert.ok(platform.dispatcher.isIdle);
  assert.equal(platform.scheduler.machine.idleCount, SMALL.coreCount);
  for (const name of platform.store.names()) platform.store.delete(name);
  assert.equal(platform.dispatcher.versionCount, 0, 'a version of a deleted function keeps its index');
  platform.check();
}

const RUNS = { numRuns: 300 };
function machines(over: Partial<Machine>, slotCountMin: number, slotCountMax: number): fc.Arbitrary<Machine> {
  const { memoryMb, versionCountMax } = SMALL;
  return fc
    .integer({ min: slotCountMin, max: slotCountMax })
    .map((slotCount) => ({ memoryMb, versionCountMax, canCopy: true, ...over, slotCount }));
}

const roomy = { memoryMb: MEMORY_MB_MAX, versionCountMax: NAMES.length };
const machine: fc.Arbitrary<Machine> = fc.oneof(
  { arbitrary: machines(roomy, SMALL.coreCount + 3, SLOT_COUNT_MAX), weight: 2 },
  machines({}, SMALL.coreCount, SLOT_COUNT_MAX),
  machines({ canCopy: false }, SMALL.coreCount, SMALL.slotCount),
);
const steps = fc.array(step, { maxLength: 160, size: 'max' });

test('whatever happens, each invocation has one result, and nothing is lost or kept', async () => {
  await fc.assert(
    fc.asyncProperty(steps, machine, async (all, small) => {
      const platform = await play(all, small);
      await platform.settle();
      await platform.answerAll();
      checkEmpty(platform);
      await platform.settle();
      await platform.agent.stop();
      await platform.checkGone();
    }),
    RUNS,
  );
});

test('whenever it stops, what waits and what runs has its result', async () => {
  await fc.assert(
    fc.asyncProperty(steps, machine, async (all, small) => {
      const platform = await play(all, small);
      await platform.agent.stop();
      platform.check();
      checkEmpty(platform);
      await platform.checkGone();
    }),
    RUNS,
  );
});

test('a long queue is refused at the stop, however many cores become free at once', async () => {
  const platform = new SmallPlatform({ queueMax: 100, requestCountMax: 110 });
  await platform.open();
  platform.store.put('whole', SMALL.memoryMb);
  platform.store.put('a', 128);
  platform.invoke('whole');
  for (let count = 0; count < 100; count++) platform.invoke('a');
  await platform.settle();
  assert.equal(platform.scheduler.machine.queue.length, 100, 'they wait for memory, beside idle cores');
  await platform.agent.stop();
  checkEmpty(platform);
});

test('what runs and what waits is finished before the end, and not longer than its grace', async () => {
  const platform = new SmallPlatform();
  await platform.open();
  platform.store.put('a', 128);
  for (let count = 0; count < 5; count++) platform.invoke('a');
  let finished = false;
  const finishing = platform.agent.finish(2000).then(() => (finished = true));
  await platform.settle();
  for (const each of platform.plays) each.boot();
  await platform.settle();
  for (const each of platform.plays) each.answer();
  await platform.settle();
  platform.clock.advanceUs(1_000_000);
  await platform.settle();
  assert.equal(finished, false, 'two waited and run now');
  platform.clock.advanceUs(1_000_000);
  await finishing;
  await platform.agent.stop();
  checkEmpty(platform);
  assert.equal(platform.asks.filter((ask) => ask.results[0]?.kind === 'response').length, 3);
});

test('a step of a chain goes before those who came after the chain, on the core of its predecessor', async () => {
  const platform = new SmallPlatform({ coreCount: 1, slotCount: 8, memoryMb: 1000, queueMax: 10 });
  await platform.open();
  for (const name of ['a', 'b', 'c']) platform.store.put(name, 128);
  platform.invokeChain(['a', 'b', 'a']);
  for (let count = 0; count < 3; count++) platform.invoke('c');
  const runs: string[] = [];
  for (let turn = 0; turn < 20 && !platform.dispatcher.isIdle; turn++) {
    await platform.settle();
    for (const play of platform.plays) if (!play.ready) play.boot();
    await platform.settle();
    platform.clock.advanceUs(1000);
    const running = pick(platform, 0, isRunning)!;
    runs.push(NAMES.find((name) => platform.store.getVersion(name)?.revisionId === running.revision) ?? 'c');
    running.answer();
    await platform.settle();
    platform.check();
  }
  assert.equal(runs.join(''), 'abaccc');
  platform.checkResults();
  await platform.agent.stop();
});

test('a step that has to wait for room does not make and drop its deleted successor without end', async () => {
  const platform = new SmallPlatform({ coreCount: 2, slotCount: 2, versionCountMax: 4 });
  await platform.open();
  for (const name of ['a', 'b', 'step', 'next']) platform.store.put(name, 64);
  const [step, next] = ['step', 'next'].map((name) => platform.store.getVersion(name)!);
  platform.store.delete('next');
  for (const name of ['a', 'b']) platform.invoke(name);
  await platform.settle();
  await platform.answerAll();
  const ask = platform.invokeVersion(step!, { next: next! });
  platform.check();
  assert.equal(platform.scheduler.machine.queue.length, 1, 'both slots are taken until one of the idle is gone');
  await platform.settle();
  await platform.answerAll();
  assert.equal(ask.runCount, 1);
  platform.checkResults();
  await platform.agent.stop();
});

test('an instance that sends nothing, endlessly, is listened to once a tick', async () => {
  const platform = new SmallPlatform();
  await platform.open();
  platform.store.put('a', 128);
  const ask = platform.invoke('a')!;
  await platform.settle();
  const [talker] = platform.plays;
  talker!.boot();
  await platform.settle();
  const empty = Buffer.alloc(16);
  empty[4] = FrameKind.log;
  const many = Buffer.concat(Array.from({ length: 4096 }, () => empty));
  let drained = 0;
  for (let count = 0; count < 40; count++) talker!.instance.answers.write(many, () => drained++);
  await platform.settle();
  assert.ok(drained < 40, 'more than half a megabyte of frame headers was read at once');
  talker!.answer();
  for (let tick = 0; tick < 20 && ask.results.length === 0; tick++) {
    platform.clock.advanceUs(10_000);
    await platform.settle();
  }
  assert.equal(ask.results[0]?.kind, 'response', 'the answer that came after it was lost');
  await platform.agent.stop();
  checkEmpty(platform);
});

test('a version that is refused for want of a request index keeps no index of its own', async () => {
  const platform = new SmallPlatform({ requestCountMax: 5 });
  await platform.open();
  platform.store.put('a', 128);
  platform.store.put('b', 128);
  const deleted = platform.store.getVersion('b')!;
  platform.store.delete('b');
  for (let count = 0; count < 5; count++) platform.invoke('a');
  assert.equal(platform.invokeVersion(deleted).results[0]?.kind, 'refused');
  platform.check();
  await platform.settle();
  await platform.answerAll();
  checkEmpty(platform);
});

test('what finds no room beside provisioned instances is refused, and holds up nobody', async () => {
  const platform = new SmallPlatform({ slotCount: 8 });
  await platform.open();
  platform.store.put('kept', 128);
  platform.store.put('other', 256);
  platform.store.provision('kept', 2);
  const goOn = async (): Promise<void> => {
    for (let turn = 0; turn < 4; turn++) {
      platform.clock.advanceUs(10_000);
      platform.codes.arriveAll();
      for (const play of platform.plays) if (!play.ready) play.boot();
      await platform.settle();
    }
  };
  await goOn();
  const refused = platform.invoke('other')!;
  const served = platform.invoke('kept')!;
  await goOn();
  const [result] = refused.results;
  assert.ok(result?.kind === 'refused' && result.error.code === 'TooManyRequestsException');
  assert.equal(served.runCount, 1);
  await platform.answerAll();
  platform.checkResults();
  await platform.agent.stop();
});

test('a provisioned instance waits for nobody who waits for memory', async () => {
  for (const otherMb of [100, 140]) {
    const platform = new SmallPlatform({ slotCount: 8, memoryMb: 512 });
    await platform.open();
    platform.store.put('kept', 128);
    platform.store.put('long', 192);
    platform.store.put('other', otherMb);
    platform.store.provision('kept', 1);
    const goOn = async (): Promise<void> => {
      for (let turn = 0; turn < 4; turn++) {
        platform.clock.advanceUs(10_000);
        for (const play of platform.plays) if (!play.ready) play.boot();
        await platform.settle();
      }
    };
    await goOn();
    platform.invoke('long');
    await goOn();
    platform.invoke('long');
    platform.invoke('other');
    assert.equal(platform.scheduler.machine.queue.length, 1);
    const served = platform.invoke('kept')!;
    await goOn();
    assert.equal(served.runCount, 1, `it waits behind one that asks for ${otherMb} MB`);
    platform.check();
    await platform.answerAll();
    platform.checkResults();
    await platform.agent.stop();
  }
});

test('what cannot fit beside provisioned instances does not wait for a core first', async () => {
  const platform = new SmallPlatform({ slotCount: 8 });
  await platform.open();
  platform.store.put('kept', 64);
  platform.store.put('large', 320);
  platform.store.provision('kept', 1);
  for (let count = 0; count < 3; count++) platform.invoke('kept');
  const [result] = platform.invoke('large')!.results;
  assert.ok(result?.kind === 'refused' && result.error.code === 'TooManyRequestsException');
  platform.check();
  await platform.settle();
  await platform.answerAll();
  platform.checkResults();
  await platform.agent.stop();
});
