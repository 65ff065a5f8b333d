/**
 * What changes.ts makes of an event is what comes of working all places out anew: two machines are told the same, one of them distrusts what it knows
 * before each event, and both say the same to their shells.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ResidentSharing, SharingPolicy } from '../../../src/worker/machine/sharing.ts';
import { limitsOf, SharingShell } from './sharing-shell.ts';

const RUNS = Number(process.env['PERCH_PROPERTY_RUNS'] ?? 600);
const COMMON = [
  'began',
  'began',
  'began',
  'slept',
  'slept',
  'woke',
  'woke',
  'ended',
  'followed',
  'yields',
  'wait',
] as const;
const RARE = ['dedicated', 'spare', 'several', 'out', 'in', 'used', 'used'] as const;
const KINDS = [...COMMON, ...COMMON, ...COMMON, ...RARE] as const;

interface Event {
  readonly kind: (typeof KINDS)[number];
  readonly a: number;
  readonly b: number;
}

const event: fc.Arbitrary<Event> = fc.record({ kind: fc.constantFrom(...KINDS), a: fc.nat(60), b: fc.nat(20) });
const sizes = fc.record({
  coreCount: fc.constantFrom(1, 2, 3, 5, 8),
  extraSeatCount: fc.constantFrom(0, 2, 5, 16),
  perCore: fc.constantFrom(1, 2, 3),
});
const policies = fc.constantFrom<SharingPolicy>('dedicated', 'lend', 'lend', 'packed', 'packed', 'preempt', 'preempt');

function began(shell: SharingShell, { a, kind }: Event): void {
  const free = Array.from({ length: shell.seatCount }, (_, seat) => seat).filter((seat) => {
    if (shell.leased.has(seat)) return false;
    return shell.isOwn(seat) ? !shell.out.has(seat) : shell.open.has(seat);
  });
  const own = free.filter((seat) => shell.isOwn(seat));
  if (kind === 'several') {
    if (own.length > 1) shell.beganSeveral(own.slice(0, 2 + (a % (own.length - 1))));
    return;
  }
  const seats = kind === 'began' ? free : own;
  const seat = seats[a % seats.length];
  if (seat !== undefined) shell.began(seat, kind === 'began' ? 'shared' : (kind as ResidentSharing));
}

function apply(shell: SharingShell, given: Event): void {
  const { kind, a, b } = given;
  const seats = [...shell.residents.keys()];
  const seat = seats[a % seats.length];
  const core = a % shell.limits.coreCount;
  if (['began', 'dedicated', 'spare', 'several'].includes(kind)) return began(shell, given);
  if (kind === 'wait') return shell.wait(1 + b * 200);
  if (kind === 'out' || kind === 'in') return shell.setOut(core, kind === 'out');
  if (seat === undefined) return;
  if (kind === 'slept' || kind === 'yields') return shell.slept(seat, kind === 'yields');
  if (kind === 'woke') return shell.woke(seat);
  if (kind === 'used') return shell.used(seat, b * 400);
  shell.ended(seat, kind === 'followed');
}

test('an event changes the places to what they are when all are worked out anew', () => {
  let placedCount = 0;
  fc.assert(
    fc.property(policies, sizes, fc.array(event, { maxLength: 150, size: 'max' }), (policy, size, list) => {
      const [trusts, distrusts] = [new SharingShell(limitsOf(policy, size)), new SharingShell(limitsOf(policy, size))];
      for (const each of list) {
        distrusts.machine.distrust();
        for (const shell of [trusts, distrusts]) apply(shell, each);
        assert.deepEqual(
          trusts.last,
          distrusts.last,
          `${each.kind} ${each.a}: ${trusts.picture}, ${distrusts.picture}`,
        );
        assert.equal(trusts.machine.waitingCount, distrusts.machine.waitingCount);
        placedCount += trusts.last.filter((action) => action.startsWith('place')).length;
      }
    }),
    { numRuns: RUNS },
  );
  assert.ok(placedCount > RUNS, 'hardly anybody is ever placed');
});
