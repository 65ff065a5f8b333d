/**
 * The models of the scheduler's shared words (models/README.md), checked whole with spin; and each with a guard taken out,
 * where spin has to find what goes wrong. PERCH_MODELS=large adds what takes minutes (`npm run soak -- models`).
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, test } from 'node:test';
import { MODELS, type Model, type Mutant, type Run } from './models.ts';

const folder = fileURLToPath(new URL('../../models', import.meta.url));
const isLarge = process.env['PERCH_MODELS'] === 'large';
const MEMORY_MB = isLarge ? 8000 : 1900;

function has(program: string): boolean {
  return spawnSync(program, ['--version']).error === undefined;
}
const skip =
  has('spin') && has('cc')
    ? false
    : 'NOT TESTED: the models need spin and a C compiler (apt install spin gcc libc6-dev)';

function step(program: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, encoding: 'utf8' });
  assert.ok(
    error === undefined && status === 0,
    `${program} ${args.join(' ')}: ${error?.message ?? ''}${stdout}${stderr}`,
  );
  return stdout;
}

/** What the checker says of one run of a model. */
function search(model: string, run: Run, optimise = '-O1'): string {
  const cwd = mkdtempSync(join(tmpdir(), 'perch-model-'));
  try {
    step('spin', [...run.defines.map((define) => `-D${define}`), '-a', join(folder, `${model}.pml`)], cwd);
    const how = run.ltl === undefined ? ['-DSAFETY', '-DNOCLAIM'] : ['-DNFAIR=6'];
    step('cc', [optimise, '-w', `-DMEMLIM=${MEMORY_MB}`, ...how, '-o', 'pan', 'pan.c'], cwd);
    const ask = run.ltl === undefined ? [] : ['-a', '-f', '-N', run.ltl];
    return step('./pan', ['-m2000000', '-w22', ...ask], cwd);
  } finally {
    rmSync(cwd, { recursive: true });
  }
}

/** Nothing was left out: not for want of depth, memory or room for a state. */
function assertComplete(report: string): void {
  assert.match(report, /errors: 0\n/, report);
  assert.doesNotMatch(report, /max search depth too small|not completed|out of memory|VECTORSZ|truncated/i, report);
  assert.doesNotMatch(report, /Bit statespace|Hash-Compact/, report);
  assert.match(report, /Full statespace search/, report);
}

/** Lines of the model that the run never came to. The same line stands in several places where it is an inline. */
function unreached(report: string): ReadonlySet<string> {
  const lines = new Set<string>();
  for (const part of report.split('unreached in ').slice(1)) {
    if (!part.startsWith('proctype') && !part.startsWith('init')) continue;
    for (const [, place = '', text = ''] of part.matchAll(/^\t(\S+\.pml:\d+), state \d+, "(.*)"$/gm)) {
      if (text !== '-end-') lines.add(`${place} ${text}`);
    }
  }
  return lines;
}

function titleOf(run: Run): string {
  return `${run.defines.join(' ') || 'as it is'}${run.ltl === undefined ? '' : `, always eventually ${run.ltl}`}`;
}

function checkModel(model: Model): void {
  const runs = model.runs.filter((run) => isLarge || run.isLong !== true);
  const never: ReadonlySet<string>[] = [];
  for (const run of runs) {
    test(titleOf(run), () => {
      const report = search(model.name, run);
      assertComplete(report);
      never.push(unreached(report));
    });
  }
  test('together the runs come to every line', () => {
    assert.equal(never.length, runs.length, 'not every run was completed');
    const [first = new Set<string>(), ...others] = never;
    assert.deepEqual(
      [...first].filter((line) => others.every((lines) => lines.has(line))),
      [],
    );
  });
  for (const mutant of model.mutants)
    test(`${mutant.name} is refuted (${titleOf(mutant)})`, () => assertRefuted(model, mutant));
}

function assertRefuted(model: Model, mutant: Mutant): void {
  const run: Run = { ...mutant, defines: [...mutant.defines, `MUTANT_${mutant.name}`] };
  // Found soon: the compiler would take longer than the search.
  const report = search(model.name, run, '-O0');
  assert.match(report, /errors: 1\n/, report);
  assert.match(report, mutant.finds === 'assertion' ? /assertion violated/ : /acceptance cycle \(at depth/, report);
}

for (const model of MODELS) describe(`model ${model.name}`, { skip }, () => checkModel(model));

test('every model is run, and every mutant in it', () => {
  const files = readdirSync(folder).filter((file) => file.endsWith('.pml') && file !== 'bell.pml');
  assert.deepEqual(files.sort(), MODELS.map(({ name }) => `${name}.pml`).sort());
  for (const { name, mutants } of MODELS) {
    const text = readFileSync(join(folder, `${name}.pml`), 'utf8');
    const there = new Set([...text.matchAll(/MUTANT_([A-Z_]+)/g)].map((match) => match[1] ?? ''));
    assert.deepEqual([...there].sort(), [...new Set(mutants.map((mutant) => mutant.name))].sort(), name);
  }
});
