/** Where a gateway dials the workers of which the scheduler tells. */
import assert from 'node:assert/strict';
import { duplexPair } from 'node:stream';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import pino from 'pino';
import { SimulatedClock } from '../../../src/base/clock.ts';
import { WorkerLines } from '../../../src/gateway/cluster/worker-lines.ts';
import { LINK_LIMITS } from '../../../src/cluster/link/limits.ts';
import { FrameLink } from '../../../src/cluster/link/link.ts';
import { ClusterKind, CloseReason, Role } from '../../../src/wire/cluster-frame.ts';
import { GatewayToWorker } from '../../../src/wire/cluster/directions.ts';
import { HelloFrame, WorkerFrame } from '../../../src/wire/cluster/large-frames.ts';

const LONGEST_WAIT_US = 10_000_000;

function told(host: string, life: number): WorkerFrame {
  return Object.assign(new WorkerFrame(), { name: 'w1', host, port: 9402, life, firstCore: 0, coreCount: 1 });
}

test('a worker that has moved is dialled where it is now', async () => {
  const clock = new SimulatedClock();
  const dialled: string[] = [];
  const lines = new WorkerLines(
    { name: 'g1', life: 1 },
    {
      clock,
      random: () => 0,
      log: pino({ level: 'silent' }),
      connect: (_name, { host }) => {
        dialled.push(host);
        const [near, far] = duplexPair();
        far.destroy();
        near.destroy();
        return near;
      },
    },
    { epoch: () => 1, opened: () => {}, closed: () => {}, result: () => {} },
  );
  const again = async (): Promise<void> => {
    for (let count = 0; count < 5; count++) await turn();
    clock.advanceUs(LONGEST_WAIT_US);
  };
  lines.told(told('10.0.0.1', 7));
  lines.dial(0, 'w1');
  await again();
  lines.told(told('10.0.0.2', 7));
  await again();
  assert.equal(lines.addressOf(0), '10.0.0.2:9402');
  // Another life is another worker, whose line is made when the old one's has been taken down.
  lines.told(told('10.0.0.3', 8));
  lines.hangUp(0);
  lines.dial(1, 'w1');
  assert.deepEqual(dialled, ['10.0.0.1', '10.0.0.1', '10.0.0.2', '10.0.0.3']);
  lines.stop();
});

test('a worker that owes an answer is broken off, and dialled again', async () => {
  const clock = new SimulatedClock();
  const events: string[] = [];
  const reasons: number[] = [];
  const lines = new WorkerLines(
    { name: 'g1', life: 1 },
    {
      clock,
      random: () => 0,
      log: pino({ level: 'silent' }),
      connect: () => {
        const [near, far] = duplexPair();
        const hello = Object.assign(new HelloFrame(ClusterKind.welcome), { role: Role.worker, name: 'w1', life: 7 });
        const direction = new GatewayToWorker({
          assign: () => {},
          setVersion: () => {},
          letGo: () => {},
          knowledge: () => {},
        });
        new FrameLink(
          far,
          { hello, dialled: null, limits: LINK_LIMITS, clock },
          { greeted: () => direction, opened: () => {}, closed: ({ reason }) => void reasons.push(reason) },
        );
        return near;
      },
    },
    {
      epoch: () => 1,
      opened: (worker) => void events.push(`opened ${worker}`),
      closed: (worker, stopping) => void events.push(`closed ${worker} ${stopping}`),
      result: () => {},
    },
  );
  const turns = async (): Promise<void> => {
    for (let count = 0; count < 20; count++) await turn();
  };
  lines.told(told('10.0.0.1', 7));
  lines.dial(0, 'w1');
  await turns();
  lines.breakOff(0);
  await turns();
  assert.deepEqual(events, ['opened 0', 'closed 0 false']);
  assert.deepEqual(reasons, [CloseReason.silent]);
  clock.advanceUs(LONGEST_WAIT_US);
  await turns();
  assert.deepEqual(events.slice(2), ['opened 0']);
  lines.stop();
});
