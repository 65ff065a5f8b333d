import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../src/base/prng.ts';
import { Storm } from './storm.ts';

const KILLS = Number(process.env['PERCH_STORM_KILLS'] ?? 4);

test(`the platform survives ${KILLS} kills in a storm of deploys and invokes`, async (t) => {
  const seed = Number(process.env['PERCH_STORM_SEED'] ?? Date.now() % 1_000_000);
  t.diagnostic(`PERCH_STORM_SEED=${seed}`);
  const prng = new Prng(seed);
  const report = await new Storm(() => prng.unit()).run(KILLS);
  t.diagnostic(JSON.stringify(report));
  assert.equal(report.kills, KILLS);
  assert.ok(report.acknowledged > 0 && report.invoked > 0, 'the storm did nothing');
});
