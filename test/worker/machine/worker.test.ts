/**
 * Properties of the worker machine: random events against a plain model of what cores and instances do, under tiny
 * limits, with every invariant checked after every event.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ActionHandler, Ending, SlotState } from '../../../src/worker/machine/actions.ts';
import { WorkerMachine } from '../../../src/worker/machine/worker.ts';

const CORES = 3;
const SLOTS = 5;
const VERSIONS = 3;
const MEMORY_MB = 1000;
const MEMORY_OF = [128, 300, 500];
const TIMEOUT_US = 1000;
const INIT_TIMEOUT_US = 5000;

/** Carries actions out the way an agent would, and keeps count of what it was told. */
class Shell implements ActionHandler {
  readonly machine = new WorkerMachine({
    coreCount: CORES,
    slotCount: SLOTS,
    versionCount: VERSIONS,
    memoryMb: MEMORY_MB,
    initTimeoutUs: INIT_TIMEOUT_US,
  });
  nowUs = 0;
  sequence = 0;
  /** Per core: the lease it holds, and whether its result has come. */
  readonly leases = new Map<number, { sequence: number; version: number; completed: boolean }>();
  readonly versionOfSlot = new Map<number, number>();
  readonly endings: Ending[] = [];
  readonly frozen = new Set<number>();
  coldCount = 0;

  start(slot: number, core: number, versionIndex: number): void {
    assert.equal(this.versionOfSlot.has(slot), false, 'a slot is started twice');
    assert.equal(this.leases.get(core)?.version, versionIndex);
    this.versionOfSlot.set(slot, versionIndex);
    this.coldCount++;
  }

  run(slot: number, core: number): void {
    const lease = this.leases.get(core);
    assert.ok(lease !== undefined && !lease.completed);
    assert.ok(!this.frozen.has(slot), 'a frozen instance runs');
    assert.equal(this.versionOfSlot.get(slot), lease.version, 'an instance runs another function than its own');
  }

  complete(core: number, _slot: number, ending: Ending): void {
    const lease = this.leases.get(core);
    assert.ok(lease !== undefined && !lease.completed, 'a second result');
    lease.completed = true;
    this.endings.push(ending);
  }

  release(core: number, sequence: number): void {
    const lease = this.leases.get(core);
    assert.equal(lease?.sequence, sequence);
    assert.equal(lease?.completed, true, 'released before its result');
    this.leases.delete(core);
  }

  kill(slot: number): void {
    assert.ok(this.versionOfSlot.has(slot));
  }

  freeze(slot: number): void {
    assert.equal(this.machine.stateOf(slot), SlotState.idle);
    assert.ok(!this.frozen.has(slot), 'frozen twice');
    this.frozen.add(slot);
  }

  thaw(slot: number, core: number): void {
    assert.equal(this.leases.get(core)?.version, this.versionOfSlot.get(slot), 'thawed without a lease');
    assert.ok(this.frozen.delete(slot), 'thawed, and was not frozen');
  }

  evicted(versionIndex: number): void {
    for (const [slot, version] of this.versionOfSlot) {
      if (version === versionIndex)
        assert.notEqual(this.machine.stateOf(slot), SlotState.idle, 'said evicted, and one is idle');
    }
  }

  drain(): void {
    this.machine.actions.drain(this);
    this.machine.checkInvariants();
    for (const slot of this.versionOfSlot.keys()) {
      if (this.machine.stateOf(slot) === SlotState.dying) continue;
      assert.equal(this.machine.isFrozen(slot), this.frozen.has(slot), `slot ${slot}: frozen or not?`);
    }
  }

  assign(core: number, version: number): boolean {
    const sequence = ++this.sequence;
    const free = !this.leases.has(core);
    if (free) this.leases.set(core, { sequence, version, completed: false });
    const taken = this.machine.assign(
      core,
      sequence,
      { versionIndex: version, memoryMb: MEMORY_OF[version]!, timeoutUs: TIMEOUT_US },
      this.nowUs,
    );
    if (!free) assert.equal(taken, false, 'a busy core took a second lease');
    if (free && !taken) this.leases.delete(core);
    this.drain();
    return taken;
  }

  exit(slot: number): void {
    this.machine.exited(slot);
    this.versionOfSlot.delete(slot);
    this.frozen.delete(slot);
    this.drain();
  }

  slotsIn(...states: SlotState[]): number[] {
    return [...this.versionOfSlot.keys()].filter((slot) => states.includes(this.machine.stateOf(slot)));
  }
}

type Event = { kind: string; a: number; b: number };

const event = fc.record({
  kind: fc.constantFrom(
    'assign',
    'assign',
    'ready',
    'ready',
    'answer',
    'answer',
    'last',
    'broke',
    'lost',
    'exit',
    'wait',
    'drop',
  ),
  a: fc.nat(20),
  b: fc.nat(20),
});

const pick = (slots: number[], at: number): number | undefined => slots[at % Math.max(1, slots.length)];

function apply(shell: Shell, { kind, a, b }: Event): void {
  const { machine } = shell;
  const on = (slots: number[], act: (slot: number) => void): void => {
    const slot = pick(slots, a);
    if (slot !== undefined) act(slot);
  };
  switch (kind) {
    case 'assign':
      shell.assign(a % CORES, b % VERSIONS);
      break;
    case 'ready':
      on(shell.slotsIn(SlotState.starting, SlotState.dying), (slot) => machine.ready(slot, shell.nowUs));
      break;
    case 'answer':
      on(shell.slotsIn(SlotState.busy, SlotState.dying), (slot) => machine.answered(slot, false));
      break;
    case 'last':
      on(shell.slotsIn(SlotState.busy, SlotState.starting, SlotState.dying), (slot) => machine.answered(slot, true));
      break;
    case 'broke':
      on([...shell.versionOfSlot.keys()], (slot) => machine.broke(slot));
      break;
    case 'lost':
      on([...shell.versionOfSlot.keys()], (slot) => {
        const before = machine.stateOf(slot);
        machine.lost(slot);
        assert.equal(machine.stateOf(slot), before === SlotState.idle ? SlotState.dying : before);
      });
      break;
    case 'exit':
      on([...shell.versionOfSlot.keys()], (slot) => shell.exit(slot));
      break;
    case 'wait':
      shell.nowUs += a * 100;
      machine.tick(shell.nowUs);
      break;
    default:
      machine.dropVersion(a % VERSIONS);
  }
  shell.drain();
}

/** Lets everything end that was begun. */
function settle(shell: Shell): void {
  shell.nowUs += INIT_TIMEOUT_US + TIMEOUT_US;
  shell.machine.tick(shell.nowUs);
  shell.drain();
  for (const slot of Array.from(shell.versionOfSlot.keys())) {
    if (shell.machine.stateOf(slot) === SlotState.dying) shell.exit(slot);
  }
  for (let tick = 0; tick < 2; tick++) shell.machine.tick(shell.nowUs);
  shell.drain();
}

test('whatever happens, every assignment has one result and every core comes back', () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 120, size: 'max' }), (events) => {
      const shell = new Shell();
      for (const each of events) apply(shell, each);
      settle(shell);
      assert.equal(shell.leases.size, 0, 'a lease never ended');
      for (const slot of shell.versionOfSlot.keys()) {
        assert.equal(shell.machine.stateOf(slot), SlotState.idle);
        assert.ok(shell.frozen.has(slot), 'idle for two ticks, and not frozen');
      }
      assert.equal(shell.machine.awakeCount, 0);
    }),
    { numRuns: Number(process.env['PERCH_PROPERTY_RUNS'] ?? 2000) },
  );
});

test('an instance is used again by its own version, and its core may be another', () => {
  const shell = new Shell();
  shell.assign(0, 1);
  shell.machine.ready(0, 0);
  shell.machine.answered(0, false);
  shell.drain();
  shell.assign(2, 1);
  assert.equal(shell.coldCount, 1);
  shell.assign(0, 0);
  assert.equal(shell.coldCount, 2);
});

test('an instance that is used again before the second tick is never frozen', () => {
  const shell = new Shell();
  shell.assign(0, 1);
  shell.machine.ready(0, 0);
  for (let round = 0; round < 3; round++) {
    shell.machine.answered(0, false);
    shell.machine.tick(0);
    shell.drain();
    assert.deepEqual([shell.frozen.size, shell.machine.awakeCount], [0, 1]);
    assert.ok(shell.assign(0, 1));
  }
  shell.machine.answered(0, false);
  for (let tick = 0; tick < 3; tick++) shell.machine.tick(0);
  shell.drain();
  assert.deepEqual([shell.frozen.size, shell.machine.awakeCount], [1, 0]);
  assert.ok(shell.assign(2, 1));
  assert.deepEqual([shell.frozen.size, shell.coldCount], [0, 1]);
});

test('an idle instance whose channel ended gets no invocation, and keeps its slot until it is gone', () => {
  const shell = new Shell();
  shell.assign(0, 1);
  shell.machine.ready(0, 0);
  shell.machine.answered(0, false);
  shell.machine.lost(0);
  shell.drain();
  shell.assign(0, 1);
  assert.equal(shell.coldCount, 2);
  assert.deepEqual([shell.machine.stateOf(0), shell.machine.residentCount], [SlotState.dying, 2]);
});

test('the least recently used idle instance makes room', () => {
  const shell = new Shell();
  for (const [core, version] of [
    [0, 1],
    [1, 2],
  ] as const) {
    shell.assign(core, version);
    const slot = shell.machine.slotOf(core);
    shell.machine.ready(slot, 0);
    shell.machine.answered(slot, false);
    shell.drain();
  }
  // 300 + 500 are resident; 500 more fit only without the 300, which is the older one.
  shell.assign(0, 2);
  shell.assign(1, 2);
  const states = [...shell.versionOfSlot].map(([slot, version]) => [version, shell.machine.stateOf(slot)]);
  assert.deepEqual(states, [
    [1, SlotState.dying],
    [2, SlotState.busy],
    [2, SlotState.starting],
  ]);
});

test('a function that asks for more than there is gets no core, and nothing changes', () => {
  const shell = new Shell();
  const taken = shell.machine.assign(0, 1, { versionIndex: 0, memoryMb: MEMORY_MB + 1, timeoutUs: 1 }, 0);
  assert.equal(taken, false);
  assert.equal(shell.machine.actions.count, 0);
});

test('a core whose invocation timed out is held until the instance is gone', () => {
  const shell = new Shell();
  shell.assign(0, 0);
  shell.machine.ready(0, 0);
  shell.drain();
  shell.nowUs = TIMEOUT_US;
  shell.machine.tick(shell.nowUs);
  shell.drain();
  assert.deepEqual(shell.endings, [Ending.timedOut]);
  assert.equal(shell.assign(0, 0), false);
  shell.exit(0);
  assert.equal(shell.assign(0, 0), true);
});
