/** What this gateway has run on each core, for views: how often, and since when it is as it is. Grows with the cores it is granted. */
const FIRST_LENGTH = 1024;

export class CoreUses {
  #counts = new Int32Array(FIRST_LENGTH);
  #sinceUs = new Float64Array(FIRST_LENGTH);

  used(core: number, nowUs: number): void {
    if (core >= this.#counts.length) this.#grow(core);
    this.#counts[core]!++;
    this.#sinceUs[core] = nowUs;
  }

  ended(core: number, nowUs: number): void {
    this.#sinceUs[core] = nowUs;
  }

  count(core: number): number {
    return this.#counts[core] ?? 0;
  }

  sinceUs(core: number): number {
    return this.#sinceUs[core] ?? 0;
  }

  #grow(core: number): void {
    let { length } = this.#counts;
    while (length <= core) length *= 2;
    const counts = new Int32Array(length);
    const sinceUs = new Float64Array(length);
    counts.set(this.#counts);
    sinceUs.set(this.#sinceUs);
    this.#counts = counts;
    this.#sinceUs = sinceUs;
  }
}
