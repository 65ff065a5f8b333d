/** What is believed of whom: each source by example, and that no hints get a function further than none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Belief, Knowledge, type KnowledgeLimits, Source } from '../../../src/worker/machine/knowledge.ts';
import { Sharing, type SharingPolicy } from '../../../src/worker/machine/sharing.ts';
import { limitsOf } from './sharing-shell.ts';

const ALL = Source.directed | Source.learning | Source.collaborative;
const LIMITS: KnowledgeLimits = {
  seatCount: 5,
  hintCountMax: 3,
  rationUs: 1000,
  lieShare: 0.2,
  lieUs: 20,
  distrustUs: 500,
  spunUs: 20,
};

/** What the user of the knowledge was told, in words. */
function start(sources: number = ALL): { knowledge: Knowledge; told: string[] } {
  const told: string[] = [];
  const knowledge = new Knowledge(LIMITS, {
    slept: (seat, _nowUs, yields) => told.push(`${seat} ${yields ? 'yields' : 'sleeps'}`),
    woke: (seat) => told.push(`${seat} wakes`),
  });
  knowledge.began(0, sources);
  return { knowledge, told };
}

test('an observer is believed both ways, and repeats itself for nothing', () => {
  const { knowledge, told } = start();
  knowledge.observed(0, Belief.blocked, 1);
  knowledge.observed(0, Belief.blocked, 2);
  knowledge.observed(0, Belief.polls, 3);
  knowledge.observed(0, Belief.awake, 4);
  assert.deepEqual(told, ['0 sleeps', '0 yields', '0 wakes']);
});

test('a hint counts downwards, and takes back itself alone', () => {
  const { knowledge, told } = start();
  knowledge.hint(0, 'sleeping', 1);
  knowledge.hint(0, 'awake', 2);
  assert.deepEqual(told.splice(0), ['0 yields', '0 wakes']);
  knowledge.observed(0, Belief.blocked, 3);
  knowledge.hint(0, 'awake', 4);
  assert.deepEqual(told, ['0 sleeps'], 'the observer knows better');
});

test('a rule that says awake ends what was inferred, and not what is seen', () => {
  const { knowledge, told } = start();
  knowledge.observed(0, Belief.polls, 1);
  knowledge.directed(0, Belief.awake, 2);
  assert.deepEqual(told.splice(0), ['0 yields', '0 wakes']);
  knowledge.directed(0, Belief.polls, 3);
  knowledge.observed(0, Belief.blocked, 4);
  knowledge.directed(0, Belief.awake, 5);
  assert.deepEqual(told, ['0 yields', '0 sleeps']);
  knowledge.observed(0, Belief.awake, 6);
  assert.deepEqual(told.at(-1), '0 wakes');
});

test('whose hints are not asked for, and whoever is gone, is not heard', () => {
  const { knowledge, told } = start(Source.learning);
  assert.equal(knowledge.hint(0, 'sleeping', 1), false);
  knowledge.directed(0, Belief.polls, 2);
  assert.deepEqual(told.splice(0), []);
  knowledge.setSources(0, ALL, 3);
  assert.deepEqual(told.splice(0), ['0 yields'], 'what the rule has said is remembered');
  knowledge.setSources(0, 0, 4);
  assert.deepEqual(told.splice(0), ['0 wakes']);
  knowledge.ended(0);
  knowledge.observed(0, Belief.blocked, 5);
  knowledge.hint(0, 'sleeping', 6);
  knowledge.usage(0, 100, 100, 7);
  assert.deepEqual(told, []);
});

test('who gives more hints than its ration is as one who gives none, until it has been quiet', () => {
  const { knowledge, told } = start();
  for (const nowUs of [1, 2, 3]) assert.ok(knowledge.hint(0, 'sleeping', nowUs));
  assert.equal(knowledge.hint(0, 'sleeping', 4), false);
  assert.deepEqual(told, ['0 yields', '0 wakes']);
  assert.equal(knowledge.hint(0, 'sleeping', 1003), false, 'it was not quiet for long enough');
  assert.equal(knowledge.hint(0, 'sleeping', 2003), true);
});

test('who says that it sleeps and uses a core is awake again, and its hints count for nothing for a while', () => {
  const { knowledge, told } = start();
  knowledge.hint(0, 'sleeping', 100);
  knowledge.usage(0, 10, 10, 105);
  knowledge.usage(0, 5, 10, 115);
  knowledge.usage(0, 1, 10, 125);
  knowledge.usage(0, 5, 10, 135);
  assert.deepEqual(told, ['0 yields'], 'a window of before, and a pause');
  knowledge.usage(0, 5, 10, 145);
  assert.deepEqual(told, ['0 yields', '0 wakes']);
  assert.equal(knowledge.hint(0, 'sleeping', 644), false);
  assert.ok(knowledge.isDistrusted(0, 644));
  assert.equal(knowledge.hint(0, 'sleeping', 645), true);
});

test('who polls by what a trusted source says may use the core: it is no lie', () => {
  const { knowledge, told } = start();
  knowledge.directed(0, Belief.polls, 1);
  knowledge.hint(0, 'sleeping', 1);
  for (let nowUs = 20; nowUs < 200; nowUs += 10) knowledge.usage(0, 10, 10, nowUs);
  assert.deepEqual(told, ['0 yields']);
});

test('a hint is over when something comes for it, and goes on if it is seen to poll again', () => {
  const { knowledge, told } = start(Source.collaborative);
  knowledge.hint(0, 'sleeping', 1);
  assert.deepEqual([knowledge.polls(0), knowledge.mayStop(0, false, false)], [false, true], 'nobody has seen it poll');
  knowledge.observed(0, Belief.polls, 2);
  assert.equal(knowledge.polls(0), true);
  knowledge.observed(0, Belief.awake, 3);
  assert.deepEqual(told.splice(0), ['0 yields', '0 wakes']);
  knowledge.observed(0, Belief.polls, 4);
  assert.deepEqual(told.splice(0), ['0 yields'], 'it waits for the rest');
  knowledge.hint(0, 'awake', 5);
  knowledge.observed(0, Belief.awake, 5);
  assert.deepEqual([knowledge.polls(0), knowledge.mayStop(0, false, false)], [false, false]);
  assert.deepEqual(told.splice(0), ['0 wakes']);
  knowledge.hint(0, 'sleeping', 6);
  assert.deepEqual(told.splice(0), ['0 yields']);
  knowledge.received(0, 7);
  for (let nowUs = 20; nowUs < 200; nowUs += 10) knowledge.usage(0, 10, 10, nowUs);
  assert.deepEqual(told, ['0 wakes'], 'that it uses a core now is no lie');
  assert.equal(knowledge.isDistrusted(0, 200), false);
  knowledge.hint(0, 'sleeping', 1300);
  assert.deepEqual(told, ['0 wakes', '0 yields'], 'another wait');
});

test('who only blocks is frozen by nobody, and who says nothing may not be stopped', () => {
  const { knowledge } = start(Source.directed | Source.collaborative);
  assert.equal(knowledge.mayStop(0, false, false), false);
  knowledge.hint(0, 'sleeping', 1);
  knowledge.directed(0, Belief.polls, 1);
  knowledge.observed(0, Belief.blocked, 2);
  knowledge.usage(0, 10, 10, 12);
  knowledge.usage(0, 30, 30, 42);
  assert.equal(knowledge.polls(0), false);
  assert.equal(knowledge.isInDoubt(0), false, 'it is seen to block');
});

test('whose operator says that it sleeps is frozen once it has used its core for a while', () => {
  const { knowledge } = start(Source.directed);
  knowledge.usage(0, 100, 100, 100);
  knowledge.directed(0, Belief.polls, 100);
  assert.deepEqual([knowledge.isInDoubt(0), knowledge.polls(0)], [true, false]);
  knowledge.usage(0, 10, 10, 110);
  assert.equal(knowledge.polls(0), false);
  knowledge.usage(0, 10, 10, 120);
  assert.deepEqual([knowledge.isInDoubt(0), knowledge.polls(0)], [false, true]);
  knowledge.directed(0, Belief.awake, 130);
  assert.equal(knowledge.polls(0), false);
  knowledge.directed(0, Belief.polls, 140);
  assert.equal(knowledge.polls(0), false, 'it begins anew');
});

const step = fc.record({
  kind: fc.constantFrom('began', 'began', 'observed', 'directed', 'ended', 'usage', 'cpu', 'wait'),
  seat: fc.nat(4),
  value: fc.nat(30),
});
const said = fc.record({ at: fc.nat(80), hint: fc.constantFrom('sleeping', 'sleeping', 'awake') });

interface Step {
  readonly kind: string;
  readonly seat: number;
  readonly value: number;
}

/** A server whose last seat is the function that gives hints, or gives none. */
class Server {
  readonly sharing: Sharing;
  readonly knowledge: Knowledge;
  readonly liar: number;
  readonly present = new Set<number>();
  nowUs = 0;

  constructor(policy: SharingPolicy, coreCount: number) {
    const limits = limitsOf(policy, { coreCount, extraSeatCount: LIMITS.seatCount - coreCount });
    this.sharing = new Sharing(limits);
    this.knowledge = new Knowledge(LIMITS, this.sharing);
    this.liar = LIMITS.seatCount - 1;
    this.#begin(this.liar);
  }

  /** It can run now: a core is its own, or it is the first of those who wait for one. */
  get hasCore(): boolean {
    const { sharing, liar } = this;
    return !sharing.isAsleep(liar) && sharing.frontOf(sharing.coreOf(liar)) === liar;
  }

  get isForeground(): boolean {
    return this.sharing.foregroundOf(this.sharing.coreOf(this.liar)) === this.liar;
  }

  hint(hint: 'sleeping' | 'awake'): void {
    this.knowledge.hint(this.liar, hint, this.nowUs);
    this.#after();
  }

  step({ kind, seat, value }: Step): void {
    const { sharing, knowledge } = this;
    this.nowUs += 7;
    if (kind === 'wait') this.nowUs += value * 40;
    sharing.tick(this.nowUs);
    const belief = (value % 3) as Belief;
    if (kind === 'began' && !this.present.has(seat) && !sharing.isKept(seat)) this.#begin(seat);
    if (this.present.has(seat)) {
      if (kind === 'observed') knowledge.observed(seat, belief, this.nowUs);
      if (kind === 'directed') knowledge.directed(seat, belief, this.nowUs);
      if (kind === 'cpu') sharing.used(seat, value * 300, this.nowUs);
    }
    if (kind === 'usage') knowledge.usage(this.liar, value, 30, this.nowUs);
    if (kind === 'ended' && seat !== this.liar && this.present.delete(seat)) {
      sharing.ended(seat, this.nowUs);
      knowledge.ended(seat);
    }
    this.#after();
  }

  #begin(seat: number): void {
    this.present.add(seat);
    this.sharing.began(seat, this.nowUs);
    this.knowledge.began(seat, ALL);
    this.#after();
  }

  #after(): void {
    this.sharing.actions.drain({ place() {}, openSeat() {}, closeSeat() {}, release() {} });
    this.sharing.checkInvariants();
    for (const seat of this.present) assert.equal(this.sharing.isAsleep(seat), this.knowledge.isAsleep(seat));
  }
}

test('hints only yield: whatever a function says, it has a core never sooner than if it said nothing', () => {
  let hintCount = 0;
  fc.assert(
    fc.property(
      fc.constantFrom<SharingPolicy>('dedicated', 'packed', 'preempt'),
      fc.constantFrom(1, 2, 3),
      fc.array(step, { maxLength: 80, size: 'max' }),
      fc.array(said, { maxLength: 40, size: 'max' }),
      (policy, coreCount, steps, hints) => {
        const liar = new Server(policy, coreCount);
        const silent = new Server(policy, coreCount);
        steps.forEach((each, index) => {
          for (const one of hints) {
            if (one.at !== index) continue;
            hintCount++;
            liar.hint(one.hint);
          }
          liar.step(each);
          silent.step(each);
          assert.ok(!liar.hasCore || silent.hasCore, 'it has a core by its hints');
          assert.ok(
            silent.sharing.isAsleep(silent.liar) <= liar.sharing.isAsleep(liar.liar),
            'it is awake by its hints',
          );
        });
      },
    ),
    { numRuns: Number(process.env['PERCH_PROPERTY_RUNS'] ?? 600) },
  );
  assert.ok(hintCount > 0);
});
