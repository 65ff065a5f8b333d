/** `perch sim paper`: verdicts follow from numbers by their rule, and the whole document from the seeds. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { CLAIMS } from '../../src/sim/paper/claims/index.ts';
import { STAND_INS } from '../../src/sim/paper/costs.ts';
import { evaluate, specsFor } from '../../src/sim/paper/evaluate.ts';
import {
  type Answer,
  isAtLeast,
  isAtMost,
  isLess,
  isNotMore,
  type Judged,
  type Place,
  verdictOf,
} from '../../src/sim/paper/verdict.ts';
import { COST_NAMES } from '../../src/sim/costs.ts';
import { setupOf } from '../../src/sim/spec.ts';
import { folderWith, perch } from '../cli/perch.ts';

function judged(mean: number, halfWidth: number | null, sound: Partial<Judged> = {}): Judged {
  return { group: 'g', at: '0.5', ratio: { mean, halfWidth, count: 5 }, isSound: true, isOtherSound: true, ...sound };
}

test('a place answers only where its whole interval is on one side', () => {
  const cases: [Judged, Answer][] = [
    [judged(0.9, 0.05), 'yes'],
    [judged(0.98, 0.05), 'open'],
    [judged(1, 0.005), 'same'],
    [judged(1.2, 0.1), 'no'],
    [judged(0.5, null), 'open'],
    [{ ...judged(1, 0), ratio: null }, 'open'],
  ];
  for (const [each, answer] of cases) assert.equal(isLess(each).answer, answer, JSON.stringify(each));
  assert.equal(isNotMore(judged(1.005, 0.001)).answer, 'yes');
  assert.equal(isAtLeast(judged(0.6, 0.05), 0.5).answer, 'yes');
  assert.equal(isAtLeast(judged(0.4, 0.05), 0.5).answer, 'no');
  assert.equal(isAtMost(judged(0, 0), Number.MIN_VALUE).answer, 'yes');
});

test('figures that do not hold say nothing in favour of those whose they are', () => {
  assert.equal(isLess(judged(0.5, 0.1, { isSound: false })).answer, 'open');
  assert.equal(isLess(judged(0.5, 0.1, { isOtherSound: false })).answer, 'yes');
  assert.equal(isLess(judged(2, 0.1, { isOtherSound: false })).answer, 'open');
  assert.equal(isLess(judged(2, 0.1, { isSound: false })).answer, 'no');
  assert.equal(isLess(judged(1, 0, { isSound: false })).answer, 'open');
});

const answers = fc.array(fc.constantFrom<Answer>('yes', 'same', 'no', 'open'), {
  minLength: 1,
  maxLength: 12,
  size: 'max',
});

function placesOf(given: readonly Answer[]): Place[] {
  return given.map((answer, i) => ({ group: i < 5 ? 'a' : 'b', at: String(i), answer }));
}

test('a verdict: holds only if all say yes, holds when if some do, and nothing is left out', () => {
  fc.assert(
    fc.property(answers, (given) => {
      const { outcome, where } = verdictOf('s', 'r', placesOf(given));
      const yes = given.filter((answer) => answer === 'yes').length;
      const against = given.some((answer) => answer === 'no' || answer === 'same');
      const expected =
        yes === given.length ? 'holds' : yes > 0 ? 'holds when' : against ? 'does not hold' : 'not decided';
      assert.equal(outcome, expected);
      assert.equal(where === '', outcome === 'holds');
      if (outcome !== 'holds') assert.equal(where.includes('not decided: '), given.includes('open'));
    }),
  );
});

test('a region is named as people do: neighbours as a range, all of a group as everywhere', () => {
  const say = (...given: Answer[]): string => verdictOf('s', 'r', placesOf(given)).where;
  assert.equal(say('yes', 'yes', 'yes', 'no', 'yes'), 'a: 0 to 2, 4 — not: a: 3');
  assert.equal(say('yes', 'yes', 'no', 'same', 'open'), 'a: 0, 1 — the same: a: 3 — not: a: 2 — not decided: a: 4');
  assert.equal(say('no', 'no', 'no', 'no', 'no', 'yes', 'yes'), 'b: everywhere — not: a: everywhere');
});

test('every claim says what it is, and asks for simulations that there are', () => {
  assert.equal(new Set(CLAIMS.map(({ name }) => name)).size, CLAIMS.length);
  for (const { name, title, source, claimed, setUp } of CLAIMS) {
    for (const text of [title, source, claimed, setUp]) assert.ok(text.length > 0, name);
    assert.match(source, /SoCC ’(19|21), (abstract|section)/, name);
  }
  for (const spec of specsFor({ claims: CLAIMS, costs: STAND_INS, isSmoke: true })) setupOf(spec);
});

test('each cost is said to be from somewhere', () => {
  for (const name of COST_NAMES) assert.ok(STAND_INS.sources[name].length > 0, name);
});

test('the same seeds give the same bytes, whatever runs beside what', async () => {
  const claims = CLAIMS.filter(({ name }) => name === 'multicore' || name === 'queues');
  const made = { version: '0', command: 'c', isWhole: false };
  const write = (threadCount: number) =>
    evaluate({ claims, costs: STAND_INS, isSmoke: true, options: { threadCount } }, made);
  const [one, two] = [await write(1), await write(2)];
  assert.deepEqual([...one.files], [...two.files]);
});

test('all of it, small: a document, and every figure that it shows', async () => {
  const folder = folderWith({});
  const { code, stderr } = await perch(['sim', 'paper', '--smoke', '--out', folder]);
  assert.equal(code, 0, stderr);
  const text = readFileSync(path.join(folder, 'EVALUATION.md'), 'utf8');
  assert.match(text, /this is not the evaluation/);
  for (const { title } of CLAIMS) assert.ok(text.includes(`. ${title}\n`), title);
  const shown = [...text.matchAll(/!\[[^\]]+\]\(([^)]+)\)/g)].map(([, file]) => file!);
  assert.deepEqual(
    shown.map((file) => path.basename(file)).sort(),
    readdirSync(path.join(folder, 'evaluation')).sort(),
  );
  for (const file of shown) {
    const svg = readFileSync(path.join(folder, file), 'utf8');
    assert.doesNotMatch(svg, /NaN|undefined|Infinity/, file);
  }
  assert.doesNotMatch(text, /NaN|undefined|Infinity/);
  assert.match(text, /hash over all of them is `[0-9a-f]{16}`/);
});

test('one claim alone goes into a folder of its own, and a claim that there is not is bad input', async () => {
  const folder = folderWith({});
  const { code, stderr } = await perch(['sim', 'paper', '--smoke', '--only', 'queues'], { cwd: folder });
  assert.equal(code, 0, stderr);
  assert.ok(existsSync(path.join(folder, 'perch-paper', 'EVALUATION.md')));
  const unknown = await perch(['sim', 'paper', '--only', 'nothing']);
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /no claim nothing: there are queues, central/);
});
