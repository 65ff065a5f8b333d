/** The worker machine, case by case. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkLeases, checkRested, flourish } from './endings.ts';
import { Ending, INIT_TIMEOUT_US, Kill, Shell, SlotState, TIMEOUT_US, VERSIONS } from './shell.ts';

/** Versions of the shell. */
const PLAIN = 0;
const FORKED = 1;
const FRESH = 2;
const FRESH_PLAIN = 3;
const BIG = 4;

/** A shell whose cell waits. */
function withCell(limits: ConstructorParameters<typeof Shell>[0] = {}): Shell {
  const shell = new Shell(limits);
  shell.tick();
  for (const slot of shell.slotsIn(SlotState.booting)) shell.booted(slot);
  shell.done();
  return shell;
}

/** A shell in which the version has had one invocation on core 0. */
function warmed(version: number, limits: ConstructorParameters<typeof Shell>[0] = {}): Shell {
  const shell = withCell(limits);
  assert.ok(shell.assign(0, version));
  for (const slot of shell.slotsIn(SlotState.initialising)) shell.initialised(slot, 50);
  shell.ready(shell.machine.slotOf(0));
  shell.answer(shell.machine.slotOf(0));
  for (const slot of shell.slotsIn(SlotState.dying)) shell.exit(slot);
  for (const slot of shell.slotsIn(SlotState.readying)) shell.ready(slot);
  shell.done();
  return shell;
}

describe('a process of its own', () => {
  test('an instance is used again by its own version, and its core may be another', () => {
    const shell = new Shell({ cellTargets: [0] });
    shell.assign(0, PLAIN);
    shell.ready(0);
    shell.answer(0);
    shell.assign(2, PLAIN);
    shell.assign(0, FORKED);
    assert.deepEqual(shell.done(), [
      'start 0 0 0',
      'run 0 0',
      `complete 0 0 ${Ending.answered}`,
      'release 0 true',
      'run 0 2',
      'start 1 0 1',
    ]);
  });

  test('an idle instance whose channel ended gets no invocation, and keeps its slot until it is gone', () => {
    const shell = warmed(PLAIN, { cellTargets: [0] });
    shell.machine.lost(0);
    shell.assign(0, PLAIN);
    assert.deepEqual(shell.done(), [`kill 0 ${Kill.lost}`, 'evicted 0', 'start 1 0 0']);
    assert.deepEqual([shell.machine.stateOf(0), shell.machine.residentCount], [SlotState.dying, 2]);
  });

  test('a core whose invocation timed out is held until the instance is gone', () => {
    const shell = new Shell({ cellTargets: [0] });
    shell.assign(0, PLAIN);
    shell.ready(0);
    shell.nowUs = TIMEOUT_US;
    shell.tick();
    assert.deepEqual(shell.endings, [Ending.timedOut]);
    assert.equal(shell.assign(0, PLAIN), false);
    shell.exit(0);
    assert.equal(shell.assign(0, PLAIN), true);
  });

  test('a function that asks for more than there is gets no core, and nothing changes', () => {
    const shell = new Shell({}, [{ ...VERSIONS[PLAIN]!, memoryMb: 1001 }]);
    assert.equal(shell.assign(0, 0), false);
    assert.deepEqual(shell.done(), []);
  });
});

describe('zygotes', () => {
  test('the first invocation makes a cell the zygote, and gets a copy of it; then the next cell boots', () => {
    const shell = withCell();
    assert.ok(shell.assign(1, FORKED));
    shell.tick();
    assert.deepEqual(shell.done(), ['adopt 0 1 1'], 'a cell boots while a lease waits');
    assert.deepEqual([shell.machine.stateOf(1), shell.machine.awaitingCore(0)], [SlotState.awaiting, 1]);
    shell.initialised(0, 50);
    shell.ready(1);
    shell.answer(1);
    assert.deepEqual(shell.done(), ['fork 1 0 1', 'run 1 1', `complete 1 1 ${Ending.answered}`, 'release 1 true']);
    shell.tick();
    assert.deepEqual(shell.done(), ['boot 2']);
    assert.deepEqual([shell.machine.zygoteOf(1), shell.machine.residentMb], [0, 300 + 50 + 60]);
  });

  test('invocations that come while it initialises share the one initialisation', () => {
    const shell = withCell({ memoryMb: 3000 });
    for (const core of [0, 1, 2]) assert.ok(shell.assign(core, FORKED));
    shell.initialised(0, 50);
    assert.deepEqual(
      shell.done().filter((action) => !action.startsWith('boot')),
      ['adopt 0 0 1', 'fork 1 0 0', `fork ${shell.machine.slotOf(1)} 0 1`, `fork ${shell.machine.slotOf(2)} 0 2`],
    );
  });

  test('a second instance costs a fork', () => {
    const shell = warmed(FORKED);
    shell.assign(0, FORKED);
    shell.assign(1, FORKED);
    assert.deepEqual(shell.done(), ['run 1 0', `fork ${shell.machine.slotOf(1)} 0 1`]);
  });

  for (const [name, end, ending] of [
    ['fails', (shell: Shell) => shell.machine.initFailed(0), Ending.initFailed],
    ['breaks its protocol', (shell: Shell) => shell.machine.broke(0), Ending.broke],
    ['ends', (shell: Shell) => shell.exit(0), Ending.exited],
    [
      'takes too long',
      (shell: Shell) => void shell.machine.tick((shell.nowUs += INIT_TIMEOUT_US)),
      Ending.initTimedOut,
    ],
  ] as const) {
    test(`if its initialisation ${name}, every lease that awaits it ends so at once`, () => {
      const shell = withCell({ cellTargets: [1], slotCount: 8, memoryMb: 3000 });
      for (const core of [0, 1, 2]) shell.assign(core, FORKED);
      shell.done();
      end(shell);
      shell.drain();
      assert.deepEqual(shell.endings, [ending, ending, ending]);
      const told = shell.done().filter((action) => action.startsWith('complete') || action.startsWith('release'));
      assert.deepEqual(
        told,
        [0, 1, 2].flatMap((core) => [`complete ${core} 0 ${ending}`, `release ${core} false`]),
      );
      shell.exit(0);
      flourish(shell);
      checkLeases(shell);
    });
  }

  test('what cannot be copied runs as processes of their own from then on', () => {
    const shell = withCell({ memoryMb: 3000 });
    shell.assign(0, FORKED);
    shell.assign(1, FORKED);
    shell.done();
    shell.machine.uncopyable(0, shell.nowUs);
    shell.drain();
    assert.deepEqual(shell.done(), [
      `start ${shell.machine.slotOf(0)} 0 1`,
      `start ${shell.machine.slotOf(1)} 1 1`,
      `kill 0 ${Kill.uncopyable}`,
    ]);
    assert.ok(shell.machine.isPlainOnly(FORKED));
    flourish(shell);
    shell.done();
    for (const core of [0, 1, 2]) shell.assign(core, FORKED);
    assert.ok(!shell.done().some((action) => action.startsWith('adopt') || action.startsWith('fork')));
  });

  test('time without a core, though it wanted one, counts neither for its start nor for its invocation', () => {
    const shell = new Shell();
    shell.assign(0, PLAIN);
    shell.machine.waited(0, 700);
    shell.nowUs += INIT_TIMEOUT_US + 699;
    shell.tick();
    assert.deepEqual(shell.endings, []);
    shell.ready(0);
    shell.machine.waited(0, 300);
    shell.nowUs += TIMEOUT_US + 299;
    shell.tick();
    assert.deepEqual(shell.endings, []);
    shell.nowUs += 1;
    shell.tick();
    assert.deepEqual(shell.endings, [Ending.timedOut]);
  });

  test('without a cell, or without memory for two, it is a process of its own', () => {
    const none = new Shell();
    none.assign(0, FORKED);
    assert.deepEqual(none.done(), ['start 0 0 1']);
    const small = withCell({ memoryMb: 900 });
    small.assign(0, BIG);
    assert.deepEqual(small.done(), ['start 1 0 4']);
  });

  test('a zygote that breaks takes its copies with it', () => {
    const shell = warmed(FORKED);
    shell.assign(0, FORKED);
    shell.assign(1, FORKED);
    shell.ready(shell.machine.slotOf(1));
    const busy = shell.machine.slotOf(1);
    shell.answer(shell.machine.slotOf(0));
    shell.done();
    shell.machine.broke(0);
    shell.drain();
    assert.deepEqual(shell.done(), [`kill 0 ${Kill.broke}`, `kill 1 ${Kill.lost}`, 'evicted 1']);
    // It may still answer, but nobody gets it after that.
    shell.answer(busy);
    assert.deepEqual(shell.done(), [`complete 1 ${busy} ${Ending.answered}`, `kill ${busy} ${Kill.evicted}`]);
    shell.exit(0);
    checkLeases(shell);
  });

  test('a zygote is awake while it forks and reaps, and frozen two ticks later', () => {
    const shell = warmed(FORKED);
    shell.tick(3);
    assert.ok(shell.machine.isFrozen(0));
    shell.assign(0, FORKED);
    shell.assign(1, FORKED);
    assert.ok(!shell.machine.isFrozen(0));
    shell.tick(5);
    assert.ok(!shell.machine.isFrozen(0), 'frozen while it forks');
    shell.ready(shell.machine.slotOf(1));
    shell.tick(3);
    assert.ok(shell.machine.isFrozen(0));
    shell.answer(shell.machine.slotOf(1), true);
    assert.ok(!shell.machine.isFrozen(0), 'nobody reaps');
  });
});

describe('fresh', () => {
  test('a version whose first invocation came before any cell has a zygote as soon as one has booted', () => {
    const shell = new Shell();
    shell.tick();
    assert.ok(shell.assign(0, FRESH));
    shell.ready(shell.machine.slotOf(0));
    shell.answer(shell.machine.slotOf(0));
    for (const slot of shell.slotsIn(SlotState.dying)) shell.exit(slot);
    shell.done();
    const [booting] = shell.slotsIn(SlotState.booting);
    shell.booted(booting!);
    assert.deepEqual(
      shell.done().filter((action) => !action.startsWith('boot')),
      [`adopt ${booting} -1 ${FRESH}`],
    );
  });

  test('each invocation has an instance of its own, and the core is held until it is gone', () => {
    const shell = warmed(FRESH);
    const first = shell.of(FRESH, SlotState.idle).at(-1)!;
    shell.assign(0, FRESH);
    assert.deepEqual(shell.done().slice(0, 1), [`run ${first} 0`]);
    shell.answer(first);
    assert.deepEqual(shell.done().slice(-2), [`complete 0 ${first} ${Ending.answered}`, `kill ${first} ${Kill.spent}`]);
    assert.equal(shell.assign(0, FRESH), false);
    shell.exit(first);
    assert.ok(shell.done().includes('release 0 true'), 'its zygote is warm');
  });

  test('copies wait for the next invocations: one more than there are, up to the limit', () => {
    const shell = warmed(FRESH, { slotCount: 12, memoryMb: 5000, copiesAheadMax: 3, cellTargets: [1] });
    const ahead = (): number => shell.of(FRESH, SlotState.idle, SlotState.readying).length;
    const makeReady = (): void => shell.of(FRESH, SlotState.readying).forEach((slot) => shell.ready(slot));
    assert.equal(ahead(), 2, 'one for the lease that was, one for the next');
    // While one waits, none is made before an invocation has ended.
    for (const [core, expected] of [1, 3, 2].entries()) {
      shell.assign(core, FRESH);
      makeReady();
      assert.equal(ahead(), expected);
    }
  });

  test('what is being made ahead is taken over by the lease that comes', () => {
    const shell = warmed(FRESH_PLAIN, { cellTargets: [0], copiesAheadMax: 1 });
    const [idle] = shell.of(FRESH_PLAIN, SlotState.idle);
    shell.assign(0, FRESH_PLAIN);
    const [readying] = shell.of(FRESH_PLAIN, SlotState.readying);
    shell.assign(1, FRESH_PLAIN);
    assert.deepEqual(shell.done().slice(0, 3), [`run ${idle} 0`, `start ${readying} -1 3`, `take ${readying} 1`]);
    shell.ready(readying!);
    assert.ok(shell.done().includes(`run ${readying} 1`));
  });

  test('what is made ahead evicts nothing', () => {
    const shell = warmed(PLAIN, { cellTargets: [0], memoryMb: 328 });
    shell.assign(0, FRESH_PLAIN);
    assert.ok(!shell.done().some((action) => action.startsWith('kill') || action.startsWith('start 2')));
  });

  test('if what is made ahead fails, nothing more is before the next lease', () => {
    const shell = warmed(FRESH, { copiesAheadMax: 1 });
    shell.assign(0, FRESH);
    shell.exit(shell.of(FRESH, SlotState.readying)[0]!);
    shell.tick(100);
    assert.deepEqual(shell.of(FRESH, SlotState.readying, SlotState.idle), []);
    shell.answer(shell.machine.slotOf(0));
    for (const slot of shell.slotsIn(SlotState.dying)) shell.exit(slot);
    assert.deepEqual(shell.of(FRESH, SlotState.readying, SlotState.idle), []);
    shell.assign(0, FRESH);
    shell.ready(shell.machine.slotOf(0));
    assert.equal(shell.of(FRESH, SlotState.readying).length, 1);
  });
});

describe('cells', () => {
  test('a cell that does not boot is tried again after ticks that double', () => {
    const shell = new Shell();
    const boots: number[] = [];
    for (let tick = 0; tick < 400; tick++) {
      shell.tick();
      if (shell.done().some((action) => action.startsWith('boot'))) boots.push(tick);
      for (const slot of shell.slotsIn(SlotState.booting)) shell.exit(slot);
      assert.ok(shell.machine.awakeCount > 0, 'nobody would tick');
    }
    assert.deepEqual(boots, [0, 2, 6, 14, 30, 62, 126, 254]);
  });

  test('a cell that was evicted does not boot in the slot that a lease waits for', () => {
    const shell = withCell({ slotCount: 3 });
    shell.assign(0, PLAIN);
    shell.assign(1, PLAIN);
    assert.equal(shell.assign(2, PLAIN), false);
    shell.done();
    shell.exit(0);
    assert.deepEqual(shell.done(), ['roomAvailable']);
    assert.equal(shell.assign(2, PLAIN), true);
  });
});

describe('provisioned', () => {
  for (const version of [PLAIN, FORKED, FRESH, FRESH_PLAIN]) {
    test(`version ${version} reaches its count, keeps it, and gives it back`, () => {
      const shell = withCell({ slotCount: 10, memoryMb: 5000, copiesAheadMax: 0 });
      assert.equal(shell.machine.provision(version, 3), 3);
      assert.ok(shell.machine.awakeCount > 0, 'nobody would tick');
      flourish(shell);
      checkRested(shell);
      assert.equal(shell.machine.provisionedReady(version), 3);
      shell.assign(0, version);
      shell.assign(1, version);
      flourish(shell);
      assert.equal(shell.machine.provisionedReady(version), 3);
      shell.machine.provision(version, 0);
      flourish(shell);
      assert.equal(shell.machine.awakeCount, 0);
    });
  }

  test('they are evicted for nobody, and others are for them', () => {
    const shell = warmed(BIG, { cellTargets: [0] });
    shell.machine.provision(FORKED, 2);
    flourish(shell);
    assert.deepEqual(shell.of(BIG, SlotState.idle), []);
    assert.equal(shell.machine.provisionedReady(FORKED), 2);
    assert.equal(shell.assign(0, BIG), false, '600 of 1000 MB are provisioned');
    shell.machine.provision(FORKED, 1);
    shell.drain();
    assert.ok(shell.done().includes('roomAvailable'));
    assert.equal(shell.assign(0, BIG), true);
    flourish(shell);
    assert.equal(shell.machine.provisionedReady(FORKED), 1);
  });

  test('they leave a slot for a lease on every core', () => {
    const shell = new Shell({ cellTargets: [0] });
    assert.equal(shell.machine.provision(PLAIN, 9), 2);
    assert.equal(shell.machine.provision(FRESH, 9), 0);
    assert.equal(shell.machine.provision(PLAIN, 1), 1);
    assert.equal(shell.machine.provision(FRESH, 9), 1);
  });

  test('who asked for more than was left has what others give up', () => {
    const shell = new Shell();
    assert.equal(shell.machine.provision(PLAIN, 9), 2);
    assert.equal(shell.machine.provision(FRESH, 2), 0);
    shell.machine.provision(PLAIN, 1);
    assert.equal(shell.machine.provisionedCount(FRESH), 1);
    shell.machine.dropVersion(PLAIN);
    shell.drain();
    assert.equal(shell.machine.provisionedCount(FRESH), 2, 'no more than it asked for');
    flourish(shell);
    assert.equal(shell.machine.provisionedReady(FRESH), 2);
    shell.machine.provision(FRESH, 1);
    shell.machine.provision(FORKED, 1);
    assert.deepEqual(
      [FRESH, FORKED].map((version) => shell.machine.provisionedCount(version)),
      [1, 1],
    );
  });

  test('what fails is said so, and tried again ever less often', () => {
    const shell = new Shell({ cellTargets: [0] });
    shell.machine.provision(PLAIN, 1);
    let starts = 0;
    for (let tick = 0; tick < 8192; tick++) {
      shell.tick();
      for (const slot of shell.slotsIn(SlotState.readying)) {
        starts++;
        shell.exit(slot);
      }
    }
    assert.equal(starts, 13);
    assert.ok(shell.machine.provisionedFailed(PLAIN));
    flourish(shell);
    assert.ok(!shell.machine.provisionedFailed(PLAIN));
    assert.equal(shell.machine.provisionedReady(PLAIN), 1);
  });
});

describe('a dropped version', () => {
  test('goes at once where it rests, and after its answer where it runs; its zygote goes last', () => {
    const shell = warmed(FORKED);
    shell.assign(0, FORKED);
    shell.assign(1, FORKED);
    const [first, second] = [shell.machine.slotOf(0), shell.machine.slotOf(1)];
    shell.answer(first);
    shell.done();
    shell.machine.dropVersion(FORKED);
    shell.drain();
    assert.deepEqual(shell.done(), [`kill ${first} ${Kill.evicted}`, 'evicted 1']);
    shell.exit(first);
    shell.ready(second);
    shell.answer(second);
    assert.equal(shell.killed.get(second), Kill.evicted);
    shell.exit(second);
    const last = shell.done().filter((action) => !action.startsWith('boot'));
    assert.deepEqual(last.slice(-2), [`kill 0 ${Kill.evicted}`, 'release 1 false']);
  });

  test('another version under its index is not mixed up with it', () => {
    const shell = withCell();
    shell.assign(0, FORKED);
    shell.machine.dropVersion(FORKED);
    shell.drain();
    shell.setVersion(FORKED, VERSIONS[PLAIN]!);
    shell.assign(1, FORKED);
    assert.match(shell.done().at(-1)!, /^start \d 1 1$/);
    flourish(shell);
    checkLeases(shell);
    assert.equal(shell.of(FORKED, SlotState.idle).length, 1);
  });
});

describe('what comes too late, or at once', () => {
  test('a lease that is refused again for want of a slot evicts no second instance while the first one goes', () => {
    const shell = new Shell({ cellTargets: [0], slotCount: 3 });
    for (const core of [0, 1, 2]) shell.assign(core, PLAIN);
    for (const slot of [0, 1, 2]) {
      shell.ready(slot);
      shell.answer(slot);
    }
    shell.done();
    for (const core of [0, 1]) assert.equal(shell.assign(core, FRESH_PLAIN), false);
    assert.equal(shell.killed.size, 1);
    shell.exit(shell.slotsIn(SlotState.dying)[0]!);
    assert.ok(shell.assign(0, FRESH_PLAIN));
    flourish(shell);
    checkLeases(shell);
  });

  test('a failure of a dropped zygote is none of the version that has its index now', () => {
    const shell = withCell({ slotCount: 8, memoryMb: 3000 });
    shell.assign(0, FORKED);
    const zygote = shell.machine.zygoteOf(shell.machine.slotOf(0));
    shell.machine.dropVersion(FORKED);
    shell.setVersion(FORKED, VERSIONS[PLAIN]!);
    shell.machine.provision(FORKED, 1);
    shell.drain();
    shell.machine.initFailed(zygote);
    shell.drain();
    assert.equal(shell.machine.provisionedFailed(FORKED), false);
    flourish(shell);
    checkLeases(shell);
  });
});

describe('eviction', () => {
  test('what is cheap to have again for its size goes first', () => {
    const shell = new Shell({ cellTargets: [0] });
    for (const [core, version, costUs] of [
      [0, PLAIN, 400],
      [1, FORKED, 500],
    ] as const) {
      shell.assign(core, version);
      shell.nowUs += costUs;
      shell.ready(shell.machine.slotOf(core));
      shell.answer(shell.machine.slotOf(core));
    }
    // 128 MB for 400 µs and 300 MB for 500 µs; 600 MB more fit without either of them.
    shell.assign(0, BIG);
    shell.assign(1, FRESH_PLAIN);
    assert.deepEqual([shell.of(PLAIN, SlotState.idle).length, shell.of(FORKED, SlotState.idle).length], [1, 0]);
  });

  test('a zygote outlives its copies, and stem cells outlive both', () => {
    const shell = warmed(FORKED, { slotCount: 3, coreCount: 1, cellTargets: [1] });
    shell.tick();
    for (const slot of shell.slotsIn(SlotState.booting)) shell.booted(slot);
    assert.equal(shell.assign(0, PLAIN), false);
    assert.deepEqual(
      [...shell.killed.keys()].map((slot) => shell.processes.get(slot)),
      ['copy'],
    );
    for (const slot of shell.slotsIn(SlotState.dying)) shell.exit(slot);
    assert.ok(shell.assign(0, PLAIN));
    assert.equal(shell.slotsIn(SlotState.zygote).length, 1);
  });
});
