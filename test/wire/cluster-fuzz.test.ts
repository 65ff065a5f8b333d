/**
 * Whatever bytes come, the decoder throws nothing, ends at most once and with a reason, and says the same however they are cut.
 * `npm run soak wire` does the same for longer.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CloseReason, ClusterKind, FRAME_BYTES, reasonName, Role } from '../../src/wire/cluster-frame.ts';
import { AssignFrame } from '../../src/wire/cluster/body-frames.ts';
import { FrameDecoder } from '../../src/wire/cluster/decoder.ts';
import { BatchBuffers, FrameEncoder } from '../../src/wire/cluster/encoder.ts';
import { LeaseFrame, RequestFrame } from '../../src/wire/cluster/small-frames.ts';
import { build, cut, Ear, Mouth, PAIRS, plainFrame, type Seen, shown, specsOf } from './frames.ts';

const RUNS = Number(process.env['PERCH_PROPERTY_RUNS'] ?? 500);
const FAULTS = new Set(
  Object.values(CloseReason)
    .filter((code) => code < 32)
    .map((code) => reasonName(code)),
);

const pairs = fc.constantFrom(...PAIRS);
const places = fc.array(fc.nat(5000), { maxLength: 30, size: 'max' });
const bytes = (max: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ maxLength: max, size: 'max' }).map((all) => Buffer.from(all));

/** What was heard; and that it ended as it may. */
function hear(pair: (typeof PAIRS)[number], chunks: readonly Buffer[]): Seen & { shown: readonly string[] } {
  const ear = new Ear(pair);
  const seen = ear.hear(chunks);
  ear.decoder.end();
  assert.ok(seen.ends.length <= 1);
  for (const end of seen.ends) assert.ok(FAULTS.has(end) || end.startsWith('closed: '), end);
  return { ...seen, shown: shown(seen.frames) };
}

/** A valid connection: HELLO, then frames in batches of a few. */
const stream = pairs.chain((pair) =>
  fc
    .array(
      plainFrame(pair).filter(
        ({ values }) => !(values['payload'] instanceof Buffer) || values['payload'].length < 1000,
      ),
      { minLength: 1, maxLength: 12, size: 'max' },
    )
    .map((frames) => {
      const mouth = new Mouth().hello(pair[0]);
      for (const [index, frame] of frames.entries()) {
        mouth.say(build(frame));
        if (index % 3 === 2) mouth.flush();
      }
      return { pair, frames: shown(frames), bytes: mouth.bytes };
    }),
);

test('random bytes, alone and after a valid beginning', () => {
  fc.assert(
    fc.property(pairs, bytes(2000), fc.boolean(), places, (pair, garbage, greeted, where) => {
      const all = greeted ? Buffer.concat([new Mouth().hello(pair[0]).bytes, garbage]) : garbage;
      const whole = hear(pair, [all]);
      assert.deepEqual(hear(pair, cut(all, where)), whole);
      if (!greeted) assert.deepEqual(whole.frames, []);
    }),
    { numRuns: RUNS },
  );
});

test('random frames of known kinds inside a valid batch', () => {
  const kinds = fc.constantFrom(...Object.values(ClusterKind));
  const frame = fc.tuple(
    kinds,
    fc.array(fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.nat(255)), { maxLength: 300, size: 'max' }),
  );
  fc.assert(
    fc.property(pairs, fc.array(frame, { maxLength: 12, size: 'max' }), places, (pair, frames, where) => {
      const parts = frames.map(([kind, tail]) => {
        const size = FRAME_BYTES[kind]!;
        const part = Buffer.alloc(size > 0 ? size : 320);
        part.set(tail.slice(0, part.length - 1), 1);
        part[0] = kind;
        if (size <= 0) part.writeUInt32LE(305 + ((tail[0] ?? 0) % 16), 4);
        return part;
      });
      const body = Buffer.concat(parts);
      const head = Buffer.alloc(16);
      head[0] = ClusterKind.batch;
      head.writeUInt32LE(body.length, 4);
      head[8] = 1;
      const all = Buffer.concat([new Mouth().hello(pair[0]).bytes, head, body]);
      assert.deepEqual(hear(pair, cut(all, where)), hear(pair, [all]));
    }),
    { numRuns: RUNS },
  );
});

test('a valid stream with a few bytes changed: what came before them is heard, and the cuts make no difference', () => {
  const changes = fc.array(fc.tuple(fc.nat(100_000), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(stream, changes, places, ({ pair, frames, bytes: valid }, where, cuts) => {
      const bad = Buffer.from(valid);
      for (const [place, change] of where) bad[place % bad.length]! ^= change;
      const firstChange = bad.findIndex((byte, at) => byte !== valid[at]);
      const whole = hear(pair, [bad]);
      assert.deepEqual(hear(pair, cut(bad, cuts)), whole);
      if (firstChange < 0) return;
      const before = hear(pair, [valid.subarray(0, firstChange)]).shown;
      assert.deepEqual(whole.shown.slice(0, before.length), before);
      assert.deepEqual(before, frames.slice(0, before.length));
    }),
    { numRuns: RUNS },
  );
});

test('a valid stream that ends at every one of its bytes is whole or truncated, and nothing of it is heard that is not there', () => {
  fc.assert(
    fc.property(stream, ({ pair, frames, bytes: valid }) => {
      const step = Math.max(1, Math.floor(valid.length / 2000));
      for (let length = 0; length < valid.length; length += step) {
        const seen = hear(pair, [valid.subarray(0, length)]);
        assert.ok(seen.ends.length === 0 || seen.ends[0] === 'truncated');
        assert.deepEqual(seen.shown, frames.slice(0, seen.shown.length));
        assert.ok(seen.shown.length < frames.length);
      }
    }),
    { numRuns: Math.ceil(RUNS / 10) },
  );
});

test('a batch that comes twice, or out of its order, is a replay', () => {
  const mouth = new Mouth().hello(Role.gateway).flush();
  for (let request = 0; request < 3; request++) {
    mouth.say(Object.assign(new RequestFrame(ClusterKind.cancel), { request })).flush();
  }
  const [hello, one, two, three] = mouth.parts;
  for (const order of [
    [hello!, one!, one!, two!],
    [hello!, one!, three!],
    [hello!, two!],
    [hello!, one!, hello!],
  ]) {
    const seen = hear([Role.gateway, Role.scheduler], order);
    assert.deepEqual(seen.ends, ['replayed']);
    assert.ok(seen.frames.length <= 1);
  }
  const twice = new Mouth().hello(Role.gateway).hello(Role.gateway).bytes;
  assert.deepEqual(hear([Role.gateway, Role.scheduler], [twice]).ends, ['replayed']);
});

test('each role is refused the frames of every other', () => {
  for (const pair of PAIRS) {
    for (const other of PAIRS) {
      for (const [kind, spec] of specsOf(other)) {
        if (specsOf(pair).some(([own]) => own === kind)) continue;
        const seen = hear(pair, [new Mouth().hello(pair[0]).say(spec.create()).bytes]);
        assert.deepEqual([seen.ends, seen.frames], [['outOfRole'], []], `${kind} from ${pair.join(' to ')}`);
      }
    }
  }
});

test('the first frame is HELLO, of this protocol and this version', () => {
  const release = new Mouth().say(new LeaseFrame(ClusterKind.release)).bytes;
  assert.deepEqual(hear([Role.worker, Role.scheduler], [release]).ends, ['beforeHello']);
  const bytesOf = (at: number, value: number): Buffer => {
    const hello = new Mouth().hello(Role.worker).bytes;
    hello[at] = value;
    return hello;
  };
  assert.deepEqual(hear([Role.worker, Role.scheduler], [bytesOf(18, 3)]).ends, ['version']);
  assert.deepEqual(hear([Role.worker, Role.scheduler], [bytesOf(18, 0)]).ends, ['version']);
  assert.deepEqual(hear([Role.worker, Role.scheduler], [bytesOf(18, 1)]).hellos[0]?.['version'], 1);
  assert.deepEqual(hear([Role.worker, Role.scheduler], [bytesOf(20, 0)]).ends, ['malformed']);
  assert.deepEqual(hear([Role.worker, Role.scheduler], [bytesOf(17, 9)]).ends, ['malformed']);
  assert.deepEqual(hear([Role.worker, Role.scheduler], [bytesOf(16, 3)]).ends, ['outOfRole']);
  for (const stranger of [
    'GET / HTTP/1.1\r\nHost: perch\r\n\r\n',
    'SSH-2.0-OpenSSH_9.2\r\n',
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abcdef',
  ]) {
    const { ends } = hear([Role.worker, Role.scheduler], [Buffer.from(stranger, 'latin1')]);
    assert.match(ends[0]!, /^(malformed|beforeHello)$/);
  }
});

test('a mask that has not the lead as its lowest core, or no other, is no mask', () => {
  const cases = [
    ['grantCores', Role.scheduler, Role.gateway, false],
    ['heldCores', Role.worker, Role.scheduler, false],
    ['assign', Role.gateway, Role.worker, true],
  ] as const;
  for (const [kind, from, to, mayBeNone] of cases) {
    const ends = (core: number, mask: number): readonly string[] => {
      const frame = build({ kind, values: { requestId: 'x'.repeat(36), core, mask } });
      const ear = new Ear([from, to]);
      return ear.hear([new Mouth().hello(from).say(frame).bytes]).ends;
    };
    for (const [core, mask] of [
      [0, 3],
      [35, 0x18],
      [62, -(2 ** 30)],
      [64, -1],
    ] as const)
      assert.deepEqual(ends(core, mask), [], `${kind} of ${core} and ${mask}`);
    for (const [core, mask] of [
      [0, 1],
      [0, 6],
      [1, 3],
      [3, 8],
      [63, -(2 ** 31)],
      [35, 0x30],
    ] as const)
      assert.deepEqual(ends(core, mask), ['malformed'], `${kind} of ${core} and ${mask}`);
    assert.deepEqual(ends(5, 0), mayBeNone ? [] : ['malformed'], kind);
  }
});

test('a length beyond its limit is refused by the header alone; one within it takes no more than it says', () => {
  const head = (frameBytes: number, batchBytes: number): Buffer => {
    const all = Buffer.alloc(32);
    all[0] = ClusterKind.batch;
    all.writeUInt32LE(batchBytes, 4);
    all[8] = 1;
    all[16] = ClusterKind.assign;
    all.writeUInt32LE(frameBytes, 20);
    return Buffer.concat([new Mouth().hello(Role.gateway).bytes, all]);
  };
  const pair = [Role.gateway, Role.worker] as const;
  for (const [frameBytes, batchBytes, reason] of [
    [2 ** 32 - 1, 65_536, 'oversized'],
    [8 * 1024 * 1024, 8 * 1024 * 1024, 'oversized'],
    [95, 96, 'malformed'],
    [96, 80, 'malformed'],
    [112, 96, 'malformed'],
    [96, 97, 'malformed'],
    [96, 2 ** 32 - 16, 'oversized'],
  ] as const) {
    const { ends } = new Ear(pair).hear([head(frameBytes, batchBytes)]);
    assert.deepEqual(ends, [reason], `${frameBytes} in ${batchBytes}`);
  }
  // A frame that never comes whole holds one buffer of its size, however it trickles in.
  const before = process.memoryUsage().arrayBuffers;
  const ear = new Ear(pair);
  ear.hear([head(6 * 1024 * 1024, 6 * 1024 * 1024)]);
  const one = Buffer.alloc(1);
  for (let i = 0; i < 10_000; i++) ear.decoder.push(one);
  assert.ok(process.memoryUsage().arrayBuffers - before < 24 * 1024 * 1024);
  assert.deepEqual(ear.seen.ends, []);
});

test('a payload stays what it was while other frames come', () => {
  const mouth = new Mouth().hello(Role.gateway);
  for (let i = 0; i < 20; i++) {
    const frame = Object.assign(new AssignFrame(), { requestId: 'x'.repeat(36), payload: Buffer.alloc(30, i) });
    mouth.say(frame);
  }
  const kept: Buffer[] = [];
  const decoder = new FrameDecoder(ClusterKind.hello, {
    opened: () => ({
      frames: new Array(256).fill(undefined).map((_, kind) => (kind === ClusterKind.assign ? assign : undefined)),
      deliver: () => void kept.push(assign.payload),
    }),
    batch: () => {},
    closed: () => assert.fail('closed'),
    fault: ({ reason }) => assert.fail(reasonName(reason)),
  });
  const assign = new AssignFrame();
  for (const byte of mouth.bytes) decoder.push(Buffer.of(byte));
  assert.deepEqual(
    kept.map((payload) => payload.toString('hex')),
    Array.from({ length: 20 }, (_, i) => Buffer.alloc(30, i).toString('hex')),
  );
});

test('a sink that is slow gets few large writes, and is told once when there is too much', () => {
  const writes: { bytes: number; done: () => void }[] = [];
  let overflows = 0;
  const encoder = new FrameEncoder(
    {
      ready: () => {},
      write: (parts, done) => void writes.push({ bytes: parts.reduce((sum, part) => sum + part.length, 0), done }),
      overflow: () => void overflows++,
    },
    new BatchBuffers(1024, 2),
    8192,
  );
  const frame = new RequestFrame(ClusterKind.cancel);
  for (let turn = 0; turn < 10; turn++) {
    encoder.put(frame);
    encoder.flush();
  }
  assert.deepEqual(
    writes.map((write) => write.bytes),
    [32],
    'the first is on its way, the others wait for it',
  );
  writes[0]!.done();
  assert.deepEqual(
    writes.map((write) => write.bytes),
    [32, 16 + 9 * 16],
  );
  writes[1]!.done();
  assert.equal(encoder.backlogBytes, 0);
  for (let i = 0; i < 100_000; i++) encoder.put(frame);
  assert.equal(overflows, 1);
  const onWay = writes.slice(2).reduce((sum, write) => sum + write.bytes, 0);
  assert.ok(onWay > 8192 && onWay <= 8192 + 1024, `${onWay} bytes on their way`);
  for (const { done } of writes.slice(2)) done();
  encoder.flush();
  assert.equal(encoder.backlogBytes, 0);
});
