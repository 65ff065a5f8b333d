/** Schedulers and gateways that are killed, stopped or cut off, and clocks that disagree: real processes on hosts of their own. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CORE_COUNT, LONG_MS, sleep, playsOfSuite } from './hosts/play.ts';
import { NO_CLOCKS, NO_HOSTS } from './hosts/requirements.ts';

describe('a cluster whose scheduler or gateway fails', { skip: NO_HOSTS, concurrency: false }, () => {
  const { play } = playsOfSuite();

  test('a scheduler that is killed touches nothing that runs; the next one serves what waited', async () => {
    const p = await play();
    const held = await p.hold(CORE_COUNT, 'a');
    const waiting = [p.invoke(), p.invoke()];
    await p.cluster.process('s1').kill();
    waiting.push(p.invoke());
    await p.cluster.start('s1');
    await sleep(LONG_MS);
    assert.ok(
      waiting.every(({ id }) => p.begun(id).length === 0),
      'every core is busy',
    );
    p.letGo('a');
    for (const { id, result } of [...held, ...waiting]) await p.succeeds(id, result);
    for (const { id } of [...held, ...waiting]) assert.equal(p.begun(id).length, 1);
    await p.whole('b');
  });

  test('two schedulers that both believe they lead put no two invocations on one core', async () => {
    const p = await play({ gateways: 2, successor: true });
    const { hosts } = p.cluster;
    hosts.shareAddress('s1', 's2');
    p.cluster.process('s1').pause();
    // In the first one's sockets, for when it goes on.
    const late = Array.from({ length: CORE_COUNT }, () => p.invoke('b', 'g1'));
    for (const name of ['w1', 'w2', 'g2']) hosts.redirect(name, 's1', 's2');
    await p.cluster.start('s2');
    const held = await p.hold(CORE_COUNT, 'a', 'g2');
    p.cluster.process('s1').resume();
    await sleep(LONG_MS);
    assert.ok(
      late.every(({ id }) => p.begun(id).length === 0),
      "the cores are the successor's",
    );
    hosts.redirect('g1', 's1', 's2');
    p.letGo('a');
    p.letGo('b');
    for (const { id, result } of [...held, ...late]) await p.succeeds(id, result);
    for (const { id } of [...held, ...late]) assert.equal(p.begun(id).length, 1);
    await p.whole('c', 'g1');
    await p.whole('d', 'g2');
  });

  test('a gateway that is killed between grant and start leaves no core behind', async () => {
    const p = await play({ gateways: 2 });
    const { hosts } = p.cluster;
    await p.whole('both', 'g2');
    for (const worker of ['w1', 'w2']) hosts.cutOneWay('g1', worker);
    const never = Array.from({ length: CORE_COUNT }, () => p.invoke('a', 'g1'));
    await sleep(500);
    await p.cluster.process('g1').kill();
    for (const { result } of never) assert.ok((await result) instanceof Error);
    await p.whole('b', 'g2');
    assert.ok(never.every(({ id }) => p.begun(id).length === 0));
  });

  test('a gateway and a worker that cannot reach each other lose what was on its way, and no core', async () => {
    const p = await play({ gateways: 2 });
    const { hosts } = p.cluster;
    hosts.cut('g1', 'w1');
    const invoked = Array.from({ length: CORE_COUNT }, () => p.invoke('a', 'g1'));
    await sleep(LONG_MS);
    p.letGo('a');
    for (const { id, result } of invoked) {
      if (p.begun(id).length === 1) await p.succeeds(id, result);
      else await p.isLost(id, result);
    }
    await p.whole('b', 'g2');
    hosts.heal('g1', 'w1');
    await sleep(LONG_MS);
    await p.whole('c', 'g1');
  });

  // The client's and the gateway's may differ by the 15 minutes of AWS's signatures, and joining takes a valid certificate.
  test('clocks that disagree change nothing', { skip: NO_CLOCKS }, async () => {
    const p = await play({ clockOffsetsS: { s1: 86_400, w1: -1800, w2: 7200, g1: -600 } });
    const held = await p.hold(CORE_COUNT, 'a');
    const waiting = p.invoke();
    await p.cluster.process('s1').kill();
    await p.cluster.start('s1');
    p.letGo('a');
    for (const { id, result } of [...held, waiting]) await p.succeeds(id, result);
    const later = await p.invokeAsynchronously('a');
    await p.until('it ran', () => p.begun(later).length === 1);
    await p.whole('b');
  });
});
