/** What `--sharing` takes and refuses. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSharing } from '../../../src/cli/sharing-option.ts';

test('--sharing: a policy, and for how many invocations each core is', () => {
  assert.deepEqual(parseSharing('lend'), { policy: 'lend', perCore: null });
  assert.deepEqual(parseSharing('packed:2'), { policy: 'packed', perCore: 2 });
  assert.deepEqual(parseSharing('lend:32'), { policy: 'lend', perCore: 32 });
  for (const text of ['lend:03', 'lend:0', 'lend:1', 'lend:100', 'lend:', 'lend:+3', 'dedicated:2', 'Lend', ''])
    assert.throws(() => parseSharing(text), /It has to be dedicated, lend:N/, text);
});
