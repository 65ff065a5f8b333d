/** The worker machine where room is short: who goes, who stays, and who hears of it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkLeases, checkRested, flourish } from './endings.ts';
import { CellLack } from '../../../src/worker/machine/ahead.ts';
import { Ending, Shell, SlotState, VERSIONS } from './shell.ts';

const PLAIN = 0;
const FORKED = 1;
const FRESH = 2;
const FRESH_PLAIN = 3;
const BIG = 4;

type Limits = ConstructorParameters<typeof Shell>[0];

/** A shell whose cells wait. */
function withCells(limits: Limits): Shell {
  const shell = new Shell(limits);
  shell.tick();
  for (const slot of shell.slotsIn(SlotState.booting)) shell.booted(slot);
  shell.done();
  return shell;
}

/** One invocation of the version from beginning to end; to get ready takes its instance, and its zygote, so long. */
function invoke(shell: Shell, version: number, costUs = 100, last = false): void {
  assert.ok(shell.assign(0, version));
  shell.nowUs += costUs;
  for (const slot of shell.slotsIn(SlotState.initialising)) shell.initialised(slot, 0);
  const slot = shell.machine.slotOf(0);
  if (shell.machine.stateOf(slot) === SlotState.starting) shell.ready(slot);
  shell.answer(slot, last);
  for (const dying of shell.slotsIn(SlotState.dying)) shell.exit(dying);
  for (const booting of shell.slotsIn(SlotState.booting)) shell.booted(booting);
}

const kills = (shell: Shell): string[] => shell.done().filter((action) => action.startsWith('kill'));
const idleOf = (shell: Shell, version: number): number => shell.of(version, SlotState.idle).length;

describe('who goes', () => {
  test('what is used no more goes in the end, and the later the dearer it was', () => {
    // Of two that cost a third of a microsecond for each MB only one fits beside one that costs thirty times as much.
    const version = VERSIONS[PLAIN]!;
    const sizes = [300, 150, 150].map((memoryMb) => ({ ...version, memoryMb }));
    const shell = new Shell({ cellTargets: [0], memoryMb: 450 }, sizes);
    invoke(shell, 0, 3000);
    let useCount = 0;
    while (idleOf(shell, 0) > 0 && useCount < 1000) invoke(shell, 1 + (useCount++ % 2), 50);
    assert.ok(useCount >= 30 && useCount <= 33, `it went after ${useCount} uses of others`);
  });

  test('not the zygote that is to be forked, though it is worth the least', () => {
    const shell = withCells({ memoryMb: 700, cellTargets: [1] });
    invoke(shell, FORKED, 1, true);
    invoke(shell, PLAIN, 4000);
    shell.done();
    assert.ok(shell.assign(0, FORKED));
    assert.equal(idleOf(shell, PLAIN), 0);
    assert.ok(shell.done().some((action) => action.startsWith('fork')));
  });

  test('not what is provisioned, though it is worth the least', () => {
    const shell = new Shell({ cellTargets: [0] });
    shell.machine.provision(FORKED, 1);
    flourish(shell);
    invoke(shell, BIG, 4000);
    assert.ok(shell.assign(0, FRESH_PLAIN), '200 MB beside the 300 that are provisioned, for 500 that are not');
    assert.deepEqual([idleOf(shell, FORKED), idleOf(shell, BIG)], [1, 1]);
    assert.ok(shell.assign(1, PLAIN));
    assert.deepEqual([idleOf(shell, FORKED), idleOf(shell, BIG)], [1, 0]);
  });

  test('nothing, for what cannot fit beside running copies and their zygote', () => {
    const shell = withCells({ slotCount: 8 });
    invoke(shell, FORKED);
    invoke(shell, PLAIN);
    assert.ok(shell.assign(0, FORKED));
    shell.done();
    assert.equal(shell.assign(1, BIG), false);
    assert.deepEqual(kills(shell), []);
  });

  test('nothing, for what cannot fit beside provisioned instances', () => {
    const shell = new Shell({ cellTargets: [0], memoryMb: 800 });
    shell.machine.provision(FRESH_PLAIN, 2);
    flourish(shell);
    invoke(shell, PLAIN);
    shell.done();
    assert.equal(shell.assign(1, BIG), false);
    assert.deepEqual(kills(shell), []);
  });

  test('the zygote itself, where it and a copy do not both fit', () => {
    const shell = withCells({ memoryMb: 700, cellTargets: [1] });
    invoke(shell, FORKED, 100, true);
    shell.setVersion(PLAIN, { ...VERSIONS[PLAIN]!, memoryMb: 340 });
    assert.ok(shell.assign(1, PLAIN));
    assert.equal(shell.slotsIn(SlotState.zygote).length, 1);
    shell.done();
    // 300 of the zygote and 340 that run: 300 more fit only in its place.
    assert.ok(shell.assign(0, FORKED));
    assert.ok(shell.done().some((action) => /^start \d 0 1$/.test(action)));
    assert.equal(shell.slotsIn(SlotState.zygote).length, 0);
  });
});

describe('who hears of it', () => {
  test('a refused lease, when an initialised zygote turns out to be smaller than its limit', () => {
    const shell = withCells({ memoryMb: 1000 });
    assert.ok(shell.assign(0, FORKED));
    assert.equal(shell.assign(1, BIG), false);
    shell.initialised(shell.slotsIn(SlotState.initialising)[0]!, 50);
    assert.ok(!shell.refused);
    assert.ok(shell.assign(1, BIG));
  });

  test('a refused lease, when a provisioned version is dropped', () => {
    const shell = new Shell({ cellTargets: [0] });
    shell.machine.provision(FORKED, 2);
    flourish(shell);
    assert.equal(shell.assign(0, BIG), false);
    shell.machine.dropVersion(FORKED);
    shell.drain();
    assert.ok(!shell.refused);
    assert.ok(shell.assign(0, BIG));
  });

  test('a refused lease, when one of another function ends and its instance stays', () => {
    const shell = new Shell({ cellTargets: [0] });
    assert.ok(shell.assign(0, BIG));
    assert.ok(shell.assign(1, FORKED));
    assert.equal(shell.assign(2, FORKED), false);
    shell.ready(shell.machine.slotOf(0));
    shell.answer(shell.machine.slotOf(0));
    assert.ok(!shell.refused);
    assert.ok(shell.assign(2, FRESH_PLAIN));
  });
});

describe('what is made ahead where room is short', () => {
  test('cells boot again once a refused lease has been placed', () => {
    const shell = withCells({ slotCount: 3, cellTargets: [1] });
    assert.ok(shell.assign(0, PLAIN));
    assert.ok(shell.assign(1, PLAIN));
    assert.equal(shell.assign(2, PLAIN), false);
    shell.exit(shell.slotsIn(SlotState.dying)[0]!);
    assert.ok(shell.assign(2, PLAIN));
    shell.done();
    shell.exit(shell.machine.slotOf(0));
    shell.tick(25);
    assert.ok(shell.done().some((action) => action.startsWith('boot')));
  });

  test('cells do not boot in the slot that a provisioned instance waits for', () => {
    const shell = withCells({ coreCount: 1, slotCount: 2, cellTargets: [2] });
    shell.machine.provision(PLAIN, 1);
    flourish(shell);
    checkRested(shell);
    assert.equal(shell.machine.provisionedReady(PLAIN), 1);
  });

  test('a provisioned instance is a process of its own where there is no memory for its zygote too', () => {
    const shell = withCells({ memoryMb: 900 });
    shell.machine.provision(BIG, 1);
    flourish(shell);
    assert.equal(shell.machine.provisionedReady(BIG), 1);
    // Here the zygote is there already, and has to go.
    const again = withCells({ memoryMb: 700 });
    invoke(again, FORKED, 100, true);
    again.setVersion(PLAIN, { ...VERSIONS[PLAIN]!, memoryMb: 340 });
    assert.ok(again.assign(1, PLAIN));
    assert.equal(again.machine.provision(FORKED, 1), 1);
    again.tick();
    assert.equal(again.of(FORKED, SlotState.readying).length, 1);
    flourish(again);
    assert.equal(again.machine.provisionedReady(FORKED), 1);
  });

  test('zygotes leave a slot for a lease on every core', () => {
    const shell = withCells({ memoryMb: 5000, slotCount: 4, cellTargets: [2] });
    for (const [core, version] of [FORKED, FRESH, BIG].entries()) {
      while (!shell.assign(core, version)) shell.exit(shell.slotsIn(SlotState.dying)[0]!);
    }
    assert.ok(shell.slotsIn(SlotState.initialising).length <= 1);
    flourish(shell);
    checkLeases(shell);
    assert.ok(shell.endings.every((ending) => ending === Ending.answered));
  });
});

describe('a missing stem cell', () => {
  const FORK_US = 100;
  const BOOT_US = 6000;
  const small = { ...VERSIONS[PLAIN]!, memoryMb: 100 };
  const sizes = [small, { ...small, cellKind: 0 }, small, { ...small, memoryMb: 400 }];

  /**
   * Cells wait, and took so long to boot; the rest of memory is full of idle instances of the third version, of which
   * each took `costUs` longer to start than the one before.
   */
  function full(limits: Limits, costUs = FORK_US): Shell {
    const shell = new Shell({ coreCount: 8, slotCount: 12, memoryMb: 550, versionCount: 9, ...limits }, sizes);
    shell.tick();
    shell.nowUs += BOOT_US;
    for (const slot of shell.slotsIn(SlotState.booting)) shell.booted(slot);
    const fits = Math.floor((shell.limits.memoryMb - shell.machine.residentMb) / small.memoryMb);
    const count = Math.min(fits, shell.limits.slotCount - shell.processes.size, shell.limits.coreCount);
    for (let core = 0; core < count; core++) assert.ok(shell.assign(core, 2));
    for (const slot of shell.of(2, SlotState.starting)) {
      shell.nowUs += costUs;
      shell.ready(slot);
    }
    for (const slot of shell.of(2, SlotState.busy)) shell.answer(slot);
    shell.done();
    return shell;
  }

  /** One invocation of the version on the only idle core; to initialise takes as long as to get ready. */
  function use(shell: Shell, version: number, costUs = FORK_US): void {
    while (!shell.assign(0, version)) settle(shell);
    for (const slot of shell.slotsIn(SlotState.initialising)) {
      shell.nowUs += costUs;
      shell.initialised(slot, 0);
    }
    const slot = shell.machine.slotOf(0);
    shell.nowUs += costUs;
    if (shell.machine.stateOf(slot) === SlotState.starting) shell.ready(slot);
    shell.answer(slot);
    settle(shell);
  }

  const booting = (shell: Shell): number => shell.slotsIn(SlotState.booting).length;
  /** What dies is gone, and so much time passes that whatever may boot does. */
  function settle(shell: Shell): void {
    for (let round = 0; round < 2; round++) {
      for (const slot of shell.slotsIn(SlotState.dying)) shell.exit(slot);
      shell.tick(30);
    }
  }

  test('takes the place of an instance that costs less to have again', () => {
    const shell = full({});
    use(shell, 1);
    assert.equal(booting(shell), 1);
    assert.ok(shell.machine.residentMb + small.memoryMb > shell.limits.memoryMb, 'more went than had to');
  });

  test('and its slot, where those are short', () => {
    const shell = full({ coreCount: 2, slotCount: 4, memoryMb: 5000 });
    use(shell, 1);
    assert.equal(booting(shell), 1);
  });

  test('not of one that costs more', () => {
    const shell = full({}, 2 * BOOT_US);
    use(shell, 1, 100 * BOOT_US);
    assert.equal(booting(shell), 0);
    assert.equal(shell.machine.cellLack(1), CellLack.memory);
  });

  test('but the more functions went without, the more it is worth', () => {
    const dear = Array.from({ length: 9 }, () => ({ ...small, cellKind: 0 }));
    const shell = full({}, 4 * BOOT_US);
    for (const [version, properties] of dear.entries()) if (version > 3) shell.setVersion(version, properties);
    use(shell, 1, 100 * BOOT_US);
    let count = 0;
    for (; booting(shell) === 0 && count < 5; count++) use(shell, 4 + count, 100 * BOOT_US);
    assert.ok(count > 1 && count < 5, `after ${count}`);
  });

  test('not of a provisioned one', () => {
    const shell = full({});
    const count = shell.of(2, SlotState.idle).length - 2;
    assert.equal(shell.machine.provision(2, count), count);
    use(shell, 1, 100 * BOOT_US);
    assert.equal(booting(shell), 0);
    assert.ok(shell.of(2, SlotState.idle).length > count);
  });

  test('of none, where it had to go itself and nobody has asked for it since', () => {
    const shell = full({ memoryMb: 400, cellTargets: [1] });
    for (let round = 0; round < 5; round++) {
      use(shell, 3);
      assert.equal(shell.of(3, SlotState.idle).length, 1, `it is cold in round ${round}`);
    }
  });

  test('costs those that are used no instance, however many new functions there are', () => {
    const shell = full({ memoryMb: 750 });
    for (let count = 0; count < 400; count++) use(shell, 0);
    for (let round = 0; round < 50; round++) {
      use(shell, 1);
      for (const slot of shell.slotsIn(SlotState.booting)) shell.booted(slot);
      shell.machine.dropVersion(1);
      shell.drain();
      settle(shell);
      shell.setVersion(1, sizes[1]!);
      assert.equal(shell.of(0, SlotState.idle).length, 1, `in round ${round}`);
    }
  });
});

describe('an index that is used again', () => {
  test('that the last version could not be copied says nothing of the next', () => {
    const shell = withCells({ memoryMb: 3000 });
    assert.ok(shell.assign(0, FORKED));
    shell.machine.uncopyable(shell.slotsIn(SlotState.initialising)[0]!, shell.nowUs);
    shell.drain();
    flourish(shell);
    assert.ok(shell.machine.isPlainOnly(FORKED));
    shell.machine.dropVersion(FORKED);
    shell.drain();
    flourish(shell);
    shell.setVersion(FORKED, VERSIONS[FORKED]!);
    assert.ok(!shell.machine.isPlainOnly(FORKED));
    shell.done();
    assert.ok(shell.assign(0, FORKED));
    assert.ok(shell.done().some((action) => action.startsWith('adopt')));
  });

  test('nor does what a zygote of the last one says later', () => {
    const shell = withCells({ memoryMb: 3000 });
    assert.ok(shell.assign(0, FORKED));
    const zygote = shell.slotsIn(SlotState.initialising)[0]!;
    shell.machine.dropVersion(FORKED);
    shell.drain();
    shell.setVersion(FORKED, VERSIONS[FORKED]!);
    shell.machine.uncopyable(zygote, shell.nowUs);
    shell.drain();
    assert.ok(!shell.machine.isPlainOnly(FORKED));
  });
});
