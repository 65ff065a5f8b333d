import assert from 'node:assert/strict';
import test from 'node:test';
import { UserError } from '../../../src/base/errors.ts';
import { LAMBDA_ROUTES } from '../../../src/gateway/lambda/routes.ts';
import { UNSUPPORTED } from '../../../src/gateway/lambda/unsupported.ts';
import { unseen } from '../../../src/store/unseen.ts';
import { Router } from '../../../src/gateway/router.ts';

const router = new Router();

function found(method: string, path: string): string {
  const result = router.find(method, path);
  if (result instanceof UserError) return `${result.code}: ${result.message}`;
  if (result.kind === 'invoke-chain') return `invoke chain ${result.chainName}`;
  return result.kind === 'invoke'
    ? `invoke ${result.functionName}`
    : `${result.route.operation} ${Object.values(result.params).join()}`.trim();
}

test('every offered operation is found, with and without a trailing slash', () => {
  for (const { method, path, operation } of LAMBDA_ROUTES) {
    const concrete = path.replace(/:\w+/g, 'x');
    assert.match(found(method, concrete), new RegExp(`^${operation}\\b`));
    assert.match(found(method, `${concrete}/`), new RegExp(`^${operation}\\b`));
  }
});

test('every other operation of Lambda is refused by its name', () => {
  for (const [method, path, operation] of UNSUPPORTED) {
    const text = found(method, path.replace(/:\w+/g, 'x'));
    assert.match(text, /^UnknownOperationException: /);
    assert.ok(text.includes(operation), text);
  }
});

test('parameters are decoded, whatever their length', () => {
  const arn = 'arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST';
  assert.equal(found('POST', `/2015-03-31/functions/${encodeURIComponent(arn)}/invocations`), `invoke ${arn}`);
  assert.equal(found('GET', `/2015-03-31/functions/${'x'.repeat(500)}`), `GetFunction ${'x'.repeat(500)}`);
});

test('paths that are no operation', () => {
  assert.match(
    found('GET', '/nowhere'),
    /^UnknownOperationException: No operation has the method GET and the path \/nowhere\.$/,
  );
  assert.match(found('PATCH', '/2015-03-31/functions'), /That path has GET, POST\.$/);
  assert.match(found('GET', '/%zz'), /^UnknownOperationException/);
});

test('log lines that the tail already held are not repeated', () => {
  assert.deepEqual(unseen('a\nb\nc\n', ['b\n', 'c\n']), []);
  assert.deepEqual(unseen('a\nb\n', ['b\n', 'c\n']), ['c\n']);
  assert.deepEqual(unseen('a\n', ['b\n', 'c\n']), ['b\n', 'c\n']);
  assert.deepEqual(unseen('', []), []);
});
