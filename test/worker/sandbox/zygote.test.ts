/** A zygote at moments that cannot be had on purpose from a real one. Its copies end as soon as they are asked for. */
import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ZYGOTE_HEADER_BYTES, ZygoteKind } from '../../../src/wire/zygote-frame.ts';
import { Seats } from '../../../src/worker/sandbox/bubblewrap/seats.ts';
import { ZygoteSandbox } from '../../../src/worker/sandbox/bubblewrap/zygote.ts';
import type { Network } from '../../../src/worker/network/index.ts';
import type { Cgroup, CgroupTree } from '../../../src/worker/sandbox/cgroup/cgroup.ts';
import type { ExitReason, Sandbox } from '../../../src/worker/sandbox/contract.ts';
import { openDescriptorPassing } from '../../../src/worker/sandbox/descriptor-passing.ts';

const COPY = { slot: 1, memoryMb: 128, once: false };
const CODE = 7;

const passing = openDescriptorPassing();
const skip = passing === undefined && 'NEEDS Linux and koffi';

const cgroup = {
  prepare: () => {},
  attachDescriptors: () => [],
  processIds: () => [],
  oomKillCount: () => 0,
  memoryPeakBytes: () => 0,
  killAll: () => {},
  release: () => Promise.resolve(),
} as unknown as Cgroup;

/** The inner side of a zygote: what it is sent, what it says, and when it is frozen. */
function makeZygote() {
  const answers = new PassThrough();
  const frames: number[] = [];
  const acts: string[] = [];
  const sandbox = {
    channel: new PassThrough(),
    answers,
    output: [],
    onExit: () => {},
    freeze: () => acts.push('freeze'),
    thaw: () => acts.push('thaw'),
  } as unknown as Sandbox;
  const zygote = new ZygoteSandbox({
    sandbox,
    control: -1,
    cgroup,
    cgroups: { slot: () => cgroup } as unknown as CgroupTree,
    passing: { pair: () => passing!.pair(), send: (_, bytes) => frames.push(bytes[4]!) },
    seats: new Seats({} as Network, -1, { count: 0, max: 1 }),
    fill: () => ({}),
  });
  const sayExited = (copy: number): void => {
    const frame = Buffer.alloc(ZYGOTE_HEADER_BYTES + 4);
    frame.writeUInt32LE(4, 0);
    frame[4] = ZygoteKind.exited;
    frame.writeUInt32LE(copy, 8);
    frame.writeUInt32LE(CODE << 8, ZYGOTE_HEADER_BYTES);
    answers.write(frame);
  };
  return { zygote, frames, acts, sayExited };
}

test('a seat that cannot be looked at is dropped, as one with traces is', () => {
  const looks: (() => boolean)[] = [];
  const seats = new Seats({ isUntouched: () => looks.shift()!() } as unknown as Network, -1, { count: 0, max: 9 });
  const closed: number[] = [];
  const give = (name: number): void => {
    const connection = { policy: 'none', address: '', close: () => void closed.push(name) } as const;
    seats.give({ descriptor: openSync('/dev/null', 'r'), connection });
  };
  for (const name of [1, 2, 3]) give(name);
  looks.push(
    () => {
      throw new Error('EMFILE');
    },
    () => false,
    () => true,
  );
  const seat = seats.take();
  assert.deepEqual(closed, [3, 2]);
  closeSync(seat!.descriptor);
  assert.equal(seats.take(), undefined);
});

test('a zygote that is asked how a copy ended is frozen when it has answered', { skip }, async () => {
  const { zygote, frames, acts, sayExited } = makeZygote();
  const copy = zygote.fork(COPY);
  const end = new Promise<ExitReason>((resolve) => copy.onExit(resolve));
  while (!frames.includes(ZygoteKind.reap)) await nextTurn();
  zygote.freeze();
  await nextTurn();
  assert.deepEqual(acts, []);
  sayExited(1);
  assert.deepEqual(await end, { kind: 'exit', code: CODE });
  assert.equal(acts.at(-1), 'freeze');
});

test('one that is frozen is thawed to be asked, and frozen again when it has answered for all', { skip }, async () => {
  const { zygote, frames, acts, sayExited } = makeZygote();
  const copies = [zygote.fork(COPY), zygote.fork({ ...COPY, slot: 2 })];
  const ends = copies.map((copy) => new Promise<ExitReason>((resolve) => copy.onExit(resolve)));
  zygote.freeze();
  while (frames.filter((kind) => kind === ZygoteKind.reap).length < 2) await nextTurn();
  assert.equal(acts.at(-1), 'thaw');
  acts.length = 0;
  // What it says of others counts for nothing.
  for (const number of [3, 1, 4]) sayExited(number);
  await ends[0];
  assert.deepEqual(acts, []);
  sayExited(2);
  for (const end of ends) assert.deepEqual(await end, { kind: 'exit', code: CODE });
  assert.equal(acts.at(-1), 'freeze');
  const before = acts.length;
  for (let number = 5; number < 500; number++) sayExited(number);
  await nextTurn();
  assert.equal(acts.length, before);
});
