/** Workers that gateways could not reach: for how long each is passed over, whatever is said, and what the scheduler makes of it. */
import fc from 'fast-check';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClusterScheduler } from '../../src/scheduler/server/cluster-scheduler.ts';
import type { GatewaySession, WorkerSession } from '../../src/scheduler/server/ports.ts';
import { OFFERED_TICKS, PASSED_TICKS_MAX, Unreached } from '../../src/scheduler/server/unreached.ts';
import type { NamedVersion } from '../../src/scheduler/server/version-names.ts';

const V: NamedVersion = { key: 'v', functionKey: 'f', memoryMb: 100, coreCount: 1 };

test('a worker of which nothing is heard is passed over for twice as long each time, and given out in between', () => {
  const unreached = new Unreached();
  const lengths: number[] = [];
  while (lengths.length < 10) {
    assert.ok(unreached.report(7));
    assert.ok(!unreached.report(7), 'what was granted before says nothing new');
    let ticks = 0;
    for (let isOver = false; !isOver; ticks++) unreached.tick(() => (isOver = true));
    assert.ok(!unreached.has(7));
    lengths.push(ticks);
  }
  assert.deepEqual(lengths, [1, 2, 4, 8, 16, 32, 64, 100, 100, 100]);
  assert.equal(lengths.at(-1), PASSED_TICKS_MAX);
});

test('whoever says what, a worker that says that something runs there is given out nine tenths of the time', () => {
  const steps = fc.array(fc.constantFrom('report', 'tick', 'tick'), { minLength: 50, maxLength: 400, size: 'max' });
  fc.assert(
    fc.property(steps, (all) => {
      const unreached = new Unreached();
      // The first word is believed.
      unreached.report(0);
      const passed: boolean[] = [];
      for (const step of all) {
        unreached.heard(0);
        if (step === 'report') unreached.report(0);
        else {
          passed.push(unreached.has(0));
          unreached.tick(() => {});
        }
      }
      for (let from = 0; from + OFFERED_TICKS < passed.length; from++) {
        const count = passed.slice(from, from + OFFERED_TICKS + 1).filter(Boolean).length;
        assert.ok(count <= 1, `${count} of ${OFFERED_TICKS + 1} ticks`);
      }
    }),
  );
});

test('whoever was not reported for a minute, or joins anew, begins anew', () => {
  const unreached = new Unreached();
  const none = (): void => {};
  for (let count = 0; count < 3; count++) {
    unreached.report(0);
    for (let tick = 0; tick < 4; tick++) unreached.tick(none);
  }
  for (let tick = 0; tick < 700; tick++) unreached.tick(none);
  assert.ok(unreached.report(0));
  unreached.tick(none);
  assert.ok(!unreached.has(0), 'one tick');
  assert.ok(unreached.report(0) && unreached.forget(0));
  assert.ok(!unreached.has(0) && !unreached.forget(0));
});

interface Granted {
  readonly number: number;
  readonly core: number;
  readonly sequence: number;
}

function open(): {
  readonly scheduler: ClusterScheduler;
  join(name: string): WorkerSession;
  gateway(name: string): GatewaySession & { readonly grants: Granted[]; readonly index: number };
} {
  const scheduler = new ClusterScheduler({
    epoch: 1,
    coreCountMax: 64,
    workerCountMax: 2,
    functionCountMax: 2,
    versionCountMax: 2,
    requestCountMax: 16,
    queueMax: 8,
    overtakeMax: 2,
    warmHintMax: 3,
  });
  return {
    scheduler,
    join: (name) => {
      const announcement = { name, host: '', port: 1, life: 1, coreCount: 1, memoryMb: 1000, running: [] };
      const session = scheduler.joinWorker({ probe() {}, dropped() {}, provision() {} }, announcement);
      if (typeof session === 'string') assert.fail(session);
      return session;
    },
    gateway: (name) => {
      const grants: Granted[] = [];
      const session = scheduler.joinGateway(
        {
          granted: (number, { core, sequence }) => void grants.push({ number, core, sequence }),
          refused: (number, why) => assert.fail(`${number} is refused: ${why}`),
          cancelled() {},
          workerJoined() {},
          workerLeft() {},
          provisioned() {},
        },
        name,
      );
      return { ...session, grants, index: session.name(V) };
    },
  };
}

test('its core is granted to nobody for a while, and then to who waits', () => {
  const { scheduler, join, gateway } = open();
  const worker = join('a');
  const [g, h] = [gateway('g'), gateway('h')];
  g.request(1, g.index);
  const [first] = g.grants.splice(0);
  g.unstarted(1, { ...first!, version: g.index }, 'unsent');
  scheduler.turn();
  h.request(1, h.index);
  scheduler.checkInvariants();
  assert.equal(g.grants.length + h.grants.length, 0);
  // Its own word about memory is about memory.
  worker.memoryAvailable();
  assert.equal(g.grants.length + h.grants.length, 0);
  scheduler.tick();
  scheduler.checkInvariants();
  const [again] = g.grants.splice(0);
  assert.equal(again?.core, first?.core);
  // Nothing was heard of it: twice as long.
  g.unstarted(1, { ...again!, version: g.index }, 'unsent');
  g.cancel(1);
  scheduler.tick();
  assert.equal(h.grants.length, 0);
  scheduler.tick();
  const [other] = h.grants.splice(0);
  assert.ok(worker.release(other!.core, other!.sequence, true));
  // Somebody has reached it: what the other says weighs little.
  for (let count = 0; count < 5; count++) {
    g.request(2, g.index);
    const [grant] = g.grants.splice(0);
    g.unstarted(2, { ...grant!, version: g.index }, 'unsent');
    scheduler.turn();
    assert.equal(g.grants.length, 1, 'it is granted at once');
    g.unstarted(2, { ...g.grants.splice(0)[0]!, version: g.index }, 'cancelled');
  }
  scheduler.checkInvariants();
});

test('what is asked for again goes to another worker, and one that joins anew is given out at once', () => {
  const { scheduler, join, gateway } = open();
  const sessions = [join('a'), join('b')];
  const g = gateway('g');
  g.request(1, g.index);
  const [first] = g.grants.splice(0);
  g.unstarted(1, { ...first!, version: g.index }, 'unsent');
  scheduler.turn();
  const [second] = g.grants.splice(0);
  assert.notEqual(second?.core, first?.core);
  g.request(2, g.index);
  assert.equal(g.grants.length, 0);
  const at = sessions.findIndex(({ firstCore }) => firstCore === first?.core);
  sessions[at]!.leave();
  join(at === 0 ? 'a' : 'b');
  assert.equal(g.grants[0]?.core, first?.core);
  scheduler.checkInvariants();
});

test('what is provisioned on a worker that is passed over waits too', () => {
  const { scheduler, join, gateway } = open();
  const worker = join('a');
  const g = gateway('g');
  g.provision(g.index, 1);
  scheduler.sweep();
  worker.warmed(g.index);
  g.request(1, g.index);
  const [first] = g.grants.splice(0);
  g.unstarted(1, { ...first!, version: g.index }, 'unsent');
  scheduler.turn();
  worker.warmed(g.index);
  scheduler.checkInvariants();
  assert.equal(g.grants.length, 0);
  scheduler.tick();
  assert.equal(g.grants.length, 1);
});
