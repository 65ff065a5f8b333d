import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FREE } from '../../../src/sim/costs.ts';
import { Engine } from '../../../src/sim/engine/engine.ts';
import { Random } from '../../../src/sim/engine/random.ts';
import { parseFault } from '../../../src/sim/faults/fault-spec.ts';
import { Messages, RESEND_US } from '../../../src/sim/faults/messages.ts';
import type { Result } from '../../../src/sim/measure/result.ts';
import type { PolicyKind } from '../../../src/sim/policy.ts';
import { serversFor, SHARING_OPTIONS } from '../../../src/sim/servers/disciplines.ts';
import { LeastCounts } from '../../../src/sim/servers/least-counts.ts';
import { simulate } from '../../../src/sim/simulate.ts';
import { setupOf, SpecError, type SimulationSpec } from '../../../src/sim/spec.ts';

const SPEC: SimulationSpec = {
  policy: 'perch-lend',
  workload: 'exponential:mean=20',
  servers: 4,
  cores: 4,
  memoryMb: 65_536,
  load: 0.5,
  costs: { ...FREE, networkUs: 20 },
  seed: 1,
  seconds: 2,
  warmUpSeconds: 0.2,
  silenceSeconds: 0.2,
};

function run(given: Partial<SimulationSpec>): Result {
  return simulate(setupOf({ ...SPEC, ...given }));
}

test('what people write of a fault', () => {
  const { servers, atUs, forUs } = parseFault('crash:server=1+4-6,at=2,for=0.5');
  assert.deepEqual([servers.named, atUs, forUs], [[1, 4, 5, 6], 2e6, 5e5]);
  assert.equal(parseFault('partition:servers=10%').servers.share, 0.1);
  assert.equal(parseFault('crash:server=scheduler,at=1').isScheduler, true);
  assert.deepEqual([parseFault('lose:p=0.5,rto=7').lostShare, parseFault('lose:rto=7').resendUs], [0.5, 7000]);
});

test('what is wrong in a fault is said before anything runs', () => {
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['melt', /no fault melt: there are crash, partition, slow, lose/],
    ['crash:factor=2', /fault crash has no option factor/],
    ['slow:factor=0.5', /has to be a number from 1/],
    ['crash:server=4', /server 4: there are 4, and the first is 0/],
    ['crash:servers=5', /there are 4/],
    ['crash:server=x', /a number from 0 on, or a range/],
    ['crash:server=3-1', /a number from 0 on, or a range/],
    ['crash:server=1,servers=2', /names servers, and has some drawn/],
    ['crash:servers=many', /a number, or a share/],
    ['partition:server=scheduler', /of the scheduler there are crashes/],
    ['crash:server=scheduler,mtbf=3', /of the scheduler there are crashes/],
  ];
  for (const [fault, says] of wrong) {
    assert.throws(
      () => setupOf({ ...SPEC, faults: [fault] }),
      (error: Error) => error instanceof SpecError && says.test(error.message),
      fault,
    );
  }
});

test('without faults nothing is another than before', () => {
  const { traceHash, counters } = run({});
  assert.equal(run({ faults: [], retries: 3, silenceSeconds: 1 }).traceHash, traceHash);
  assert.ok(!('servers that failed' in counters));
});

test('what goes wrong is the same for all policies', () => {
  const faults = ['crash:mtbf=3,for=0.2', 'partition:mtbf=5,for=0.1'];
  const shares = ['perch-lend', 'random', 'sparrow', 'ray'].map((policy) => run({ policy, faults }).unavailable);
  // To the moment in which the last counted one has ended.
  assert.ok(shares[0]! > 0.02 && shares.every((share) => share === shares[0]), `${shares.join()}`);
  const others = run({ faults, seed: 2 });
  assert.notEqual(others.unavailable, shares[0]);
});

test('a server that is down for a quarter of the time is unavailable for so long', () => {
  const { unavailable, lost } = run({ faults: ['crash:server=2,at=0.5,for=0.5'] });
  assert.ok(Math.abs(unavailable - 0.25 / 4) < 1e-9, `${unavailable}`);
  assert.ok(lost > 0 && lost < 20, `${lost} lost: what ran there, and was sent there until it was noticed`);
});

test('a lost invocation is run again as often as is asked for', () => {
  const { lost, retried, unfinished } = run({ faults: ['crash:server=2,at=0.5,for=0.5'], retries: 1 });
  assert.ok(retried > 0);
  assert.deepEqual([lost, unfinished], [0, 0]);
});

test('a short partition loses nobody, and makes them late; a long one loses who is there', () => {
  const short = run({ faults: ['partition:server=1,at=0.5,for=0.1'] });
  assert.equal(short.lost, 0);
  assert.ok(short.latencyUs.max > run({}).latencyUs.max && (short.counters['messages held up'] ?? 0) > 0);
  assert.ok(run({ faults: ['partition:server=1,at=0.5,for=0.5'] }).lost > 0);
});

test('a slow server takes longer', () => {
  const fast = run({ policy: 'random' });
  const slow = run({ policy: 'random', faults: ['slow:server=0-3,factor=1.5'] });
  assert.ok(slow.slowdown.p50 > 1.4 * fast.slowdown.p50, `${slow.slowdown.p50} and ${fast.slowdown.p50}`);
});

test('a scheduler that dies loses nobody: what runs goes on, and what waits is asked for again', () => {
  for (const policy of ['perch', 'perch-shards', 'server-granular', 'jbsq']) {
    const { lost, refused, unfinished, latencyUs } = run({ policy, faults: ['crash:server=scheduler,at=0.5,for=0.3'] });
    assert.deepEqual([policy, lost, refused, unfinished], [policy, 0, 0, 0]);
    assert.ok(latencyUs.max > 0.3e6, `${policy}: nobody waited for it`);
  }
});

test('a policy that says nothing of faults has a default: who is at a server that fails is lost', () => {
  const plain: PolicyKind = {
    name: 'first',
    summary: 'server 0',
    source: 'a test',
    options: SHARING_OPTIONS,
    make: (world, options) => {
      const servers = serversFor(options, world, (job) => world.finish(job));
      return {
        arrive: (job) => servers.begin(job % 2, job),
        get waitingCount() {
          return servers.waitingCount;
        },
      };
    },
  };
  const setup = setupOf(
    {
      ...SPEC,
      policy: 'first',
      load: 0.2,
      faults: ['crash:server=0,at=0.5,for=0.3', 'partition:server=1,at=1,for=0.4'],
    },
    { policies: [plain] },
  );
  const { arrived, lost, slowdown, unfinished } = simulate(setup);
  assert.equal(slowdown.count + lost, arrived);
  assert.ok(lost > 20 && unfinished === 0, `${lost} lost`);
});

test('messages of a connection keep their order, whatever is lost', () => {
  const sends = fc.array(fc.record({ gapUs: fc.nat(50_000), server: fc.nat(1) }), {
    minLength: 1,
    maxLength: 60,
    size: 'max',
  });
  fc.assert(
    fc.property(sends, fc.integer({ min: 1, max: 900_000 }), fc.nat(100), (sent, untilUs, seed) => {
      const engine = new Engine();
      const messages = new Messages({
        engine,
        serverCount: 2,
        random: new Random(seed, 0),
        apartUntilUs: (server) => (server === 1 ? untilUs : 0),
        schedulerUntilUs: () => 0,
      });
      messages.lose(0, 0.3, RESEND_US);
      const heard: number[][] = [[], []];
      const kind = messages.kind((index, server) => void heard[server]!.push(index), {
        to: (_index, server) => server,
      });
      let atUs = 0;
      for (const [index, { gapUs, server }] of sent.entries()) engine.at((atUs += gapUs), kind, index, server);
      engine.run(1e9);
      for (const server of [0, 1]) {
        const own = [...sent.keys()].filter((index) => sent[index]!.server === server);
        assert.deepEqual(heard[server], own);
      }
    }),
  );
});

test('counts: places that are out are not found, and come back with what they have by then', () => {
  const change = fc.record({ place: fc.nat(4), by: fc.integer({ min: -2, max: 3 }), isOut: fc.boolean() });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 200, size: 'max' }), (changes) => {
      const counts = new LeastCounts(5);
      const list = Array.from({ length: 5 }, () => 0);
      const out = new Set<number>();
      const random = new Random(1, 0);
      for (const { place, by, isOut } of changes) {
        if (isOut && !out.has(place)) counts.takeOut(place);
        if (!isOut && out.has(place)) counts.putBack(place);
        if (isOut) out.add(place);
        else out.delete(place);
        list[place] = Math.max(0, list[place]! + by);
        counts.set(place, list[place]);
        const left = [...list.keys()].filter((each) => !out.has(each));
        const least = Math.min(...left.map((each) => list[each]!));
        assert.equal(counts.least, least);
        const drawn = counts.draw(random);
        assert.ok(left.length === 0 || (left.includes(drawn) && list[drawn] === least));
        const below = left.filter((each) => list[each]! < 3).map((each) => list[each]!);
        const packed = counts.drawMostBelow(3, random);
        const most = below.length === 0 ? least : Math.max(...below);
        assert.ok(left.length === 0 || (left.includes(packed) && list[packed] === most));
      }
    }),
  );
});
