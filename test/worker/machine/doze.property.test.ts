/** The doze machine: what a wrong belief costs is bounded, whenever its ticks come. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Doze, type DozeLimits } from '../../../src/worker/machine/doze.ts';

const LIMITS: DozeLimits = {
  seatCount: 3,
  sliceUs: 500,
  pauseUs: 10_000,
  pauseMaxUs: 50_000,
  patienceUs: 300_000,
  patientRatio: 10,
};
const LATE_MAX_US = 2000;

/** Carries out what the machine says, and keeps the books itself. */
class Books {
  readonly isFrozen = [false, false, false];
  readonly doze = new Doze(LIMITS, {
    freeze: (seat) => this.#set(seat, true),
    thaw: (seat) => this.#set(seat, false),
  });

  #set(seat: number, isFrozen: boolean): void {
    assert.notEqual(this.isFrozen[seat], isFrozen, 'freeze and thaw of a seat come in turns');
    this.isFrozen[seat] = isFrozen;
  }

  check(): void {
    for (const [seat, isFrozen] of this.isFrozen.entries()) {
      assert.equal(this.doze.isFrozen(seat), isFrozen);
      assert.ok(!isFrozen || this.doze.isDozing(seat), 'only who dozes is frozen');
    }
    const dozes = this.isFrozen.some((_, seat) => this.doze.isDozing(seat));
    assert.equal(this.doze.nextTickUs !== Infinity, dozes, 'it wants ticks while somebody dozes, and only then');
  }
}

const seats = fc.nat({ max: LIMITS.seatCount - 1 });
const events = fc.array(
  fc.record({
    kind: fc.constantFrom('dozes', 'wakes', 'tick'),
    seat: seats,
    afterUs: fc.nat({ max: 60_000 }),
  }),
  { size: 'max', maxLength: 300 },
);

test('whatever is told when: who wakes is never left frozen, and nobody is frozen for nothing', () => {
  fc.assert(
    fc.property(events, (steps) => {
      const books = new Books();
      let nowUs = 0;
      for (const { kind, seat, afterUs } of steps) {
        nowUs += afterUs;
        if (kind === 'dozes') books.doze.dozes(seat, nowUs);
        else if (kind === 'wakes') books.doze.wakes(seat);
        else books.doze.tick(nowUs);
        books.check();
        if (kind === 'wakes') assert.ok(!books.doze.isDozing(seat));
        if (kind === 'dozes') assert.ok(books.isFrozen[seat]);
      }
      for (const seat of books.isFrozen.keys()) books.doze.wakes(seat);
      books.check();
      assert.deepEqual(books.isFrozen, [false, false, false]);
    }),
  );
});

test('one that is wrongly believed goes on: no pause is longer than the longest, and it has its share of time', () => {
  const lateness = fc.array(fc.nat({ max: LATE_MAX_US }), { minLength: 400, maxLength: 400 });
  fc.assert(
    fc.property(lateness, fc.nat({ max: 50_000 }), (lates, fromUs) => {
      const books = new Books();
      books.doze.dozes(0, fromUs);
      let [nowUs, frozenUs, patientUs, patientFrozenUs] = [fromUs, 0, 0, 0];
      for (const lateUs of lates) {
        const wasFrozen = books.isFrozen[0]!;
        const wasPatient = frozenUs < LIMITS.patienceUs;
        const atUs = books.doze.nextTickUs + lateUs;
        const tookUs = atUs - nowUs;
        nowUs = atUs;
        books.doze.tick(nowUs);
        assert.notEqual(books.isFrozen[0], wasFrozen);
        if (wasFrozen) assert.ok(tookUs <= LIMITS.pauseMaxUs + LATE_MAX_US + 1, `frozen for ${tookUs} µs`);
        else assert.ok(tookUs >= LIMITS.sliceUs - 1, `${tookUs} µs to go on`);
        if (wasFrozen) frozenUs += tookUs;
        if (wasPatient) continue;
        patientUs += tookUs;
        if (wasFrozen) patientFrozenUs += tookUs;
      }
      // The one pause in which it is now has no slice yet.
      const share = (patientUs - patientFrozenUs) / (patientUs - LIMITS.pauseMaxUs - LATE_MAX_US);
      assert.ok(share >= 1 / (1 + LIMITS.patientRatio) - 0.01, `it had ${share} of the time`);
    }),
  );
});

test('pauses double up to the longest, and begin anew with each doze', () => {
  const books = new Books();
  for (const fromUs of [0, 1_000_000]) {
    books.doze.dozes(1, fromUs);
    const pauses: number[] = [];
    for (let nowUs = fromUs; pauses.length < 4;) {
      const beganUs = nowUs;
      nowUs = books.doze.nextTickUs;
      if (books.isFrozen[1] === true) pauses.push(nowUs - beganUs);
      books.doze.tick(nowUs);
    }
    assert.deepEqual(pauses, [10_000, 20_000, 40_000, 50_000]);
    books.doze.wakes(1);
  }
});

test('who is seen to poll in its slice is frozen again at once', () => {
  const books = new Books();
  books.doze.dozes(2, 0);
  books.doze.tick(10_000);
  assert.equal(books.isFrozen[2], false);
  books.doze.dozes(2, 10_100);
  assert.equal(books.isFrozen[2], true);
  assert.equal(books.doze.nextTickUs, 30_100);
});
