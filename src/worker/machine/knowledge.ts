/**
 * What is believed about a resident's sleep: the reports of three sources, turned into `slept` and `woke` for sharing.ts; and who is to be
 * kept from using its core meanwhile.
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
 * would be without them. What it has said is over, too, once something has come for it: it needs a core to say so itself. If it is
 * seen to poll again after that, it still waits. Whoever gives more than its ration is treated as one that gives none, until it has been quiet. One
 * that says it sleeps and uses a core is awake again, and its hints count for nothing for a while: it has lent a core that it uses.
 *
 * Frozen (`polls`) is who is believed to sleep, by whatever source, and was seen to use its core all the same: an observer saw it poll, or, of
 * those of whom an operator says that they sleep, it has used CPU time (`spunUs`). Who blocks by itself is never frozen.
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
  /** Asleep by its operator's word, it uses so much CPU time without having blocked: it spins. */
  readonly spunUs: number;
}

export const KNOWLEDGE_LIMITS: Omit<KnowledgeLimits, 'seatCount'> = {
  hintCountMax: 100,
  rationUs: 1_000_000,
  lieShare: 0.2,
  lieUs: 20_000,
  distrustUs: 1_000_000,
  spunUs: 5000,
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
  /** Since its hint something has come for it, or it has done something. */
  readonly #isAnswered: Uint8Array;
  /** What the user was told. */
  readonly #told: Uint8Array;
  readonly #hintedUs: Float64Array;
  readonly #rationFromUs: Float64Array;
  readonly #hintCount: Int32Array;
  readonly #lastHintUs: Float64Array;
  readonly #busyUs: Float64Array;
  readonly #distrustedUntilUs: Float64Array;
  /** CPU time since its operator's word counts, and it was seen to block; beyond `spunUs` it spins. */
  readonly #spunUs: Float64Array;

  constructor(limits: KnowledgeLimits, user: KnowledgeUser) {
    const { seatCount } = limits;
    this.#limits = limits;
    this.#user = user;
    this.#sources = new Uint8Array(seatCount);
    this.#directed = new Uint8Array(seatCount);
    this.#learned = new Uint8Array(seatCount);
    this.#isHinted = new Uint8Array(seatCount);
    this.#isAnswered = new Uint8Array(seatCount);
    this.#told = new Uint8Array(seatCount);
    this.#hintedUs = new Float64Array(seatCount);
    this.#rationFromUs = new Float64Array(seatCount);
    this.#hintCount = new Int32Array(seatCount);
    this.#lastHintUs = new Float64Array(seatCount);
    this.#busyUs = new Float64Array(seatCount);
    this.#distrustedUntilUs = new Float64Array(seatCount);
    this.#spunUs = new Float64Array(seatCount);
  }

  /** After the user's own `began`. `sources`: which count for it. It is awake. */
  began(seat: number, sources: number): void {
    assert(seat < this.#limits.seatCount, `no such seat: ${seat}`);
    this.#sources[seat] = sources;
    this.#directed[seat] = Belief.awake;
    this.#learned[seat] = Belief.awake;
    this.#isHinted[seat] = 0;
    this.#isAnswered[seat] = 0;
    this.#spunUs[seat] = 0;
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
    this.#spunUs[seat] = 0;
    this.#tell(seat, nowUs);
  }

  /** The operator's rules, or a sleep plan. */
  directed(seat: number, belief: Belief, nowUs: number): void {
    this.#directed[seat] = belief;
    this.#spunUs[seat] = 0;
    if (belief === Belief.awake && this.#counts(seat, Source.directed) && this.#learned[seat] === Belief.polls) {
      this.#learned[seat] = Belief.awake;
    }
    this.#tell(seat, nowUs);
  }

  /** An observer. It says what it sees at each change, and may repeat it. */
  observed(seat: number, belief: Belief, nowUs: number): void {
    // It polls no more: what it waited for has come, or it does something else.
    if (this.#learned[seat] === Belief.polls && belief !== Belief.polls) this.#isAnswered[seat] = 1;
    this.#learned[seat] = belief;
    if (belief === Belief.blocked) this.#spunUs[seat] = 0;
    this.#tell(seat, nowUs);
  }

  /** Something has come for one of its sockets, as an observer has seen. */
  received(seat: number, nowUs: number): void {
    if (this.#isHinted[seat] === 0) return;
    this.#isAnswered[seat] = 1;
    this.#tell(seat, nowUs);
  }

  /** The function itself. Returns whether it counted. */
  hint(seat: number, hint: Hint, nowUs: number): boolean {
    if (!this.#counts(seat, Source.collaborative)) return false;
    const isCounted = this.#isWithinRation(seat, nowUs) && nowUs >= this.#distrustedUntilUs[seat]!;
    const isHinted = isCounted && hint === 'sleeping' ? 1 : 0;
    if (isHinted === 1 && (this.#isHinted[seat] === 0 || this.#isAnswered[seat] === 1)) {
      this.#hintedUs[seat] = nowUs;
      this.#busyUs[seat] = 0;
    }
    this.#isHinted[seat] = isHinted;
    this.#isAnswered[seat] = 0;
    this.#tell(seat, nowUs);
    return isCounted;
  }

  /** Whether `usage` makes a difference. */
  wantsUsage(seat: number): boolean {
    return this.#sources[seat] !== 0 && (this.isInDoubt(seat) || this.#isHintBelieved(seat));
  }

  /** The CPU time that it has had in the window that ends now. Windows do not overlap. */
  usage(seat: number, cpuUs: number, windowUs: number, nowUs: number): void {
    if (this.#sources[seat] === 0) return;
    if (this.isInDoubt(seat)) this.#spunUs[seat] = this.#spunUs[seat]! + cpuUs;
    if (!this.#isHintBelieved(seat)) return;
    // What it did before it said so is no lie.
    if (nowUs - windowUs < this.#hintedUs[seat]!) return;
    // With a trusted source behind it, or seen to poll, it does what it says.
    const isLie = this.#trusted(seat) === Belief.awake && this.#learned[seat] !== Belief.polls;
    const isBusy = cpuUs > this.#limits.lieShare * windowUs && isLie;
    this.#busyUs[seat] = isBusy ? this.#busyUs[seat]! + windowUs : 0;
    if (this.#busyUs[seat]! < this.#limits.lieUs) return;
    this.#isHinted[seat] = 0;
    this.#distrustedUntilUs[seat] = nowUs + this.#limits.distrustUs;
    this.#tell(seat, nowUs);
  }

  isAsleep(seat: number): boolean {
    return this.#sources[seat] !== 0 && this.#told[seat] !== Belief.awake;
  }

  /**
   * It may be stopped as soon as it is seen to poll: somebody whose word counts would believe that, or has said so before.
   * `isAsked`: its operator's program waits to be told. `isExpected`: it polls, and says so itself, which is on its way perhaps.
   */
  mayStop(seat: number, isAsked: boolean, isExpected: boolean): boolean {
    const isDirected = isAsked || this.#directed[seat] === Belief.polls;
    const isOwn = isExpected || this.#isHinted[seat] === 1;
    const sources = Source.learning | (isDirected ? Source.directed : 0) | (isOwn ? Source.collaborative : 0);
    return this.#counts(seat, sources);
  }

  /** It has said more than its ration, and none of it counts now. */
  isRationed(seat: number): boolean {
    return this.#hintCount[seat]! > this.#limits.hintCountMax;
  }

  /** It has said that it sleeps, and that counts; whether something has come for it since or not. */
  isHinted(seat: number): boolean {
    return this.#isHinted[seat] === 1 && this.#counts(seat, Source.collaborative);
  }

  /** It is to be frozen: believed to sleep, and seen to use its core. */
  polls(seat: number): boolean {
    if (this.#sources[seat] === 0 || this.#told[seat] !== Belief.polls) return false;
    return this.#learned[seat] === Belief.polls || this.#isSpinning(seat);
  }

  /** An observer sees it poll, whether that counts or not. */
  isSeenToPoll(seat: number): boolean {
    return this.#learned[seat] === Belief.polls;
  }

  /** Its operator says that it sleeps, and nobody has seen whether it uses its core: it is worth looking at its CPU time. */
  isInDoubt(seat: number): boolean {
    if (!this.#counts(seat, Source.directed) || this.#directed[seat] !== Belief.polls) return false;
    return this.#learned[seat] === Belief.awake && !this.#isSpinning(seat);
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

  #isSpinning(seat: number): boolean {
    return this.#spunUs[seat]! >= this.#limits.spunUs;
  }

  #isHintBelieved(seat: number): boolean {
    return this.isHinted(seat) && (this.#isAnswered[seat] === 0 || this.#learned[seat] === Belief.polls);
  }

  #tell(seat: number, nowUs: number): void {
    if (this.#sources[seat] === 0 && this.#told[seat] === Belief.awake) return;
    const trusted = this.#trusted(seat);
    const belief = trusted === Belief.awake && this.#isHintBelieved(seat) ? Belief.polls : trusted;
    if (belief === this.#told[seat]) return;
    this.#told[seat] = belief;
    if (belief === Belief.awake) this.#user.woke(seat, nowUs);
    else this.#user.slept(seat, nowUs, belief === Belief.polls);
  }
}
