/** The worker machine with leases of several cores, case by case. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkLeases, flourish } from './endings.ts';
import { Ending, Shell, SlotState } from './shell.ts';

/** Versions of the shell. */
const PLAIN = 0;
const FORKED = 1;

test('all of them are held until the one release, which names the lead', () => {
  const shell = new Shell({ cellTargets: [0], coreCount: 5, slotCount: 6 });
  assert.ok(shell.assign(1, PLAIN, 0b11010));
  assert.deepEqual(
    [0, 1, 2, 3, 4].map((core) => shell.machine.slotOf(core)),
    [-1, 0, -1, 0, 0],
  );
  assert.equal(shell.machine.maskOf(1), 0b11010);
  for (const core of [1, 3, 4]) assert.equal(shell.assign(core, PLAIN), false);
  assert.ok(shell.assign(2, PLAIN));
  shell.ready(0);
  shell.answer(0);
  assert.deepEqual(shell.done(), [
    'start 0 1 0',
    'start 1 2 0',
    'run 0 1',
    `complete 1 0 ${Ending.answered}`,
    'release 1 true',
  ]);
  // The same instance, on one core of those that it had.
  assert.ok(shell.assign(4, PLAIN));
  assert.deepEqual([shell.done(), shell.machine.maskOf(4)], [['run 0 4'], 0]);
});

test('what is no lease is refused, and changes nothing: a lead that is not the lowest, cores that are busy or not there', () => {
  const shell = new Shell({ cellTargets: [0], coreCount: 3, slotCount: 4 });
  assert.ok(shell.assign(1, PLAIN));
  shell.done();
  for (const mask of [0b001, 0b101, 0b011]) assert.equal(shell.assign(2, PLAIN, mask), false);
  for (const mask of [0b011, 0b111, 0b110, 0b1001, 0x80000001]) assert.equal(shell.assign(0, PLAIN, mask), false);
  assert.deepEqual(shell.done(), []);
  assert.ok(shell.assign(0, PLAIN, 0b101));
});

test('in the second word of a worker, up to its last bit', () => {
  const shell = new Shell({ cellTargets: [0], coreCount: 64, slotCount: 64, memoryMb: 64_000 });
  assert.ok(shell.assign(31, PLAIN, 0x80000000));
  assert.equal(shell.machine.maskOf(31), 0);
  assert.ok(shell.assign(0, PLAIN, 0x7fffffff));
  assert.ok(shell.assign(32, PLAIN, 0xffffffff));
  assert.ok(Array.from({ length: 64 }, (_, core) => shell.machine.slotOf(core)).every((slot) => slot >= 0));
  flourish(shell);
  checkLeases(shell);
});

test('those that await a zygote get their copies, and end with it', () => {
  const shell = withCell();
  assert.ok(shell.assign(0, FORKED, 0b11));
  assert.ok(shell.assign(2, FORKED, 0b1100));
  shell.initialised(0, 50);
  const forks = shell.done().filter((action) => action.startsWith('fork'));
  assert.deepEqual(forks, [`fork ${shell.machine.slotOf(1)} 0 0`, `fork ${shell.machine.slotOf(3)} 0 2`]);
  flourish(shell);
  checkLeases(shell);
  const failing = withCell();
  assert.ok(failing.assign(1, FORKED, 0b1110));
  failing.machine.initFailed(0);
  failing.drain();
  assert.deepEqual(failing.done().slice(1, 3), [`complete 1 0 ${Ending.initFailed}`, 'release 1 false']);
  checkLeases(failing);
});

/** A shell of four cores whose cell waits. */
function withCell(): Shell {
  const shell = new Shell({ coreCount: 4, slotCount: 8, memoryMb: 3000 });
  shell.tick();
  for (const slot of shell.slotsIn(SlotState.booting)) shell.booted(slot);
  shell.done();
  return shell;
}
