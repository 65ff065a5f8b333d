/** Single ways of invocations through simulated zygotes, each of which went wrong once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameKind } from '../../src/wire/instance-frame.ts';
import type { InvokeResult } from '../../src/gateway/platform.ts';
import type { CopyState } from '../../src/worker/agent/contract.ts';
import { SMALL, SmallPlatform } from './small-platform.ts';

const TICK_US = 10_000;
const MB = 1024 * 1024;
const ROOMY = { memoryMb: 2000, slotCount: 8 };

async function open(
  limits: Partial<Record<keyof typeof SMALL, number>> = ROOMY,
  canCopy = true,
): Promise<SmallPlatform> {
  const platform = new SmallPlatform(limits, canCopy);
  await platform.open();
  for (const name of ['a', 'b']) platform.store.put(name, 128);
  platform.store.put('fresh', 128, 'fresh');
  await platform.settle();
  return platform;
}

async function cellsBoot(platform: SmallPlatform): Promise<void> {
  for (const cell of platform.cells) if (!cell.booted) cell.boot();
  await platform.settle();
}

async function end(platform: SmallPlatform): Promise<void> {
  await platform.answerAll();
  platform.checkResults();
  await platform.agent.stop();
  await platform.checkGone();
}

function errorType(result: InvokeResult | undefined): string {
  assert.equal(result?.kind, 'error');
  return (JSON.parse(result.payload.toString()) as { errorType: string }).errorType;
}

test('reuse: one initialisation, and copies of it on each core', async () => {
  const platform = await open();
  await cellsBoot(platform);
  for (let count = 0; count < SMALL.coreCount; count++) platform.invoke('a');
  await platform.settle();
  const zygotes = platform.cells.filter(({ cell }) => cell.adopted !== null);
  assert.equal(zygotes.length, 1);
  assert.equal(platform.startCount, 0);
  zygotes[0]!.initialise();
  await platform.settle();
  assert.equal(platform.startCount, SMALL.coreCount);
  for (const { instance } of platform.plays) {
    assert.equal(instance.origin?.cell, zygotes[0]!.cell);
    assert.equal(instance.origin.spec.once, false);
  }
  await end(platform);
  const results = platform.asks.map(({ results: [result] }) => result);
  assert.deepEqual(new Set(results.map((result) => result?.kind)), new Set(['response']));
});

test('copies that are forked at once rehearse each on its own core', async () => {
  const platform = await open();
  await cellsBoot(platform);
  for (let count = 0; count < SMALL.coreCount; count++) platform.invoke('a');
  await platform.settle();
  const zygote = platform.cells.find(({ initialises }) => initialises)!;
  zygote.initialise();
  await platform.settle();
  // It makes them once it is told of all three.
  assert.deepEqual(zygote.cell.pins.at(-1)?.toSorted(), [0, 1, 2]);
  for (const play of platform.plays) play.send(FrameKind.made, 0, '');
  await platform.settle();
  const pins = platform.plays.map(({ instance }) => instance.pins.at(-1));
  assert.deepEqual(new Set(pins.map(String)), new Set(['0', '1', '2']));
  for (const play of platform.plays) play.boot();
  await platform.settle();
  const later = platform.plays.map(({ instance }) => instance.pins.length);
  assert.deepEqual(later, [1, 1, 1], 'they run where they have rehearsed');
  await end(platform);
});

test('fresh: each invocation in a copy of its own, which ends by itself', async () => {
  const platform = await open();
  await cellsBoot(platform);
  for (let count = 0; count < 20; count++) {
    platform.invoke('fresh');
    await platform.settle();
    await platform.answerAll();
  }
  assert.ok(platform.startCount >= 20);
  await end(platform);
  for (const ask of platform.asks) assert.equal(ask.results[0]?.kind, 'response');
});

test('code that is late for the very slot that another instance has left', async () => {
  const platform = await open({ slotCount: SMALL.coreCount, memoryMb: SMALL.memoryMb }, false);
  platform.codes.late = true;
  for (let count = 0; count < 4; count++) platform.invoke('a');
  await platform.settle();
  platform.codes.miss(0);
  await platform.settle();
  platform.check();
  await end(platform);
  const refused = platform.asks.filter(({ results: [result] }) => result?.kind === 'refused');
  assert.equal(refused.length, 1);
});

test('a cell that ends while nothing else happens is made again', async () => {
  const platform = await open({ slotCount: 4, memoryMb: SMALL.memoryMb });
  await cellsBoot(platform);
  // Until everything is frozen, and nobody looks at the time.
  for (let tick = 0; tick < 5; tick++) platform.clock.advanceUs(TICK_US);
  const before = platform.cells.length;
  platform.cells[0]!.cell.report({ kind: 'breach', message: 'simulated' });
  await platform.settle();
  platform.check();
  assert.equal(platform.cells.length, before - 1);
  for (let tick = 0; tick < 5; tick++) platform.clock.advanceUs(TICK_US);
  await platform.settle();
  assert.equal(platform.cells.length, before);
  await end(platform);
});

test('code that cannot be supplied: a refusal that says why, of a zygote and of a process of its own', async () => {
  for (const canCopy of [true, false]) {
    const platform = await open(ROOMY, canCopy);
    await cellsBoot(platform);
    platform.codes.late = true;
    const asks = [platform.invoke('a')!, platform.invoke('a')!];
    await platform.settle();
    for (let count = 0; count < asks.length; count++) platform.codes.miss(0);
    await platform.settle();
    for (const { results, runCount } of asks) {
      const [result] = results;
      assert.ok(result?.kind === 'refused', JSON.stringify(result));
      assert.deepEqual([result.error.code, runCount], ['ServiceException', 0]);
    }
    const refused = platform.metrics.counter('perch_invocations_refused_total', 'version');
    assert.equal(refused.value, asks.length);
    await end(platform);
  }
});

test('what the fetch of the code takes is no initialisation, and has a limit of its own', async () => {
  for (const canCopy of [true, false]) {
    const platform = await open(ROOMY, canCopy);
    await cellsBoot(platform);
    platform.codes.late = true;
    const ask = platform.invoke('a')!;
    await platform.settle();
    for (const beforeIt of [true, false]) {
      platform.clock.advanceUs((SMALL.initTimeoutMs + (beforeIt ? 1000 : -1000)) * 1000);
      await platform.settle();
      assert.equal(ask.results.length, 0, beforeIt ? 'the code is on its way' : 'it initialises since the code came');
      platform.codes.arriveAll();
      await platform.settle();
    }
    platform.clock.advanceUs(2_000_000);
    await platform.settle();
    assert.equal(errorType(ask.results[0]), 'Runtime.InitTimeout');
    const late = [platform.invoke('b')!, platform.invoke('b')!];
    await platform.settle();
    platform.clock.advanceUs(SMALL.codeTimeoutMs * 1000);
    await platform.settle();
    for (const { results } of late) {
      const [result] = results;
      assert.ok(result?.kind === 'refused' && result.error.code === 'ServiceException', JSON.stringify(result));
    }
    await end(platform);
  }
});

test('what is taken for a lease while its code is on the way starts on the core of the lease', async () => {
  const platform = await open(ROOMY, false);
  platform.codes.late = true;
  platform.store.provision('a', 1);
  platform.clock.advanceUs(TICK_US);
  platform.invoke('b');
  platform.invoke('a');
  await platform.settle();
  platform.codes.arriveAll();
  await platform.settle();
  assert.deepEqual(
    platform.plays.map(({ instance }) => instance.spec.cpus.length),
    [1, 1],
  );
  assert.notDeepEqual(platform.plays[0]!.instance.spec.cpus, platform.plays[1]!.instance.spec.cpus);
  await end(platform);
});

test('a zygote whose version is dropped while it initialises ends, also while its code is on the way', async () => {
  for (const late of [false, true]) {
    const platform = await open({ ...ROOMY, versionCountMax: 1 });
    await cellsBoot(platform);
    platform.codes.late = late;
    platform.store.provision('a', 1);
    platform.clock.advanceUs(TICK_US);
    await platform.settle();
    const before = platform.cells.length;
    platform.store.delete('a');
    // Under the same index.
    platform.invoke('b');
    await platform.settle();
    assert.equal(platform.cells.length, before - 1);
    await end(platform);
  }
});

test('an uncopyable function runs in processes of its own, and says why', async () => {
  const platform = await open();
  await cellsBoot(platform);
  platform.invoke('fresh');
  await platform.settle();
  platform.cells.find(({ initialises }) => initialises)!.initialise({ kind: 'uncopyable', reasons: ['a\ntimer'] });
  await platform.settle();
  assert.ok(platform.plays.every(({ instance }) => instance.origin === null) && platform.startCount > 0);
  const { copyable, reasons } = platform.dispatcher.copyState(platform.store.getVersion('fresh')!);
  assert.deepEqual({ copyable, reasons }, { copyable: false, reasons: ['a timer'] });
  await end(platform);
});

test('what keeps a zygote from being made is said', async () => {
  const platform = await open({ memoryMb: 129, slotCount: 8, versionCountMax: 4 });
  platform.clock.advanceUs(TICK_US);
  await cellsBoot(platform);
  platform.store.put('large', 129);
  const stateOf = (name: string): CopyState => platform.dispatcher.copyState(platform.store.getVersion(name)!);
  for (const name of ['large', 'a', 'large']) {
    platform.invoke(name);
    await platform.answerAll();
  }
  assert.deepEqual(
    [stateOf('large').zygote, stateOf('large').lacks],
    ['none', 'no stem cell: memory is full'],
    'the instance would have to go for a cell that nothing fits beside',
  );
  await end(platform);
});

test('copy is said of what was forked alone; a process that is still on its way is a cold start, and its wait is billed', async () => {
  for (const canCopy of [false, true]) {
    const platform = await open(ROOMY, canCopy);
    await cellsBoot(platform);
    const first = platform.invoke('fresh')!;
    await platform.answerAll();
    for (const play of platform.plays) if (!play.ready) play.boot();
    await platform.settle();
    // As many as wait, and one that is on its way.
    platform.clock.advanceUs(1000);
    const all = Array.from({ length: 3 }, () => platform.invoke('fresh')!);
    await platform.settle();
    platform.clock.advanceUs(5000);
    await platform.answerAll();
    const records = [first, ...all].map(({ results: [result] }) => {
      assert.ok(result?.kind === 'response');
      return result.record;
    });
    const last = canCopy ? 'copy' : 'cold';
    assert.deepEqual(
      records.map(({ start }) => start),
      ['cold', 'warm', 'warm', last],
    );
    assert.equal(records[3]!.initUs, canCopy ? 0 : records[3]!.startUs);
    await end(platform);
  }
});

test('the memory that a copy uses is its own and what it shares with its zygote, at most what the function may use', async () => {
  const platform = await open();
  await cellsBoot(platform);
  const peakMb = async (ownMb: number): Promise<number> => {
    const ask = platform.invoke('a')!;
    await platform.settle();
    for (const { initialises, cell } of platform.cells) if (initialises) cell.setMemoryBytes(60 * MB);
    for (const cell of platform.cells) cell.goOn();
    await platform.settle();
    platform.clock.advanceUs(1_000_000);
    for (const { instance } of platform.plays) instance.setMemoryPeakBytes(ownMb * MB);
    await platform.answerAll();
    const [result] = ask.results;
    assert.ok(result?.kind === 'response');
    return result.record.memoryPeakMb;
  };
  assert.equal(await peakMb(2), 62);
  platform.clock.advanceUs(60_000_000);
  assert.equal(await peakMb(3), 63, 'the zygote is not there for it');
  assert.equal(await peakMb(90), 128);
  await end(platform);
});

test('that initialisation fails is said, with what, until it does not; in a zygote and in a process of its own', async () => {
  for (const canCopy of [true, false]) {
    const platform = await open(ROOMY, canCopy);
    await cellsBoot(platform);
    const failure = (): string => platform.dispatcher.copyState(platform.store.getVersion('a')!).failure;
    assert.equal(failure(), '');
    const payload = Buffer.from('{"errorType":"TypeError","errorMessage":"not\\ntoday"}');
    platform.invoke('a');
    await platform.settle();
    if (canCopy) platform.cells.find(({ initialises }) => initialises)!.initialise({ kind: 'init-error', payload });
    else platform.plays[0]!.send(FrameKind.initError, 0, payload.toString());
    await platform.settle();
    assert.equal(failure(), 'TypeError: not today');
    platform.clock.advanceUs(TICK_US);
    await cellsBoot(platform);
    platform.invoke('a');
    await platform.settle();
    if (canCopy) platform.cells.find(({ initialises }) => initialises)!.cell.exit({ kind: 'oom' });
    else platform.plays[0]!.instance.exit({ kind: 'oom' });
    await platform.settle();
    assert.match(failure(), /Runtime\.OutOfMemory/);
    platform.clock.advanceUs(TICK_US);
    await cellsBoot(platform);
    platform.invoke('a');
    await platform.settle();
    platform.clock.advanceUs(SMALL.initTimeoutMs * 1000 + TICK_US);
    await platform.settle();
    assert.match(failure(), /longer than 5000 ms/);
    platform.invoke('a');
    await platform.answerAll();
    assert.equal(failure(), '');
    await end(platform);
  }
});

test('what is never copied is known before it has run', async () => {
  const platform = await open();
  platform.store.put('own', 128, 'process');
  const { copyable, reasons } = platform.dispatcher.copyState(platform.store.getVersion('own')!);
  assert.deepEqual({ copyable, reasons }, { copyable: false, reasons: ["its isolation is 'process'"] });
  await end(platform);
});

test('instances are counted by what they do, zygotes and cells beside them', async () => {
  const platform = await open();
  const states = (): Record<string, number> =>
    Object.fromEntries(
      [...platform.metrics.text().matchAll(/^perch_instances\{state="(\w+)"\} (\d+)$/gm)].map(([, state, count]) => [
        state,
        Number(count),
      ]),
    );
  const none = { starting: 0, idle: 0, busy: 0, ending: 0, zygote: 0 };
  await cellsBoot(platform);
  assert.deepEqual(states(), none);
  platform.invoke('a');
  await platform.settle();
  assert.deepEqual(states(), { ...none, zygote: 1 });
  platform.cells.find(({ initialises }) => initialises)!.initialise();
  await platform.settle();
  assert.deepEqual(states(), { ...none, zygote: 1, starting: 1 });
  platform.plays[0]!.boot();
  await platform.settle();
  assert.deepEqual(states(), { ...none, zygote: 1, busy: 1 });
  platform.plays[0]!.answer();
  await platform.settle();
  assert.deepEqual(states(), { ...none, zygote: 1, idle: 1 });
  await end(platform);
  assert.deepEqual(states(), none);
});

test('process: each instance initialises itself, and serves one invocation after the other', async () => {
  const platform = await open();
  platform.store.put('own', 128, 'process');
  await cellsBoot(platform);
  for (let round = 0; round < 2; round++) {
    for (let core = 0; core < SMALL.coreCount; core++) platform.invoke('own');
    await platform.answerAll();
  }
  assert.equal(platform.startCount, SMALL.coreCount, 'as many instances as run at once');
  assert.ok(platform.plays.every(({ instance }) => instance.origin === null));
  assert.ok(platform.cells.every(({ cell }) => cell.adopted === null));
  const { copyable, reasons } = platform.dispatcher.copyState(platform.store.getVersion('own')!);
  assert.deepEqual({ copyable, reasons }, { copyable: false, reasons: ["its isolation is 'process'"] });
  await end(platform);
});

test('leases that await a zygote have its error when it fails, or dies', async () => {
  const platform = await open();
  await cellsBoot(platform);
  const failed = [platform.invoke('a')!, platform.invoke('a')!];
  await platform.settle();
  const payload = Buffer.from('{"errorType":"Mine"}');
  platform.cells.find(({ initialises }) => initialises)!.initialise({ kind: 'init-error', payload });
  await platform.settle();
  for (const ask of failed) assert.equal(errorType(ask.results[0]), 'Mine');
  await cellsBoot(platform);
  platform.clock.advanceUs(TICK_US);
  await cellsBoot(platform);
  const died = platform.invoke('b')!;
  await platform.settle();
  platform.cells.find(({ initialises }) => initialises)!.cell.exit({ kind: 'oom' });
  await platform.settle();
  assert.equal(errorType(died.results[0]), 'Runtime.OutOfMemory');
  await end(platform);
});
