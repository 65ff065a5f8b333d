/** The reader of what hostile instances send: chunks cut anywhere give the same frames, and garbage ends in one breach. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FRAME_HEADER_BYTES, FrameKind } from '../../../src/wire/instance-frame.ts';
import { FrameReader } from '../../../src/worker/agent/frame-reader.ts';

const LIMITS = { responseBytesMax: 300, logBytesMax: 100 };

interface Seen {
  frames: { kind: number; last: boolean; sequence: number; body: string }[];
  breaches: string[];
}

function read(chunks: readonly Buffer[]): Seen {
  const seen: Seen = { frames: [], breaches: [] };
  const reader = new FrameReader(
    {
      frame: (kind, last, sequence, body) => seen.frames.push({ kind, last, sequence, body: body.toString('hex') }),
      breach: (message) => seen.breaches.push(message),
    },
    LIMITS,
  );
  for (const chunk of chunks) reader.push(chunk);
  return seen;
}

function encode(frame: { kind: number; last: boolean; sequence: number; body: Uint8Array }): Buffer {
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES + frame.body.length);
  bytes.writeUInt32LE(frame.body.length, 0);
  bytes[4] = frame.kind;
  bytes[5] = frame.last ? 1 : 0;
  bytes.writeUInt32LE(frame.sequence, 8);
  bytes.set(frame.body, FRAME_HEADER_BYTES);
  return bytes;
}

function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  const chunks: Buffer[] = [];
  let from = 0;
  for (const end of [...ends, bytes.length]) {
    chunks.push(bytes.subarray(from, end));
    from = end;
  }
  return chunks;
}

const frame = fc.record({
  kind: fc.constantFrom(FrameKind.response, FrameKind.error, FrameKind.log, FrameKind.badPayload, FrameKind.initError),
  last: fc.boolean(),
  sequence: fc.integer({ min: 0, max: 0xffff_ffff }),
  body: fc.uint8Array({ maxLength: 100, size: 'max' }),
});

test('frames cut into chunks anywhere are read as they were sent', () => {
  fc.assert(
    fc.property(
      fc.array(frame, { maxLength: 8 }),
      fc.array(fc.nat(2000), { maxLength: 30, size: 'max' }),
      (frames, places) => {
        const seen = read(cut(Buffer.concat(frames.map(encode)), places));
        assert.deepEqual(seen.breaches, []);
        assert.deepEqual(
          seen.frames,
          frames.map((each) => ({ ...each, body: Buffer.from(each.body).toString('hex') })),
        );
      },
    ),
    { numRuns: 1000 },
  );
});

test('garbage is at most one breach, and nothing is read after it', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400, size: 'max' }), fc.array(fc.nat(400)), (garbage, places) => {
      const whole = read([Buffer.from(garbage)]);
      const chunked = read(cut(Buffer.from(garbage), places));
      assert.deepEqual(chunked, whole);
      assert.ok(whole.breaches.length <= 1);
    }),
    { numRuns: 2000 },
  );
});

test('stopped by what a frame says, the reader hands on no other of the same chunk, nor of the next', () => {
  const one = encode({ kind: FrameKind.log, last: false, sequence: 0, body: new Uint8Array(3) });
  const many = Buffer.concat([one, one, one, one.subarray(0, 7)]);
  let frameCount = 0;
  const reader = new FrameReader(
    {
      frame: () => {
        frameCount++;
        reader.stop();
      },
      breach: (message) => assert.fail(message),
    },
    LIMITS,
  );
  reader.push(many);
  reader.push(Buffer.concat([one.subarray(7), one, Buffer.alloc(64, 7)]));
  assert.equal(frameCount, 1);
});

test('a frame larger than its kind may be is refused by its header alone', () => {
  const header = encode({ kind: FrameKind.log, last: false, sequence: 0, body: new Uint8Array() });
  header.writeUInt32LE(101, 0);
  const seen = read([header]);
  assert.match(seen.breaches[0]!, /kind 20 with 101 bytes, at most 100/);
  const valid = encode({ kind: FrameKind.log, last: false, sequence: 0, body: new Uint8Array(1) });
  assert.deepEqual(read([header, valid]).frames, []);
});
