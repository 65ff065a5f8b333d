import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../../src/base/limits.ts';
import { defaultSharing, perCoreInMemory, perCoreOf } from '../../../src/worker/agent/default-sharing.ts';
import { extraSeatCountOf, NO_SHARING, perCoreMaxOf } from '../../../src/worker/agent/sharing-setting.ts';

const AMPLE_MB = 2 ** 20;

function machine(coreCount: number, known = true, backgroundLack = ''): Parameters<typeof defaultSharing>[0] {
  const cores = Array.from({ length: coreCount }, (_, cpu) => [cpu]);
  const topology = { cores, platformCpus: [0], known };
  return { topology, instanceCountMax: LIMITS.instanceCountMax, memoryMb: AMPLE_MB, backgroundLack };
}

test('cores are lent, to seven more for each', () => {
  for (const coreCount of [1, 2, 64]) {
    assert.deepEqual(defaultSharing(machine(coreCount)), { sharing: { policy: 'lend', perCore: 8 }, reason: '' });
  }
});

test('on a large machine to fewer, and seats leave a quarter of the instances', () => {
  for (let coreCount = 1; coreCount <= LIMITS.instanceCountMax; coreCount++) {
    const { sharing, reason } = defaultSharing(machine(coreCount));
    const seatCount = coreCount + extraSeatCountOf(sharing, coreCount);
    if (sharing.policy === 'lend') assert.ok(seatCount <= LIMITS.instanceCountMax * 0.75, `${coreCount} cores`);
    else assert.match(reason, /instances/);
  }
});

test('where it cannot be, each core is its holder’s, and it is said why', () => {
  assert.deepEqual(defaultSharing(machine(4, true, 'no priorities')), { sharing: NO_SHARING, reason: 'no priorities' });
  const unknown = defaultSharing(machine(4, false));
  assert.equal(unknown.sharing, NO_SHARING);
  assert.match(unknown.reason, /which CPUs/);
});

test('as many seats as instances, and no more', () => {
  for (const policy of ['lend', 'packed', 'preempt', 'fair'] as const)
    for (const coreCount of [1, 2, 3, 100, 200]) {
      const perCore = perCoreMaxOf({ policy, perCore: 1 }, coreCount, LIMITS.instanceCountMax);
      const seats = (count: number): number => coreCount + extraSeatCountOf({ policy, perCore: count }, coreCount);
      assert.ok(seats(perCore) <= LIMITS.instanceCountMax && seats(perCore + 1) > LIMITS.instanceCountMax, policy);
    }
});

function room(coreCount: number, memoryMb = AMPLE_MB): Parameters<typeof perCoreOf>[1] {
  return { coreCount, instanceCountMax: LIMITS.instanceCountMax, memoryMb };
}

test('without a number, preempt has seats for 128 on a server, or 8 for each core; all have what the instances allow', () => {
  const counts = [1, 2, 4, 12, 16, 64, 128, 1024].map((cores) => perCoreOf('preempt', room(cores)));
  assert.deepEqual(counts, [64, 64, 32, 11, 8, 8, 5, 1]);
  assert.deepEqual(
    (['dedicated', 'lend', 'packed', 'fair'] as const).map((policy) => perCoreOf(policy, room(2))),
    [1, 8, 3, 3],
  );
});

test('no more than memory holds of the smallest functions, and nothing is lent where there are no more of them than cores', () => {
  assert.deepEqual(
    [127, 128, 255, 256, 512, 767, 768].map((memoryMb) => perCoreInMemory(memoryMb, 2)),
    [0, 1, 1, 1, 2, 3, 3],
  );
  assert.deepEqual(
    (['dedicated', 'lend', 'packed', 'preempt', 'fair'] as const).map((policy) => perCoreOf(policy, room(2, 512))),
    [1, 2, 2, 2, 2],
  );
  assert.equal(perCoreOf('packed', room(4, 256)), 1);
  const small = (coreCount: number): ReturnType<typeof defaultSharing> =>
    defaultSharing({ ...machine(coreCount), memoryMb: 256 });
  assert.deepEqual(small(1), { sharing: { policy: 'lend', perCore: 2 }, reason: '' });
  assert.equal(small(2).sharing, NO_SHARING);
  assert.match(small(2).reason, /^256 MB hold no more instances than there are cores, 2$/);
  assert.match(small(2).fix ?? '', /384 MB/);
  assert.equal(defaultSharing({ ...machine(2), memoryMb: 384 }).sharing.policy, 'lend');
});
