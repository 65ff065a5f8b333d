/** The harness itself: what passes between hosts, what does not, and that nothing stays. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startTime } from '../../../src/worker/sandbox/identity.ts';
import { eventually } from '../../worker/network/world.ts';
import { Hosts } from './hosts.ts';
import { listNamespaces, ownNamespaces, run } from './namespaces.ts';
import { NO_CLOCKS, NO_HOSTS } from './requirements.ts';

const ABANDONED = fileURLToPath(new URL('./fixtures/abandoned.ts', import.meta.url));
const READY = 'console.log(JSON.stringify({ now: Date.now(), uptime: process.uptime() }))';

describe('hosts on one machine', { skip: NO_HOSTS, concurrency: false }, () => {
  let hosts: Hosts;
  let server: Server;
  const accepted: Socket[] = [];
  before(async () => {
    hosts = new Hosts('a', 'b', 'c');
    server = createServer((socket) => {
      accepted.push(socket);
      socket.on('error', () => {});
      socket.pipe(socket);
    });
    await hosts.within('a', () => server.listen(4000, '0.0.0.0'));
    if (!server.listening) await once(server, 'listening');
  });
  after(async () => {
    for (const socket of accepted) socket.destroy();
    server?.close();
    await hosts?.end();
    assert.deepEqual(ownNamespaces(), []);
    // Nothing of the machine's own network was touched.
    assert.doesNotMatch(run('ip', '-o', 'link'), /: (to-|net0|bridge)/);
  });

  const dial = async (from: string): Promise<Socket> => {
    const socket = await hosts.within(from, () => connect({ host: hosts.address('a'), port: 4000 }));
    return socket.on('error', () => {});
  };
  const echoed = async (socket: Socket, text: string): Promise<boolean> => {
    socket.write(text);
    const [answer] = (await Promise.race([
      once(socket, 'data'),
      new Promise((resolve) => setTimeout(() => resolve(['']), 600)),
    ])) as [Buffer | string];
    return String(answer) === text;
  };

  test('a cut between two drops what they say, on connections that stand too, and nothing else', async () => {
    const [b, c] = [await dial('b'), await dial('c')];
    assert.ok(await echoed(b, 'one'));
    assert.equal(accepted[0]?.remoteAddress, hosts.address('b'));
    hosts.cut('a', 'b');
    assert.ok(!(await echoed(b, 'two')));
    assert.ok(!b.destroyed, 'it hangs half open');
    assert.ok(await echoed(c, 'three'));
    hosts.heal('a', 'b');
    // It is the same connection: TCP sends again what was lost.
    const [late] = (await once(b, 'data')) as [Buffer];
    assert.equal(String(late), 'two');
    hosts.cut('a');
    assert.ok(!(await echoed(c, 'four')));
    hosts.heal('a');
    assert.equal(String((await once(c, 'data'))[0]), 'four');
    b.destroy();
    c.destroy();
  });

  test('a cut may be of one direction', async () => {
    const b = await dial('b');
    assert.ok(await echoed(b, 'one'));
    const server = accepted.at(-1)!;
    const heard: string[] = [];
    server.on('data', (chunk) => heard.push(String(chunk)));
    hosts.cutOneWay('a', 'b');
    assert.ok(!(await echoed(b, 'two')));
    assert.deepEqual(heard, ['two']);
    hosts.heal('a', 'b');
    b.destroy();
  });

  test('two hosts answer at one address, each to those who find it there', async () => {
    const other = createServer((socket) => socket.on('error', () => {}).end('other')).unref();
    await hosts.within('c', () => other.listen(4000, '0.0.0.0'));
    hosts.shareAddress('a', 'c');
    const before = await dial('b');
    assert.ok(await echoed(before, 'one'));
    hosts.redirect('b', 'a', 'c');
    const after = await dial('b');
    assert.equal(String((await once(after, 'data'))[0]), 'other');
    // The other one knows nothing of the connection.
    before.write('two');
    await new Promise((resolve) => before.once('close', resolve));
    hosts.redirect('b', 'a', 'a');
    const again = await dial('b');
    assert.ok(await echoed(again, 'three'));
    again.destroy();
    hosts.run('c', 'ip', 'addr', 'del', `${hosts.address('a')}/24`, 'dev', 'net0');
    hosts.run('b', 'ip', 'neigh', 'flush', 'nud', 'permanent');
    other.close();
  });

  test('a slow host takes the time of its rate, until it is slow no more', async () => {
    const bytes = 400_000;
    const take = async (): Promise<number> => {
      const b = await dial('b');
      const startedMs = performance.now();
      b.write(Buffer.alloc(bytes));
      let came = 0;
      while (came < bytes) came += ((await once(b, 'data')) as [Buffer])[0].length;
      b.destroy();
      return performance.now() - startedMs;
    };
    hosts.slow('b', 4000);
    // The rate is what the kernel lets through; less a burst and what the measure lacks.
    assert.ok((await take()) > 500);
    hosts.slow('b', null);
    assert.doesNotMatch(hosts.run('b', 'tc', 'qdisc', 'show', 'dev', 'net0'), /tbf/);
  });

  test('a process runs on its host, under another clock if need be, and can be stopped and killed', async () => {
    const script = `${READY}; setInterval(() => {}, 1000);`;
    const node = { program: process.execPath };
    const plain = await hosts.start('b', ['-e', script], node);
    assert.ok(plain.isRunning);
    assert.ok(Math.abs(plain.ready['now'] - Date.now()) < 60_000);
    assert.match(run('nsenter', '-t', String(plain.pid), '-n', 'ip', 'addr'), new RegExp(hosts.address('b')));
    plain.pause();
    plain.resume();
    assert.equal(await plain.stop(), null);
    assert.ok(!plain.isRunning);
    await assert.rejects(hosts.start('b', ['-e', "throw new Error('no use')"], node), /no use/);
  });

  test('a process has another time of day, and the same monotonic clock', { skip: NO_CLOCKS }, async () => {
    const ahead = await hosts.start('c', ['-e', READY], { program: process.execPath, clockOffsetS: 7200 });
    assert.ok(Math.abs(ahead.ready['now'] - Date.now() - 7_200_000) < 60_000);
    assert.ok(ahead.ready['uptime'] < 60);
    await ahead.exited;
    const behind = await hosts.start('c', ['-e', READY], { program: process.execPath, clockOffsetS: -7200 });
    assert.ok(Math.abs(behind.ready['now'] - Date.now() + 7_200_000) < 60_000);
    await behind.exited;
  });

  test('what a killed run left is removed by the next one', async () => {
    for (const signal of ['SIGKILL', 'SIGINT'] as const) {
      const abandoned = spawn(process.execPath, [ABANDONED], { stdio: ['ignore', 'pipe', 'inherit'] });
      const [line] = (await once(abandoned.stdout, 'data')) as [Buffer];
      const { prefix, pid } = JSON.parse(String(line)) as { prefix: string; pid: number };
      const left = (): string[] => listNamespaces().filter((name) => name.startsWith(prefix));
      assert.equal(left().length, 2);
      abandoned.kill(signal);
      await once(abandoned, 'exit');
      if (signal === 'SIGKILL') await new Hosts().end();
      assert.deepEqual(left(), [], signal);
      await eventually(() => startTime(pid) === 0);
    }
  });
});
