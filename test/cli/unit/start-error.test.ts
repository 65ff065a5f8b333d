/** What the operator is told where a node does not start. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CliError } from '../../../src/cli/exit-codes.ts';
import { startError } from '../../../src/cli/start-error.ts';

const LISTEN = { host: 'h.example', port: 9401 };

test('what listening failed with is said to be that, and nothing else is', async () => {
  const of = (more: object): Promise<unknown> => startError(Object.assign(new Error('no'), more), LISTEN);
  for (const more of [
    { syscall: 'listen', code: 'EADDRINUSE' },
    { syscall: 'getaddrinfo', code: 'ENOTFOUND', hostname: 'h.example' },
  ]) {
    const error = await of(more);
    assert.ok(error instanceof CliError);
    assert.equal(error.message, `Cannot listen on h.example:9401: ${more.code}.`);
  }
  for (const more of [{}, { syscall: 'getaddrinfo', code: 'ENOTFOUND', hostname: 'other.example' }]) {
    const error = (await of(more)) as Error;
    assert.ok(!(error instanceof CliError));
    assert.equal(error.message, 'no', 'a bug stays what it is');
  }
});
