/** What is made ahead for the next steps of chains: as many as are wanted and fit, woken where they rest, and in nobody's way. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Shell, SlotState } from './shell.ts';

const PLAIN = 0;
const FORKED = 1;

function want(shell: Shell, version: number, count: number): void {
  shell.machine.want(version, count, shell.nowUs);
  shell.drain();
}

test('one is made ahead of its invocation, and it runs there', () => {
  const shell = new Shell();
  want(shell, PLAIN, 1);
  const [slot] = shell.of(PLAIN, SlotState.readying);
  assert.ok(slot !== undefined);
  want(shell, PLAIN, 1);
  assert.equal(shell.of(PLAIN, SlotState.readying).length, 1, 'one is enough');
  shell.ready(slot);
  want(shell, PLAIN, 0);
  assert.ok(shell.assign(0, PLAIN));
  assert.equal(shell.machine.slotOf(0), slot);
  assert.deepEqual(shell.of(PLAIN, SlotState.busy), [slot]);
});

test('what is wanted of a version that can be forked comes from its zygote, once that is initialised', () => {
  const shell = new Shell({ memoryMb: 3000 });
  shell.tick();
  for (const slot of shell.slotsIn(SlotState.booting)) shell.booted(slot);
  want(shell, FORKED, 1);
  const [zygote] = shell.slotsIn(SlotState.initialising);
  assert.ok(zygote !== undefined);
  shell.initialised(zygote, 50);
  assert.equal(shell.of(FORKED, SlotState.readying).length, 1);
});

test('one that rests frozen is awake again, and freezes when nobody came', () => {
  const shell = new Shell();
  want(shell, PLAIN, 1);
  const [slot] = shell.of(PLAIN, SlotState.readying);
  shell.ready(slot!);
  want(shell, PLAIN, 0);
  shell.tick(3);
  assert.ok(shell.frozen.has(slot!));
  want(shell, PLAIN, 1);
  assert.ok(!shell.frozen.has(slot!));
  assert.equal(shell.of(PLAIN, SlotState.readying).length, 0, 'it is enough');
  shell.tick(3);
  assert.ok(shell.frozen.has(slot!));
});

test('no more than copiesAheadMax, and nothing that leases have use for', () => {
  const shell = new Shell({ slotCount: 3, cellTargets: [0] });
  want(shell, PLAIN, 9);
  assert.equal(shell.of(PLAIN, SlotState.readying).length, 2);
  for (let core = 0; core < 2; core++) {
    while (!shell.assign(core, 3)) for (const slot of shell.slotsIn(SlotState.dying)) shell.exit(slot);
  }
  assert.equal(shell.of(3, SlotState.starting).length, 2, 'leases took its place');
});

test('what fails to initialise is not made again before a lease has had an instance', () => {
  const shell = new Shell();
  want(shell, PLAIN, 1);
  const [slot] = shell.of(PLAIN, SlotState.readying);
  shell.answer(slot!);
  shell.exit(slot!);
  want(shell, PLAIN, 2);
  assert.equal(shell.of(PLAIN, SlotState.readying).length, 0);
});
