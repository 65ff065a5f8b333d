/** `perch sim` as people and scripts use it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { COST_NAMES, FREE } from '../../src/sim/costs.ts';
import { POLICIES } from '../../src/sim/policies/index.ts';
import { WORKLOADS } from '../../src/sim/workloads/index.ts';
import { folderWith, perch, PERCH, REPOSITORY, type RunOptions } from './perch.ts';
import { assertSelfContained, assertWellFormed } from '../sim/well-formed.ts';

const SMALL = ['--servers', '2', '--cores', '2', '--seconds', '0.2', '--workload', 'exponential:mean=1'];

function ownPolicy(make: string): string {
  return `export const own = { name: 'own', summary: 's', source: 's', options: {}, make() { ${make} } };`;
}

async function ok(args: readonly string[], options?: RunOptions): Promise<string> {
  const { code, stdout, stderr } = await perch(['sim', ...args], options);
  assert.equal(code, 0, stderr);
  return stdout;
}

async function refused(args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await perch(['sim', ...args]);
  assert.equal(code, 2, `${args.join(' ')}: ${stderr}`);
  assert.equal(stdout, '');
  return stderr;
}

test('run: a table, and the same bytes again', async () => {
  const args = ['run', 'perch', ...SMALL, '--json'];
  const [table, first, second] = await Promise.all([ok(args.slice(0, -1)), ok(args), ok(args)]);
  assert.match(table, /^POLICY +SLOWDOWN +P50 +P99 .*\nperch +\d\.\d{3} /);
  assert.equal(first, second);
  const { setups, command } = JSON.parse(first) as { setups: any[]; command: string };
  assert.equal(setups.length, 1);
  assert.equal(setups[0].results[0].policy, 'perch');
  assert.equal(command, `perch sim ${args.join(' ')}`);
});

test('compare: intervals and ratios in a table; CSV, JSON and the page in files', async () => {
  const folder = folderWith({});
  const file = (name: string): string => path.join(folder, name);
  const outputs = ['--json', file('a.json'), '--csv', file('a.csv'), '--html', file('a.html')];
  const table = await ok(['compare', 'perch', 'random:discipline=fcfs', ...SMALL, '--seeds', '3', ...outputs]);
  assert.match(table, /^POLICY +SLOWDOWN +× FIRST +P50/);
  assert.match(table, /\nrandom:discipline=fcfs +[\d.]+ ±[\d.]+ +[\d.]+ ±/);
  const { setups } = JSON.parse(readFileSync(file('a.json'), 'utf8')) as { setups: any[] };
  assert.deepEqual(
    setups.map(({ policy, results }) => [policy, results.length]),
    [
      ['perch', 3],
      ['random:discipline=fcfs', 3],
    ],
  );
  assert.equal(readFileSync(file('a.csv'), 'utf8').trimEnd().split('\n').length, 7);
  const html = readFileSync(file('a.html'), 'utf8');
  assertWellFormed(html);
  assertSelfContained(html);
});

test('sweep: loads and sizes in their order, whatever the threads; CSV to stdout', async () => {
  const args = ['sweep', 'random', 'perch', '--load', '0.5:0.7:0.1,0.9', '--servers', '3,1', '--seeds', '2'];
  const rest = ['--cores', '2', '--seconds', '0.1', '--workload', 'exponential:mean=1', '--csv'];
  const [one, two] = await Promise.all(['1', '3'].map((count) => ok([...args, '--threads', count, ...rest])));
  assert.equal(one, two);
  const rows = one!
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => line.split(','));
  assert.deepEqual(
    rows.map(([policy, , servers, , , load, , , seed]) => `${servers} ${load} ${policy} ${seed}`),
    ['3', '1'].flatMap((servers) =>
      ['0.5', '0.6', '0.7', '0.9'].flatMap((load) =>
        ['random', 'perch'].flatMap((policy) => ['1', '2'].map((seed) => `${servers} ${load} ${policy} ${seed}`)),
      ),
    ),
  );
});

test('what the cluster cannot bear is said in the table and, where that is not printed, on stderr', async () => {
  const args = ['run', 'perch', ...SMALL, '--load', '1.2'];
  assert.match(await ok(args), /perch \(!\)[^]*\(!\) perch, 2 servers, load 1.2: THE CLUSTER CANNOT BEAR THIS LOAD/);
  const { stdout, stderr } = await perch(['sim', ...args, '--json']);
  assert.match(stderr, /^perch, 2 servers, load 1.2: THE CLUSTER CANNOT BEAR THIS LOAD/);
  assert.equal((JSON.parse(stdout) as { setups: unknown[] }).setups.length, 1);
});

test('policies and workloads are listed, each with its options and source', async () => {
  const [policies, workloads, json] = await Promise.all([
    ok(['policies']),
    ok(['workloads']),
    ok(['policies', '--json']),
  ]);
  for (const { name, summary, source } of POLICIES) {
    assert.ok(policies.includes(`${name}  ${summary}\n`), name);
    assert.ok(policies.includes(`    source: ${source}`), name);
  }
  for (const { name, summary } of WORKLOADS) assert.ok(workloads.includes(`${name}  ${summary}\n`), name);
  assert.deepEqual(
    (JSON.parse(json) as { name: string }[]).map(({ name }) => name),
    POLICIES.map(({ name }) => name),
  );
});

test('bad input is refused before anything runs, with what would be right', async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['run', 'no-such'], /no policy no-such: there are perch, /],
    [['run', 'perch:size=3'], /policy perch has no option size: /],
    [['run', 'perch:queue=0'], /policy perch, option queue is '0': it has to be a whole number from 1 to /],
    [
      ['run', 'perch-packed:k=1.5'],
      /policy perch-packed, option k is '1\.5': it has to be a whole number from 1 to 64/,
    ],
    [['run', 'perch-lend:spare=g'], /option spare names a function 'g': the workload has f\n/],
    [
      ['run', 'perch', '--workload', 'sleepy:sleeps=1.5'],
      /workload sleepy, option sleeps is '1\.5': it has to be a whole number/,
    ],
    [['run', 'random:discipline=lifo'], /option discipline is 'lifo': it may be ps, fcfs/],
    [['run', 'random:discipline'], /'discipline' in 'random:discipline': options are written NAME:option=value/],
    [['compare', 'perch', 'perch'], /the policy perch is given twice/],
    [['run', 'perch', '--workload', 'no-such'], /no workload no-such: there are exponential, /],
    [['run', 'perch', '--load', '0'], /'--load <share>'.*above 0 and at most/],
    [['run', 'perch', '--load', '0.5,0.6'], /'--load <share>'/],
    [['run', 'perch', '--seconds', 'long'], /It has to be a number above 0/],
    [['run', 'perch', '--warm-up', '-1'], /It has to be a number from 0 to/],
    [['run', 'perch', '--seed', '4294967295', '--seeds', '2'], /seeds end at 4294967295/],
    [['sweep', 'perch', '--load', '0.5:0.9'], /A range is FROM:TO:STEP, such as 0.5:0.95:0.05/],
    [['sweep', 'perch', '--load', '0.9:0.5:0.1'], /A range is FROM:TO:STEP/],
    [['sweep', 'perch', '--load', '0.1:0.9:0.0001'], /A range is FROM:TO:STEP/],
    [['sweep', 'perch', '--load', '0.5,0.5'], /0.5 is in it twice/],
    [['sweep', 'perch', '--servers', '0'], /whole number from 1 to/],
    [['run', 'perch', '--json', '-', '--csv', '-'], /--json and --csv cannot both go to stdout/],
    [['compare', '--json', 'perch', 'random'], /perch after --json is a policy: put --json last/],
    [['run', 'perch', '--policy-file', 'no-such.ts'], /no-such\.ts cannot be loaded/],
    [['run', 'perch', '--seconds', '1e300'], /above 0, and at most 100000000/],
    [['run', 'perch', '--warm-up', '1e300'], /from 0 to 100000000/],
    [['fuzz', '--seed', ''], /a number or a text/],
    [['run'], /missing required argument 'policy'/],
    [['no-such'], /unknown command 'no-such'/],
  ];
  await Promise.all(cases.map(async ([args, message]) => assert.match(await refused(args), message)));
});

test('where a report cannot go is said before anything runs, and what was there stays', async () => {
  const folder = folderWith({ 'a.json': 'old' });
  const file = path.join(folder, 'a.json');
  const run = ['run', 'perch', ...SMALL];
  assert.match(await refused([...run, '--html', path.join(folder, 'none', 'a.html')]), /cannot be written: ENOENT/);
  assert.match(await refused([...run, '--csv', path.join(file, 'b.csv')]), /cannot be written: ENOTDIR/);
  assert.match(await refused([...run, '--csv', folder]), /it is a folder/);
  assert.match(await refused([...run, '--html=']), /--html needs the name of a file/);
  assert.match(await refused([...run, '--json', file, '--html', file]), /--json and --html cannot both go to/);
  assert.equal(readFileSync(file, 'utf8'), 'old');
  await ok([...run, '--json', file]);
  assert.ok(readFileSync(file, 'utf8').startsWith('{"format"'));
  assert.deepEqual(readdirSync(folder), ['a.json']);
});

test('costs of a file: all of them and no others, each a time', async () => {
  const costs = { ...FREE, networkUs: 50, startUs: 100 };
  const folder = folderWith({
    'all.json': JSON.stringify(costs),
    'inner.json': JSON.stringify({ machine: 'some', costs }),
    'few.json': '{"networkUs": 1}',
    'more.json': JSON.stringify({ ...costs, rentUs: 3 }),
    'text.json': JSON.stringify({ ...costs, endUs: 'soon' }),
    'list.json': '[]',
    'none.json': '{',
  });
  const file = (name: string): string => path.join(folder, name);
  const run = ['run', 'perch', ...SMALL, '--json', '--costs'];
  for (const name of ['all.json', 'inner.json']) {
    const { costs: used, setups } = JSON.parse(await ok([...run, file(name)])) as { costs: unknown; setups: any[] };
    assert.deepEqual(used, costs);
    // To the scheduler, to the gateway, to the worker, and back.
    assert.ok(setups[0].results[0].waitUs.p50 >= 300, JSON.stringify(setups[0].results[0].waitUs));
  }
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['few.json', new RegExp(`lacks ${COST_NAMES.slice(1).join(', ')}; costs are`)],
    ['more.json', /has rentUs, which is no cost; costs are networkUs/],
    ['text.json', /endUs is "soon"; a cost is microseconds/],
    ['list.json', /has to be a JSON object/],
    ['none.json', /is no JSON/],
    ['no-such.json', /--costs takes free, measured, or a JSON file/],
  ];
  await Promise.all(wrong.map(async ([name, message]) => assert.match(await refused([...run, file(name)]), message)));
});

/** The example of docs/SIMULATOR.md, as it stands there. */
function exampleOf(docs: string): string {
  const [, code] = /```ts\n\/\/ two-counts\.mts\n([^]*?)```/.exec(docs) ?? [];
  assert.ok(code !== undefined, 'docs/SIMULATOR.md has no example of a policy');
  return code;
}

test('the policy in the docs works: it type-checks, runs, is better than random, and the same on all threads', async () => {
  const docs = readFileSync(path.join(REPOSITORY, 'docs/SIMULATOR.md'), 'utf8');
  const folder = folderWith({ 'two-counts.mts': exampleOf(docs) });
  const paths = { 'perch/sim': [path.join(REPOSITORY, 'src/sim/index.ts')] };
  const { compilerOptions } = JSON.parse(readFileSync(path.join(REPOSITORY, 'tsconfig.json'), 'utf8')) as any;
  const typeRoots = [path.join(REPOSITORY, 'node_modules/@types')];
  const options = { ...compilerOptions, paths, typeRoots };
  writeFileSync(
    path.join(folder, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: options, files: ['two-counts.mts'] }),
  );
  const checked = await perch(['-p', folder], { program: path.join(REPOSITORY, 'node_modules/.bin/tsc') });
  assert.equal(checked.code, 0, checked.stdout);

  const own = ['--policy-file', path.join(folder, 'two-counts.mts')];
  const args = ['compare', 'random', 'two-counts', 'two-counts:discipline=fcfs', ...SMALL, '--servers', '20', ...own];
  const [one, three] = await Promise.all(
    ['1', '3'].map((count) => ok([...args, '--seeds', '2', '--threads', count, '--csv'])),
  );
  assert.equal(one, three);
  const { setups } = JSON.parse(await ok([...args, '--seeds', '2', '--json'])) as { setups: any[] };
  const [random, twoCounts] = setups.map(({ metrics }) => metrics.slowdownMean.mean as number);
  assert.ok(twoCounts! < random!, `${twoCounts} and ${random}`);
  const listed = await ok(['policies', ...own]);
  assert.match(listed, /two-counts {2}of two servers drawn at random, .*\n {4}discipline=ps\|/);
});

test('a policy that fails is named with its set-up; the others are reported', async () => {
  const folder = folderWith({
    'own.mjs': `export const broken = {
      name: 'broken', summary: 's', source: 's', options: {},
      make: () => ({ waitingCount: 0, arrive: () => { throw new RangeError('of no use'); } }),
    };`,
  });
  const own = ['--policy-file', path.join(folder, 'own.mjs')];
  const { code, stdout, stderr } = await perch(['sim', 'compare', 'perch', 'broken', ...SMALL, '--seeds', '2', ...own]);
  assert.equal(code, 2);
  assert.match(stdout, /\nperch +[\d.]+ ±/);
  assert.match(
    stderr,
    /^perch: 2 of 4 simulations failed: broken, exponential:mean=1, 2 servers, load 0\.8, seed 1: of no use\n/,
  );
  assert.match(stderr, /\nbroken, .*seed 2: of no use\n/);
  assert.match(stderr, /own\.mjs:3/);
});

test('an answer that takes no time that there is, is a fault of the policy', async () => {
  for (const delay of ['NaN', '-1']) {
    const folder = folderWith({
      'own.mjs': `export const broken = {
        name: 'broken', summary: 's', source: 's', options: {},
        make: (world) => ({ waitingCount: 0, arrive: (job) => world.finish(job, ${delay}) }),
      };`,
    });
    const args = ['run', 'broken', ...SMALL, '--policy-file', path.join(folder, 'own.mjs')];
    assert.match(await refused(args), /an answer takes a time of 0 or more/);
  }
});

test('what is wrong with a set-up only at one of its loads is refused before anything runs', async () => {
  const args = ['perch', '--servers', '1', '--cores', '1', '--load', '0.1', '--seconds', '1', '--workload', 'bursts'];
  assert.match(
    await refused(['run', ...args, '--events', '3']),
    /at once every 10 s are more than the load that was asked for/,
  );
  assert.match(await refused(['run', ...args]), /^perch: 1000 invocations at once every 10 s are more than the load/);
  const sweep = [
    'perch',
    '--load',
    '0.8',
    '--cores',
    '2',
    '--servers',
    '20,1',
    '--seconds',
    '1',
    '--workload',
    'bursts',
  ];
  assert.match(
    await refused(['sweep', ...sweep]),
    /^perch: 1000 invocations at once every 10 s are more than the load/,
  );
  await ok(['run', 'perch', '--load', '0.8', '--seconds', '1', '--workload', 'bursts:n=100']);
});

test('what make answers has to be a policy, and is looked at before anything runs', async () => {
  const folder = folderWith({
    'null.mjs': ownPolicy('return null;'),
    'empty.mjs': ownPolicy('return { waitingCount: 0 };'),
    'later.mjs': ownPolicy('return { arrive() {} };'),
    'thrown.mjs': ownPolicy("throw new Error('no such place');"),
  });
  const said = (name: string): Promise<string> =>
    refused(['run', 'own', ...SMALL, '--policy-file', path.join(folder, name)]);
  assert.match(await said('null.mjs'), /^perch: policy own: make\(world, options\) returned null: it has to return /);
  assert.match(await said('empty.mjs'), /returned an object without a method arrive\(job\)/);
  assert.match(await said('later.mjs'), /returned an object without a number waitingCount/);
  assert.match(
    await said('thrown.mjs'),
    /^perch: policy own: make\(world, options\) failed: no such place\n.*thrown\.mjs/s,
  );
});

test('a table that cannot be written is said', async () => {
  const full = openSync('/dev/full', 'w');
  const child = spawn(PERCH, ['sim', 'run', 'perch', ...SMALL], { stdio: ['ignore', full, 'pipe'] });
  closeSync(full);
  let stderr = '';
  child.stderr!.on('data', (part: Buffer) => (stderr += part.toString()));
  const [code] = (await once(child, 'close')) as [number];
  assert.deepEqual([code, stderr.startsWith('perch: stdout cannot be written: ENOSPC')], [2, true], stderr);
});

test('the first things that happen, and no more of them', async () => {
  const args = ['run', 'random', '--servers', '2', '--cores', '2', '--workload', 'chains:length=2', '--seconds', '0.1'];
  const lines = (await ok([...args, '--events', '40'])).trimEnd().split('\n');
  assert.equal(lines.length, 40);
  for (const line of lines)
    assert.match(line, /^ *\d+\.\d{3} ms {2}job \d+ +(arrives: |has a core|ends, \d+\.\d{3} ms )/);
  const times = lines.map((line) => Number.parseFloat(line));
  assert.deepEqual(
    times,
    [...times].sort((a, b) => a - b),
  );
  assert.match(
    await refused([...args, '--events', '1', '--json']),
    /'--events <count>' cannot be used with option '--json/,
  );
});

test('^C: what had ended is reported, and the process ends of the signal', async () => {
  const html = path.join(folderWith({ 'a.html': 'old' }), 'a.html');
  const long = [...SMALL, '--seconds', '1e7', '--load', '0.5,0.6', '--seeds', '2'];
  const args = ['sim', 'sweep', 'perch', ...long, '--html', html, '--json'];
  const child = spawn(PERCH, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const chunks: string[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk.toString()));
  const errors: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk.toString()));
  await untilSimulating(child.pid!);
  child.kill('SIGINT');
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  assert.deepEqual([code, signal], [null, 'SIGINT'], errors.join(''));
  assert.match(errors.join(''), /stopped: 0 of 4 simulations had ended/);
  assert.deepEqual((JSON.parse(chunks.join('')) as { setups: unknown[] }).setups, []);
  assert.equal(readFileSync(html, 'utf8'), 'old', 'a report of nothing does not take the place of one of something');
});

/** Until it simulates: its threads have names. */
async function untilSimulating(pid: number): Promise<void> {
  const tasks = `/proc/${pid}/task`;
  for (;;) {
    const names = readdirSync(tasks).map((task) => readFileSync(`${tasks}/${task}/comm`, 'utf8').trim());
    if (names.includes('perch-sim')) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
