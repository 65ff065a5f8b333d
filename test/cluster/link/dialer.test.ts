/** Dialling again: real sockets, and a clock that moves when told to. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { realClock, SimulatedClock } from '../../../src/base/clock.ts';
import { Dialer, dialDelayMs } from '../../../src/cluster/link/dialer.ts';
import { DIALER_DELAYS, LINK_LIMITS } from '../../../src/cluster/link/limits.ts';
import type { FrameLink } from '../../../src/cluster/link/link.ts';
import { CloseReason, ClusterKind, reasonName, Role } from '../../../src/wire/cluster-frame.ts';
import { directionOf } from '../../wire/frames.ts';
import { End, helloOf, serve } from './ends.ts';

interface Seen {
  readonly dialer: Dialer;
  /** The next thing that happens: 'open', or a reason and the wait. */
  next(): Promise<string>;
}

function start(t: TestContext, port: number, clock: SimulatedClock): Seen {
  const events: string[] = [];
  let wake: () => void = () => {};
  const note = (text: string): void => {
    events.push(text);
    wake();
  };
  const dialer = new Dialer(
    DIALER_DELAYS,
    { clock, random: () => 0.5, connect: () => connect(port, '127.0.0.1') },
    {
      setting() {
        const hello = helloOf(ClusterKind.hello, Role.gateway);
        return { hello, dialled: Role.scheduler, limits: LINK_LIMITS, clock: realClock };
      },
      greeted: () => directionOf([Role.scheduler, Role.gateway], () => {}),
      opened: (link: FrameLink) => {
        assert.equal(dialer.link, link);
        note('open');
      },
      closed: ({ reason }, retryMs) => {
        assert.equal(dialer.link, null);
        note(`${reasonName(reason)} ${retryMs}`);
      },
    },
  );
  t.after(() => dialer.stop());
  dialer.start();
  return {
    dialer,
    async next() {
      while (events.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      return events.shift()!;
    },
  };
}

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

test('where nobody listens it waits twice as long each time, up to the longest', async (t) => {
  const clock = new SimulatedClock();
  const { next, dialer } = start(t, await closedPort(), clock);
  for (const waitMs of [75, 150, 300, 600, 1200, 2400, 3750, 3750]) {
    assert.equal(await next(), `lost ${waitMs}`);
    clock.advanceUs(waitMs * 1000);
  }
  assert.equal(await next(), 'lost 3750');
  dialer.stop();
  clock.advanceUs(60e6);
  assert.equal(dialer.link, null);
});

test('a connection that lasted begins with the shortest wait again; one that did not, does not', async (t) => {
  const clock = new SimulatedClock();
  const ends: End[] = [];
  const port = await serve(t, (socket) => ends.push(new End(socket, Role.scheduler, null)));
  const { next, dialer } = start(t, port, clock);
  for (const [lastedMs, waitMs] of [
    [0, 75],
    [1000, 150],
    [4999, 300],
    [5000, 75],
    [0, 150],
    [3600_000, 75],
  ] as const) {
    assert.equal(await next(), 'open');
    clock.advanceUs(lastedMs * 1000);
    ends.at(-1)!.link.close(CloseReason.staleEpoch);
    assert.equal(await next(), `staleEpoch ${waitMs}`);
    clock.advanceUs(waitMs * 1000);
  }
  assert.equal(await next(), 'open');
  assert.equal(ends.length, 7);
  dialer.stop();
  assert.equal(await next(), 'stopping -1');
  assert.equal(await ends.at(-1)!.closed, 'stopping by peer');
});

test('who knows no more than an older version is dialled in that one, and in the newest again after it', async (t) => {
  const clock = new SimulatedClock();
  const ends: End[] = [];
  let isOld = true;
  const port = await serve(t, (socket) => {
    // As one that knows version 1: it closes before it has looked at anything but the version.
    const isRefused = isOld && ends.length % 2 === 0;
    ends.push(new End(socket, Role.scheduler, null, isRefused ? { refuse: CloseReason.version } : {}));
  });
  const { next, dialer } = start(t, port, clock);
  const versions = async (): Promise<number[]> => {
    await ends.at(-1)!.opened;
    return ends.splice(0).map(({ peer }) => (peer as { version: number }).version);
  };
  assert.equal(await next(), 'version 75');
  clock.advanceUs(75e3);
  assert.equal(await next(), 'open');
  assert.equal(dialer.link!.version, 1);
  const [end] = ends.slice(-1);
  assert.deepEqual(await versions(), [2, 1]);
  isOld = false;
  end!.link.close(CloseReason.stopping);
  await next();
  clock.advanceUs(10e6);
  assert.equal(await next(), 'open');
  assert.deepEqual(await versions(), [2]);
  assert.equal(dialer.link!.version, 2);
});

test('the wait is between a half and the whole of what doubles', () => {
  fc.assert(
    fc.property(fc.nat(10_000), fc.double({ min: 0, max: 0.999999, noNaN: true }), (attempts, random) => {
      const ms = dialDelayMs(attempts, DIALER_DELAYS, random);
      const whole = Math.min(5000, 100 * 2 ** Math.min(attempts, 20));
      assert.ok(ms >= whole / 2 && ms < whole);
    }),
  );
});
