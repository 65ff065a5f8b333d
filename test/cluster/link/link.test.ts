/** Connections over real sockets: what both sides see when all is well, and when the other side is gone, mute, slow or wrong. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CloseReason, ClusterKind, Role } from '../../../src/wire/cluster-frame.ts';
import { AssignFrame, ResultFrame } from '../../../src/wire/cluster/body-frames.ts';
import { GrantFrame, RequestFrame } from '../../../src/wire/cluster/small-frames.ts';
import { Ear, Mouth } from '../../wire/frames.ts';
import { connected, dial, End, HASTY, serve } from './ends.ts';

const GATEWAY_SCHEDULER = [Role.gateway, Role.scheduler] as const;
const GATEWAY_WORKER = [Role.gateway, Role.worker] as const;

function request(number: number): RequestFrame {
  return Object.assign(new RequestFrame(ClusterKind.request), { request: number });
}

test('HELLO and WELCOME say who is there; frames come as they were sent, both ways; the reason to close arrives', async (t) => {
  const { dialler, dialled } = await connected(t, GATEWAY_SCHEDULER, {
    dialler: { hello: { epoch: 7, life: 99 } },
    dialled: { hello: { epoch: 8 } },
  });
  await Promise.all([dialler.opened, dialled.opened]);
  assert.partialDeepStrictEqual(dialled.peer, { role: Role.gateway, epoch: 7, life: 99, name: 'node-2' });
  assert.partialDeepStrictEqual(dialler.peer, { role: Role.scheduler, epoch: 8, name: 'node-1' });
  const grant = new GrantFrame(ClusterKind.grant);
  dialled.onFrame = (_kind, { request: number }) => {
    grant.request = number;
    dialled.link.send(grant);
  };
  const done = Promise.withResolvers<void>();
  const count = 20_000;
  dialler.onFrame = () => void (dialler.frames.length === count && done.resolve());
  for (let i = 0; i < count; i++) dialler.link.send(request(i));
  await done.promise;
  assert.deepEqual(
    dialler.frames.map(({ values }) => values['request']),
    Array.from({ length: count }, (_, i) => i),
  );
  dialler.link.send(request(1));
  dialler.link.close(CloseReason.stopping);
  assert.equal(await dialled.closed, 'stopping by peer');
  assert.equal(await dialler.closed, 'stopping');
  assert.equal(dialled.frames.length, count + 1, 'what was sent before the close arrives');
  dialler.link.send(request(2));
  assert.deepEqual([dialler.closings.length, dialled.closings.length], [1, 1]);
});

test('what can wait goes in its order with what cannot, or with the next heartbeat', async (t) => {
  const limits = { ...HASTY, silenceMs: 10_000 };
  const { dialler, dialled } = await connected(t, GATEWAY_SCHEDULER, { dialler: { limits }, dialled: { limits } });
  await Promise.all([dialler.opened, dialled.opened]);
  const arrived = (count: number): Promise<number[]> =>
    new Promise((resolve) => {
      const numbers = (): number[] => dialled.frames.map(({ values }) => values['request'] as number);
      dialled.onFrame = () => void (dialled.frames.length === count && resolve(numbers()));
    });
  // More than the small buffer that it waits in, and in the middle of it one that does not wait.
  for (let i = 0; i < 100; i++) dialler.link.sendLater(request(i));
  assert.equal((await arrived(100)).length, 100, 'a heartbeat takes it along');
  for (let i = 100; i < 110; i++) dialler.link.sendLater(request(i));
  dialler.link.send(request(110));
  for (let i = 111; i < 120; i++) dialler.link.sendLater(request(i));
  assert.deepEqual(
    await arrived(120),
    Array.from({ length: 120 }, (_, i) => i),
  );
});

test('the largest payloads go through, in both directions, without a copy of them waiting for ever', async (t) => {
  const { dialler, dialled } = await connected(t, GATEWAY_WORKER);
  await Promise.all([dialler.opened, dialled.opened]);
  const payload = Buffer.alloc(6 * 1024 * 1024);
  for (let at = 0; at < payload.length; at += 4) payload.writeUInt32LE(Math.imul(at, 0x9e3779b1) >>> 0, at);
  const result = new ResultFrame();
  dialled.onFrame = (_kind, frame: AssignFrame) => {
    result.request = frame.request;
    result.payload = frame.payload;
    dialled.link.sendBody(result);
  };
  const done = Promise.withResolvers<void>();
  dialler.onFrame = () => void (dialler.frames.length === 8 && done.resolve());
  for (let i = 0; i < 8; i++) {
    const assign = Object.assign(new AssignFrame(), {
      request: i,
      requestId: 'i'.repeat(36),
      clientContext: '{"é":1}',
    });
    assign.payload = i % 2 === 0 ? payload.subarray(0, payload.length - i) : payload.subarray(i, 500 + i);
    dialler.link.sendBody(assign);
  }
  await done.promise;
  for (const [i, { values }] of dialler.frames.entries()) {
    const sent = i % 2 === 0 ? payload.subarray(0, payload.length - i) : payload.subarray(i, 500 + i);
    assert.equal(values['request'], i);
    assert.ok(sent.equals(values['payload'] as Buffer), `payload ${i}`);
  }
  assert.equal(dialled.frames[0]!.values['clientContext'], '{"é":1}');
});

test('a side that is not wanted is told why', async (t) => {
  const refused = await connected(t, [Role.worker, Role.scheduler], { dialled: { refuse: CloseReason.nameTaken } });
  assert.equal(await refused.dialler.closed, 'nameTaken by peer');
  assert.equal(await refused.dialled.closed, 'nameTaken');
  const wrong = await connected(t, [Role.worker, Role.worker]);
  assert.equal(await wrong.dialler.closed, 'outOfRole by peer');
  const other = await connected(t, [Role.scheduler, Role.worker]);
  assert.equal(await other.dialler.closed, 'outOfRole by peer');
});

test('a side that is gone is found at once, and its end is told once', async (t) => {
  for (const end of ['destroy', 'resetAndDestroy', 'end'] as const) {
    const { dialler, dialled, dialSocket } = await connected(t, GATEWAY_SCHEDULER);
    await Promise.all([dialler.opened, dialled.opened]);
    dialSocket[end]();
    assert.equal(await dialled.closed, 'lost by peer', end);
    assert.match(await dialler.closed, /^lost by peer$/, end);
    assert.deepEqual([dialler.closings.length, dialled.closings.length], [1, 1], end);
  }
});

test('a frame that cannot be closes the connection with its reason; what follows it in the batch is not acted upon', async (t) => {
  const ends: End[] = [];
  const port = await serve(t, (socket) => ends.push(new End(socket, Role.scheduler, null)));
  const cases: [string, number, (mouth: Mouth) => Mouth][] = [
    ['outOfRole', ClusterKind.grant, (mouth) => mouth.say(new GrantFrame(ClusterKind.grant))],
    ['malformed', ClusterKind.request, (mouth) => mouth.say(Object.assign(request(2), { request: -1 }))],
    ['replayed', ClusterKind.hello, (mouth) => mouth.hello(Role.gateway)],
  ];
  for (const [reason, about, spoil] of cases) {
    const socket = dial(t, port);
    const heard = new Ear([Role.scheduler, Role.gateway]);
    socket.write(spoil(new Mouth().hello(Role.gateway).say(request(1))).say(request(3)).bytes);
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    await once(socket, 'end');
    const end = ends.at(-1)!;
    assert.equal(await end.closed, reason);
    assert.equal(end.closings[0]!.about, about);
    assert.deepEqual(
      end.frames.map(({ values }) => values['request']),
      [1],
    );
    // A WELCOME has the layout of HELLO; the ear takes only that.
    const all = Buffer.concat(chunks);
    all[16] = ClusterKind.hello;
    assert.deepEqual(heard.hear([all]).ends, [`closed: ${reason}`]);
  }
});

test('what never says HELLO, or byte by byte, is closed as silent', async (t) => {
  const ends: End[] = [];
  const port = await serve(t, (socket) => ends.push(new End(socket, Role.scheduler, null, { limits: HASTY })));
  const mute = dial(t, port);
  mute.on('error', () => {});
  await once(mute, 'connect');
  const slow = dial(t, port);
  slow.on('error', () => {});
  const hello = new Mouth().hello(Role.gateway).bytes;
  let at = 0;
  const timer = setInterval(() => slow.write(hello.subarray(at, ++at)), 20);
  t.after(() => clearInterval(timer));
  assert.equal(await ends[0]!.closed, 'silent');
  assert.equal(await ends[1]!.closed, 'silent');
  const nobody = new End(dial(t, await serve(t, () => {})), Role.gateway, Role.scheduler, { limits: HASTY });
  assert.equal(await nobody.closed, 'silent');
});

/** Says WELCOME and keeps beating, and never reads a byte. */
async function deaf(t: TestContext): Promise<number> {
  return serve(t, (socket) => {
    socket.pause();
    const mouth = new Mouth().hello(Role.scheduler).flush();
    const welcome = mouth.parts[0]!;
    welcome[16] = ClusterKind.welcome;
    socket.write(welcome);
    const timer = setInterval(() => {
      mouth.encoder.beat();
      socket.write(mouth.parts.at(-1)!);
    }, 50);
    socket.on('close', () => clearInterval(timer));
    t.after(() => clearInterval(timer));
  });
}

test('a side that speaks and does not read is found, although the kernel takes what is sent', async (t) => {
  const end = new End(dial(t, await deaf(t)), Role.gateway, Role.scheduler, { limits: HASTY });
  await end.opened;
  assert.equal(await end.closed, 'unread');
});

test('for a side that does not read no more is kept than the backlog may be', async (t) => {
  const limits = { silenceMs: 60_000, beatMs: 100, backlogBytesMax: 256 * 1024 };
  const end = new End(dial(t, await deaf(t)), Role.gateway, Role.scheduler, { limits });
  await end.opened;
  const frame = request(1);
  let backlogMax = 0;
  let sentBytes = 0;
  while (end.closings.length === 0) {
    for (let i = 0; i < 10_000; i++) end.link.send(frame);
    sentBytes += 160_000;
    backlogMax = Math.max(backlogMax, end.link.backlogBytes);
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(sentBytes < 2 ** 30, 'it takes everything');
  }
  assert.equal(await end.closed, 'backlog');
  assert.ok(backlogMax <= 256 * 1024 + 2 * 65_536, `${backlogMax} bytes waited`);
});

test('a side that reads slowly gets all of it', async (t) => {
  const { dialler, dialled, socket } = await connected(t, GATEWAY_SCHEDULER);
  await Promise.all([dialler.opened, dialled.opened]);
  const count = 400_000;
  const done = Promise.withResolvers<void>();
  dialled.onFrame = () => void (dialled.frames.length === count && done.resolve());
  // Reads for a moment, then not.
  let isPaused = false;
  const timer = setInterval(() => {
    isPaused = !isPaused;
    if (isPaused) socket.pause();
    else socket.resume();
  }, 5);
  t.after(() => clearInterval(timer));
  for (let i = 0; i < count; i++) dialler.link.send(request(i));
  await done.promise;
  assert.ok(dialled.frames.every(({ values }, index) => values['request'] === index));
});

test('a side that says it received more than was sent is closed', async (t) => {
  const ends: End[] = [];
  const port = await serve(t, (socket) => ends.push(new End(socket, Role.scheduler, null)));
  const socket = dial(t, port);
  socket.resume();
  const mouth = new Mouth().hello(Role.gateway).flush();
  mouth.encoder.receivedBytes = 1_000_000;
  socket.write(mouth.say(request(1)).bytes);
  await once(socket, 'end');
  assert.equal(await ends[0]!.closed, 'malformed');
  assert.deepEqual(ends[0]!.frames, []);
});

test('a process that is stopped is silent, one that is killed is lost', async (t) => {
  const file = fileURLToPath(new URL('fixtures/peer.ts', import.meta.url));
  const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const port = Number((await lines.next()).value);
  const stopped = new End(dial(t, port), Role.gateway, Role.scheduler, { limits: HASTY });
  await stopped.opened;
  const killed = new End(dial(t, port), Role.gateway, Role.scheduler);
  await killed.opened;
  child.kill('SIGSTOP');
  assert.match(await stopped.closed, /^(silent|unread)$/);
  child.kill('SIGKILL');
  assert.equal(await killed.closed, 'lost by peer');
});
