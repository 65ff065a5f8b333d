/** At most so many jobs at once; the others wait their turn, first come, first served. */
export class Gate {
  readonly #max: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(max: number) {
    this.#max = max;
  }

  async run<T>(job: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#max) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running++;
    try {
      return await job();
    } finally {
      // The place goes to the next one without being free in between, so nobody can barge in.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running--;
    }
  }
}
