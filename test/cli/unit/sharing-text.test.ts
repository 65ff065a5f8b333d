/** What comes of what an operator says of a function, as its workers share their cores. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { effectText } from '../../../src/cli/sharing-text.ts';
import type { WorkerSharing } from '../../../src/gateway/overview.ts';
import type { SharingPolicy, SourceName } from '../../../src/worker/agent/sharing-setting.ts';

const RULES = { sources: null, rules: 'while blocked sleep', plugin: null };

function worker(policy: SharingPolicy, sources: readonly SourceName[] = ['directed', 'learning']): WorkerSharing {
  const residents = { running: 0, waiting: 0, asleep: 0, frozen: 0, kept: 0 };
  return { worker: 'box', policy, perCore: 3, sources, observer: 'sampling', residents };
}

test('what is said counts where it is asked who sleeps, and by those who are believed', () => {
  const said: readonly (readonly [readonly WorkerSharing[], RegExp])[] = [
    [[worker('lend')], /^it counts at once$/],
    [[worker('packed'), worker('preempt')], /^it counts at once$/],
    [[worker('dedicated', [])], /^it counts for nothing while --sharing is dedicated; /],
    [[worker('fair', []), worker('dedicated', [])], /^it counts for nothing while --sharing is fair and dedicated; /],
    [[worker('lend'), worker('dedicated', []), worker('lend')], /^it counts at once on 2 of 3 workers; /],
    [[worker('lend', ['learning'])], /^its rules count for nothing, since 'directed' is not among /],
    [[], /^it counts at once where cores are shared by lend, packed or preempt$/],
  ];
  for (const [sharing, text] of said) assert.match(effectText(RULES, sharing), text);
  const learning = [worker('lend', ['learning'])];
  assert.equal(effectText({ ...RULES, sources: ['directed'] }, learning), 'it counts at once');
  assert.equal(effectText({ ...RULES, rules: null, sources: [] }, learning), 'it counts at once');
  assert.match(effectText({ ...RULES, sources: ['learning'] }, [worker('lend')]), /^its rules count for nothing/);
  assert.match(effectText({ sources: null, rules: null, plugin: 'AA==' }, learning), /^its plug-in counts for nothing/);
});
