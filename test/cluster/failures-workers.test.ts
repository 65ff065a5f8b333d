/** Workers that are killed, cut off or slow, with real processes on hosts of their own. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { startTime } from '../../src/worker/sandbox/identity.ts';
import { instancesOf } from '../lib/instances.ts';
import { noBubblewrap } from '../worker/sandbox/harness.ts';
import { startCluster } from './hosts/cluster.ts';
import { CORE_COUNT, LONG_MS, WAIT_MS, sleep, playsOfSuite } from './hosts/play.ts';
import { NO_HOSTS } from './hosts/requirements.ts';

describe('a cluster whose workers fail', { skip: NO_HOSTS, concurrency: false }, () => {
  const { play, keep } = playsOfSuite();

  test('a worker that is killed takes its invocations along, and no other', async () => {
    const p = await play();
    const held = await p.hold(CORE_COUNT, 'a');
    await p.cluster.process('w1').kill();
    for (const { id, result } of held.filter((each) => p.isOn('w1', each.id))) await p.isLost(id, result);
    p.letGo('a');
    for (const { id, result } of held.filter((each) => p.isOn('w2', each.id))) await p.succeeds(id, result);
    await p.cluster.start('w1');
    await p.whole('b');
    for (const { id } of held) assert.equal(p.begun(id).length, 1);
  });

  test('a worker that is killed leaves no process of its sandboxes', { skip: noBubblewrap }, async () => {
    const it = keep(await startCluster({ sandbox: 'bubblewrap' }));
    const source = 'export const handler = () => new Promise((wake) => setTimeout(wake, 60_000)); // sleeper';
    await it.deploy('sleeper', source);
    const answers = Array.from({ length: CORE_COUNT }, () => it.invoke('sleeper').catch((error: Error) => error));
    const workers = ['w1', 'w2'].map((name) => it.process(name));
    const busy = (): boolean => workers.every((each) => instancesOf(each.pid, 'sleeper').length === 2);
    for (let waitedMs = 0; !busy() && waitedMs < WAIT_MS; waitedMs += 50) await sleep(50);
    assert.ok(busy(), it.logs());
    const tree = workers.flatMap((each) => each.tree()).map((id) => ({ id, started: startTime(id) }));
    for (const each of workers) await each.kill();
    for (const answer of await Promise.all(answers)) {
      if (answer instanceof Error) assert.fail(`${answer}\n${it.logs()}`);
      assert.equal(answer.value.errorType, 'Sandbox.WorkerLost');
    }
    const left = (): unknown[] => tree.filter(({ id, started }) => started !== 0 && startTime(id) === started);
    for (let waitedMs = 0; left().length > 0 && waitedMs < WAIT_MS; waitedMs += 50) await sleep(50);
    assert.deepEqual(left(), []);
  });

  test('a worker that is cut off is lost, and when it is back its cores are busy until what runs there has ended', async () => {
    const p = await play();
    const held = await p.hold(CORE_COUNT, 'a');
    const there = held.filter(({ id }) => p.isOn('w1', id));
    assert.equal(there.length, 2);
    p.cluster.hosts.cut('w1');
    for (const { id, result } of there) await p.isLost(id, result);
    const next = Array.from({ length: 2 }, () => p.invoke());
    p.cluster.hosts.heal('w1');
    await sleep(LONG_MS);
    assert.deepEqual(
      next.map(({ id }) => p.begun(id)),
      [[], []],
      'they wait: every core is busy',
    );
    p.letGo('a');
    for (const { id, result } of held.filter((each) => !there.includes(each))) await p.succeeds(id, result);
    for (const { id, result } of next) await p.succeeds(id, result);
    await p.whole('b');
  });

  test('a worker that a gateway cannot reach is passed over for longer and longer, and given out when it can be reached', async () => {
    const p = await play();
    const unreachable = async (): Promise<number> => {
      const text = await p.cluster.get('/metrics');
      return Number(/perch_gateway_unstarted_total\{why="unreachable"\} (\d+)/.exec(text)?.[1] ?? 0);
    };
    p.cluster.hosts.cut('g1', 'w1');
    await p.until('its line has ended', () =>
      /connection to a worker has ended/.test(p.cluster.process('g1').stderr()),
    );
    const before = await unreachable();
    const rounds = 20;
    for (let round = 0; round < rounds; round++) {
      const each = Array.from({ length: CORE_COUNT }, () => p.invoke());
      for (const { id, result } of each) await p.succeeds(id, result);
      assert.ok(each.every(({ id }) => p.isOn('w2', id)));
    }
    const returned = (await unreachable()) - before;
    assert.ok(returned > 0, 'it was never granted');
    // Two in each round, if it were granted again and again.
    assert.ok(returned < rounds, `${returned} grants came back`);
    p.cluster.hosts.heal('g1', 'w1');
    await p.whole('healed');
  });

  test('a worker that one gateway cannot reach serves the other', async () => {
    const p = await play({ gateways: 2 });
    await p.whole('both', 'g2');
    p.cluster.hosts.cut('g1', 'w1');
    await p.until('its line has ended', () =>
      /connection to a worker has ended/.test(p.cluster.process('g1').stderr()),
    );
    let isOver = false;
    const through = async (): Promise<void> => {
      while (!isOver) {
        const { id, result } = p.invoke(undefined, 'g1');
        await p.succeeds(id, result);
        assert.ok(p.isOn('w2', id));
      }
    };
    const others = Promise.all([through(), through(), through()]);
    for (let round = 0; round < 2; round++) await p.whole(`through-${round}`, 'g2');
    isOver = true;
    await others;
    p.cluster.hosts.heal('g1', 'w1');
    await p.whole('healed', 'g1');
  });

  test('a slow cable makes a worker slow, and nothing is lost', async () => {
    const p = await play();
    p.cluster.hosts.slow('w1', 512);
    for (let round = 0; round < 3; round++) await p.whole(`slow-${round}`);
    p.cluster.hosts.slow('w1', null);
    await p.whole('fast');
  });
});
