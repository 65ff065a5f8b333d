import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FREE } from '../../src/sim/costs.ts';
import { POLICIES } from '../../src/sim/policies/index.ts';
import { simulate } from '../../src/sim/simulate.ts';
import { setupOf, type SimulationSpec } from '../../src/sim/spec.ts';

const SPEC: SimulationSpec = {
  policy: 'perch',
  workload: 'exponential:mean=1',
  servers: 4,
  cores: 4,
  memoryMb: 65_536,
  load: 0.8,
  costs: { ...FREE, networkUs: 20, startUs: 10, endUs: 5, decisionUs: 1, gatewayUs: 30 },
  seed: 7,
  seconds: 0.5,
  warmUpSeconds: 0.1,
};

for (const { name } of POLICIES) {
  test(`${name}: one seed, the same bytes; another, others`, () => {
    const spec = { ...SPEC, policy: name };
    const first = simulate(setupOf(spec));
    assert.deepEqual(simulate(setupOf(spec)), first);
    assert.notEqual(simulate(setupOf({ ...spec, seed: 8 })).traceHash, first.traceHash);
  });

  test(`${name}: whoever arrives ends once, and nobody faster than alone`, () => {
    const result = simulate(setupOf({ ...SPEC, policy: name }));
    assert.ok(result.arrived > 5000, `${result.arrived} arrived`);
    assert.equal(result.slowdown.count + result.refused + result.lost + result.unfinished, result.arrived);
    assert.equal(result.unfinished, 0);
    assert.ok(result.slowdown.p50 >= 1);
    assert.ok(Math.abs(result.utilisation - 0.8) < 0.08, `${result.utilisation} of the cores at work`);
  });
}
