/** `npm run bench`: lists the benchmarks. `npm run bench -- NAME [--json] [--smoke]`: runs one. */
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
  for (const name of names) console.log(`${name.padEnd(width)}  ${(await load(name)).summary}`);
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean', default: false }, smoke: { type: 'boolean', default: false } },
});
const names = await benchmarkNames();
const name = positionals[0];

if (name === undefined) {
  await list(names);
} else if (!names.includes(name)) {
  console.error(`There is no benchmark '${name}'. There is: ${names.join(', ')}.`);
  process.exitCode = 2;
} else {
  const report = await (await load(name)).run({ smoke: values.smoke });
  const machine = describeMachine();
  console.log(values.json ? JSON.stringify({ ...report, machine }) : formatReport(report, machine));
}
