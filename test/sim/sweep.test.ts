/** Many simulations at once: the same results in the same order, whatever does them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { type BatchOptions, type Run, runBatch } from '../../src/sim/batch/batch.ts';
import { journalOf } from '../../src/sim/batch/journal.ts';
import { policiesOf } from '../../src/sim/batch/policy-files.ts';
import { FREE } from '../../src/sim/costs.ts';
import { POLICIES } from '../../src/sim/policies/index.ts';
import { simulate } from '../../src/sim/simulate.ts';
import { setupOf, type SimulationSpec, SpecError } from '../../src/sim/spec.ts';
import { folderWith } from '../cli/perch.ts';

const SPEC: SimulationSpec = {
  policy: 'perch',
  workload: 'exponential:mean=1',
  servers: 2,
  cores: 2,
  memoryMb: 65_536,
  load: 0.8,
  costs: FREE,
  seed: 1,
  seconds: 0.2,
  warmUpSeconds: 0.1,
};

/** Of different lengths, so that threads end in another order than they began. */
const SPECS = [1, 8, 2, 4].flatMap((servers) =>
  ['perch', 'random'].flatMap((policy) => [1, 2].map((seed): SimulationSpec => ({ ...SPEC, servers, policy, seed }))),
);

function run(specs: readonly SimulationSpec[], options: Partial<BatchOptions> = {}): Promise<readonly Run[]> {
  return runBatch(specs, { threadCount: 2, ...options });
}

const OWN = `
class Failing {
  waitingCount = 0;
  constructor(world, options) { this.world = world; this.options = options; }
  arrive(job) {
    if (this.world.jobs.arrivalUs(job) > this.options.after * 1000) throw new RangeError('no more than that');
    this.world.finish(job);
  }
}
export const failing = {
  name: 'failing', summary: 's', source: 's', options: { after: { help: 'ms', default: 1 } },
  make: (world, options) => new Failing(world, options),
};
`;

test('as many threads as one likes: what one simulation gives by itself, in the order that was asked for', async () => {
  const expected = SPECS.map((spec) => ({ spec, result: simulate(setupOf(spec)), error: null }));
  for (const threadCount of [1, 3]) {
    const ended: number[] = [];
    const runs = await run(SPECS, { threadCount, progressed: (count) => ended.push(count) });
    assert.deepEqual(runs, expected);
    assert.deepEqual(
      ended,
      SPECS.map((_, index) => index + 1),
    );
  }
  assert.deepEqual(await run([]), []);
});

test('two policies are given the same arrivals, whatever they do with them, and when', () => {
  for (const workload of ['exponential', 'chains:length=3', 'sleepy', 'azure2019:functions=30', 'multicore']) {
    const arrivalsOf = (policy: string): readonly string[] => {
      const spec = { ...SPEC, workload, policy, servers: 4, cores: 8, seconds: 100 };
      const lines = journalOf(setupOf(spec), 3000).filter((line) => line.includes('arrives'));
      // Steps of chains arrive when the one before has ended.
      return lines.filter((line) => !/-[1-9]/.test(line)).map((line) => line.replace(/job \d+ */, ''));
    };
    const [one, other] = [arrivalsOf('perch-dedicated'), arrivalsOf('random:discipline=fcfs')];
    const count = Math.min(one!.length, other!.length);
    assert.ok(count > 200, `${count} of ${workload}`);
    assert.deepEqual(one!.slice(0, count), other!.slice(0, count), workload);
  }
});

test('what fails, fails alone, with what it said', async () => {
  const folder = folderWith({ 'own.mjs': OWN });
  const policyFiles = [path.join(folder, 'own.mjs')];
  const specs = [SPEC, { ...SPEC, policy: 'failing' }, { ...SPEC, policy: 'no-such' }, { ...SPEC, seed: 2 }];
  const runs = await run(specs, { policyFiles });
  assert.deepEqual(
    runs.map(({ result }) => result !== null),
    [true, false, false, true],
  );
  assert.equal(runs[1]!.error?.message, 'no more than that');
  assert.match(runs[1]!.error!.details, /own\.mjs/);
  assert.match(runs[2]!.error!.message, /^no policy no-such: there are perch, .*failing$/);
});

test('a thread that ends takes one simulation with it', async () => {
  const folder = folderWith({ 'own.mjs': OWN.replace("throw new RangeError('no more than that')", 'process.exit(3)') });
  const specs = [{ ...SPEC, policy: 'failing' }, SPEC, { ...SPEC, policy: 'failing', seed: 2 }, { ...SPEC, seed: 2 }];
  const runs = await run(specs, { threadCount: 1, policyFiles: [path.join(folder, 'own.mjs')] });
  assert.deepEqual(
    runs.map(({ error }) => error?.message ?? null),
    ['its thread ended with 3', null, 'its thread ended with 3', null],
  );
});

test('stopped: what had ended stays, what runs is given up at once', async () => {
  const stop = new AbortController();
  const endless = { ...SPEC, seconds: 1e6 };
  const runs = await run([SPEC, endless, { ...endless, seed: 2 }, { ...endless, seed: 3 }], {
    signal: stop.signal,
    policyFiles: [],
    // The short one is the last to begin; so let there be as many threads as simulations.
    threadCount: 4,
    progressed: () => stop.abort(),
  });
  assert.deepEqual(
    runs.map(({ result, error }) => [result !== null, error]),
    [
      [true, null],
      [false, null],
      [false, null],
      [false, null],
    ],
  );
});

test('policies of one’s own come after the simulator’s', async () => {
  const folder = folderWith({ 'own.mjs': OWN });
  const policies = await policiesOf([path.join(folder, 'own.mjs')]);
  assert.deepEqual(
    policies.map(({ name }) => name),
    [...POLICIES.map(({ name }) => name), 'failing'],
  );
});

test('what is no policy is refused, with what would be one', async () => {
  const folder = folderWith({
    'empty.mjs': 'export const nothing = 1;',
    'taken.mjs': OWN.replace("name: 'failing'", "name: 'perch'"),
    'named.mjs': OWN.replace("name: 'failing'", "name: 'My policy'"),
    'broken.mjs': 'export const = 1;',
    'thrown.mjs': 'throw new TypeError("not here");',
  });
  const refused = async (name: string): Promise<string> => {
    const error = await policiesOf([path.join(folder, name)]).catch((reason: unknown) => reason);
    assert.ok(error instanceof SpecError, String(error));
    assert.ok(error.message.includes(name), error.message);
    return error.message;
  };
  assert.match(await refused('empty.mjs'), /exports no policy: an object with name, summary, source/);
  assert.match(await refused('taken.mjs'), /there is a policy perch already/);
  assert.match(await refused('named.mjs'), /named 'My policy'; a name has small letters/);
  assert.match(await refused('broken.mjs'), /cannot be loaded: /);
  assert.match(await refused('thrown.mjs'), /cannot be loaded: not here/);
  assert.match(await refused('none.mjs'), /cannot be loaded: /);
  const options: readonly (readonly [string, RegExp])[] = [
    ['{ k: 3 }', /policy failing, option 'k': it has to be an object: \{ help, default \}/],
    ['{ k: { default: 3 } }', /its help has to be a text/],
    ["{ k: { help: 'h' } }", /its default has to be a number or a text/],
    ["{ k: { help: 'h', default: NaN } }", /its default has to be a number or a text/],
    ["{ k: { help: 'h', default: 'a', choices: ['b'] } }", /its default 'a' is none of its choices/],
    ["{ k: { help: 'h', default: 'a', choices: 'ab' } }", /its choices have to be a list of texts/],
    ["{ k: { help: 'h', default: 'a', min: 1 } }", /min is for an option whose default is a number/],
    ["{ k: { help: 'h', default: 1, choices: ['1'] } }", /choices are for an option whose default is a text/],
    ["{ k: { help: 'h', default: 1, min: '0' } }", /its min and max have to be numbers/],
    ["{ k: { help: 'h', default: 1.5, isWhole: true } }", /its default 1\.5 is none of the values/],
    ["{ k: { help: 'h', default: 5, max: 3 } }", /its default 5 is none of the values/],
    ["{ 'k=': { help: 'h', default: 5 } }", /option 'k=': a name has letters, digits/],
  ];
  for (const [at, [text, message]] of options.entries()) {
    const name = `options-${at}.mjs`;
    writeFileSync(path.join(folder, name), OWN.replace("{ after: { help: 'ms', default: 1 } }", text));
    assert.match(await refused(name), message);
  }
  writeFileSync(
    path.join(folder, 'twice.mjs'),
    "export * from './empty.mjs'; export { failing as a, failing as b } from './own.mjs';",
  );
  writeFileSync(path.join(folder, 'own.mjs'), OWN);
  assert.equal((await policiesOf([path.join(folder, 'twice.mjs')])).length, POLICIES.length + 1);
});
