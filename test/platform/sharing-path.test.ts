/**
 * The whole way of an invocation, as invocation-path.test.ts has it, where cores are shared: under every policy, with an
 * observer that says at random who sleeps, and functions that hint and lie. Beside the invariants of every part after
 * every step: nothing waits beside an open seat that is idle, of those that run on a core one is in the foreground, and
 * at the end every seat that was open is there.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FrameKind } from '../../src/wire/instance-frame.ts';
import { CORES_VARIABLE, SHARING_VARIABLE } from '../../src/store/settings.ts';
import {
  extraSeatCountOf,
  type SharingSetting,
  SOURCE_NAMES,
  spareSeatCountOf,
} from '../../src/worker/agent/sharing-setting.ts';
import { type Ask, SMALL, SmallPlatform } from './small-platform.ts';
import { anyStep, isRunning, NAMES, OFTEN, pick, put, type Step, STEPS, type Steps } from './steps.ts';

const RUNS = { numRuns: Number(process.env['PERCH_PROPERTY_RUNS'] ?? 200) };
/** Those that have no extra seats: on two cores at once, on a core that is its own, and on what others leave. */
const OWN_SEATS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  wide: { [CORES_VARIABLE]: '2' },
  alone: { [SHARING_VARIABLE]: 'dedicated' },
  spare: { [SHARING_VARIABLE]: 'spare' },
};
const RULES = [
  'after sent sleep until received or 50ms',
  'while polling sleep until 20ms',
  'after started sleep until input\nwhile blocked sleep',
  'after polling wake\nafter received sleep polling until sent',
] as const;
/** Everything fits at once: who waits, waits for a seat. */
const ROOMY_MB = 100_000;
const QUEUE_MAX = 12;

const SHARING_STEPS: Steps = {
  ...STEPS,
  /** As the observer sees it. */
  turn: (platform, { a, b }) => platform.observer.turn(watched(platform, a), b % 3 === 0 ? 'polls' : 'sleeps'),
  pollsAgain: (platform, { a }) => platform.observer.repeat(watched(platform, a)),
  traffic: (platform, { a, b }) => platform.observer.traffic(watched(platform, a), b % 2 === 0 ? 'sent' : 'received'),
  burn: (platform, { a, b }) => platform.observer.use(watched(platform, a), b * 10_000),
  /** What an operator says from now on, or says no more. */
  says: (platform, { a, b }) => {
    const sources = b % 4 === 3 ? [SOURCE_NAMES[b % SOURCE_NAMES.length]!] : null;
    const rules = RULES[b % (RULES.length + 1)] ?? null;
    platform.knowledge.say(NAMES[a % NAMES.length]!, rules === null && sources === null ? null : { rules, sources });
  },
  /** It has run for long enough to be watched, and sleeps for long enough for its core to be lent. */
  sleepsLong: (platform, step) => {
    platform.clock.advanceUs(20_000);
    SHARING_STEPS['turn']!(platform, step);
    platform.clock.advanceUs(2000);
  },
  invokeWide: (platform) => void platform.invoke('wide'),
  invokeAlone: (platform) => void platform.invoke('alone'),
  invokeSpare: (platform) => void platform.invoke('spare'),
  shortTime: (platform, { b }) => platform.clock.advanceUs(b * 1000),
  saysItSleeps: (platform, { a }) => hint(platform, a, FrameKind.sleeping),
  saysItIsAwake: (platform, { a }) => hint(platform, a, FrameKind.awake),
  floodsHints: (platform, { a, b }) => {
    for (let count = 0; count < 30; count++) hint(platform, a, b % 2 === 0 ? FrameKind.sleeping : FrameKind.awake);
  },
  hintsLate: (platform, { a }) => pick(platform, a)?.send(FrameKind.sleeping, 0, ''),
};

const SHARING_OFTEN = {
  ...OFTEN,
  turn: 16,
  traffic: 12,
  pollsAgain: 6,
  says: 4,
  sleepsLong: 24,
  invokeWide: 3,
  invokeAlone: 4,
  invokeSpare: 8,
  burn: 8,
  shortTime: 24,
  saysItSleeps: 8,
  saysItIsAwake: 6,
};
/** What makes some wait for another reason than a seat. */
const LIMITING = ['concurrency', 'provision', 'codeIsLate', 'codeArrives', 'codeIsMissing'];
const ROOMY_STEPS: Steps = Object.fromEntries(
  Object.entries(SHARING_STEPS).filter(([name]) => !LIMITING.includes(name)),
);

function watched({ observer }: SmallPlatform, index: number): number {
  const { slots } = observer;
  return slots[index % Math.max(1, slots.length)] ?? 0;
}

function hint(platform: SmallPlatform, index: number, kind: FrameKind): void {
  const play = pick(platform, index, isRunning);
  play?.send(kind, play.running!.sequence, '');
}

interface Room {
  readonly slotCount: number;
  readonly memoryMb: number;
  readonly versionCountMax: number;
  readonly queueMax: number;
  readonly requestCountMax: number;
}

interface Setting {
  readonly sharing: SharingSetting;
  readonly coreCount: number;
  readonly canCopy: boolean;
  readonly isRoomy: boolean;
}

function roomFor({ sharing, coreCount, isRoomy }: Setting): Room {
  const seatCount = coreCount + extraSeatCountOf(sharing, coreCount);
  const requests = { queueMax: QUEUE_MAX, requestCountMax: QUEUE_MAX + 2 * seatCount };
  if (isRoomy) return { ...requests, slotCount: seatCount * 3 + 10, memoryMb: ROOMY_MB, versionCountMax: 100 };
  return { ...requests, slotCount: seatCount + 2, memoryMb: 2 * SMALL.memoryMb, versionCountMax: NAMES.length + 2 };
}

async function play(steps: readonly Step[], setting: Setting): Promise<SmallPlatform> {
  const { coreCount, canCopy, sharing, isRoomy } = setting;
  const platform = new SmallPlatform({ ...roomFor(setting), coreCount }, canCopy, sharing);
  platform.observer.holds = steps.length % 2 === 0;
  await platform.open();
  for (const name of NAMES) put(platform, name);
  for (const [name, environment] of Object.entries(OWN_SEATS)) platform.store.put(name, 64, 'reuse', environment);
  const table = isRoomy ? ROOMY_STEPS : SHARING_STEPS;
  for (const each of steps) {
    table[each.kind]?.(platform, each);
    platform.check();
    checkFrozen(platform);
    if (!each.settled) continue;
    await platform.settle();
    platform.check();
    checkForeground(platform);
    checkFirst(platform);
    checkShown(platform);
    if (isRoomy) checkNobodyWaits(platform);
  }
  return platform;
}

/**
 * As their sandboxes were told: of those that run where they are pinned, one at most is not in the background, and none that is
 * spare where another one is.
 */
function checkForeground({ plays, sharing }: SmallPlatform): void {
  if (sharing.policy === 'fair') return;
  const seen = new Set<number>();
  const running = plays.filter((each) => each.running !== null && !each.ended);
  for (const each of running) {
    if (each.instance.isBackground) continue;
    for (const core of each.instance.pins.at(-1)!) {
      assert.ok(!seen.has(core), `two in the foreground on core ${core}`);
      seen.add(core);
      if (sharing.policy === 'dedicated' || each.functionName !== 'spare') continue;
      const others = running.filter((one) => one.functionName !== 'spare' && one.instance.pins.at(-1)!.includes(core));
      assert.equal(others.length, 0, `a spare one is in the foreground on core ${core}, where others are`);
    }
  }
}

/** A head start is for somebody who runs in the foreground. */
function checkFirst({ plays, sharing }: SmallPlatform): void {
  for (const { instance, running, ended } of plays) {
    if (ended || !instance.isFirst) continue;
    assert.ok(running !== null, 'what does nothing is in real time');
    assert.ok(!instance.isBackground && sharing.policy !== 'dedicated' && sharing.policy !== 'fair');
  }
}

/** What is shown of them: whoever runs something, one on each core at most that the core is for, and nobody behind itself. */
function checkShown({ agent, scheduler, plays, sharing }: SmallPlatform): void {
  const { residents } = agent.sharingView();
  if (sharing.policy === 'fair' || sharing.policy === 'dedicated') return assert.deepEqual(residents, []);
  const ids = new Set(residents.map(({ requestId }) => requestId));
  for (const { running, ended } of plays) if (running !== null && !ended) assert.ok(ids.has(running.requestId));
  for (const { seat } of residents) assert.equal(scheduler.stateOf(seat), 'leased');
  const served = residents.filter(({ state }) => state === 'running').map(({ core }) => core);
  assert.equal(new Set(served).size, served.length, 'a core is for two');
  const ahead = residents.filter(({ isAhead }) => isAhead).map(({ core }) => core);
  assert.equal(new Set(ahead).size, ahead.length, 'two are in the foreground of a core');
  for (const { state, isAhead } of residents) assert.ok(state !== 'waiting' || !isAhead, 'it waits for itself');
}

/** Who runs something is frozen only while it is seen to poll, or its operator has said that it sleeps. */
function checkFrozen({ plays, observer, knowledge }: SmallPlatform): void {
  for (const { instance, running, ended, functionName } of plays) {
    if (ended) continue;
    const { slot } = instance.spec;
    assert.ok(!observer.isHeld(slot) || !instance.frozen, `${functionName} is stopped, and frozen as well`);
    if (running === null || !instance.frozen) continue;
    const isSaid = typeof knowledge.of(functionName)?.rules === 'string';
    assert.ok(isSaid || observer.polls(slot), `${functionName} is frozen, and nobody says that it polls`);
  }
}

function checkNobodyWaits({ scheduler, asks, store }: SmallPlatform): void {
  if (scheduler.machine.queue.length === 0) return;
  // They want cores, and others are not let past them for ever.
  const choosy = Object.keys(OWN_SEATS).map((name) => store.getVersion(name)!.revisionId);
  const waits = (ask: Ask): boolean => ask.runCount === 0 && ask.results.length === 0;
  if (asks.some((ask) => waits(ask) && choosy.includes(ask.revision))) return;
  const idle = seatsThat(scheduler, 'idle');
  assert.deepEqual(idle, [], `${scheduler.machine.queue.length} wait beside idle seats`);
}

function seatsThat(scheduler: SmallPlatform['scheduler'], state: string): number[] {
  const seats = Array.from({ length: scheduler.seatCount }, (_, seat) => seat);
  return seats.filter((seat) => scheduler.stateOf(seat) === state);
}

/** Nothing is left of instances, functions and seats. */
function checkEmpty(platform: SmallPlatform, { sharing, coreCount }: Setting): void {
  platform.checkResults();
  platform.check();
  assert.ok(platform.dispatcher.isIdle);
  const { scheduler } = platform;
  const admittedCount = scheduler.seatCount - spareSeatCountOf(sharing, coreCount);
  const openCount = sharing.policy === 'lend' ? coreCount : admittedCount;
  assert.deepEqual(seatsThat(scheduler, 'leased'), []);
  assert.equal(seatsThat(scheduler, 'idle').length, openCount, 'seats that nobody has');
  assert.deepEqual(platform.observer.slots, [], 'somebody is watched, and does nothing');
  for (const name of platform.store.names()) platform.store.delete(name);
  assert.equal(platform.dispatcher.versionCount, 0, 'a version of a deleted function keeps its index');
  platform.check();
}

const policies = fc.oneof(
  {
    arbitrary: fc.record({ policy: fc.constant('lend' as const), perCore: fc.integer({ min: 2, max: 3 }) }),
    weight: 3,
  },
  fc.record({
    policy: fc.constantFrom('packed' as const, 'preempt' as const, 'fair' as const),
    perCore: fc.integer({ min: 2, max: 4 }),
  }),
  fc.constant({ policy: 'dedicated' as const, perCore: 1 }),
);
const setting: fc.Arbitrary<Setting> = fc.record({
  sharing: fc
    .tuple(policies, fc.option(fc.subarray([...SOURCE_NAMES])))
    .map(([policy, sources]) => (sources === null ? policy : { ...policy, sources })),
  coreCount: fc.integer({ min: 1, max: 3 }),
  canCopy: fc.boolean(),
  isRoomy: fc.boolean(),
});
const steps = fc.array(anyStep(SHARING_STEPS, SHARING_OFTEN), { maxLength: 200, size: 'max' });

test('whatever sleeps and wakes, each invocation has one result, and no seat is lost or kept', async () => {
  await fc.assert(
    fc.asyncProperty(steps, setting, async (all, how) => {
      const platform = await play(all, how);
      await platform.settle();
      await platform.answerAll();
      // A seat that stayed open for the next step of a chain, which never came.
      platform.clock.advanceUs(10_000);
      await platform.settle();
      checkEmpty(platform, how);
      await platform.settle();
      await platform.agent.stop();
      await platform.checkGone();
    }),
    RUNS,
  );
});

test('whenever it stops, what sleeps, waits and runs has its result', async () => {
  await fc.assert(
    fc.asyncProperty(steps, setting, async (all, how) => {
      const platform = await play(all, how);
      await platform.agent.stop();
      platform.check();
      checkEmpty(platform, how);
      await platform.checkGone();
    }),
    RUNS,
  );
});
