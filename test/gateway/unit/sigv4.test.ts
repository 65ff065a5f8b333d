import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { UserError } from '../../../src/base/errors.ts';
import { readClaim, sign, verify } from '../../../src/gateway/sigv4.ts';
import type { SignedRequest } from '../../../src/gateway/sigv4.ts';

const NOW_MS = Date.UTC(2026, 0, 2, 3, 4, 5);
const KEY = { accessKeyId: 'AKPERCH', secretAccessKey: 'not so secret' };
const KEYS = new Map([[KEY.accessKeyId, KEY.secretAccessKey]]);

interface Sent extends SignedRequest {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

function signed(request: Sent, nowMs = NOW_MS, key = KEY): Sent {
  return {
    ...request,
    headers: { ...request.headers, ...sign(request, request.body, key, { region: 'eu-west-3', nowMs }) },
  };
}

/** 'ok', or the code of the refusal. */
function outcome(request: Sent, nowMs = NOW_MS): string {
  const claim = readClaim(request, KEYS, nowMs);
  if (claim instanceof UserError) return claim.code;
  return verify(request, Buffer.from(request.body), claim)?.code ?? 'ok';
}

const REQUEST: Sent = {
  method: 'POST',
  target: '/2015-03-31/functions/f%3A1/invocations?b=2&a=%20x&a=1',
  headers: { host: '127.0.0.1:9400', 'x-amz-invocation-type': 'Event' },
  body: '{"a":1}',
};

const text = fc.string({ unit: fc.constantFrom('a', 'B', '7', ' ', '~', "'", '(', '*', 'é', '%', '+', '&', '=', '/') });
const requests: fc.Arbitrary<Sent> = fc.record({
  method: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE'),
  target: fc
    .tuple(fc.array(text, { minLength: 1 }), fc.array(fc.tuple(text, text)))
    .map(
      ([path, query]) =>
        `/${path.map(encodeURIComponent).join('/')}?${query.map((pair) => pair.map(encodeURIComponent).join('=')).join('&')}`,
    ),
  headers: text.map((value) => ({ host: '127.0.0.1', 'x-amz-client-context': value })),
  body: fc.string(),
});

test('what is signed verifies', () => {
  fc.assert(fc.property(requests, (request) => outcome(signed(request)) === 'ok'));
});

test('a change of anything that is signed does not verify', () => {
  const request = signed(REQUEST);
  const changes: readonly Partial<Sent>[] = [
    { method: 'PUT' },
    { target: request.target.replace('f%3A1', 'f%3A2') },
    { target: request.target.replace('b=2', 'b=3') },
    { target: `${request.target}&c=1` },
    { body: '{"a":2}' },
    { headers: { ...request.headers, host: 'elsewhere' } },
    { headers: { ...request.headers, 'x-amz-invocation-type': 'DryRun' } },
    { headers: { ...request.headers, 'x-amz-log-type': 'Tail' } },
    { headers: { ...request.headers, 'x-amz-date': '20260102T030406Z' } },
    { headers: { ...request.headers, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' } },
  ];
  for (const change of changes) {
    assert.equal(outcome({ ...request, ...change }), 'InvalidSignatureException', JSON.stringify(change));
  }
});

test('the order of the query does not matter', () => {
  const request = signed(REQUEST);
  assert.equal(outcome({ ...request, target: '/2015-03-31/functions/f%3A1/invocations?a=1&a=%20x&b=2' }), 'ok');
});

test('keys, clocks and forms that are refused', () => {
  const minutes = 60_000;
  assert.equal(outcome(REQUEST), 'MissingAuthenticationTokenException');
  assert.equal(outcome(signed(REQUEST, NOW_MS, { ...KEY, accessKeyId: 'AKOTHER' })), 'UnrecognizedClientException');
  assert.equal(outcome(signed(REQUEST, NOW_MS, { ...KEY, secretAccessKey: 'wrong' })), 'InvalidSignatureException');
  assert.equal(outcome(signed(REQUEST), NOW_MS + 14 * minutes), 'ok');
  assert.equal(outcome(signed(REQUEST), NOW_MS - 14 * minutes), 'ok');
  assert.equal(outcome(signed(REQUEST), NOW_MS + 16 * minutes), 'InvalidSignatureException');
  assert.equal(outcome(signed(REQUEST), NOW_MS - 16 * minutes), 'InvalidSignatureException');
  const basic = { ...REQUEST, headers: { ...REQUEST.headers, authorization: 'Basic AKPERCH:x' } };
  assert.equal(outcome(basic), 'InvalidSignatureException');
  const other = signed(REQUEST);
  const authorization = other.headers['authorization']?.replace('/lambda/', '/s3/') ?? '';
  assert.equal(outcome({ ...other, headers: { ...other.headers, authorization } }), 'InvalidSignatureException');
});
