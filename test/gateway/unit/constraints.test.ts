import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { UserError } from '../../../src/base/errors.ts';
import { checkFields } from '../../../src/gateway/lambda/constraints.ts';
import { CREATE_FUNCTION, PUT_CONCURRENCY } from '../../../src/gateway/lambda/fields.ts';

const GOOD = {
  FunctionName: 'hello',
  Role: 'arn:aws:iam::000000000000:role/perch',
  Runtime: 'nodejs24.x',
  Handler: 'index.handler',
  Code: { ZipFile: 'AAAA' },
};

function refusal(change: Record<string, unknown>): string {
  const result = checkFields(CREATE_FUNCTION, { ...GOOD, ...change });
  return result instanceof UserError ? `${result.code}: ${result.message}` : 'accepted';
}

test('good fields are accepted, nulls count as absent, unknown fields are ignored', () => {
  assert.equal(refusal({}), 'accepted');
  assert.equal(refusal({ MemorySize: null, Environment: { Variables: null }, Whatever: [1] }), 'accepted');
});

test('a violation is told in the words of AWS', () => {
  const one = 'ValidationException: 1 validation error detected: ';
  const constraint = 'failed to satisfy constraint: Member must';
  assert.equal(
    refusal({ MemorySize: 1 }),
    `${one}Value '1' at 'memorySize' ${constraint} have value greater than or equal to 128`,
  );
  assert.equal(
    refusal({ Timeout: 901 }),
    `${one}Value '901' at 'timeout' ${constraint} have value less than or equal to 900`,
  );
  assert.equal(refusal({ Role: undefined }), `${one}Value null at 'role' ${constraint} not be null`);
  assert.equal(
    refusal({ Architectures: ['riscv'] }),
    `${one}Value '[riscv]' at 'architectures' ${constraint} satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64]]`,
  );
  assert.equal(
    refusal({ TracingConfig: { Mode: 'On' } }),
    `${one}Value 'On' at 'tracingConfig.mode' ${constraint} satisfy enum value set: [Active, PassThrough]`,
  );
});

test('several violations are counted together', () => {
  const text = refusal({ FunctionName: 'no spaces', MemorySize: 1, Handler: 'a b' });
  assert.match(
    text,
    /^ValidationException: 3 validation errors detected: .*'functionName'.*; .*'handler'.*; .*'memorySize'/,
  );
});

test('the values of an environment are never shown', () => {
  const text = refusal({ Environment: { Variables: { '1BAD': 'secret' } } });
  assert.match(text, /'\{1BAD\}' at 'environment\.variables'/);
  assert.doesNotMatch(text, /secret/);
});

test('wrong JSON types', () => {
  const serialization = 'SerializationException: ';
  assert.equal(
    refusal({ MemorySize: '128' }),
    `${serialization}STRING_VALUE can not be converted to an Integer (at 'memorySize')`,
  );
  assert.equal(
    refusal({ MemorySize: 1.5 }),
    `${serialization}NUMBER_VALUE can not be converted to an Integer (at 'memorySize')`,
  );
  assert.equal(refusal({ Handler: 1 }), `${serialization}NUMBER_VALUE can not be converted to a String (at 'handler')`);
  assert.equal(
    refusal({ Publish: 'yes' }),
    `${serialization}STRING_VALUE can not be converted to a Boolean (at 'publish')`,
  );
  assert.equal(
    refusal({ Handler: true }),
    `${serialization}TRUE_VALUE can not be converted to a String (at 'handler')`,
  );
  assert.equal(refusal({ Handler: [] }), `${serialization}Start of list found where not expected (at 'handler')`);
  assert.equal(
    refusal({ Handler: {} }),
    `${serialization}Start of structure or map found where not expected (at 'handler')`,
  );
  assert.match(refusal({ Code: 'zip' }), /^SerializationException: .*'code'/);
  assert.match(refusal({ Tags: { a: 1 } }), /^SerializationException: .*'tags\.a'/);
  assert.match(refusal({ Tags: { a: null } }), /^SerializationException: .*'tags\.a'/);
  assert.match(refusal({ Layers: [1] }), /^SerializationException: .*'layers\.1\.member'/);
});

test('whatever JSON arrives is refused or accepted, and never throws', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      checkFields(CREATE_FUNCTION, value);
      checkFields(PUT_CONCURRENCY, value);
    }),
  );
});
