/**
 * `npm run bench`: lists the benchmarks. `npm run bench -- NAME [--json] [--smoke]`: runs one.
 * `--only PART`, once or more: only these parts of it. `--trace FOLDER`: on a trace of your own, where it replays one.
 * `--write`: puts what it found where the product reads it, where there is such a place.
 */
import { readdir } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { describeMachine } from './lib/machine.ts';
import { formatReport, type Benchmark } from './lib/report.ts';

const here = new URL('.', import.meta.url);

async function benchmarkNames(): Promise<string[]> {
  const entries = await readdir(here, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && entry.name !== 'run.ts')
    .map((entry) => entry.name.slice(0, -'.ts'.length))
    .toSorted();
}

async function load(name: string): Promise<Benchmark> {
  const module = (await import(new URL(`${name}.ts`, here).href)) as { default: Benchmark };
  return module.default;
}

async function list(names: readonly string[]): Promise<void> {
  const width = Math.max(...names.map((name) => name.length));
  for (const name of names) {
    const { summary, parts } = await load(name);
    console.log(`${name.padEnd(width)}  ${summary}`);
    if (parts !== undefined) console.log(`${' '.repeat(width)}  --only ${parts.join(', ')}`);
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    smoke: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
    trace: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
});
const names = await benchmarkNames();
const name = positionals[0];

if (name === undefined) {
  await list(names);
} else if (!names.includes(name)) {
  console.error(`There is no benchmark '${name}'. There is: ${names.join(', ')}.`);
  process.exitCode = 2;
} else {
  await runOne(name, await load(name));
}

async function runOne(benchmarkName: string, benchmark: Benchmark): Promise<void> {
  const parts = benchmark.parts ?? [];
  const unknown = values.only.filter((part) => !parts.includes(part));
  if (unknown.length > 0) {
    const known = parts.length > 0 ? `It has: ${parts.join(', ')}.` : 'It has none.';
    console.error(`'${benchmarkName}' has no part '${unknown.join("', '")}'. ${known}`);
    process.exitCode = 2;
    return;
  }
  const { smoke, only, trace = null, write } = values;
  const report = await benchmark.run({ smoke, only, trace, write });
  const machine = describeMachine();
  console.log(values.json ? JSON.stringify({ ...report, machine }) : formatReport(report, machine));
}
