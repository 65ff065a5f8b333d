/** Functions of several cores on one machine, through its gateway: real processes, real affinity. */
import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { functionsOnPlatform, type Invoked } from '../lib/functions.ts';
import { whyNoSandbox } from '../cli/perch.ts';

const noSandbox = await whyNoSandbox();
const reason = availableParallelism() < 2 ? 'NEEDS 2 CORES: this machine has one' : noSandbox;
if (reason !== '') process.stderr.write(`SKIPPED: ${reason}\n`);
const skip = reason === '' ? false : reason;

const SEES = `
import os from 'node:os';
export const handler = async ({ ms = 0 }) => {
  const seen = os.availableParallelism();
  await new Promise((resolve) => setTimeout(resolve, ms));
  return seen;
};`;
const PYTHON = `
import os
def handler(event, context):
    return len(os.sched_getaffinity(0))
`;

const { functions } = functionsOnPlatform(skip);
const valueOf = ({ status, value }: Invoked): unknown => {
  assert.equal(status, 200, JSON.stringify(value));
  return value;
};

test('a function sees the cores that it asks for, in each isolation and language', { skip }, async () => {
  for (const isolation of ['reuse', 'fresh', 'process']) {
    const environment = { PERCH_CORES: '2', PERCH_ISOLATION: isolation };
    await functions.deploy(`pair-${isolation}`, { files: { 'index.mjs': SEES }, environment });
    await functions.deploy(`python-${isolation}`, { files: { 'index.py': PYTHON }, environment });
    for (let count = 0; count < 3; count++) {
      assert.equal(valueOf(await functions.invoke(`pair-${isolation}`, {})), 2, isolation);
      assert.equal(valueOf(await functions.invoke(`python-${isolation}`, {})), 2, isolation);
    }
  }
  await functions.deploy('single', { files: { 'index.mjs': SEES } });
  assert.equal(valueOf(await functions.invoke('single', {})), 1);
});

test('those of one core and of several take turns, and each is answered', { skip }, async () => {
  await functions.deploy('one', { files: { 'index.mjs': SEES } });
  await functions.deploy('two', { files: { 'index.mjs': SEES }, environment: { PERCH_CORES: '2' } });
  const calls = Array.from({ length: 60 }, (_, index) => {
    const name = index % 3 === 0 ? 'two' : 'one';
    return functions.invoke(name, { ms: 5 + (index % 7) }).then((invoked) => {
      assert.equal(valueOf(invoked), name === 'two' ? 2 : 1);
    });
  });
  await Promise.all(calls);
  const { cores } = (await functions.json('GET', '/perch/v1/cores')) as { cores: readonly { state: string }[] };
  assert.ok(cores.every(({ state }) => state === 'idle'));
});

test('more cores than the machine has are refused when it is invoked, with what is wrong', { skip }, async () => {
  await functions.deploy('greedy', { files: { 'index.mjs': SEES }, environment: { PERCH_CORES: '32' } });
  const { status, value } = await functions.invoke('greedy', {});
  assert.equal(status, 400);
  assert.match(JSON.stringify(value), /asks for more cores than any worker has/);
});
