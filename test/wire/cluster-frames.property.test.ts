/** What is put comes out as it was, however the bytes are cut; what is read is written again as the same bytes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ClusterKind, CloseReason, FRAME_BYTES, reasonName } from '../../src/wire/cluster-frame.ts';
import { HelloFrame } from '../../src/wire/cluster/large-frames.ts';
import { Span } from '../../src/wire/cluster/span.ts';
import { build, cut, Ear, HELLO_FIELDS, Mouth, PAIRS, plainFrame, shown, SPECS } from './frames.ts';

const RUNS = Number(process.env['PERCH_PROPERTY_RUNS'] ?? 300);

const places = fc.array(fc.nat(300_000), { maxLength: 60, size: 'max' });

for (const pair of PAIRS) {
  test(`frames of ${pair.join(' to ')}: encoded, cut anywhere and decoded, they are what they were`, () => {
    const frames = fc.array(fc.tuple(plainFrame(pair), fc.boolean(), fc.boolean()), { maxLength: 40, size: 'max' });
    // Small batches, so that they are full often; but for the frames whose texts need a large one.
    const hasBodies = pair.join() === '2,3' || pair.join() === '3,2';
    const batchBytes = hasBodies ? fc.constant(65_536) : fc.constantFrom(256, 272, 1024, 65_536);
    fc.assert(
      fc.property(fc.record(HELLO_FIELDS), frames, batchBytes, places, (hello, all, size, where) => {
        const mouth = new Mouth(size).hello(pair[0], hello);
        for (const [frame, flush, isUrgent] of all) {
          mouth.say(build(frame), isUrgent);
          if (flush) mouth.flush();
        }
        const ear = new Ear(pair);
        const seen = ear.hear(cut(mouth.bytes, where));
        ear.decoder.end();
        assert.deepEqual(seen.ends, []);
        assert.deepEqual(seen.hellos, [Object.assign({}, new HelloFrame(ClusterKind.hello), { role: pair[0] }, hello)]);
        assert.deepEqual(shown(seen.frames), shown(all.map(([frame]) => frame)));
        assert.equal(ear.decoder.receivedBytes, mouth.encoder.sentBytes);
      }),
      { numRuns: RUNS },
    );
  });
}

test('a frame of one size that can be read is written as the same bytes', () => {
  const fixed = Object.entries(SPECS).filter(
    ([kind]) => FRAME_BYTES[ClusterKind[kind as keyof typeof ClusterKind]]! > 0,
  );
  const sparse = fc.array(fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(255)), {
    minLength: 256,
    maxLength: 256,
    size: 'max',
  });
  let readCount = 0;
  fc.assert(
    fc.property(fc.constantFrom(...fixed), sparse, ([name, spec], bytes) => {
      const kind = ClusterKind[name as keyof typeof ClusterKind];
      const size = FRAME_BYTES[kind]!;
      const before = Buffer.from(bytes).subarray(0, size);
      before[0] = kind;
      const frame = spec.create() as ReturnType<typeof spec.create> & { read(span: Span, at: number): boolean };
      if (!frame.read(new Span(before), 0)) return;
      readCount++;
      const after = Buffer.alloc(size, 0xff);
      frame.write(new Span(after), 0);
      assert.deepEqual(after, before);
    }),
    { numRuns: RUNS * 10 },
  );
  assert.ok(readCount > RUNS / 2, `only ${readCount} could be read`);
});

test('every reason to close arrives, and nothing after it', () => {
  for (const reason of Object.values(CloseReason)) {
    const bytes = new Mouth().hello(2).close(reason).say(SPECS['cancel']!.create()).bytes;
    const { ends, frames } = new Ear([2, 1]).hear([bytes]);
    assert.deepEqual(ends, [`closed: ${reasonName(reason)}`]);
    assert.deepEqual(frames, []);
  }
});
