import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCpuList, readTopology } from '../../../src/worker/agent/topology.ts';

test('a list of CPUs', () => {
  assert.deepEqual(parseCpuList('0-1,3'), [0, 1, 3]);
  assert.deepEqual(parseCpuList('5, 2,2'), [2, 5]);
  for (const bad of ['', 'a', '1-', '-1', '3-1', '0,,1', '1.5', '99999999']) assert.equal(parseCpuList(bad), null, bad);
});

test('a CPU that this process may not use is named', () => {
  const result = readTopology([0, 4095]);
  if (process.platform === 'linux') assert.match((result as Error).message, /CPU 4095, and this process may use/);
});

test('every core of functions has CPUs of its own', () => {
  const topology = readTopology(null);
  assert.ok(!(topology instanceof Error));
  const cpus = topology.cores.flat();
  assert.equal(new Set(cpus).size, cpus.length);
  assert.ok(topology.cores.length > 0);
});
