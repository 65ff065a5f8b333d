/** The bytes of every frame, as docs/WIRE.md draws them. Whoever has to change one here changes WIRE_VERSION too. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { CloseReason, ClusterKind, FRAME_BYTES, Role, WIRE_VERSION } from '../../src/wire/cluster-frame.ts';
import { CloseFrame, HelloFrame } from '../../src/wire/cluster/large-frames.ts';
import { Mouth, SPECS } from './frames.ts';

const KEY = '000102030405060708090a0b0c0d0e0f';
const FUNCTION_KEY = 'f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff';
const LEASE = { core: 0x00010203, epoch: 0x6a5b4c3d, sequence: 0x0a0b0c0d };
/** Of the lead, the third of its word from 0, and of two others. */
const MASK = 0x80000028 | 0;
const ID = '01234567-89ab-cdef-0123-456789abcdef';
const hex = (text: string): string => Buffer.from(text, 'latin1').toString('hex');
const zeros = (count: number): string => '00'.repeat(count);

/** Values, and the bytes they come to; spaces between fields. */
const GOLDEN: Readonly<Record<string, readonly [object, string]>> = {
  request: [{ again: 1, version: 0x0203, request: 0x04050607, waitedMs: 258 }, '10 01 0302 07060504 02010000 00000000'],
  cancel: [{ request: 0x04050607 }, '11 00 0000 07060504 00000000 00000000'],
  unstarted: [{ why: 4, version: 0x0203, request: 7, core: 33, sequence: -2 }, '12 04 0302 07000000 21000000 feffffff'],
  nameVersion: [
    { handle: 0x0102, coreCount: 2, dedicated: 1, memoryMb: 512, key: KEY, functionKey: FUNCTION_KEY },
    `13 02 0201 00020000 01000000 ${zeros(4)} ${KEY} ${FUNCTION_KEY}`,
  ],
  dropVersion: [{ version: 0x0102, epoch: LEASE.epoch, key: KEY }, `14 00 0201 3d4c5b6a ${zeros(8)} ${KEY}`],
  concurrency: [{ max: -1, functionKey: FUNCTION_KEY }, `15 00 0000 ffffffff ${zeros(8)} ${FUNCTION_KEY}`],
  provision: [{ version: 0x0102, first: 3 }, '16 00 0201 03000000 00000000 00000000'],
  grant: [
    { warm: 1, shard: 2, request: 0x04050607, core: LEASE.core, sequence: LEASE.sequence },
    '20 03 0200 07060504 03020100 0d0c0b0a',
  ],
  grantCores: [
    { warm: 1, shard: 2, request: 0x04050607, core: LEASE.core, sequence: LEASE.sequence, mask: MASK },
    `27 03 0200 07060504 03020100 0d0c0b0a 28000080 ${zeros(12)}`,
  ],
  refused: [{ why: 2, request: 7 }, '21 02 0000 07000000 00000000 00000000'],
  cancelled: [{ request: 7 }, '22 00 0000 07000000 00000000 00000000'],
  version: [{ version: 0x0102, first: -1 }, '23 00 0201 ffffffff 00000000 00000000'],
  worker: [
    { port: 9001, firstCore: 64, coreCount: 40, extraSeatCount: 80, life: 0x01020304, name: 'w-1', host: '10.0.0.7' },
    `24 00 2923 40000000 2800 5000 04030201 ${hex('w-1')}${zeros(61)} ${hex('10.0.0.7')}${zeros(120)}`,
  ],
  gone: [{ first: 64, second: 40 }, '25 00 0000 40000000 28000000 00000000'],
  probe: [LEASE, '26 00 0000 03020100 3d4c5b6a 0d0c0b0a'],
  release: [{ warm: 1, ...LEASE }, '30 01 0000 03020100 3d4c5b6a 0d0c0b0a'],
  noMemory: [LEASE, '31 00 0000 03020100 3d4c5b6a 0d0c0b0a'],
  memoryAvailable: [{}, '32 00 0000 00000000 00000000 00000000'],
  warmed: [{ version: 0x0102 }, '33 00 0201 00000000 00000000 00000000'],
  evicted: [{ version: 0x0102 }, '34 00 0201 00000000 00000000 00000000'],
  announce: [{ flag: 1, first: 64, second: -2, third: 1 }, '35 01 0000 40000000 feffffff 01000000'],
  held: [{ handle: 0x0102, ...LEASE }, '36 00 0201 03020100 3d4c5b6a 0d0c0b0a'],
  heldCores: [{ handle: 0x0102, ...LEASE, mask: MASK }, `39 00 0201 03020100 3d4c5b6a 0d0c0b0a 28000080 ${zeros(12)}`],
  fenced: [LEASE, '37 00 0000 03020100 3d4c5b6a 0d0c0b0a'],
  provisioned: [{ flag: 1, version: 0x0102, first: 3, second: 2, third: 1 }, '38 01 0201 03000000 02000000 01000000'],
  assign: [
    {
      tail: true,
      next: 0x0304,
      follows: true,
      sleepsOn: 6,
      usedUs: 2,
      version: 0x0102,
      ...LEASE,
      request: 7,
      queuedUs: 1,
      timeoutMs: 3000,
      shard: -1,
      requestId: ID,
      clientContext: '{}',
      traceId: 't',
      invokedArn: 'arn',
      payload: Buffer.from('"hi"'),
    },
    `40 37 0201 6a000000 03020100 0d0c0b0a 3d4c5b6a 07000000 000000000000f03f b80b0000 ffffffff 0200 0100 0300 0403
     ${hex(ID)} ${zeros(4)} 0000000000000040 ${hex('{}')} ${hex('t')} ${hex('arn')} ${hex('"hi"')} ${zeros(6)}`,
  ],
  result: [
    {
      result: 2,
      start: 1,
      ...LEASE,
      request: 7,
      queuedUs: 1,
      startUs: 2,
      initUs: 3,
      runUs: 4,
      memoryPeakMb: 0.5,
      billedMs: 9,
      shard: 0,
      kept: 1,
      tail: 'END',
      payload: Buffer.from('null'),
    },
    `41 02 01 00 57000000 03020100 0d0c0b0a 3d4c5b6a 07000000 000000000000f03f 0000000000000040 0000000000000840
     0000000000001040 000000000000e03f 09000000 00000000 0300 0000 01000000 ${hex('END')} ${hex('null')} ${zeros(9)}`,
  ],
  setVersion: [
    { version: 0x0102, epoch: LEASE.epoch, key: KEY, payload: Buffer.from('{}') },
    `42 00 0201 22000000 3d4c5b6a 00000000 ${KEY} ${hex('{}')} ${zeros(14)}`,
  ],
  knowledge: [{ payload: Buffer.from('{}') }, `44 00 0000 12000000 ${zeros(8)} ${hex('{}')} ${zeros(14)}`],
  letGo: [LEASE, '43 00 0000 03020100 3d4c5b6a 0d0c0b0a'],
};

const plain = (text: string): string => text.replaceAll(/\s/g, '');

test('the version is the one that these bytes are of', () => {
  assert.equal(WIRE_VERSION, 2);
});

for (const [kind, { create }] of Object.entries(SPECS)) {
  test(`${kind}: its bytes`, () => {
    const [values, expected] = GOLDEN[kind]!;
    const bytes = new Mouth().say(Object.assign(create(), values)).bytes;
    const length = plain(expected).length / 2;
    assert.equal(length % 16, 0);
    const head = Buffer.from([ClusterKind.batch, 0, 0, 0, length, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).toString('hex');
    assert.equal(bytes.toString('hex'), head + plain(expected));
  });
}

test('ASSIGN of several cores: its bytes', () => {
  const assign = Object.assign(SPECS['assign']!.create(), { ...LEASE, mask: MASK, requestId: ID });
  const head = `01 00 0000 60000000 00000000 00000000`;
  const expected = `${head} 40 00 0000 60000000 03020100 0d0c0b0a 3d4c5b6a ${zeros(16)} ffffffff ${zeros(8)}
    ${hex(ID)} 28000080 ${zeros(8)}`;
  assert.equal(new Mouth().say(assign).bytes.toString('hex'), plain(expected));
});

test('HELLO, WELCOME and CLOSE: their bytes', () => {
  const hello = Object.assign(new HelloFrame(ClusterKind.hello), {
    role: Role.worker,
    epoch: LEASE.epoch,
    life: 0x01020304,
    firstCore: -1,
    coreCount: 40,
    extraSeatCount: 80,
    memoryMb: 65_536,
    port: 9001,
    floor: -2,
    name: 'w-1',
    host: '10.0.0.7',
  });
  const close = Object.assign(new CloseFrame(), { reason: CloseReason.outOfRole, about: ClusterKind.grant });
  const mouth = new Mouth();
  mouth.encoder.put(hello, FRAME_BYTES[hello.kind]);
  hello.kind = ClusterKind.welcome;
  mouth.encoder.put(hello, FRAME_BYTES[hello.kind]);
  const rest = `03 0200 50524348 3d4c5b6a 04030201 ffffffff 28000000 00000100 29230000
    feffffff 5000 ${zeros(10)} ${hex('w-1')}${zeros(61)} ${hex('10.0.0.7')}${zeros(120)}`;
  const expected = `01 00 0000 f0010000 00000000 00000000 02 ${rest} 03 ${rest} 04 04 2000 ${zeros(12)}`;
  assert.equal(mouth.say(close).bytes.toString('hex'), plain(expected));
});

test('HELLO of version 1 has no extra seats: its bytes', () => {
  const hello = Object.assign(new HelloFrame(ClusterKind.hello), { version: 1, role: Role.worker, name: 'w' });
  hello.extraSeatCount = 80;
  const mouth = new Mouth();
  mouth.encoder.put(hello, FRAME_BYTES[hello.kind]);
  const bytes = mouth.say(new CloseFrame()).bytes.toString('hex');
  assert.equal(bytes.slice(32, 48), '0203010050524348');
  assert.equal(bytes.slice(32 + 64, 32 + 96), zeros(16));
});

test('docs/WIRE.md names every kind with its number and size, and every reason with its code', () => {
  const page = readFileSync(new URL('../../docs/WIRE.md', import.meta.url), 'utf8');
  const spelled = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
  for (const [name, kind] of Object.entries(ClusterKind)) {
    const size = FRAME_BYTES[kind]!;
    const row = `| ${spelled(name)} | ${kind} | ${size > 0 ? size : `${-size} …`} |`;
    assert.ok(page.includes(row), `no row ${row}`);
  }
  for (const [name, code] of Object.entries(CloseReason)) {
    assert.ok(page.includes(`| ${code} | \`${name}\` |`), `no row for reason ${code}, ${name}`);
  }
});
