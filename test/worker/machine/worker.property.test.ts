/**
 * Properties of the worker machine: random events against a plain model of what processes do, under tiny limits. First
 * whatever may happen; then a time in which everything that was begun ends, and nothing may be left over.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkLeases, checkRested, flourish, perish, stop } from './endings.ts';
import { Ending, Shell, SlotState, VERSIONS } from './shell.ts';

/** What goes on, what goes wrong, and what is asked for; more often what comes first. */
const ON = ['assign', 'assign', 'booted', 'initialised', 'ready', 'ready', 'answer'] as const;
const WRONG = ['last', 'initFailed', 'uncopyable', 'broke', 'lost', 'exit', 'exitAlone', 'wait', 'tick'] as const;
const KINDS = [...ON, ...ON, ...WRONG, 'exit', 'wait', 'provision', 'want', 'drop'] as const;

interface Event {
  readonly kind: (typeof KINDS)[number];
  readonly a: number;
  readonly b: number;
  /** Of what is assigned; mostly that of one core, and perhaps none that a lease can have. */
  readonly mask: number;
}

const mask = fc.constantFrom(0, 0, 0, 0b011, 0b110, 0b101, 0b111, 0b010, 0b1100);
const event = fc.record({ kind: fc.constantFrom(...KINDS), a: fc.nat(20), b: fc.nat(20), mask });
const limits = fc.record({
  slotCount: fc.constantFrom(3, 4, 5, 8),
  memoryMb: fc.constantFrom(500, 1000, 3000),
  copiesAheadMax: fc.constantFrom(0, 2),
  cellTargets: fc.constantFrom([1], [2], [0]),
});

function apply(shell: Shell, { kind, a, b, mask }: Event): void {
  const { machine, limits } = shell;
  const on = (slots: number[], act: (slot: number) => void): void => {
    if (slots.length > 0) act(slots[a % slots.length]!);
  };
  const all = [...shell.processes.keys()];
  const { dying } = SlotState;
  switch (kind) {
    case 'assign':
      return void shell.assign(a % limits.coreCount, b % VERSIONS.length, mask);
    case 'booted':
      return on(shell.slotsIn(SlotState.booting, dying), (slot) => shell.booted(slot));
    case 'initialised':
      return on(shell.slotsIn(SlotState.initialising, dying), (slot) => shell.initialised(slot, b * 10));
    case 'initFailed':
      return on(shell.slotsIn(SlotState.initialising, dying), (slot) => machine.initFailed(slot));
    case 'uncopyable':
      return on(shell.slotsIn(SlotState.initialising, dying), (slot) => machine.uncopyable(slot, shell.nowUs));
    case 'ready':
      return on(shell.slotsIn(SlotState.starting, SlotState.readying, dying), (slot) => shell.ready(slot));
    case 'answer':
      return on(shell.slotsIn(SlotState.busy, dying), (slot) => shell.answer(slot));
    case 'last':
      return on(shell.slotsIn(SlotState.busy, SlotState.starting, SlotState.readying, dying), (slot) =>
        shell.answer(slot, true),
      );
    case 'broke':
      return on(all, (slot) => machine.broke(slot));
    case 'lost':
      return on(all, (slot) => machine.lost(slot));
    case 'exit':
      return on(all, (slot) => shell.exit(slot));
    case 'exitAlone':
      return on(all, (slot) => shell.exitAlone(slot));
    case 'wait':
      shell.nowUs += a * 100;
      return shell.tick();
    case 'tick':
      shell.isStill = (slot) => (slot + a) % 3 === 0;
      return shell.tick(b);
    case 'provision':
      return void machine.provision(a % VERSIONS.length, b % 4);
    case 'want':
      return machine.want(a % VERSIONS.length, b % 4, shell.nowUs);
    case 'drop':
      return drop(shell, a % VERSIONS.length, b % VERSIONS.length);
  }
}

/** The index may be given to another version, once no lease uses it. */
function drop(shell: Shell, version: number, next: number): void {
  shell.machine.dropVersion(version);
  shell.drain();
  const used = [...shell.leases.values()].some((lease) => lease.version === version);
  if (!used) shell.setVersion(version, VERSIONS[next]!);
}

const END = { perish: 0, flourish: 1, stop: 2 } as const;

test('whatever happens, every assignment has one result, every core comes back, and what was asked for is kept', () => {
  fc.assert(
    fc.property(
      limits,
      fc.array(event, { maxLength: 150, size: 'max' }),
      fc.constantFrom(END.perish, END.flourish, END.stop),
      (given, events, end) => {
        const shell = new Shell(given);
        shell.tick();
        for (const each of events) {
          apply(shell, each);
          shell.drain();
        }
        if (end === END.stop) return stop(shell);
        if (end === END.perish) perish(shell);
        else flourish(shell);
        checkLeases(shell);
        if (end === END.flourish) checkRested(shell);
        stop(shell);
      },
    ),
    { numRuns: Number(process.env['PERCH_PROPERTY_RUNS'] ?? 1000) },
  );
});

test('a lease on every core is always placed once what is in the way has gone, if memory allows', () => {
  fc.assert(
    fc.property(
      fc.array(event, { maxLength: 100, size: 'max' }),
      fc.array(fc.nat(4), { minLength: 3 }),
      (events, wanted) => {
        const shell = new Shell({ slotCount: 4, memoryMb: 2000 });
        for (const each of events) {
          if (each.kind === 'provision') continue;
          apply(shell, each);
          shell.drain();
        }
        perish(shell);
        for (let core = 0; core < shell.limits.coreCount; core++) {
          for (let attempt = 0; !shell.assign(core, wanted[core]!); attempt++) {
            assert.ok(attempt < shell.limits.slotCount, 'refused again and again');
            const dying = shell.slotsIn(SlotState.dying);
            assert.ok(dying.length > 0, 'refused, and nothing is on its way out');
            for (const slot of dying) shell.exit(slot);
            assert.ok(!shell.refused, 'nobody says that there is room');
          }
        }
        flourish(shell);
        checkLeases(shell);
        assert.ok(shell.endings.slice(-shell.limits.coreCount).every((ending) => ending === Ending.answered));
      },
    ),
    { numRuns: Number(process.env['PERCH_PROPERTY_RUNS'] ?? 1000) },
  );
});
