/** Each bug that can be planted is found, from the first seed on but for one, within steps that take less than a minute; and made smaller to what shows it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changeOf, textOf } from '../../../src/sim/fuzz/change.ts';
import { fuzzPlanted } from '../../../src/sim/fuzz/planted.ts';
import { plant, PLANTS, type Planted } from '../../../src/sim/fuzz/plants.ts';

const SEED = 1;
/** Who stands aside is woken now and then, so it shows only in clusters that come to rest: from the first seed on after 891,105 steps. */
const SEEDS: Readonly<Record<string, number>> = { 'late-refusal': 7 };
const STEPS = 300_000;
const SHRINK_STEPS = 50_000;

function plantedOf(name: string): Planted {
  const planted = plant(PLANTS.find((each) => each.name === name)!);
  if (typeof planted === 'string') assert.fail(planted);
  return planted;
}

for (const { name, what } of PLANTS) {
  test(`found: ${name}, ${what}`, async (t) => {
    const setting = { seed: SEEDS[name] ?? SEED, stepMax: STEPS, shrinkStepMax: 0 };
    const { found, stepCount, caseCount } = await fuzzPlanted({ planted: plantedOf(name), setting });
    t.diagnostic(`${caseCount} clusters, ${stepCount} steps: ${found?.played.failure?.what ?? 'nothing'}`);
    assert.ok(found !== null, 'it is not found');
  });
}

test('a failure is made smaller, and repeated by what it says', async () => {
  const planted = plantedOf('kept-lease');
  const run = (seed: number, more: object) =>
    fuzzPlanted({ planted, setting: { seed, stepMax: STEPS, shrinkStepMax: 0, ...more } });
  const { found } = await run(SEED, { shrinkStepMax: SHRINK_STEPS });
  assert.ok(found !== null && found.shrunk !== null);
  const { change, failure } = found.shrunk;
  const repeated = await run(found.seed, { change: changeOf(textOf(change))! });
  assert.deepEqual(repeated.found!.played.failure, failure);
  assert.equal(failure.phase, found.played.failure!.phase);
});

test('a plant whose line is not there any more is refused', () => {
  const moved = plant({ ...PLANTS[0]!, from: 'no such line' });
  assert.equal(typeof moved, 'string');
  const gone = plant({ ...PLANTS[0]!, file: 'scheduler/machine/no-such-file.ts' });
  assert.equal(typeof gone, 'string');
});
