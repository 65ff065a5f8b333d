/** `perch experiment sleepy`, small, with real platforms and real functions. What it measures is not judged here. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { perch } from '../cli/perch.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'perch-experiment-'));
after(() => rmSync(folder, { recursive: true, force: true }));

interface Row {
  readonly policy: string;
  readonly build: string;
  readonly chainCount: number;
  readonly metrics: Readonly<Record<string, number>>;
}

async function run(args: readonly string[]): Promise<readonly Row[]> {
  const { code, stdout, stderr } = await perch(['experiment', 'sleepy', '--smoke', '--json', ...args]);
  assert.equal(code, 0, stderr);
  return (JSON.parse(stdout) as { rows: readonly Row[] }).rows;
}

test('images: every policy and both builds give the right thumbnails; table, CSV and figures are written', async () => {
  const policies = 'dedicated,lend,packed:3,preempt:3,fair:3';
  const rows = await run(['--pipelines', 'image', '--policies', policies, '--sources', 'none', '--out', folder]);
  assert.equal(rows.length, 5 * 2 * 2);
  for (const { metrics } of rows) {
    for (const [name, value] of Object.entries(metrics)) assert.ok(Number.isFinite(value), `${name}: ${value}`);
    for (const name of ['wasteShare', 'idleTimeShare']) assert.ok(metrics[name]! >= 0 && metrics[name]! <= 1, name);
    assert.ok(metrics['makespanUs']! > 0);
  }
  const csv = readFileSync(path.join(folder, 'results.csv'), 'utf8').trim().split('\n');
  assert.equal(csv.length, 1 + 2 * rows.length);
  const columnCount = csv[0]!.split(',').length;
  for (const line of csv) assert.equal(line.split(',').length, columnCount);
  const html = readFileSync(path.join(folder, 'index.html'), 'utf8');
  for (const name of ['figure-2', 'figure-3']) {
    const svg = readFileSync(path.join(folder, `${name}.svg`), 'utf8');
    assert.doesNotMatch(svg, /NaN|undefined|Infinity/);
    assert.ok(html.includes(svg));
  }
  assert.doesNotMatch(html, /(?:src|href)=/);
});

test('programs: compiled, linked and run in a sandbox', { skip: noCompiler() }, async () => {
  const rows = await run(['--pipelines', 'compile', '--policies', 'dedicated', '--sources', 'none']);
  assert.equal(rows.length, 2 * 2);
});

test('functions that say when they sleep, and short ones beside them', async () => {
  const rows = await run([
    '--pipelines',
    'image',
    '--builds',
    'poll',
    '--policies',
    'lend:4+collaborative',
    '--short',
    '20',
  ]);
  assert.equal(rows.length, 2);
  for (const { metrics } of rows) assert.ok(metrics['shortCount']! + metrics['shortRefusedCount']! > 0);
});

test('what there is not is refused before anything starts', async () => {
  const file = path.join(folder, 'a-file');
  writeFileSync(file, '');
  for (const args of [
    ['--chains', '51'],
    ['--policies', 'greedy'],
    ['--policies', 'packed:1'],
    ['--policies', 'dedicated,packed:65'],
    ['--policies', 'lend:0+learning'],
    ['--up=--sharing=fair'],
    ['--up=--data', '--up=/tmp'],
    ['--out', file],
    ['--out', path.join(file, 'below')],
    ['--out', '/proc/nowhere'],
    ['--policies', 'lend+gossip'],
    ['--policies', 'fair+learning'],
    ['--pipelines', 'sound'],
    ['--latency', 'none'],
    ['--rounds', '0'],
  ]) {
    const { code, stderr } = await perch(['experiment', 'sleepy', ...args]);
    assert.equal(code, 2, stderr);
    assert.ok(stderr.includes(args[0]!.replace(/^--up=/, '')), stderr);
  }
});

function noCompiler(): string | false {
  return spawnSync('cc', ['--version']).status === 0 ? false : 'there is no C compiler';
}
