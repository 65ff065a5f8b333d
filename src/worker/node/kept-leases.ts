/**
 * Leases that the worker keeps from the end of a chain's step to the beginning of the next one, so that this has the core of the one before without
 * a word from the scheduler. Whose gateway is gone, or does not say in time what becomes of it, is let go: a core is kept idle for as long as
 * a result and an assignment are on their way, and no longer.
 *
 * By the worker's own index of the lead. A lease is *expected* while its step runs, and *kept* from its end on.
 */
const TICKS_MAX = 2;

interface Kept<Side> {
  readonly side: Side;
  readonly sequence: number;
  ticks: number;
}

export class KeptLeases<Side> {
  readonly #expected = new Map<number, Side>();
  readonly #kept = new Map<number, Kept<Side>>();

  /** When what runs there has ended, something else of this gateway comes. */
  expect(local: number, side: Side): void {
    this.#expected.set(local, side);
  }

  /** It has its result, or will never begin. True: it is kept. */
  answered(local: number, sequence: number): boolean {
    this.#expected.delete(local);
    return this.isKept(local, sequence);
  }

  /** Its step is over. True: it is kept from now on. */
  ended(local: number, sequence: number): boolean {
    const side = this.#expected.get(local);
    if (side === undefined) return false;
    this.#expected.delete(local);
    this.#kept.set(local, { side, sequence, ticks: 0 });
    return true;
  }

  isKept(local: number, sequence: number): boolean {
    return this.#kept.get(local)?.sequence === sequence;
  }

  /** It is kept no more. False: it was not, or for somebody else. */
  take(local: number, sequence: number, side: Side): boolean {
    const kept = this.#kept.get(local);
    return kept?.side === side && kept.sequence === sequence && this.#kept.delete(local);
  }

  /** Nothing is kept for it any more. Answers what was, by lead. */
  leave(side: Side): readonly number[] {
    for (const [local, each] of this.#expected) if (each === side) this.#expected.delete(local);
    return this.#letGo((each) => each.side === side);
  }

  /** As `leave`, for everybody. */
  clear(): readonly number[] {
    this.#expected.clear();
    return this.#letGo(() => true);
  }

  /** About once a second. Answers what has been kept for too long. */
  tick(): readonly number[] {
    for (const each of this.#kept.values()) each.ticks++;
    return this.#letGo(({ ticks }) => ticks >= TICKS_MAX);
  }

  #letGo(isOver: (kept: Kept<Side>) => boolean): readonly number[] {
    const over = [...this.#kept].filter(([, kept]) => isOver(kept)).map(([local]) => local);
    for (const local of over) this.#kept.delete(local);
    return over;
  }
}
