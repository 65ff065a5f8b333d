/** The judge of leases under whatever schedulers, gateways and lines may do: test/worker/node/model.ts says what has to hold. */
import fc from 'fast-check';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Model } from './model.ts';

const events = fc.array(fc.tuple(fc.nat(52), fc.nat(9), fc.nat(99)), { maxLength: 300, size: 'max' });

function apply(model: Model, [kind, a, b]: readonly [number, number, number]): void {
  if (kind <= 5) model.grant(a, b, a + b, kind <= 3 ? 1 : kind - 2);
  else if (kind <= 7) model.setVersion(a, b);
  else if (kind <= 13) model.assign(a, b, a > 0);
  else if (kind <= 17) model.end(a % 5, b % 2 === 0);
  else if (kind <= 21) model.hear();
  else if (kind <= 23) model.tell();
  else if (kind === 24) model.join(a);
  else if (kind === 25) model.leave();
  else if (kind === 26) model.succeed(b % 2 === 0 ? 0 : 32, [0, 5, 0x0ffffffe, 0x0ffff000, 1000][a % 5]!);
  else if (kind === 27) model.gatewayJoins();
  else if (kind === 28) model.gatewayLeaves(b);
  else if (kind === 29) model.evict(b);
  else if (kind <= 31) model.probe(a);
  else if (kind === 32) model.drop(b);
  else if (kind === 33) model.provision(a, b % 3);
  else if (kind === 34) model.describe(b);
  else if (kind === 35) model.tick();
  else if (kind === 36) model.isFull = !model.isFull;
  else if (kind === 37) model.forgets(a);
  else if (kind === 38) model.claimBeyond(a, b);
  else if (kind <= 40) model.setOpen(a, b % 3 > 0);
  else if (kind <= 43) model.expect(a, b, b % 7);
  else if (kind <= 46) model.follow(a, b, a + b, b % 4 > 0);
  else if (kind === 47) model.letGo(a, b);
  else if (kind === 48) model.unwant();
  // All that is on its way arrives.
  else model.settle();
}

for (const versionCountMax of [4, 16]) {
  test(`whoever leads, and whatever is lost, late or said twice, no core has two leases: ${versionCountMax} numbers`, () => {
    fc.assert(
      fc.property(events, (steps) => {
        const model = new Model(versionCountMax);
        model.gatewayJoins();
        model.join(0);
        for (const step of steps) {
          apply(model, step);
          model.check();
        }
        model.finish();
      }),
      { numRuns: Number(process.env['PERCH_PROPERTY_RUNS'] ?? 400) },
    );
  });
}

test('a drained worker takes what is on its way, and nothing once it stops', () => {
  const model = new Model(4);
  model.gatewayJoins();
  model.join(0);
  model.settle();
  for (let local = 0; local < 3; local++) model.grant(0, local, local);
  assert.ok(model.assign(0, 2, true));
  model.node.withdraw();
  assert.ok(model.assign(0, 1, true));
  model.join(0);
  model.node.stop();
  assert.equal(model.assign(0, 0, true), false);
  model.end(0, true);
  model.check();
});
