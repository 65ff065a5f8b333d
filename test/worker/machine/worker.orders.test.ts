/** The worker machine in small cases: one version, two cores or both in one lease, a cell that waits, and every order of what may happen. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkLeases, checkRested, flourish, perish, stop } from './endings.ts';
import { INIT_TIMEOUT_US, Shell, SlotState, VERSIONS } from './shell.ts';

const FORKED = 1;

/** Every order of what may happen next, so many events deep; `leaf` sees each end once. */
function enumerate(make: () => Shell, depth: number, leaf: (shell: Shell, turn: number) => void): number {
  const path: number[] = [];
  const widths: number[] = [];
  for (let turn = 0; ; turn++) {
    const shell = make();
    for (let level = 0; level < depth; level++) {
      const choices = choicesOf(shell);
      path[level] ??= 0;
      widths[level] = choices.length;
      choices[path[level]!]!();
      shell.drain();
    }
    leaf(shell, turn);
    let level = depth - 1;
    while (level >= 0 && path[level]! + 1 >= widths[level]!) level--;
    if (level < 0) return turn + 1;
    path[level]! += 1;
    path.length = level + 1;
  }
}

function choicesOf(shell: Shell): (() => void)[] {
  const { machine } = shell;
  const choices: (() => void)[] = [];
  for (let core = 0; core < shell.limits.coreCount; core++) {
    if (shell.isIdle(core)) choices.push(() => void shell.assign(core, 0));
  }
  if (shell.leases.size === 0) choices.push(() => void shell.assign(0, 0, 0b11));
  choices.push(() => {
    shell.nowUs += INIT_TIMEOUT_US;
    shell.tick();
  });
  for (const slot of shell.processes.keys()) {
    const state = machine.stateOf(slot);
    choices.push(() => shell.exit(slot));
    if (state === SlotState.booting) choices.push(() => shell.booted(slot));
    if (state === SlotState.busy) choices.push(() => shell.answer(slot));
    if (state === SlotState.starting || state === SlotState.readying) choices.push(() => shell.ready(slot));
    if (state === SlotState.zygote) choices.push(() => machine.broke(slot));
    if (state !== SlotState.initialising) continue;
    choices.push(
      () => shell.initialised(slot, 50),
      () => machine.initFailed(slot),
      () => machine.uncopyable(slot, shell.nowUs),
    );
  }
  return choices;
}

const ENDS = [
  perish,
  stop,
  (shell: Shell) => {
    flourish(shell);
    checkRested(shell);
  },
] as const;

for (const fresh of [false, true]) {
  for (const provisioned of [0, 1]) {
    test(`every order of events, ${fresh ? 'fresh' : 'reuse'}, ${provisioned} provisioned`, () => {
      const limits = { coreCount: 2, slotCount: 4, memoryMb: 700 };
      const make = (): Shell => {
        const shell = new Shell(limits, [{ ...VERSIONS[FORKED]!, memoryMb: 200, fresh }]);
        shell.tick();
        shell.booted(0);
        shell.machine.provision(0, provisioned);
        return shell;
      };
      const count = enumerate(make, Number(process.env['PERCH_ORDERS_DEPTH'] ?? 5), (shell, turn) => {
        ENDS[turn % ENDS.length]!(shell);
        checkLeases(shell);
      });
      assert.ok(count > 1000, `${count} orders`);
    });
  }
}
