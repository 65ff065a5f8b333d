/** What a zygote sends, however it is cut into pieces. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ZYGOTE_HEADER_BYTES, ZygoteKind } from '../../../src/wire/zygote-frame.ts';
import { ZygoteReports } from '../../../src/worker/sandbox/bubblewrap/zygote-reports.ts';

const LARGEST = 512 * 1024;

function frame(kind: number, copy: number, body: Buffer): Buffer {
  const header = Buffer.alloc(ZYGOTE_HEADER_BYTES);
  header.writeUInt32LE(body.length, 0);
  header[4] = kind;
  header.writeUInt32LE(copy, 8);
  return Buffer.concat([header, body]);
}

function read(chunks: Iterable<Buffer>): { frames: string[]; breaches: string[] } {
  const frames: string[] = [];
  const breaches: string[] = [];
  const reports = new ZygoteReports(
    ({ kind, copy, body }) => frames.push(`${kind} ${copy} ${body.length} ${body.toString('latin1').slice(0, 64)}`),
    (message) => breaches.push(message),
  );
  for (const chunk of chunks) reports.push(chunk);
  return { frames, breaches };
}

function* pieces(bytes: Buffer, sizes: readonly number[]): Generator<Buffer> {
  for (let at = 0, index = 0; at < bytes.length; index++) {
    const size = sizes[index % sizes.length]!;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

test('frames come out as they went in', () => {
  const kinds = fc.constantFrom(ZygoteKind.cell, ZygoteKind.log, ZygoteKind.exited, ZygoteKind.initError);
  const sent = fc.array(fc.tuple(kinds, fc.nat(9), fc.uint8Array({ maxLength: 64 })), { size: 'max', maxLength: 40 });
  fc.assert(
    fc.property(sent, fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1 }), (list, sizes) => {
      const bytes = Buffer.concat(list.map(([kind, copy, body]) => frame(kind, copy, Buffer.from(body))));
      const whole = read([bytes]);
      assert.equal(whole.frames.length, list.length);
      assert.deepEqual(read(pieces(bytes, sizes)), whole);
    }),
  );
});

test('a long frame that comes byte by byte is not copied at each', () => {
  const body = Buffer.alloc(LARGEST, 'x');
  const { frames } = read(pieces(frame(ZygoteKind.log, 0, body), [1]));
  assert.deepEqual(frames, [`${ZygoteKind.log} 0 ${LARGEST} ${'x'.repeat(64)}`]);
});

test('what is out of order is a breach, once, and the end', () => {
  const good = frame(ZygoteKind.log, 0, Buffer.from('hello'));
  for (const bad of [frame(1, 0, Buffer.alloc(0)), frame(ZygoteKind.log, 0, Buffer.alloc(LARGEST + 1))]) {
    const { frames, breaches } = read(pieces(Buffer.concat([good, bad, good, bad]), [7]));
    assert.deepEqual([frames.length, breaches.length], [1, 1]);
  }
});
