/** How fast a count grows, between the last two times at which it was looked at. */
export class Rate {
  perSecond = 0;
  #count = 0;
  #atUs: number;

  constructor(nowUs: number) {
    this.#atUs = nowUs;
  }

  look(count: number, nowUs: number): void {
    this.perSecond = Math.round(((count - this.#count) * 1e6) / Math.max(nowUs - this.#atUs, 1));
    this.#count = count;
    this.#atUs = nowUs;
  }
}
