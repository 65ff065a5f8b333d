/** When what rests is frozen. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Shell } from './shell.ts';

/** Of the shell: a process of its own. */
const PLAIN = 0;

test('an instance that is used again before the second tick is never frozen', () => {
  const shell = new Shell({ cellTargets: [0] });
  shell.assign(0, PLAIN);
  shell.ready(0);
  for (let round = 0; round < 3; round++) {
    shell.answer(0);
    shell.tick();
    assert.deepEqual([shell.frozen.size, shell.machine.awakeCount], [0, 1]);
    assert.ok(shell.assign(0, PLAIN));
  }
  shell.answer(0);
  shell.tick(3);
  assert.deepEqual([shell.frozen.size, shell.machine.awakeCount], [1, 0]);
  assert.ok(shell.assign(2, PLAIN));
  assert.equal(shell.frozen.size, 0);
});

test('who is still stays awake for twenty ticks, and with one that stirs every older one is frozen', () => {
  const shell = new Shell({ cellTargets: [0] });
  for (const core of [0, 1, 2]) shell.assign(core, PLAIN);
  for (const slot of [0, 1, 2]) shell.ready(slot);
  shell.isStill = () => true;
  shell.answer(0);
  shell.tick();
  shell.answer(1);
  shell.tick(19);
  assert.deepEqual([[...shell.frozen], shell.machine.awakeCount], [[], 2]);
  shell.tick();
  assert.deepEqual([[...shell.frozen], shell.machine.awakeCount], [[0], 1]);
  shell.answer(2);
  shell.tick(2);
  assert.deepEqual([...shell.frozen], [0, 1]);
  assert.ok(shell.assign(0, PLAIN), 'the newest is taken, and needs no thaw');
  assert.deepEqual([...shell.frozen], [0, 1]);
  assert.ok(shell.assign(1, PLAIN));
  assert.deepEqual([...shell.frozen], [0]);
  shell.answer(1);
  shell.tick();
  shell.answer(2);
  shell.isStill = (slot) => slot !== 1;
  shell.tick();
  assert.deepEqual([...shell.frozen], [0, 1]);
  shell.tick(5);
  assert.deepEqual([...shell.frozen], [0, 1], 'a newer one that is still is not');
});
