/**
 * Requests at fixed moments, whatever became of those before: what is due in a turn of the event loop goes in one small
 * batch. Each latency is from the moment at which the request was due, so a turn that comes late counts against whoever is
 * measured; rivals are measured with the same generator.
 */
const WARM_UP_SHARE = 0.25;
/** Numbers in use at once: more than can be on their way within a second. */
const NUMBERS = 1 << 18;

export class Schedule {
  readonly #intervalUs: number;
  /** Warm-up included. */
  readonly count: number;
  readonly #warmUp: number;
  readonly #startUs: number;
  readonly #latenciesUs: Float64Array;
  /** By number: the place of the request that uses it. */
  readonly #places = new Int32Array(NUMBERS).fill(-1);
  #sent = 0;
  #answered = 0;
  #turns = 0;
  #done: () => void = () => {};

  constructor(rate: number, seconds: number) {
    this.#intervalUs = 1e6 / rate;
    this.count = Math.round(rate * seconds * (1 + WARM_UP_SHARE));
    this.#warmUp = Math.round(rate * seconds * WARM_UP_SHARE);
    this.#latenciesUs = new Float64Array(this.count);
    this.#startUs = performance.now() * 1000;
  }

  /** Resolves when each has been answered. */
  run(send: (request: number) => void): Promise<void> {
    const turn = (): void => {
      const nowUs = performance.now() * 1000;
      const due = Math.min(this.count, Math.floor((nowUs - this.#startUs) / this.#intervalUs));
      if (due > this.#sent) this.#turns++;
      while (this.#sent < due) {
        const number = this.#sent % NUMBERS;
        if (this.#places[number] !== -1) throw new Error('too many are on their way');
        this.#places[number] = this.#sent++;
        send(number);
      }
      if (this.#sent < this.count) setImmediate(turn);
    };
    return new Promise((resolve) => {
      this.#done = resolve;
      turn();
    });
  }

  answered(request: number): void {
    const place = this.#places[request]!;
    this.#places[request] = -1;
    const dueUs = this.#startUs + (place + 1) * this.#intervalUs;
    this.#latenciesUs[place] = performance.now() * 1000 - dueUs;
    if (++this.#answered === this.count) this.#done();
  }

  /** How many went in one batch, on average. */
  get batch(): number {
    return this.#sent / this.#turns;
  }

  /** Microseconds, without the warm-up. */
  quantile(share: number): number {
    const sorted = this.#latenciesUs.slice(this.#warmUp).sort();
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
  }
}
