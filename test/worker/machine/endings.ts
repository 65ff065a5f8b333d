/** How a run of the worker machine's model ends, and what has to hold then. */
import assert from 'node:assert/strict';
import { INIT_TIMEOUT_US, type Shell, SlotState, TIMEOUT_US } from './shell.ts';

/** Nothing answers any more: time passes, and what is killed ends. */
export function perish(shell: Shell): void {
  for (let round = 0; round < 4; round++) {
    shell.nowUs += INIT_TIMEOUT_US + TIMEOUT_US;
    shell.tick();
    for (const slot of shell.slotsIn(SlotState.dying)) shell.exit(slot);
  }
}

/** Everything does what it should, until there is nothing left to do. */
export function flourish(shell: Shell): void {
  for (let round = 0; round < 7000; round++) {
    for (const slot of shell.slotsIn(SlotState.dying)) shell.exit(slot);
    for (const slot of shell.slotsIn(SlotState.booting)) shell.booted(slot);
    for (const slot of shell.slotsIn(SlotState.initialising)) shell.initialised(slot, 50);
    for (const slot of shell.slotsIn(SlotState.starting, SlotState.readying)) shell.ready(slot);
    for (const slot of shell.slotsIn(SlotState.busy)) shell.answer(slot);
    shell.tick();
    const quiet = shell.leases.size === 0 && shell.machine.awakeCount === 0;
    if (quiet && shell.slotsIn(SlotState.dying).length === 0) return;
    if (round > 40 && cannotAllBeProvisioned(shell)) return;
  }
  assert.fail('it never comes to rest');
}

function cannotAllBeProvisioned(shell: Shell): boolean {
  let memoryMb = 0;
  for (const [version, properties] of shell.versions.entries()) {
    const count = shell.machine.provisionedCount(version);
    // With a zygote beside them, which may need as much as an instance at first.
    if (count > 0) memoryMb += (count + (properties.cellKind < 0 ? 0 : 1)) * properties.memoryMb;
  }
  return memoryMb > shell.limits.memoryMb;
}

export function checkRested(shell: Shell): void {
  if (cannotAllBeProvisioned(shell)) return;
  for (const version of shell.versions.keys()) {
    assert.ok(
      shell.machine.provisionedReady(version) >= shell.machine.provisionedCount(version),
      'too few provisioned',
    );
    assert.ok(shell.machine.provisionedCount(version) === 0 || !shell.machine.provisionedFailed(version));
  }
  for (const slot of shell.processes.keys()) assert.ok(shell.frozen.has(slot), `slot ${slot} is not frozen`);
  const provisioned = [...shell.versions.keys()].some((version) => shell.machine.provisionedCount(version) > 0);
  if (!provisioned) assert.ok(!shell.refused, 'a refused lease never heard that there is room');
}

export function checkLeases(shell: Shell): void {
  assert.equal(shell.leases.size, 0, 'a lease never ended');
  assert.equal(shell.completedCount, shell.acceptedCount);
  assert.equal(shell.releasedCount, shell.acceptedCount);
  for (let slot = 0; slot < shell.limits.slotCount; slot++)
    assert.notEqual(shell.machine.stateOf(slot), SlotState.awaiting, `slot ${slot} awaits for ever`);
}

export function stop(shell: Shell): void {
  shell.machine.stop();
  shell.drain();
  assert.equal(shell.assign(0, 0), false);
  assert.equal(shell.machine.awakeCount, 0);
  while (shell.processes.size > 0) shell.exit([...shell.processes.keys()][0]!);
  assert.equal(shell.machine.residentCount, 0);
  assert.equal(shell.machine.residentMb, 0);
  checkLeases(shell);
}
