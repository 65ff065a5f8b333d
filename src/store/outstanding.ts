/** What was begun and has to end before its owner is closed. */
export class Outstanding {
  readonly #running = new Set<Promise<void>>();

  /** Answers the promise itself. */
  track<T>(promise: Promise<T>): Promise<T> {
    const settled = promise.then(nothing, nothing);
    this.#running.add(settled);
    void settled.then(() => this.#running.delete(settled));
    return promise;
  }

  /** Resolves when all that there is now has ended, however it did. */
  async ended(): Promise<void> {
    await Promise.all(this.#running);
  }
}

function nothing(): void {}
