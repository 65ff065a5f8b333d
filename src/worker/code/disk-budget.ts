/**
 * The disk that the code cache may take. Bytes are taken before they are written, and given back only once they are
 * deleted; so what lies on the disk is never more than what is counted here.
 */
export class DiskBudget {
  readonly #bytesMax: number;
  /** Moves something out of the way and answers when it is deleted and given back; null if nothing may go. */
  readonly #makeRoom: () => Promise<void> | null;
  /** What is on its way out. */
  readonly #leaving = new Set<Promise<void>>();
  /** One at a time, so that two that need room do not each throw out what would do for both. */
  #turn: Promise<unknown> = Promise.resolve();
  #bytes = 0;

  constructor(bytesMax: number, makeRoom: () => Promise<void> | null) {
    this.#bytesMax = bytesMax;
    this.#makeRoom = makeRoom;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get bytesMax(): number {
    return this.#bytesMax;
  }

  /** For what is there already. */
  add(bytes: number): void {
    this.#bytes += bytes;
  }

  /** False if there is no room and none can be made. */
  take(bytes: number): Promise<boolean> {
    const taken = this.#turn.then(() => this.#take(bytes));
    this.#turn = taken.catch(() => {});
    return taken;
  }

  async #take(bytes: number): Promise<boolean> {
    if (bytes > this.#bytesMax) return false;
    while (this.#bytes + bytes > this.#bytesMax) {
      const leaving = this.#makeRoom();
      if (leaving !== null) await leaving;
      else if (this.#leaving.size > 0) await Promise.race(this.#leaving);
      else return false;
    }
    this.#bytes += bytes;
    return true;
  }

  /** Counted until `deleted` resolves, which does not fail. */
  leave(bytes: number, deleted: Promise<void>): Promise<void> {
    const gone = deleted.then(() => {
      this.#leaving.delete(gone);
      this.#bytes -= bytes;
    });
    this.#leaving.add(gone);
    return gone;
  }

  async settled(): Promise<void> {
    while (this.#leaving.size > 0) await Promise.all(this.#leaving);
  }
}
