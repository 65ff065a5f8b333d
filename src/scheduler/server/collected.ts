/** Requests that are not given to the machine at once: see intake.ts. */
interface Collected {
  readonly index: number;
  readonly version: number;
  readonly again: boolean;
  readonly waitedMs: number;
  readonly sweep: number;
}

export const SWEEP_MS = 1000;

export class CollectedRequests {
  readonly #byIndex = new Map<number, Collected>();

  get count(): number {
    return this.#byIndex.size;
  }

  has(index: number): boolean {
    return this.#byIndex.has(index);
  }

  add(request: Collected): void {
    this.#byIndex.set(request.index, request);
  }

  /** False: it is not here. */
  remove(index: number): boolean {
    return this.#byIndex.delete(index);
  }

  /** All of them, and who has waited longest first; none is here after it. */
  take(): readonly Collected[] {
    const startedMs = ({ waitedMs, sweep }: Collected): number => sweep * SWEEP_MS - waitedMs;
    const all = [...this.#byIndex.values()].sort((a, b) => startedMs(a) - startedMs(b));
    this.#byIndex.clear();
    return all;
  }
}
