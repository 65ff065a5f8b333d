/**
 * What is believed about a resident's sleep: the reports of three sources, turned into `slept` and `woke` for sharing.ts.
 *
 *     directed        the operator's rules, and the sleep plans of chains          trusted
 *     learning        what observers see: counters, the kernel                     trusted
 *     collaborative   hints of the function itself                                 downwards only, rationed
 *
 * A resident is asleep while one of its sources says so. A rule knows what wakes a function, and an observer may not see it for
 * a while: when a rule says that it is awake, what was inferred (it polls) is forgotten; what was seen (it is blocked) is not,
 * since its threads will be seen to run.
 *
 * A hint that it is awake takes back its own hint, and nothing that others say: with hints a resident is asleep whenever it
 * would be without them. Whoever gives more than its ration is treated as one that gives none, until it has been quiet. One
 * that says it sleeps and uses a core is awake again, and its hints count for nothing for a while: it has lent a core that it uses.
 *
 * Nothing is allocated; every report is constant work here.
 */
import { assert } from '../../base/assert.ts';

/** Which sources count for a resident; bits. */
export const Source = { directed: 1, learning: 2, collaborative: 4 } as const;

/** `blocked`: its threads wait in the kernel. `polls`: it makes no progress, and may use CPU time all the same. */
export const Belief = { awake: 0, blocked: 1, polls: 2 } as const;
export type Belief = (typeof Belief)[keyof typeof Belief];

export type Hint = 'sleeping' | 'awake';

export interface KnowledgeLimits {
  readonly seatCount: number;
  /** So many hints of a resident count in `rationUs`; one more, and none does until `rationUs` have passed without any. */
  readonly hintCountMax: number;
  readonly rationUs: number;
  /** Asleep by its own word, it uses more than this share of a core for so long: it is awake. */
  readonly lieShare: number;
  readonly lieUs: number;
  /** How long the hints of such a one count for nothing. */
  readonly distrustUs: number;
}

export const KNOWLEDGE_LIMITS: Omit<KnowledgeLimits, 'seatCount'> = {
  hintCountMax: 100,
  rationUs: 1_000_000,
  lieShare: 0.2,
  lieUs: 20_000,
  distrustUs: 1_000_000,
};

/** Sharing is one. */
export interface KnowledgeUser {
  slept(seat: number, nowUs: number, yields: boolean): void;
  woke(seat: number, nowUs: number): void;
}

const NEVER = -Infinity;

export class Knowledge {
  readonly #limits: KnowledgeLimits;
  readonly #user: KnowledgeUser;
  /** Of each seat; 0 where nobody is, so that late reports do nothing. */
  readonly #sources: Uint8Array;
  readonly #directed: Uint8Array;
  readonly #learned: Uint8Array;
  readonly #isHinted: Uint8Array;
  /** What the user was told. */
  readonly #told: Uint8Array;
  readonly #hintedUs: Float64Array;
  readonly #rationFromUs: Float64Array;
  readonly #hintCount: Int32Array;
  readonly #lastHintUs: Float64Array;
  readonly #busyUs: Float64Array;
  readonly #distrustedUntilUs: Float64Array;

  constructor(limits: KnowledgeLimits, user: KnowledgeUser) {
    const { seatCount } = limits;
    this.#limits = limits;
    this.#user = user;
    this.#sources = new Uint8Array(seatCount);
    this.#directed = new Uint8Array(seatCount);
    this.#learned = new Uint8Array(seatCount);
    this.#isHinted = new Uint8Array(seatCount);
    this.#told = new Uint8Array(seatCount);
    this.#hintedUs = new Float64Array(seatCount);
    this.#rationFromUs = new Float64Array(seatCount);
    this.#hintCount = new Int32Array(seatCount);
    this.#lastHintUs = new Float64Array(seatCount);
    this.#busyUs = new Float64Array(seatCount);
    this.#distrustedUntilUs = new Float64Array(seatCount);
  }

  /** After the user's own `began`. `sources`: which count for it. It is awake. */
  began(seat: number, sources: number): void {
    assert(seat < this.#limits.seatCount, `no such seat: ${seat}`);
    this.#sources[seat] = sources;
    this.#directed[seat] = Belief.awake;
    this.#learned[seat] = Belief.awake;
    this.#isHinted[seat] = 0;
    this.#told[seat] = Belief.awake;
    this.#rationFromUs[seat] = NEVER;
    this.#hintCount[seat] = 0;
    this.#lastHintUs[seat] = NEVER;
    this.#distrustedUntilUs[seat] = NEVER;
  }

  /** What is reported of the seat from now on does nothing, until somebody begins there. */
  ended(seat: number): void {
    this.#sources[seat] = 0;
    this.#told[seat] = Belief.awake;
  }

  /** Other sources count from now on; what they have said so far is remembered. Of a seat that has a resident. */
  setSources(seat: number, sources: number, nowUs: number): void {
    this.#sources[seat] = sources;
    this.#tell(seat, nowUs);
  }

  /** The operator's rules, or a sleep plan. */
  directed(seat: number, belief: Belief, nowUs: number): void {
    this.#directed[seat] = belief;
    if (belief === Belief.awake && this.#counts(seat, Source.directed) && this.#learned[seat] === Belief.polls) {
      this.#learned[seat] = Belief.awake;
    }
    this.#tell(seat, nowUs);
  }

  /** An observer. It says what it sees at each change, and may repeat it. */
  observed(seat: number, belief: Belief, nowUs: number): void {
    this.#learned[seat] = belief;
    this.#tell(seat, nowUs);
  }

  /** The function itself. Returns whether it counted. */
  hint(seat: number, hint: Hint, nowUs: number): boolean {
    if (!this.#counts(seat, Source.collaborative)) return false;
    const isCounted = this.#isWithinRation(seat, nowUs) && nowUs >= this.#distrustedUntilUs[seat]!;
    const isHinted = isCounted && hint === 'sleeping' ? 1 : 0;
    if (isHinted === 1 && this.#isHinted[seat] === 0) {
      this.#hintedUs[seat] = nowUs;
      this.#busyUs[seat] = 0;
    }
    this.#isHinted[seat] = isHinted;
    this.#tell(seat, nowUs);
    return isCounted;
  }

  /** The CPU time that it has had in the window that ends now. Windows do not overlap. */
  usage(seat: number, cpuUs: number, windowUs: number, nowUs: number): void {
    if (this.#isHinted[seat] === 0 || this.#sources[seat] === 0) return;
    // What it did before it said so is no lie.
    if (nowUs - windowUs < this.#hintedUs[seat]!) return;
    // With a trusted source behind it, it is expected to poll.
    const isBusy = cpuUs > this.#limits.lieShare * windowUs && this.#trusted(seat) === Belief.awake;
    this.#busyUs[seat] = isBusy ? this.#busyUs[seat]! + windowUs : 0;
    if (this.#busyUs[seat]! < this.#limits.lieUs) return;
    this.#isHinted[seat] = 0;
    this.#distrustedUntilUs[seat] = nowUs + this.#limits.distrustUs;
    this.#tell(seat, nowUs);
  }

  isAsleep(seat: number): boolean {
    return this.#sources[seat] !== 0 && this.#told[seat] !== Belief.awake;
  }

  /** What observers see of it counts. -1: nobody. */
  learns(seat: number): boolean {
    return seat >= 0 && this.#counts(seat, Source.learning);
  }

  /** A trusted source says that it polls. */
  polls(seat: number): boolean {
    return this.#sources[seat] !== 0 && this.#trusted(seat) === Belief.polls;
  }

  /** Its hints count for nothing now: it has said that it sleeps, and used a core. */
  isDistrusted(seat: number, nowUs: number): boolean {
    return nowUs < this.#distrustedUntilUs[seat]!;
  }

  #isWithinRation(seat: number, nowUs: number): boolean {
    const { hintCountMax, rationUs } = this.#limits;
    const isMuted = this.#hintCount[seat]! > hintCountMax;
    const fromUs = isMuted ? this.#lastHintUs[seat]! : this.#rationFromUs[seat]!;
    this.#lastHintUs[seat] = nowUs;
    if (nowUs - fromUs >= rationUs) {
      this.#rationFromUs[seat] = nowUs;
      this.#hintCount[seat] = 0;
    } else if (isMuted) {
      return false;
    }
    this.#hintCount[seat]!++;
    return this.#hintCount[seat]! <= hintCountMax;
  }

  #counts(seat: number, source: number): boolean {
    return (this.#sources[seat]! & source) !== 0;
  }

  /** What trusted sources say. How it sleeps, an observer knows better. */
  #trusted(seat: number): Belief {
    const learned = this.#counts(seat, Source.learning) ? this.#learned[seat]! : Belief.awake;
    const directed = this.#counts(seat, Source.directed) ? this.#directed[seat]! : Belief.awake;
    return (learned !== Belief.awake ? learned : directed) as Belief;
  }

  #tell(seat: number, nowUs: number): void {
    if (this.#sources[seat] === 0 && this.#told[seat] === Belief.awake) return;
    const trusted = this.#trusted(seat);
    const isHinted = this.#isHinted[seat] === 1 && this.#counts(seat, Source.collaborative);
    const belief = trusted === Belief.awake && isHinted ? Belief.polls : trusted;
    if (belief === this.#told[seat]) return;
    this.#told[seat] = belief;
    if (belief === Belief.awake) this.#user.woke(seat, nowUs);
    else this.#user.slept(seat, nowUs, belief === Belief.polls);
  }
}
