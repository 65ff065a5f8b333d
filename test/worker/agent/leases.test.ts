/** Leases of one core and of several at the agent: who gets which CPUs, when they are free again, and what is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FrameKind } from '../../../src/wire/instance-frame.ts';
import { CORE_COUNT, ISOLATIONS, SmallAgent } from './small-agent.ts';

const REUSE = 0;
const PROCESS = 2;

test('all cores are busy until the one release; what is busy, not there, or not led by its lowest core is refused', async () => {
  const small = new SmallAgent(false);
  await small.open();
  const first = small.assign(1, 0b1010, PROCESS);
  for (const [core, mask] of [
    [1, 0],
    [3, 0],
    [0, 0b1001],
    [2, 0b1100],
    [1, 0b1010],
    [4, 0],
    [-1, 0],
  ] as const)
    assert.deepEqual(small.assign(core, mask, PROCESS).results, [{ kind: 'refused', why: 'stale-lease' }]);
  for (const [core, mask] of [
    [2, 0b101],
    [0, 0b10],
    [0, 0b10001],
    [0, 0x80000001],
  ] as const)
    assert.deepEqual(small.assign(core, mask, PROCESS).results, [{ kind: 'refused', why: 'stale-lease' }]);
  await small.settle();
  small.plays[0]!.boot();
  await small.settle();
  assert.notEqual(first.play, null);
  small.plays[0]!.answer();
  await small.settle();
  assert.deepEqual([first.results[0]?.kind, small.held.size], ['response', 0]);
  // Both of the others, at once.
  small.assign(0, 0b0101, PROCESS);
  small.assign(1, 0b1010, PROCESS);
  await small.answerAll();
  await small.close();
});

test('an instance is moved before it hears of its invocation: to more cores, to fewer, and not where it is there', async () => {
  const small = new SmallAgent(false);
  await small.open();
  const run = async (core: number, mask: number): Promise<readonly number[][]> => {
    const before = small.plays[0]?.instance.pins.length ?? 0;
    small.assign(core, mask, PROCESS);
    await small.answerAll();
    return small.plays[0]!.instance.pins.slice(before).map((cpus) => [...cpus]);
  };
  await run(0, 0b11);
  assert.deepEqual(await run(0, 0b11), []);
  assert.deepEqual(await run(0, 0), [[0, 1]]);
  assert.deepEqual(await run(0, 0), []);
  assert.deepEqual(await run(0, 0b1), [], 'a mask of the lead alone is no other place');
  assert.deepEqual(await run(0, 0b1101), [[0, 1, 4, 5, 6, 7]]);
  assert.deepEqual(await run(1, 0b1010), [[2, 3, 6, 7]]);
  assert.deepEqual(await run(3, 0), [[6, 7]]);
  assert.equal(small.plays.length, 1);
  await small.close();
});

test('a zygote is on all cores of the lease while it initialises for it, and while it is forked for it', async () => {
  const small = new SmallAgent(true);
  await small.open();
  await small.settle();
  small.cells[0]!.boot();
  await small.settle();
  const { cell } = small.cells[0]!;
  small.assign(0, 0b101, REUSE);
  assert.deepEqual(cell.pins.at(-1), [0, 1, 4, 5]);
  await small.settle();
  small.cells[0]!.initialise();
  await small.settle();
  assert.deepEqual(cell.pins.at(-1), [0, 1, 4, 5]);
  // Another on its way: whatever is forked may begin on the cores of both.
  small.assign(1, 0, REUSE);
  assert.deepEqual(new Set(cell.pins.at(-1)), new Set([0, 1, 2, 3, 4, 5]));
  await small.settle();
  for (const play of small.plays) play.send(FrameKind.made, 0, '');
  await small.settle();
  assert.deepEqual(
    small.plays.map(({ instance }) => instance.pins.at(-1)),
    [
      [0, 1, 4, 5],
      [2, 3],
    ],
  );
  await small.answerAll();
  await small.close();
});

test('code that is late: it starts on the cores of its lease', async () => {
  const small = new SmallAgent(false);
  await small.open();
  small.codes.late = true;
  small.assign(1, 0b110, PROCESS);
  small.codes.arriveAll();
  await small.settle();
  assert.deepEqual(small.plays[0]?.instance.spec.cpus, [2, 3, 4, 5]);
  await small.answerAll();
  await small.close();
});

const KINDS = [
  'boot',
  'answer',
  'exit',
  'time',
  'late',
  'arrive',
  'miss',
  'cellBoots',
  'cellInitialises',
  'cellExits',
  'cellIsUncopyable',
] as const;
const OFTEN = ['assign', 'assign', 'assign', 'boot', 'boot', 'answer', 'answer', 'answer'] as const;
const step = fc.record({
  kind: fc.constantFrom(...KINDS, ...OFTEN, ...OFTEN),
  a: fc.nat(CORE_COUNT),
  b: fc.nat(7),
  mask: fc.oneof(fc.constant(0), fc.nat(15), fc.constantFrom(0b11, 0b101, 0b1100, 0b1111, 0b10010)),
  settled: fc.boolean(),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Most masks come with the lead that they have. */
function lowest(mask: number): number {
  return 31 - Math.clz32(mask & -mask);
}

function take(small: SmallAgent, { kind, a, b, mask }: Step): void {
  const pick = <T>(all: readonly T[]): T | undefined => all[(a + b) % Math.max(1, all.length)];
  const lives = small.plays.filter((play) => !play.ended);
  const cells = small.cells.filter((cell) => !cell.ended);
  switch (kind) {
    case 'assign':
      return void small.assign(mask === 0 || a === CORE_COUNT ? a : lowest(mask), mask, b % ISOLATIONS.length);
    case 'boot':
      return pick(lives.filter((play) => !play.ready))?.boot();
    case 'answer':
      return pick(lives.filter((play) => play.running !== null))?.answer();
    case 'exit':
      return pick(lives)?.instance.exit({ kind: 'exit', code: b });
    case 'time':
      return small.clock.advanceUs(b * 500_000);
    case 'late':
      small.codes.late = b % 2 === 0;
      return;
    case 'arrive':
      return small.codes.arrive(a);
    case 'miss':
      return small.codes.miss(a);
    case 'cellBoots':
      return pick(cells.filter((cell) => !cell.booted))?.boot();
    case 'cellInitialises':
      return pick(cells.filter((cell) => cell.initialises))?.initialise();
    case 'cellExits':
      return pick(cells)?.cell.exit({ kind: 'exit', code: 1 });
    case 'cellIsUncopyable':
      return pick(cells.filter((cell) => cell.initialises))?.initialise({ kind: 'uncopyable', reasons: ['a timer'] });
  }
}

test('whatever happens, no core runs two invocations, each runs on all of its cores, and each lease ends once', async () => {
  const numRuns = Number(process.env['PERCH_PROPERTY_RUNS'] ?? 500);
  let severalCount = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.boolean(),
      fc.array(step, { minLength: 20, maxLength: 100, size: 'max' }),
      async (canCopy, steps) => {
        const small = new SmallAgent(canCopy);
        await small.open();
        for (const each of steps) {
          take(small, each);
          if (each.settled) await small.settle();
        }
        await small.settle();
        if (steps.length % 3 > 0) await small.answerAll();
        await small.close();
        severalCount += small.severalCount;
      },
    ),
    { numRuns },
  );
  assert.ok(severalCount > numRuns, `${severalCount} leases of several cores`);
});
