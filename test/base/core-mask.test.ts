/** The arithmetic of masks, against lists of bits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  coreCountOf,
  coresOf,
  isLedBy,
  isSeveral,
  lowestCore,
  normalMask,
  withoutLowest,
} from '../../src/base/core-mask.ts';

const RUNS = Number(process.env['PERCH_PROPERTY_RUNS'] ?? 2000);
/** Few bits or many; signed, as masks are kept, or not, as they may come. */
const masks = fc.oneof(
  fc.integer(),
  fc.integer({ min: 0, max: 0xffffffff }),
  fc
    .uniqueArray(fc.nat(31), { maxLength: 4, size: 'max' })
    .map((bits) => bits.reduce((all, bit) => all | (1 << bit), 0)),
);

function bitsOf(mask: number): number[] {
  return Array.from({ length: 32 }, (_, bit) => bit).filter((bit) => ((mask >>> bit) & 1) === 1);
}

test('what masks say is what their bits say', () => {
  fc.assert(
    fc.property(masks, fc.nat(0x3fffffe), fc.nat(31), (mask, word, bit) => {
      const bits = bitsOf(mask);
      const core = word * 32 + bit;
      assert.deepEqual(bitsOf(withoutLowest(mask)), bits.slice(1));
      assert.equal(normalMask(mask), bits.length < 2 ? 0 : mask | 0);
      assert.equal(coreCountOf(mask), Math.max(1, bits.length));
      assert.equal(isLedBy(core, mask), bits.length === 0 || bits[0] === bit);
      assert.equal(isSeveral(core, mask), bits.length >= 2 && bits[0] === bit);
      const lead = word * 32 + (bits[0] ?? bit);
      assert.deepEqual(coresOf(lead, mask), bits.length === 0 ? [lead] : bits.map((each) => word * 32 + each));
      if (bits.length > 0) assert.equal(lowestCore(core, mask), word * 32 + bits[0]!);
    }),
    { numRuns: RUNS },
  );
});
