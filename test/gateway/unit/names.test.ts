import assert from 'node:assert/strict';
import test from 'node:test';
import { UserError } from '../../../src/base/errors.ts';
import { parseFunctionRef, parseUnqualified } from '../../../src/gateway/lambda/names.ts';

const ACCOUNT = { region: 'us-east-1', accountId: '000000000000' };

function parse(raw: string, qualifier: string | null = null): string {
  const ref = parseFunctionRef(ACCOUNT, raw, qualifier);
  return ref instanceof UserError ? ref.code : `${ref.functionName}|${ref.qualifier ?? ''}`;
}

test('names in every form that clients use', () => {
  assert.equal(parse('hello'), 'hello|');
  assert.equal(parse('hello:7'), 'hello|7');
  assert.equal(parse('hello:$LATEST'), 'hello|$LATEST');
  assert.equal(parse('hello', '7'), 'hello|7');
  assert.equal(parse('hello:7', '7'), 'hello|7');
  assert.equal(parse('000000000000:hello'), 'hello|');
  assert.equal(parse('000000000000:function:hello:3'), 'hello|3');
  assert.equal(parse('function:hello'), 'hello|');
  assert.equal(parse('arn:aws:lambda:us-east-1:000000000000:function:hello'), 'hello|');
  assert.equal(parse('arn:aws:lambda:us-east-1:000000000000:function:hello:live'), 'hello|live');
});

test('names that are refused', () => {
  assert.equal(parse(''), 'ValidationException');
  assert.equal(parse('no spaces'), 'ValidationException');
  assert.equal(parse('../etc'), 'ValidationException');
  assert.equal(parse('x'.repeat(64)), `${'x'.repeat(64)}|`);
  assert.equal(parse('x'.repeat(65)), 'ValidationException');
  assert.equal(parse('x'.repeat(141)), 'ValidationException');
  assert.equal(parse('hello', 'a b'), 'ValidationException');
  assert.equal(parse('hello:1', '2'), 'InvalidParameterValueException');
  assert.equal(parse('arn:aws:lambda:eu-west-1:000000000000:function:hello'), 'ResourceNotFoundException');
  assert.equal(parse('arn:aws:lambda:us-east-1:111111111111:function:hello'), 'ResourceNotFoundException');
});

test('operations on whole functions take no version', () => {
  assert.equal(parseUnqualified(ACCOUNT, 'hello:$LATEST'), 'hello');
  const refused = parseUnqualified(ACCOUNT, 'hello:1');
  assert.ok(refused instanceof UserError && refused.code === 'InvalidParameterValueException');
});
