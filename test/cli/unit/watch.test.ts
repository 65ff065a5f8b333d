import assert from 'node:assert/strict';
import { test } from 'node:test';
import { STILL_US, Watch } from '../../../src/cli/sim/watch.ts';
import { sharesFor } from '../../../src/sim/batch/batch.ts';
import { FREE } from '../../../src/sim/costs.ts';
import type { SimulationSpec } from '../../../src/sim/spec.ts';

const SPEC: SimulationSpec = {
  policy: 'perch',
  workload: 'exponential',
  servers: 1,
  cores: 1,
  memoryMb: 128,
  load: 0.8,
  costs: FREE,
  seed: 1,
  seconds: 1,
  warmUpSeconds: 0,
};

test('a simulation in which time stands still is told once; others, and threads that have none, are not', () => {
  const shares = sharesFor(3);
  const watch = new Watch(shares);
  const [still, moving, ended] = [1, 2, 3].map((seed) => ({ ...SPEC, seed }));
  for (const [thread, spec] of [still!, moving!, ended!].entries()) watch.running(thread, spec, 0);
  shares[0] = 0.5;
  watch.running(2, null, 1);
  assert.deepEqual(watch.look(1), []);
  for (let step = 1; step < 8; step++) {
    // Beyond 1 it waits for the last ones, and moves on all the same.
    shares[1] = step / 4;
    assert.deepEqual(watch.look((step * STILL_US) / 4), []);
    if (step === 3) break;
  }
  shares[1] = 2;
  assert.deepEqual(watch.look(1 + STILL_US), [still]);
  assert.deepEqual(watch.look(2 + STILL_US), []);
  watch.running(0, ended!, 3 + STILL_US);
  assert.deepEqual(watch.look(1 + 2 * STILL_US), [moving]);
});
