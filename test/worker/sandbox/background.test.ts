import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mayReturn } from '../../../src/worker/sandbox/background.ts';

const NO_CAPABILITY = 'Name:\tnode\nCapEff:\t0000000000000000\n';
const CAPABILITY = 'Name:\tnode\nCapEff:\t0000000000800000\n';
const OTHERS = 'Name:\tnode\nCapEff:\t000001ffff7fffff\n';
const FIRST = '         0          0 4294967295\n';
const NESTED = '         0       1000          1\n';
const limits = (soft: number): string =>
  `Limit                     Soft Limit           Hard Limit           Units\nMax nice priority         ${soft}                    40                   \n`;

test('there is a way back with the capability in the first user namespace, or with a limit of 20', () => {
  assert.ok(mayReturn(CAPABILITY, limits(0), FIRST));
  assert.ok(!mayReturn(CAPABILITY, limits(0), NESTED));
  assert.ok(!mayReturn(OTHERS, limits(0), FIRST));
  assert.ok(!mayReturn(NO_CAPABILITY, limits(19), FIRST));
  assert.ok(mayReturn(NO_CAPABILITY, limits(20), NESTED));
  assert.ok(!mayReturn('', '', ''));
});
