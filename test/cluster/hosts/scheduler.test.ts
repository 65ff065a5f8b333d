/**
 * `perch scheduler` on a host of its own, with a worker and a gateway that the test speaks for on theirs: what each side
 * makes of a cable that is cut, half cut or slow, and of a scheduler that is stopped for a while.
 */
import { until } from '../dialling-node.ts';
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import type { Identity } from '../../../src/cluster/identity/join-file.ts';
import { Role } from '../../../src/wire/cluster-frame.ts';
import type { HelloFrame } from '../../../src/wire/cluster/large-frames.ts';
import { makeCluster } from '../identity/cluster.ts';
import { TestNode } from '../scheduler-process.ts';
import { Hosts } from './hosts.ts';
import type { HostProcess } from './process.ts';
import { NO_HOSTS } from './requirements.ts';

const PORT = 9401;
const CORE_COUNT = 2;
/** Less than a connection may be silent, and more. */
const SHORT_MS = 1500;
const LONG_MS = 5000;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('a scheduler and its nodes on hosts of their own', { skip: NO_HOSTS, concurrency: false }, () => {
  let hosts: Hosts | undefined;
  afterEach(() => hosts?.end());

  interface World {
    readonly hosts: Hosts;
    readonly scheduler: HostProcess;
    readonly worker: TestNode;
    readonly gateway: TestNode;
    readonly version: number;
    /** Connects again, as a node does whose connection ended. */
    workerAgain(): Promise<TestNode>;
    gatewayAgain(): Promise<TestNode>;
    nameAgain(gateway: TestNode): Promise<number>;
  }

  async function open(): Promise<World> {
    const made = new Hosts('s', 'w', 'g');
    hosts = made;
    const cluster = await makeCluster();
    const { out } = await cluster.add('s', ['scheduler']);
    const identities: Record<string, Identity> = {
      w: await cluster.identity('w', ['worker']),
      g: await cluster.identity('g', ['gateway']),
    };
    const words = ['scheduler', '--join', out, '--listen', `0.0.0.0:${PORT}`, '--json', '--log-level', 'info'];
    const scheduler = await made.start('s', words);
    const connect = async (name: 'w' | 'g', hello: Partial<HelloFrame> & { role: Role }): Promise<TestNode> => {
      const to = { host: made.address('s'), port: PORT };
      return (await made.within(name, () => new TestNode(identities[name]!, to, hello))).opened();
    };
    const asWorker = { role: Role.worker, coreCount: CORE_COUNT, memoryMb: 512, host: made.address('w'), port: 9402 };
    const worker = await connect('w', asWorker);
    worker.announce();
    const gateway = await connect('g', { role: Role.gateway });
    await gateway.hear('worker');
    const nameAgain = async (named: TestNode): Promise<number> => {
      named.name(1, 'hello', 128);
      return (await named.hear('version'))['first'] as number;
    };
    const { epoch, firstCore } = worker.welcome!;
    return {
      hosts: made,
      scheduler,
      worker,
      gateway,
      version: await nameAgain(gateway),
      workerAgain: () => connect('w', { ...asWorker, epoch, firstCore }),
      gatewayAgain: () => connect('g', { role: Role.gateway }),
      nameAgain,
    };
  }

  const established = (world: World, name: 'w' | 'g'): boolean =>
    world.hosts.run('s', 'ss', '-tnH', 'state', 'established').includes(world.hosts.address(name));

  async function grant(gateway: TestNode): Promise<{ request: number; core: number; sequence: number }> {
    return (await gateway.hear('grant')) as never;
  }

  test('a worker that is cut off is gone for the gateway, and comes back under its old cores', async () => {
    const world = await open();
    const { worker, gateway, version, scheduler } = world;
    gateway.say('request', { request: 1, version });
    const held = await grant(gateway);
    world.hosts.cut('w', 's');
    assert.equal((await gateway.hear('gone'))['first'], worker.welcome!.firstCore);
    assert.equal(await worker.ended(), 'silent');
    // No reset can have come: each side has found out by itself.
    await until(() => !established(world, 'w'));
    assert.ok(!established(world, 'w'));
    assert.equal(gateway.closedBy(), 'not');
    gateway.say('request', { request: 2, version });
    world.hosts.heal('w', 's');
    const back = await world.workerAgain();
    assert.equal(back.welcome!.firstCore, worker.welcome!.firstCore);
    assert.equal(back.welcome!.epoch, scheduler.ready['epoch']);
    back.name(1, 'hello', 128);
    back.lease('held', { handle: 1, core: held.core, sequence: held.sequence, epoch: back.welcome!.epoch });
    back.announce();
    const next = await grant(gateway);
    assert.equal(next.request, 2);
    assert.notEqual(next.core, held.core);
  });

  test('a cut of less than the silence limit is not noticed', async () => {
    const { hosts: at, worker, gateway, version } = await open();
    const { epoch } = worker.welcome!;
    for (const request of [1, 2, 3]) gateway.say('request', { request, version });
    const first = await grant(gateway);
    await grant(gateway);
    at.cut('w', 's');
    // On its way while nothing gets through.
    worker.lease('release', { ...first, epoch, warm: 1 });
    await sleep(SHORT_MS);
    at.heal('w', 's');
    assert.equal((await grant(gateway)).core, first.core);
    await sleep(LONG_MS);
    assert.equal(worker.closedBy(), 'not');
    assert.ok(!gateway.heard.some(({ kind }) => kind === 'gone'));
  });

  test('a connection that is half open ends on both sides, whichever half it is', async () => {
    for (const [from, to] of [
      ['g', 's'],
      ['s', 'g'],
    ] as const) {
      const world = await open();
      world.hosts.cutOneWay(from, to);
      assert.match(await world.gateway.ended(), /^(silent|unread)$/);
      await until(() => !established(world, 'g'));
      assert.ok(!established(world, 'g'), `${from} to ${to}`);
      assert.ok(established(world, 'w'));
      world.hosts.heal(from, to);
      const back = await world.gatewayAgain();
      await back.hear('worker');
      const version = await world.nameAgain(back);
      back.say('request', { request: 1, version });
      assert.equal((await grant(back)).request, 1);
      await world.hosts.end();
    }
    hosts = undefined;
  });

  test('a scheduler that is stopped for a moment goes on where it was', async () => {
    const { scheduler, gateway, worker, version } = await open();
    scheduler.pause();
    for (const request of [1, 2, 3]) gateway.say('request', { request, version });
    await sleep(SHORT_MS);
    scheduler.resume();
    const first = await grant(gateway);
    await grant(gateway);
    worker.lease('release', { ...first, epoch: worker.welcome!.epoch });
    assert.equal((await grant(gateway)).request, 3);
    assert.deepEqual([gateway.closedBy(), worker.closedBy()], ['not', 'not']);
  });

  test('a scheduler that is stopped for longer has its nodes back with what they hold', async () => {
    const world = await open();
    const { scheduler, gateway, worker, version } = world;
    gateway.say('request', { request: 1, version });
    const held = await grant(gateway);
    scheduler.pause();
    await sleep(LONG_MS);
    assert.deepEqual([await gateway.ended(), await worker.ended()], ['silent', 'silent']);
    scheduler.resume();
    const workerBack = await world.workerAgain();
    assert.equal(workerBack.welcome!.firstCore, worker.welcome!.firstCore);
    assert.equal(workerBack.welcome!.epoch, worker.welcome!.epoch);
    workerBack.name(1, 'hello', 128);
    workerBack.lease('held', { handle: 1, core: held.core, sequence: held.sequence, epoch: worker.welcome!.epoch });
    workerBack.announce();
    const gatewayBack = await world.gatewayAgain();
    const index = await world.nameAgain(gatewayBack);
    for (const request of [2, 3]) gatewayBack.say('request', { request, version: index });
    const next = await grant(gatewayBack);
    assert.notEqual(next.core, held.core);
    workerBack.lease('release', { ...held, epoch: worker.welcome!.epoch });
    assert.equal((await grant(gatewayBack)).core, held.core);
  });

  test('a slow cable delays what it carries, and costs no connection', async () => {
    const { hosts: at, gateway, worker, version } = await open();
    at.slow('g', 128);
    at.slow('w', 128);
    const { epoch } = worker.welcome!;
    const count = 1000;
    for (let request = 1; request <= count; request++) gateway.say('request', { request, version });
    for (let request = 1; request <= count; request++) {
      const granted = await grant(gateway);
      assert.equal(granted.request, request);
      worker.lease('release', { ...granted, epoch, warm: 1 });
    }
    assert.deepEqual([gateway.closedBy(), worker.closedBy()], ['not', 'not']);
  });
});
