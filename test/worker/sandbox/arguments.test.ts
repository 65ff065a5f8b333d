/** What a sandbox is started with, where no running one shows it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../../src/base/limits.ts';
import { chainArguments, type Machine } from '../../../src/worker/sandbox/bubblewrap/arguments.ts';
import type { SandboxSpec } from '../../../src/worker/sandbox/contract.ts';

const MACHINE: Machine = {
  tools: { sh: '/sh', setpriv: '/setpriv', prlimit: '/prlimit', env: '/env', bwrap: '/bwrap' },
  systemBinds: [],
  stagingFolder: '/staging',
  privileged: true,
  tmpfsSize: true,
  processLimit: true,
};

const SPEC: SandboxSpec = {
  slot: 0,
  codeDir: '/code/one',
  layersDir: '',
  runtimeDir: '/runtime',
  interpreter: '/usr/bin/node',
  args: [],
  env: {},
  memoryMb: 128,
  cpus: [],
  network: 'none',
};

function processLimit(use: 'instance' | 'cell'): number {
  const limits = chainArguments(MACHINE, SPEC, [], use).filter((argument) => argument.startsWith('--nproc='));
  assert.equal(limits.length, 1);
  return Number(limits[0]?.slice('--nproc='.length));
}

test('processes are limited by user too: a zygote can move its own past the limits of its copies’ cgroups', () => {
  assert.equal(processLimit('instance'), LIMITS.processesPerInstanceMax);
  // For many copies at their limits, and far from all the numbers that a machine has.
  assert.ok(processLimit('cell') >= 32 * LIMITS.processesPerInstanceMax);
  assert.ok(processLimit('cell') <= 32_768 / 2);
});
