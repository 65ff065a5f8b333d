/**
 * Properties of the sharing machine under random events and tiny limits. What is checked is what the shell was told;
 * beside it the machine checks itself after each event. A failing seed is printed, and replays.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Level, type SharingLimits, type SharingPolicy } from '../../../src/worker/machine/sharing.ts';
import { serviceOf } from '../../../src/worker/machine/sharing/order.ts';
import { LIMITS, limitsOf, type Resident, SharingShell } from './sharing-shell.ts';

const RUNS = Number(process.env['PERCH_PROPERTY_RUNS'] ?? 600);
const POLICIES: readonly SharingPolicy[] = ['dedicated', 'lend', 'packed', 'preempt', 'fair'];
const OFTEN = ['began', 'began', 'began', 'slept', 'slept', 'woke', 'wait', 'ended', 'used'] as const;
const KINDS = [
  ...OFTEN,
  ...OFTEN,
  'late',
  'hint',
  'dedicated',
  'spare',
  'spare',
  'spareExtra',
  'several',
  'out',
  'in',
] as const;

interface Event {
  readonly kind: (typeof KINDS)[number];
  readonly a: number;
  readonly b: number;
}

const event: fc.Arbitrary<Event> = fc.record({ kind: fc.constantFrom(...KINDS), a: fc.nat(20), b: fc.nat(20) });
const events = fc.array(event, { maxLength: 120, size: 'max' });
const sizes = fc.record({
  coreCount: fc.constantFrom(1, 2, 3, 4),
  extraSeatCount: fc.constantFrom(0, 1, 3, 6, 9),
  spareSeatCount: fc.constantFrom(0, 0, 1, 3),
  perCore: fc.constantFrom(1, 2, 3),
});

/** A grant that was on its way when its seat was closed is legal; with `strict` there are none. */
function grantable(shell: SharingShell, strict = false): number[] {
  const seats = Array.from({ length: shell.seatCount }, (_, seat) => seat);
  return seats.filter((seat) => {
    if (shell.leased.has(seat)) return false;
    return shell.isOwn(seat) ? !shell.out.has(seat) : shell.open.has(seat) || !strict;
  });
}

function apply(shell: SharingShell, { kind, a, b }: Event, strict = false): void {
  const on = (seats: readonly number[], act: (seat: number) => void): void => {
    if (seats.length > 0) act(seats[a % seats.length]!);
  };
  const all = [...shell.residents.keys()];
  switch (kind) {
    case 'began':
      return on(grantable(shell, strict), (seat) => shell.began(seat));
    case 'dedicated':
      return on(
        grantable(shell, strict).filter((seat) => shell.isOwn(seat)),
        (seat) => shell.began(seat, 'dedicated'),
      );
    case 'spare':
      return on(
        grantable(shell, strict).filter((seat) => shell.isOwn(seat)),
        (seat) => shell.began(seat, 'spare'),
      );
    case 'spareExtra':
      // Its version has own seats only; what has a seat already may go on with a spare one.
      return on(
        grantable(shell, strict).filter((seat) => !shell.isOwn(seat)),
        (seat) => shell.began(seat, 'spare'),
      );
    case 'several': {
      const free = grantable(shell).filter((seat) => shell.isOwn(seat));
      const cores = free.slice(a % 2, (a % 2) + 2 + (b % 2));
      return cores.length > 1 ? shell.beganSeveral(cores) : undefined;
    }
    case 'slept':
      return on(all, (seat) => shell.slept(seat));
    case 'hint':
      return on(all, (seat) => shell.slept(seat, true));
    case 'woke':
      return on(all, (seat) => shell.woke(seat));
    case 'used':
      return on(all, (seat) => shell.used(seat, b * 300));
    case 'ended':
      return on(all, (seat) => shell.ended(seat));
    case 'late':
      // What observers say of a seat may come when its resident is gone.
      return b % 2 === 0 ? shell.slept(a % shell.seatCount) : shell.woke(a % shell.seatCount);
    case 'wait':
      return shell.wait(b * 150);
    case 'out':
      return shell.setOut(a % shell.limits.coreCount, true);
    case 'in':
      return shell.setOut(a % shell.limits.coreCount, false);
  }
}

function forAll(policies: readonly SharingPolicy[], check: (shell: SharingShell, each: Event) => void): void {
  fc.assert(
    fc.property(fc.constantFrom(...policies), sizes, events, (policy, size, list) => {
      const shell = new SharingShell(limitsOf(policy, size));
      for (const each of list) check(shell, each);
    }),
    { numRuns: RUNS },
  );
}

/** On seats of cores that others could have. */
function spares(shell: SharingShell): number {
  return shell.seatsWhere((one) => one.isSpare && one.cores.some((core) => !shell.out.has(core))).length;
}

const awakeOn = (shell: SharingShell, core: number): number => shell.awakeOn(core).length;

test('exclusive: a core has at most one resident in the foreground, awake or asleep', () => {
  forAll(['dedicated', 'lend', 'packed', 'preempt'], (shell, each) => {
    apply(shell, each);
    for (let core = 0; core < shell.limits.coreCount; core++) {
      const seats = shell.seatsWhere((one) => one.core === core && one.level === Level.foreground);
      assert.ok(seats.length < 2, shell.picture);
      assert.equal(shell.machine.foregroundOf(core), seats[0] ?? -1);
    }
  });
});

test('nobody is in the background for nobody: wherever somebody is, one is in the foreground, whatever was said of it', () => {
  forAll(['dedicated', 'lend', 'packed', 'preempt'], (shell, each) => {
    apply(shell, each);
    const joined = new Set([...shell.residents].flatMap(([seat, one]) => one.cores.filter((core) => core !== seat)));
    for (const { core } of shell.residents.values()) {
      if (!joined.has(core)) assert.notEqual(shell.machine.foregroundOf(core), -1, `core ${core}: ${shell.picture}`);
    }
  });
});

test('work-conserving: nobody awake shares a core with another one while a core has nobody awake', () => {
  forAll(['dedicated', 'lend', 'packed', 'preempt'], (shell, each) => {
    apply(shell, each);
    const idle = shell.shared.filter((core) => awakeOn(shell, core) === 0);
    const waiting = shell.seatsWhere((one) => !one.isAsleep && one.level === Level.background);
    const shares = waiting.filter((seat) => awakeOn(shell, shell.residents.get(seat)!.core) > 1);
    assert.ok(idle.length === 0 || shares.length === 0, `${shell.picture}, idle: ${idle.join(' ')}`);
  });
});

test('whoever is awake alone on its core is held back by nobody who would not be ahead of it when it wakes', () => {
  forAll(['lend', 'packed', 'preempt'], (shell, each) => {
    apply(shell, each);
    for (const [seat, one] of shell.residents) {
      if (one.isAsleep || one.level === Level.foreground || awakeOn(shell, one.core) > 1) continue;
      if (shell.untaken.length === 0) continue;
      const top = shell.residents.get(shell.machine.foregroundOf(one.core));
      if (one.isSpare && shell.seatsWhere((other) => other.core === one.core && !other.isSpare).length > 0) continue;
      assert.ok(top?.isAsleep && !top.yields, `seat ${seat} is in the background for nobody: ${shell.picture}`);
    }
  });
});

test('who is alone on its cores is in the foreground there and never lent', () => {
  forAll(['dedicated', 'lend', 'packed', 'preempt'], (shell, each) => {
    apply(shell, each);
    for (const [seat, one] of shell.residents) {
      if (!one.isDedicated) continue;
      assert.deepEqual([one.core, one.level], [seat, Level.foreground]);
      if (shell.untaken.length === 0) continue;
      const others = shell.seatsWhere((other) => other !== one && one.cores.includes(other.core));
      assert.deepEqual(others, [], shell.picture);
    }
  });
});

test('nobody is moved to a core that is withdrawn while another one is there', () => {
  forAll(['lend', 'packed', 'preempt'], (shell, each) => {
    apply(shell, each);
    if (shell.shared.some((core) => shell.out.has(core))) return;
    for (const [seat, one] of shell.residents) {
      assert.ok(!shell.out.has(one.core) || one.core === seat || shell.untaken.length === 0, shell.picture);
    }
  });
});

test('each invocation ends in exactly one release, and what is kept goes with the last borrower', () => {
  fc.assert(
    fc.property(fc.constantFrom(...POLICIES), sizes, events, fc.nat(20), (policy, size, list, which) => {
      const shell = new SharingShell(limitsOf(policy, size));
      for (const each of list) apply(shell, each);
      while (shell.residents.size > 0) {
        const seats = [...shell.residents.keys()];
        shell.ended(seats[which % seats.length]!);
      }
      assert.equal(shell.releaseCount, shell.beganCount);
      assert.equal(shell.leased.size, 0);
      for (let core = 0; core < shell.limits.coreCount; core++) assert.equal(shell.machine.foregroundOf(core), -1);
    }),
    { numRuns: RUNS },
  );
});

test('dedicated: no extra seat is ever open, and nobody is ever moved', () => {
  forAll(['dedicated'], (shell, each) => {
    apply(shell, each, true);
    assert.equal(shell.open.size, 0);
    assert.ok(shell.log.every((action) => action.startsWith('release')));
  });
});

test('packed, preempt: what is open is what the policy says, whoever runs', () => {
  forAll(['packed', 'preempt', 'fair'], (shell, each) => {
    apply(shell, each);
    const { policy, extraSeatCount, spareSeatCount = 0, perCore, coreCount } = shell.limits;
    const base = extraSeatCount - spareSeatCount;
    const inside =
      policy === 'fair' ? coreCount - shell.out.size : shell.shared.filter((one) => !shell.out.has(one)).length;
    const most = (policy === 'preempt' && inside > 0 ? base : Math.min((perCore - 1) * inside, base)) + spares(shell);
    const extras = shell.seatsWhere((one) => one.cores.length === 0).length;
    const held = shell.seatsWhere((one) => one.cores.length === 0 && !one.isSpare).length;
    const free = [...shell.open].filter((seat) => !shell.leased.has(seat)).length;
    assert.equal(free, Math.max(0, Math.min(most - held, extraSeatCount - extras)), shell.picture);
  });
});

test('preempt: at each tick those with the least attained service have the cores', () => {
  fc.assert(
    fc.property(sizes, events, (size, list) => {
      const shell = new SharingShell(limitsOf('preempt', size));
      for (const each of list) {
        apply(shell, each);
        shell.tick();
        const service = (seat: number): number => serviceOf(shell.residents.get(seat)!.cpuUs, LIMITS.quantumUs);
        const awake = shell.seatsWhere((one) => !one.isAsleep && !one.isDedicated && !one.isSpare);
        const fronts = awake.filter((seat) => shell.machine.frontOf(shell.residents.get(seat)!.core) === seat);
        for (const seat of awake.filter((one) => !fronts.includes(one))) {
          for (const front of fronts) assert.ok(service(front) <= service(seat), shell.picture);
        }
      }
    }),
    { numRuns: RUNS },
  );
});

test('preempt: looking again without a quantum of difference changes nothing', () => {
  fc.assert(
    fc.property(sizes, events, fc.array(fc.nat(1999), { minLength: 13, maxLength: 13 }), (size, list, more) => {
      const shell = new SharingShell(limitsOf('preempt', size));
      for (const each of list) if (each.kind !== 'used') apply(shell, each);
      shell.tick();
      const before = shell.picture;
      for (const seat of shell.residents.keys()) shell.used(seat, more[seat]!);
      shell.wait(5000);
      assert.equal(shell.picture, before);
    }),
    { numRuns: RUNS },
  );
});

test('hints only yield: the event in which it says that it sleeps never brings it to the foreground', () => {
  forAll(['lend', 'packed', 'preempt'], (shell, each) => {
    const before = new Map([...shell.residents].map(([seat, one]) => [seat, { ...one }]));
    apply(shell, each);
    if (each.kind !== 'hint') return;
    for (const [seat, was] of before) {
      const now = shell.residents.get(seat)!;
      if (!was.isAsleep && now.isAsleep && was.level === Level.background) {
        assert.equal(now.level, Level.background, shell.picture);
      }
    }
  });
});

test('hints only yield: who says that it sleeps, and that it does not, has a core never sooner than who says nothing', () => {
  const hints = fc.array(fc.record({ at: fc.nat(120), isAsleep: fc.boolean() }), { maxLength: 30 });
  fc.assert(
    fc.property(fc.constantFrom('lend', 'packed', 'preempt'), sizes, events, hints, (policy, size, list, said) => {
      const liar = new SharingShell(limitsOf(policy as SharingPolicy, size));
      const silent = new SharingShell(limitsOf(policy as SharingPolicy, size));
      // The liar is on the last seat there is, from the start; nothing else happens to it.
      const seat = liar.seatCount - 1;
      for (const shell of [liar, silent]) shell.began(seat);
      list.forEach(({ kind, a, b }, index) => {
        for (const hint of said) {
          if (hint.at !== index) continue;
          if (hint.isAsleep) liar.slept(seat, true);
          else liar.woke(seat);
        }
        sameEvent(liar, silent, { kind, a, b }, seat);
        const has = (shell: SharingShell): boolean =>
          shell.machine.frontOf(shell.residents.get(seat)!.core) === seat && !shell.machine.isAsleep(seat);
        assert.ok(!has(liar) || has(silent), `${liar.picture} against ${silent.picture}`);
      });
    }),
    { numRuns: RUNS },
  );
});

/** To both the same, whatever seats the one or the other has open or kept: what others do is not in a function's hand. */
function sameEvent(liar: SharingShell, silent: SharingShell, { kind, a, b }: Event, seat: number): void {
  const shells = [liar, silent];
  const target = a % liar.seatCount;
  if (kind === 'wait') for (const shell of shells) shell.wait(b * 150);
  if (target === seat) return;
  const areThere = shells.every((shell) => shell.residents.has(target));
  const areFree = shells.every((shell) => !shell.leased.has(target));
  for (const shell of shells) {
    if (kind === 'began' && areFree) shell.began(target);
    if (kind === 'slept' && areThere) shell.slept(target);
    if (kind === 'woke' && areThere) shell.woke(target);
    if (kind === 'used' && areThere) shell.used(target, b * 300);
    if (kind === 'ended' && areThere) shell.ended(target);
  }
}

test('spare: whatever spare ones do, all others are where and how they are without them', () => {
  const spares = fc.array(fc.record({ at: fc.nat(120), each: event }), { maxLength: 60, size: 'max' });
  let sharedCount = 0;
  fc.assert(
    fc.property(fc.constantFrom('lend', 'packed', 'preempt'), sizes, events, spares, (policy, size, list, spare) => {
      const limits = limitsOf(policy as SharingPolicy, size);
      const [mixed, others] = [new SharingShell(limits), new SharingShell(limits)] as const;
      // A lease that is kept draws who has no core, and where spare ones are it is released sooner.
      let isAlike = true;
      list.forEach((each, index) => {
        for (const one of spare) if (one.at === index) spareEvent(mixed, others, one.each);
        for (const shell of [mixed, others]) shell.tick();
        if (each.kind === 'out' || each.kind === 'in') for (const shell of [mixed, others]) apply(shell, each);
        else sameEvent(mixed, others, each, -1);
        for (const shell of [mixed, others]) shell.tick();
        isAlike &&= keptIn(mixed) === keptIn(others);
        for (const [seat, one] of others.residents) {
          const { core, level, isAsleep, waitedUs } = mixed.residents.get(seat)!;
          const text = `${mixed.picture} against ${others.picture}`;
          assert.deepEqual([isAsleep, waitedUs], [one.isAsleep, one.waitedUs], text);
          assert.equal(mixed.machine.frontOf(core) === seat, others.machine.frontOf(one.core) === seat, text);
          if (isAlike) assert.deepEqual([core, level], [one.core, one.level], text);
          if (mixed.residents.size > others.residents.size) sharedCount++;
        }
      });
    }),
    { numRuns: RUNS },
  );
  assert.ok(sharedCount > RUNS, 'they are hardly ever there together');
});

function keptIn(shell: SharingShell): string {
  return [...shell.leased].filter((seat) => shell.machine.isKept(seat)).join(' ');
}

/** Of a spare resident, which is in `mixed` only. */
function spareEvent(mixed: SharingShell, others: SharingShell, { kind, a, b }: Event): void {
  const free = grantable(mixed).filter((seat) => !others.leased.has(seat));
  const there = mixed.seatsWhere((one) => one.isSpare);
  const begins = ['began', 'dedicated', 'spare', 'spareExtra', 'several'].includes(kind);
  const seat = begins ? free[a % free.length] : there[a % there.length];
  if (seat === undefined) return;
  if (begins) mixed.began(seat, 'spare');
  if (kind === 'slept' || kind === 'hint') mixed.slept(seat, kind === 'hint');
  if (kind === 'woke' || kind === 'late') mixed.woke(seat);
  if (kind === 'used') mixed.used(seat, b * 300);
  if (kind === 'ended') mixed.ended(seat);
}

/** What `lend` promises, counted by hand from who is there; places have no part in it. */
class LendModel {
  keptCount = 0;
  /** Since when each of those that sleep does. */
  readonly #sleptUs = new Map<number, number>();
  #tickUs = 0;
  readonly #shell: SharingShell;

  constructor(shell: SharingShell) {
    this.#shell = shell;
  }

  /** After an event: `wasHeld` and `wasDedicated` are of before it. */
  after({ kind, b }: Event, before: ReadonlyMap<number, Resident>): void {
    const { residents, out, nowUs, limits } = this.#shell;
    if (kind === 'wait') this.#tickUs = nowUs;
    for (const [seat, one] of residents) {
      if (!one.isAsleep) this.#sleptUs.delete(seat);
      else if (!this.#sleptUs.has(seat)) this.#sleptUs.set(seat, nowUs);
    }
    for (const [seat, one] of before) {
      if (residents.has(seat)) continue;
      this.#sleptUs.delete(seat);
      const mayKeep = seat < limits.coreCount && !out.has(seat) && one.cores.length < 2;
      if (mayKeep && this.balance < 0) this.keptCount++;
    }
    const keptOut = [...out].filter((core) => this.#shell.leased.has(core) && this.#isKept(core));
    assert.deepEqual(keptOut, [], 'the operator waits for it');
    if (kind === 'out' && b >= 0) this.keptCount = Math.min(this.keptCount, this.#machineKept);
    while (this.keptCount > 0 && this.balance > 0) this.keptCount--;
  }

  get balance(): number {
    const { residents, limits, out } = this.#shell;
    let balance = this.keptCount;
    for (const [seat, one] of residents) {
      const sleptUs = this.#sleptUs.get(seat);
      const isRested = sleptUs !== undefined && sleptUs + limits.lendAfterUs <= this.#tickUs;
      if (one.isSpare) balance += seat < limits.coreCount && !out.has(seat) ? 1 : 0;
      else if (seat >= limits.coreCount) balance -= isRested ? 0 : 1;
      else if (isRested && !one.isDedicated && !out.has(seat)) balance++;
    }
    return balance;
  }

  get #machineKept(): number {
    let count = 0;
    for (let core = 0; core < this.#shell.limits.coreCount; core++) if (this.#isKept(core)) count++;
    return count;
  }

  #isKept(core: number): boolean {
    return this.#shell.machine.isKept(core);
  }

  check(): void {
    const { limits, leased, open, picture } = this.#shell;
    assert.equal(this.#machineKept, this.keptCount, `leases kept: ${picture}`);
    const extras = this.#shell.seatsWhere((one) => one.cores.length === 0).length;
    const held = this.#shell.seatsWhere((one) => one.cores.length === 0 && !one.isSpare).length;
    const free = [...open].filter((seat) => !leased.has(seat)).length;
    const { extraSeatCount, spareSeatCount = 0 } = limits;
    const room = Math.min(extraSeatCount - spareSeatCount + spares(this.#shell) - held, extraSeatCount - extras);
    assert.equal(free, Math.max(0, Math.min(this.balance, room)), `seats open: ${picture}`);
  }
}

test('lend: so many seats are open, and leases kept, as cores are there for borrowers', () => {
  for (const strict of [true, false]) {
    fc.assert(
      fc.property(sizes, events, (size, list) => {
        const shell = new SharingShell(limitsOf('lend', size));
        const model = new LendModel(shell);
        for (const each of list) {
          const before = new Map([...shell.residents].map(([seat, one]) => [seat, { ...one }]));
          apply(shell, each, strict);
          model.after(each, before);
          model.check();
        }
      }),
      { numRuns: RUNS },
    );
  }
});

test('lend: whoever comes and goes on a seat of its own, nobody is placed while no extra seat is held', () => {
  const hasExtra = (shell: SharingShell): boolean =>
    shell.seatsWhere((one) => one.cores.length === 0 || one.isSpare).length > 0;
  forAll(['lend'], (shell, each) => {
    const hadExtra = hasExtra(shell);
    shell.last = [];
    apply(shell, each, true);
    if (hadExtra || hasExtra(shell) || !['began', 'dedicated', 'several', 'ended'].includes(each.kind)) return;
    assert.ok(!shell.last.some((action) => action.startsWith('place')), shell.last.join(', '));
  });
});

test('a report that says what is known already does nothing', () => {
  forAll(['lend', 'packed', 'preempt'], (shell, each) => {
    apply(shell, each);
    const count = shell.log.length;
    for (const [seat, one] of shell.residents) {
      if (one.isAsleep) shell.slept(seat, one.yields);
      else shell.woke(seat);
    }
    shell.tick();
    if (each.kind !== 'used') assert.equal(shell.log.length, count, shell.log.slice(count).join(', '));
  });
});

test('deterministic: the same events, the same actions', () => {
  fc.assert(
    fc.property(fc.constantFrom(...POLICIES), sizes, events, (policy, size, list) => {
      const run = (): string[] => {
        const shell = new SharingShell(limitsOf(policy, size as Partial<SharingLimits>));
        for (const each of list) apply(shell, each);
        return shell.log;
      };
      assert.deepEqual(run(), run());
    }),
    { numRuns: 100 },
  );
});
