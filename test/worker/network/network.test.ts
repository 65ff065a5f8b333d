import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Firewall } from '../../../src/worker/network/firewall.ts';
import { type Connection, type Network, openNetwork } from '../../../src/worker/network/index.ts';
import { NETLINK_NETFILTER, type NetlinkSocket, openNetlink } from '../../../src/worker/network/netlink.ts';
import { inTurn } from '../../../src/worker/network/turn.ts';
import { libc } from '../../../src/worker/sandbox/libc.ts';
import { endProcess } from '../../lib/end-process.ts';
import {
  becomeServer,
  BEYOND,
  eventually,
  GATEWAY,
  makeNamespace,
  METADATA,
  PORT,
  ROOT_ONLY,
  run,
  SERVER,
  startStation,
  type Station,
} from './world.ts';

const OTHER_ADDRESS = '192.0.2.9';
const CONTAINER = '172.17.0.2';
const PLATFORM = fileURLToPath(new URL('./fixtures/platform.ts', import.meta.url));
/** Time for some platforms to start on a busy machine; who is late opens late, and tests nothing. */
const TOGETHER_AFTER_MS = 1000;
/** ICMP tells so at once; the kernel sends it only so often. */
const UNANSWERED = /^(EHOSTUNREACH|silence)$/;
function unanswered(answers: { tcp: string; udp: string }): void {
  assert.doesNotMatch(JSON.stringify(answers), /seen/);
}

const log = { warn: (text: string) => assert.fail(text) };

function connected(connection: Connection | string): Connection {
  if (typeof connection === 'string') assert.fail(connection);
  return connection;
}

/** An instance in a namespace of its own, connected. */
async function instance(
  network: Network,
  policy: 'none' | 'outbound',
): Promise<{ station: Station; connection: Connection }> {
  const station = await startStation();
  const namespace = station.namespace();
  const connection = connected(network.connect(namespace, policy));
  closeSync(namespace);
  return { station, connection };
}

/** Addresses that its two instances have, or what failed. */
function startPlatform(...args: readonly string[]): { child: ChildProcess; addresses: Promise<readonly string[]> } {
  const child = spawn(process.execPath, [PLATFORM, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const addresses = once(child.stdout, 'data').then(([data]) => JSON.parse(String(data)) as readonly string[]);
  return { child, addresses };
}

const linkCount = (): number =>
  run('ip', '-o', 'link')
    .split('\n')
    .filter((line) => line.includes(': perch')).length;
const forwarding = (name: string): string =>
  readFileSync(`/proc/sys/net/ipv4/conf/${name}/forwarding`, 'latin1').trim();

describe('the network of instances', { skip: ROOT_ONLY }, () => {
  let world: Awaited<ReturnType<typeof becomeServer>>;
  let server: Station;
  let container: Station;
  let network: Network;
  let one: Awaited<ReturnType<typeof instance>>;
  let two: Awaited<ReturnType<typeof instance>>;

  before(async () => {
    world = await becomeServer();
    server = await startStation(false);
    await server.listen();
    run('ip', 'addr', 'add', `${OTHER_ADDRESS}/32`, 'dev', 'lo');
    // Containers of somebody else's, behind a bridge.
    container = await startStation();
    run('ip', 'link', 'add', 'docker0', 'type', 'bridge');
    run('ip', 'addr', 'add', '172.17.0.1/16', 'dev', 'docker0');
    run('ip', 'link', 'set', 'docker0', 'up');
    run('ip', 'link', 'add', 'c0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(container.processId));
    run('ip', 'link', 'set', 'c0', 'master', 'docker0', 'up');
    container.ip('addr', 'add', `${CONTAINER}/16`, 'dev', 'eth0');
    container.ip('link', 'set', 'eth0', 'up');
    container.ip('route', 'add', 'default', 'via', '172.17.0.1');
    await container.listen();
    network = openNetwork({ connectionCountMax: 1024, refusals: [{ range: GATEWAY, port: 4001, why: 'a test' }], log });
    assert.equal(network.fault('outbound'), '');
    assert.equal(network.fault('none'), '');
    one = await instance(network, 'outbound');
    two = await instance(network, 'outbound');
    await two.station.listen();
  });

  after(async () => {
    network?.close();
    for (const station of [one?.station, two?.station, container, server]) await station?.end();
    await world?.end();
  });

  it('lets an instance reach what lies beyond, under the address of the server', async () => {
    assert.equal(await one.station.tcp(BEYOND), `seen as ${SERVER}`);
    assert.equal(await one.station.tcp(GATEWAY), `seen as ${SERVER}`);
    assert.equal(await one.station.udp(GATEWAY), `seen as ${SERVER}`);
  });

  it('keeps an instance from every address of the server, and serves the server itself', async () => {
    for (const address of [SERVER, OTHER_ADDRESS, '172.17.0.1']) {
      assert.match(await server.tcp(address), /^seen as/, address);
      assert.equal(await one.station.tcp(address), 'ECONNREFUSED', address);
      assert.equal(await one.station.tcp(address, 1), 'ECONNREFUSED', address);
      assert.match((await one.station.probe(address)).udp, UNANSWERED);
    }
    assert.match(await server.tcp('127.0.0.1'), /^seen as/);
    assert.equal(await one.station.tcp('127.0.0.1'), 'ECONNREFUSED');
    unanswered(await one.station.probe('10.192.0.0'));
  });

  it('keeps the loopback of the server out of reach by a route to it, too', async () => {
    one.station.ip('route', 'add', '127.0.0.53/32', 'via', '10.192.0.0', 'dev', 'eth0', 'onlink', 'table', 'local');
    unanswered(await one.station.probe('127.0.0.53'));
    one.station.ip('route', 'del', '127.0.0.53/32', 'table', 'local');
  });

  it('has no IPv6 that leads anywhere', async () => {
    assert.doesNotMatch(one.station.ip('-6', 'addr', 'show', 'dev', 'eth0'), /inet6/);
    assert.doesNotMatch(run('ip', '-6', 'addr', 'show', 'dev', 'perch000-1'), /inet6/);
    // Not even with addresses of its own, which takes rights that an instance does not have, on a server that forwards IPv6.
    one.station.ip('addr', 'add', 'fd00:1::2/64', 'dev', 'eth0', 'nodad');
    one.station.ip('-6', 'route', 'add', 'default', 'via', 'fd00:1::1');
    run('ip', 'addr', 'add', 'fd00:1::1/64', 'dev', 'perch000-1', 'nodad');
    // Neighbours would not find each other.
    one.station.ip('neigh', 'add', 'fd00:1::1', 'lladdr', '02:50:45:52:43:48', 'dev', 'eth0');
    run('ip', 'neigh', 'add', 'fd00:1::2', 'lladdr', '06:50:45:52:43:48', 'dev', 'perch000-1');
    run('ip', 'addr', 'add', 'fd00:2::2/64', 'dev', 'up0', 'nodad');
    world.beyond.ip('addr', 'add', 'fd00:2::1/64', 'dev', 'out0', 'nodad');
    world.beyond.ip('-6', 'route', 'add', 'default', 'via', 'fd00:2::2');
    writeFileSync('/proc/sys/net/ipv6/conf/all/forwarding', '1');
    assert.match(await server.tcp('fd00:2::1'), /^seen as/);
    unanswered(await one.station.probe('fd00:1::1'));
    unanswered(await one.station.probe('fd00:2::1'));
    writeFileSync('/proc/sys/net/ipv6/conf/all/forwarding', '0');
  });

  it('keeps the broadcasts of an instance from the server', async () => {
    await server.ask('received');
    for (const address of ['255.255.255.255', '224.0.0.1']) {
      one.station.ip('route', 'add', address, 'dev', 'eth0');
      assert.equal(await one.station.ask('broadcast', { address, port: PORT }), 'sent');
    }
    // What was sent before has arrived when an answer has.
    assert.match(await one.station.udp(GATEWAY), /^seen as/);
    assert.match(await server.udp('127.0.0.1'), /^seen as/);
    assert.deepEqual(await server.ask('received'), ['127.0.0.1']);
  });

  it('keeps instances from each other', async () => {
    assert.match(await two.station.tcp('127.0.0.1'), /^seen as/);
    assert.equal(await one.station.tcp(two.connection.address), 'ECONNREFUSED');
    assert.match((await one.station.probe(two.connection.address)).udp, UNANSWERED);
  });

  it('keeps instances from containers on the same server', async () => {
    assert.match(await server.tcp(CONTAINER), /^seen as/);
    assert.equal(await one.station.tcp(CONTAINER), 'ECONNREFUSED');
    assert.match((await one.station.probe(CONTAINER)).udp, UNANSWERED);
  });

  it('keeps instances from metadata services and from what the operator refuses', async () => {
    assert.match(await server.tcp(METADATA), /^seen as/);
    assert.equal(await one.station.tcp(METADATA), 'ECONNREFUSED');
    assert.match((await one.station.probe(METADATA)).udp, UNANSWERED);
    await world.beyond.listen(4001);
    assert.match(await server.tcp(GATEWAY, 4001), /^seen as/);
    assert.equal(await one.station.tcp(GATEWAY, 4001), 'ECONNREFUSED');
    assert.match((await one.station.probe(GATEWAY, undefined, 4001)).udp, UNANSWERED);
  });

  it('lets nobody reach an instance', async () => {
    world.beyond.ip('route', 'add', '10.192.0.0/20', 'via', SERVER);
    for (const from of [world.beyond, server, container]) {
      unanswered(await from.probe(two.connection.address));
    }
    world.beyond.ip('route', 'del', '10.192.0.0/20');
  });

  it('drops what an instance sends under another address', async () => {
    // As root here; an instance cannot take an address.
    await world.beyond.ask('received');
    for (const address of [two.connection.address, '192.0.2.77', SERVER]) {
      one.station.ip('addr', 'add', `${address}/32`, 'dev', 'eth0');
      assert.deepEqual(await one.station.probe(GATEWAY, address), { tcp: 'silence', udp: 'silence' }, address);
      one.station.ip('addr', 'del', `${address}/32`, 'dev', 'eth0');
    }
    assert.deepEqual(await world.beyond.ask('received'), []);
    const own = await one.station.probe(GATEWAY, one.connection.address);
    assert.deepEqual(own, { tcp: `seen as ${SERVER}`, udp: `seen as ${SERVER}` });
  });

  it('lets one instance track so many connections and no more, and the next one go on', async () => {
    const count = (): number => Number(readFileSync('/proc/sys/net/netfilter/nf_conntrack_count', 'latin1'));
    const before = count();
    const hostile = await instance(network, 'outbound');
    assert.ok((await hostile.station.ask('flood', { address: GATEWAY, from: 10_000, count: 3000 })) > 0);
    const tracked = count() - before;
    // No exact count: the kernel looks through an address's connections from time to time.
    assert.ok(tracked > 500 && tracked <= 1100, `${tracked} connections`);
    await hostile.station.end();
    hostile.connection.close();
    assert.equal(await two.station.tcp(BEYOND), `seen as ${SERVER}`);
  });

  it('gives an instance with `none` its loopback and nothing else', async () => {
    const none = await instance(network, 'none');
    assert.equal(none.connection.address, '');
    await none.station.listen();
    assert.match(await none.station.tcp('127.0.0.1'), /^seen as/);
    assert.match(await none.station.tcp('::1'), /^seen as/);
    for (const address of [BEYOND, SERVER, two.connection.address, METADATA, '8.8.8.8']) {
      assert.equal(await none.station.tcp(address), 'ENETUNREACH', address);
      assert.equal(await none.station.udp(address), 'ENETUNREACH', address);
    }
    none.connection.close();
    await none.station.end();
  });

  it('refuses the namespace of the server itself, and one that is connected already', () => {
    const own = openSync('/proc/thread-self/ns/net', 'r');
    for (const policy of ['none', 'outbound'] as const) {
      assert.equal(network.connect(own, policy), 'not connected: that is the namespace of the server itself');
    }
    closeSync(own);
    const before = linkCount();
    const namespace = one.station.namespace();
    assert.match(network.connect(namespace, 'outbound') as string, /^not connected/);
    closeSync(namespace);
    assert.equal(linkCount(), before);
  });

  it('leaves nothing behind after 200 connections', async () => {
    for (let index = 0; index < 200; index++) {
      const namespace = makeNamespace();
      const connection = connected(network.connect(namespace, 'outbound'));
      closeSync(namespace);
      connection.close();
      connection.close();
    }
    // The two that live.
    await eventually(() => linkCount() === 2);
    for (const table of ['route', 'neigh']) {
      const entries = run('ip', '-4', table)
        .split('\n')
        .filter((line) => line.includes('perch'));
      assert.equal(entries.length, 2, entries.join('\n'));
    }
    assert.equal(await one.station.tcp(BEYOND), `seen as ${SERVER}`);
  });

  it('follows the uplinks of the server', async () => {
    run('ip', 'route', 'del', 'default');
    run('ip', 'link', 'set', 'up0', 'down');
    assert.equal(network.refresh(), '');
    assert.equal(network.check()[0]?.ok, false);
    run('ip', 'link', 'set', 'up0', 'up');
    run('ip', 'route', 'add', 'default', 'via', GATEWAY);
    unanswered(await one.station.probe(GATEWAY));
    assert.equal(network.refresh(), '');
    assert.deepEqual(
      network
        .check()
        .filter(({ ok }) => !ok)
        .map(({ topic }) => topic)
        .filter((topic) => topic !== 'network: name servers'),
      [],
    );
    assert.equal(await one.station.tcp(BEYOND), `seen as ${SERVER}`);
  });
});

describe('opening and closing the network of instances', { skip: ROOT_ONLY }, () => {
  let world: Awaited<ReturnType<typeof becomeServer>>;

  before(async () => {
    world = await becomeServer();
  });

  after(async () => {
    await world?.end();
  });

  it('makes uplinks forward and restores what they were', () => {
    assert.equal(forwarding('up0'), '0');
    const network = openNetwork({ connectionCountMax: 4, log });
    assert.equal(forwarding('up0'), '1');
    network.close();
    assert.equal(forwarding('up0'), '0');
    writeFileSync('/proc/sys/net/ipv4/conf/up0/forwarding', '1');
    openNetwork({ connectionCountMax: 4, log }).close();
    assert.equal(forwarding('up0'), '1');
    writeFileSync('/proc/sys/net/ipv4/conf/up0/forwarding', '0');
  });

  it('goes on where uplinks come and go without end, and where there are more than it can note', () => {
    const network = openNetwork({ connectionCountMax: 4, log });
    const firewall = new Firewall(openNetlink(libc!, NETLINK_NETFILTER) as NetlinkSocket);
    const noted = (): readonly string[] => firewall.tables().flatMap(({ comment }) => comment.split(' '));
    const names = Array.from({ length: 40 }, (_, index) => `a-long-name-${String(index).padStart(3, '0')}`);
    const add = (name: string): void => {
      run('ip', 'link', 'add', name, 'type', 'veth', 'peer', 'name', `p-${name.slice(2)}`);
      run('ip', 'link', 'set', name, 'up');
      run('ip', 'route', 'append', '198.19.0.0/24', 'via', '198.19.1.1', 'dev', name, 'onlink');
    };
    for (const name of names) {
      add(name);
      assert.equal(network.refresh(), '');
      assert.deepEqual(noted(), ['up0', name]);
      run('ip', 'link', 'del', name);
    }
    for (const name of names.slice(0, 14)) {
      add(name);
      assert.equal(network.refresh(), '');
    }
    // The first ones lead nowhere any more, and forward still.
    run('ip', 'route', 'flush', '198.19.0.0/24');
    for (const name of names.slice(14, 20)) {
      add(name);
      assert.equal(network.refresh(), '');
    }
    const all = ['up0', ...names.slice(0, 20)];
    assert.deepEqual(noted(), all.slice(0, noted().length));
    assert.ok(noted().length > 10);
    assert.deepEqual(all.map(forwarding), Array(21).fill('1'));
    network.close();
    assert.deepEqual(all.map(forwarding), Array(21).fill('0'));
    firewall.close();
    for (const name of names.slice(0, 20)) run('ip', 'link', 'del', name);
  });

  it('does not make the server a router for others', async () => {
    const neighbour = await startStation();
    run('ip', 'link', 'add', 'up1', 'type', 'veth', 'peer', 'name', 'out1', 'netns', String(neighbour.processId));
    run('ip', 'addr', 'add', '198.18.0.2/24', 'dev', 'up1');
    run('ip', 'link', 'set', 'up1', 'up');
    run('ip', 'route', 'add', '198.18.1.0/24', 'via', '198.18.0.1');
    neighbour.ip('addr', 'add', '198.18.0.1/24', 'dev', 'out1');
    neighbour.ip('link', 'set', 'out1', 'up');
    neighbour.ip('route', 'add', 'default', 'via', '198.18.0.2');
    world.beyond.ip('route', 'add', '198.18.0.0/24', 'via', SERVER);
    const network = openNetwork({ connectionCountMax: 4, log });
    assert.deepEqual([forwarding('up0'), forwarding('up1')], ['1', '1']);
    unanswered(await neighbour.probe(BEYOND));
    network.close();
    // As it is where the operator wants it.
    for (const name of ['up0', 'up1']) writeFileSync(`/proc/sys/net/ipv4/conf/${name}/forwarding`, '1');
    const other = openNetwork({ connectionCountMax: 4, log });
    assert.equal(await neighbour.tcp(BEYOND), 'seen as 198.18.0.1');
    other.close();
    for (const name of ['up0', 'up1']) writeFileSync(`/proc/sys/net/ipv4/conf/${name}/forwarding`, '0');
    world.beyond.ip('route', 'del', '198.18.0.0/24');
    await neighbour.end();
  });

  it('gives no more connections than it may, and addresses come again', () => {
    const network = openNetwork({ connectionCountMax: 2, log });
    const namespaces = [makeNamespace(), makeNamespace(), makeNamespace()];
    const [first, second] = namespaces.map((each) => network.connect(each, 'outbound')) as [Connection, Connection];
    assert.equal(
      network.connect(namespaces[2] as number, 'outbound'),
      'not connected: every address for instances is in use',
    );
    first.close();
    const third = connected(network.connect(namespaces[2] as number, 'outbound'));
    assert.equal(new Set([first.address, second.address, third.address]).size, 3);
    for (const namespace of namespaces) closeSync(namespace);
    network.close();
    assert.equal(linkCount(), 0);
  });

  it('keeps apart from another platform on the server', () => {
    const first = openNetwork({ connectionCountMax: 2, log });
    const second = openNetwork({ connectionCountMax: 2, log });
    const namespaces = [makeNamespace(), makeNamespace()];
    const one = connected(first.connect(namespaces[0] as number, 'outbound'));
    const two = connected(second.connect(namespaces[1] as number, 'outbound'));
    assert.deepEqual([one.address, two.address], ['10.192.0.1', '10.192.16.1']);
    first.close();
    assert.equal(linkCount(), 1);
    second.close();
    assert.equal(linkCount(), 0);
    for (const namespace of namespaces) closeSync(namespace);
  });

  it('leaves the uplinks forwarding until the last platform of the server closes', () => {
    const first = openNetwork({ connectionCountMax: 2, log });
    const second = openNetwork({ connectionCountMax: 2, log });
    first.close();
    assert.equal(forwarding('up0'), '1');
    const third = openNetwork({ connectionCountMax: 2, log });
    second.close();
    assert.equal(forwarding('up0'), '1');
    third.close();
    assert.equal(forwarding('up0'), '0');
  });

  it('uses no range that the server uses', () => {
    run('ip', 'route', 'add', '10.192.8.0/24', 'via', GATEWAY);
    run('ip', 'route', 'add', '10.192.16.0/20', 'via', GATEWAY, 'table', '77');
    const network = openNetwork({ connectionCountMax: 2, log });
    const namespace = makeNamespace();
    assert.equal(connected(network.connect(namespace, 'outbound')).address, '10.192.32.1');
    closeSync(namespace);
    network.close();
    run('ip', 'route', 'del', '10.192.8.0/24');
    run('ip', 'route', 'flush', 'table', '77');
  });

  it('gives platforms that open it at the same time a range each, also where they remove what others left', async () => {
    const count = 6;
    const ranges = Array.from({ length: count }, (_, index) => 16 * index);
    for (let round = 0; round < 3; round++) {
      const at = Date.now() + TOGETHER_AFTER_MS;
      const platforms = ranges.map(() => startPlatform(String(at)));
      const said = await Promise.all(platforms.map(({ addresses }) => addresses));
      const links = linkCount();
      for (const { child } of platforms) await endProcess({ child }, 'SIGKILL');
      assert.deepEqual(
        said.map((addresses) => addresses.join()).toSorted(),
        ranges.map((range) => [1, 2].map((number) => `10.192.${range}.${number}`).join()).toSorted(),
      );
      assert.equal(links, 2 * count);
    }
    openNetwork({ connectionCountMax: 2, log }).close();
  });

  it('takes turns, and waits for nobody who died in his', () => {
    const [dead, living] = [1, 2].map(() => new Firewall(openNetlink(libc!, NETLINK_NETFILTER) as NetlinkSocket));
    assert.equal(dead!.claim('perch-turn'), 0);
    assert.ok(living!.claim('perch-turn') < 0);
    // As the kernel does for him.
    dead!.close();
    const names = (): string[] => living!.tables().map(({ name }) => name);
    assert.deepEqual(inTurn(living!, names), ['perch-turn']);
    assert.deepEqual(names(), []);
    living!.close();
  });

  it('removes what a killed platform left', async () => {
    const { child, addresses } = startPlatform();
    assert.deepEqual(await addresses, ['10.192.0.1', '10.192.0.2']);
    assert.equal(linkCount(), 2);
    await endProcess({ child }, 'SIGKILL');
    assert.equal(forwarding('up0'), '1');
    // Not so while it lives: the first range is free again.
    const network = openNetwork({ connectionCountMax: 2, log });
    const namespace = makeNamespace();
    assert.equal(connected(network.connect(namespace, 'outbound')).address, '10.192.0.1');
    closeSync(namespace);
    network.close();
    assert.equal(linkCount(), 0);
    assert.equal(forwarding('up0'), '0');
  });
});

describe('links that are held', { skip: ROOT_ONLY }, () => {
  it('take no address from those who connect later, however many namespaces hostile code keeps', async () => {
    const world = await becomeServer();
    const addressCount = 20;
    const network = openNetwork({ connectionCountMax: addressCount, addressCount, log });
    const held = Array.from({ length: addressCount }, () => makeNamespace());
    for (const namespace of held) connected(network.connect(namespace, 'outbound')).close();
    const late = await instance(network, 'outbound');
    assert.equal(await late.station.tcp(BEYOND), `seen as ${SERVER}`);
    await late.station.end();
    for (const namespace of held) closeSync(namespace);
    network.close();
    await world.end();
  });
});
