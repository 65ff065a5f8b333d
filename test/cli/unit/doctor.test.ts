/** What `perch doctor NAME` says, in words, of what a platform answers. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type FunctionReport, reportLines } from '../../../src/cli/doctor/function.ts';
import type { FunctionConfiguration } from '../../../src/cli/lambda-api.ts';
import type { FunctionState } from '../../../src/cli/perch-api.ts';

const STATE: FunctionState = {
  functionName: 'hello',
  version: '$LATEST',
  isolation: 'reuse',
  network: 'outbound',
  refusal: null,
  copyable: null,
  reasons: [],
  zygote: 'none',
  lacks: '',
  waiting: 0,
};

function lineOf(what: string, state: Partial<FunctionState>, runtime = 'nodejs24.x'): string {
  const configuration = { Runtime: runtime, CodeSize: 1 } as unknown as FunctionConfiguration;
  const report: FunctionReport = { configuration, state: { ...STATE, ...state }, provisioned: [] };
  return reportLines(report).find(([each]) => each === what)?.[1] ?? '';
}

describe('the copies of a function', () => {
  test('why there is no zygote', () => {
    assert.equal(
      lineOf('copies', { lacks: 'no stem cell: memory is full', waiting: 1 }),
      'not known yet; an invocation finds out; no zygote (no stem cell: memory is full), 1 waiting',
    );
  });
});
