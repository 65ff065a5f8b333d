/** What a gateway was granted of several cores, it hands on as it is: the first time, and where its worker refused it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GatewayMachine } from '../../../src/gateway/cluster/machine/gateway-machine.ts';
import { RefusedWhy, UnstartedWhy } from '../../../src/wire/cluster/small-frames.ts';
import { MACHINE_LIMITS } from './parts.ts';

const EPOCH = 5;

/** A machine with a scheduler and one worker of 8 cores, and a request of its one version. What it says is kept. */
function asked(): { machine: GatewayMachine; said: string[]; request: number } {
  const said: string[] = [];
  const nothing = (): void => {};
  const machine = new GatewayMachine(MACHINE_LIMITS, {
    scheduler: {
      nameVersion: nothing,
      dropVersion: nothing,
      concurrency: nothing,
      request: nothing,
      cancel: nothing,
      unstarted: (_number, why, _index, { core, sequence }) => void said.push(`unstarted ${why} ${core} ${sequence}`),
      provision: nothing,
    },
    workers: {
      dial: nothing,
      hangUp: nothing,
      setVersion: nothing,
      assign: (_worker, _number, _index, { core, sequence, mask }) =>
        void said.push(`assign ${core} ${sequence} ${mask.toString(2)}`),
    },
    events: { refused: (_number, why) => void said.push(why), lost: nothing, freed: nothing, returned: nothing },
  });
  machine.addVersion(0, 'key');
  machine.schedulerOpened(EPOCH);
  machine.workerTold({ name: 'w', life: 1, firstCore: 32, coreCount: 8 });
  machine.workerOpened(0);
  const request = machine.accept(0) as number;
  machine.begin(request);
  assert.ok(machine.named(0, 3));
  return { machine, said, request };
}

const grant = (core: number, sequence: number): { core: number; sequence: number; shard: number } => ({
  core,
  sequence,
  shard: -1,
});

test('each assignment has the mask of its own grant, also after one of a single core', () => {
  const { machine, said, request } = asked();
  const refuse = (core: number, sequence: number): boolean =>
    machine.answered(0, { request, epoch: EPOCH, core, sequence, why: UnstartedWhy.noMemory });
  assert.ok(machine.granted(request, grant(33, 1), 0b1010));
  assert.equal(refuse(33, 1), false);
  assert.ok(machine.granted(request, grant(34, 2), 0));
  assert.equal(refuse(34, 2), false);
  assert.ok(machine.granted(request, grant(32, 3), 0b11));
  assert.deepEqual(said, [
    'assign 33 1 1010',
    'unstarted 1 33 1',
    'assign 34 2 0',
    'unstarted 1 34 2',
    'assign 32 3 11',
  ]);
});

test('the scheduler may grant anew before the worker has said that it refused: the later grant has its own mask', () => {
  const { machine, said, request } = asked();
  assert.ok(machine.granted(request, grant(32, 1), 0b11));
  assert.ok(machine.granted(request, grant(34, 2), 0b1100));
  assert.deepEqual(said, ['assign 32 1 11']);
  machine.answered(0, { request, epoch: EPOCH, core: 32, sequence: 1, why: UnstartedWhy.noMemory });
  assert.deepEqual(said, ['assign 32 1 11', 'assign 34 2 1100']);
});

test('what no worker has cores for is refused', () => {
  const { machine, said, request } = asked();
  assert.ok(machine.refused(request, RefusedWhy.cores));
  assert.deepEqual(said, ['cores']);
});
