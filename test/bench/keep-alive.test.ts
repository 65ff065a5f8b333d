/** What the keep-alive benchmark replays, and the server that it replays it on. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { azureWorkload } from '../../bench/lib/azure-2019.ts';
import { readAzureTrace } from '../../bench/lib/azure-trace.ts';
import { runKeepAlive } from '../../bench/lib/keep-alive-model.ts';
import { workloadOf } from '../../bench/lib/workload.ts';
import { quantileAt } from '../../src/sim/workloads/distributions.ts';
import { FixedTime, LeastRecentlyUsed } from '../../src/worker/machine/keep-alive.ts';

const lru = (items: number): LeastRecentlyUsed => new LeastRecentlyUsed(items);
const fn = (memoryMb: number, initMs = 100, durationMs = 10) => ({ memoryMb, initMs, durationMs });

test('quantiles meet the published points, and lie between them elsewhere', () => {
  const points = [
    [0.1, 1],
    [0.5, 100],
    [0.9, 1000],
  ] as const;
  assert.equal(quantileAt(points, 0.05), 1);
  assert.equal(quantileAt(points, 0.5), 100);
  assert.ok(Math.abs(quantileAt(points, 0.3) - 10) < 1e-9);
  assert.equal(quantileAt(points, 0.99), 1000);
});

test('one seed, one workload, with the published medians', () => {
  const options = { seed: 7, functionCount: 2000, seconds: 3600, initCost: 'varied' } as const;
  const workload = azureWorkload(options);
  assert.deepEqual(azureWorkload(options), workload);
  assert.notDeepEqual(azureWorkload({ ...options, seed: 8 }).arrivalMs, workload.arrivalMs);
  const middle = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length / 2]!;
  const memoryMb = middle(workload.functions.map((each) => each.memoryMb));
  const durationMs = middle(workload.functions.map((each) => each.durationMs));
  assert.ok(memoryMb > 130 && memoryMb < 150, `${memoryMb} MB`);
  assert.ok(durationMs > 500 && durationMs < 890, `${durationMs} ms`);
  assert.ok(workload.arrivalMs.every((time, index, all) => index === 0 || time >= all[index - 1]!));
});

test('an instance is warm while it is kept, and goes when its room is needed', () => {
  const workload = workloadOf([fn(100), fn(100)], 100, [
    [0, 1000, 5000],
    [2000, 3000],
  ]);
  const both = runKeepAlive(workload, { coreCount: 2, memoryMb: 200 }, lru);
  assert.deepEqual([both.invocationCount, both.coldCount, both.addedMeanMs], [5, 2, 40]);
  const one = runKeepAlive(workload, { coreCount: 2, memoryMb: 199 }, lru);
  assert.equal(one.coldCount, 3);
  // Idle from 110 ms to 1 s, 1.01 s to 2 s, and so on: what runs is not idle.
  assert.ok(one.idleMeanMb < 100 && one.idleMeanMb > 99);
});

test('what is kept for a fixed time ends then', () => {
  const workload = workloadOf([fn(100)], 4000, [[0, 300_000, 2_000_000]]);
  const tenMinutes = (items: number): FixedTime => new FixedTime(items, 600e6);
  const result = runKeepAlive(workload, { coreCount: 1, memoryMb: 100 }, tenMinutes);
  assert.equal(result.coldCount, 2);
  assert.ok(result.idleMeanMb < 100 * (1500 / 4000 + 0.01));
});

test('invocations wait for a core, in their order, and all are served', () => {
  const workload = workloadOf([fn(100, 0, 60_000)], 60, [[0, 1, 2, 3]]);
  const result = runKeepAlive(workload, { coreCount: 1, memoryMb: 1000 }, lru);
  assert.deepEqual([result.invocationCount, result.coldCount], [4, 1]);
});

test('a trace is read in its own format, and sampled where it is too long', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'perch-trace-'));
  const id = (name: string): string => `owner,app-${name},${name}`;
  try {
    const write = (name: string, lines: string[]): void => writeFileSync(path.join(folder, name), lines.join('\n'));
    write('invocations_per_function_md.anon.d01.csv', [
      'HashOwner,HashApp,HashFunction,Trigger,1,2,3',
      `${id('a')},http,2,0,1`,
      `${id('b')},timer,1,1,1`,
      `${id('unknown')},timer,1,1,1`,
      `${id('never')},queue,0,0,0`,
    ]);
    write('function_durations_percentiles.anon.d01.csv', [
      'HashOwner,HashApp,HashFunction,Average,Count,Minimum,Maximum',
      `${id('a')},100,3,90,1100`,
      `${id('b')},20,3,20,20`,
    ]);
    write('app_memory_percentiles.anon.d01.csv', [
      'HashOwner,HashApp,SampleCount,AverageAllocatedMb',
      'owner,app-a,10,150',
    ]);
    const { workload, functionCount, functionCountAll } = await readAzureTrace({
      folder,
      seed: 1,
      invocationCountMax: 100,
    });
    assert.deepEqual([functionCount, functionCountAll], [2, 3]);
    assert.equal(workload.seconds, 180);
    assert.equal(workload.arrivalMs.length, 6);
    const a = workload.functions.findIndex(({ durationMs }) => durationMs === 100);
    assert.deepEqual(workload.functions[a], { memoryMb: 150, durationMs: 100, initMs: 1000 });
    assert.deepEqual(workload.functions[1 - a], { memoryMb: 150, durationMs: 20, initMs: 0 });
    const minutes = [...workload.arrivalMs].filter((_, index) => workload.arrivalOf[index] === a);
    assert.deepEqual(
      minutes.map((time) => Math.floor(time / 60_000)),
      [0, 0, 2],
    );
    const small = await readAzureTrace({ folder, seed: 1, invocationCountMax: 3 });
    assert.equal(small.functionCount, 1);
    await assert.rejects(readAzureTrace({ folder: tmpdir(), seed: 1, invocationCountMax: 1 }), /no .csv file with/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
