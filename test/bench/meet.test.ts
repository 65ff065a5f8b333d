/** Where the threads of a benchmark wait for each other. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meet } from '../../bench/lib/schedule-shards-process.ts';

test('whoever waits for a thread that does not come says so, and waits no more', () => {
  const meeting = (): Int32Array => new Int32Array(new SharedArrayBuffer(4));
  meet(meeting(), 1);
  assert.throws(() => meet(meeting(), 2, 0), /a thread has not come to a meeting of 2/);
});
