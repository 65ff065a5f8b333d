/** What `perch doctor NAME` says, in words, of what a platform answers. */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { type FunctionReport, reportLines } from '../../../src/cli/doctor/function.ts';
import type { FunctionConfiguration } from '../../../src/cli/lambda-api.ts';
import type { FunctionState } from '../../../src/cli/perch-api.ts';

const STATE: FunctionState = {
  functionName: 'hello',
  version: '$LATEST',
  isolation: 'reuse',
  network: 'outbound',
  cores: 1,
  sharing: 'shared',
  refusal: null,
  copyable: null,
  reasons: [],
  zygote: 'none',
  lacks: '',
  failure: '',
  waiting: 0,
};

function lineOf(what: string, state: Partial<FunctionState>, runtime = 'nodejs24.x'): string {
  const configuration = { Runtime: runtime, CodeSize: 1 } as unknown as FunctionConfiguration;
  const report: FunctionReport = { configuration, state: { ...STATE, ...state }, provisioned: [], sharedNetworks };
  return reportLines(report).find(([each]) => each === what)?.[1] ?? '';
}

let sharedNetworks: readonly string[] = [];
afterEach(() => (sharedNetworks = []));

describe('the copies of a function', () => {
  test('that none are needed, or made, by the nature of the runtime or because its owner wants none', () => {
    const plain = { copyable: false, reasons: ['the runtime wasm has no zygotes'] };
    assert.equal(lineOf('copies', plain, 'wasm'), 'none needed: every invocation gets a new instance of the module');
    assert.equal(
      lineOf('copies', plain, 'provided.al2023'),
      'none: every instance is a process of its own, as always with the runtime provided.al2023',
    );
    assert.equal(
      lineOf('copies', { ...plain, isolation: 'process' }),
      'none: every instance is a process of its own, as its isolation says',
    );
    assert.match(lineOf('copies', plain), /cannot be copied/);
    assert.equal(lineOf('', { copyable: false, reasons: ['a timer'] }), 'a timer');
    assert.equal(lineOf('', plain, 'wasm'), '');
  });

  test('that initialisation fails, and with what', () => {
    assert.equal(lineOf('initialises', {}), '');
    assert.equal(lineOf('initialises', { failure: 'TypeError: not today' }), 'no: TypeError: not today');
    assert.match(lineOf('copies', { failure: 'TypeError: not today' }), /^not known; it has not been initialised;/);
  });

  test('why there is no zygote', () => {
    assert.equal(
      lineOf('copies', { lacks: 'no stem cell: memory is full', waiting: 1 }),
      'not known yet; an invocation finds out; no zygote (no stem cell: memory is full), 1 waiting',
    );
  });
});

test('how a function shares its cores', () => {
  assert.equal(lineOf('sharing', {}), 'shared');
  assert.equal(lineOf('sharing', { sharing: 'spare' }), 'spare');
});

describe('the network of a function', () => {
  test('is that of the server, where a platform can connect none', () => {
    sharedNetworks = ['outbound'];
    assert.equal(
      lineOf('network', {}),
      'outbound, asked for; it shares the network of the server, as this platform can give it no other',
    );
    assert.equal(lineOf('network', { network: 'none' }), 'none');
    assert.equal(lineOf('network', { network: 'host' }), 'host');
  });
});
