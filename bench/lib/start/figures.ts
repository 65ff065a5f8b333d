/** Samples by name, gathered round by round; a figure is the median of its rounds. */
import { compare, type Figure, figureOf } from '../report.ts';

export class Samples {
  readonly #unit: string;
  readonly #values = new Map<string, number[]>();

  constructor(unit: string) {
    this.#unit = unit;
  }

  add(name: string, value: number): void {
    const values = this.#values.get(name);
    if (values === undefined) this.#values.set(name, [value]);
    else values.push(value);
  }

  figure(name: string): Figure {
    return figureOf(name, this.#unit, this.#values.get(name)!);
  }

  /** Compared with the figure of another name. */
  beside(name: string, rival: string): Figure {
    return compare(this.figure(name), this.figure(rival));
  }

  /** Those that could be measured: without a counter of CPU time its samples are NaN. */
  known(...names: string[]): Figure[] {
    return names.map((name) => this.figure(name)).filter(({ value }) => !Number.isNaN(value));
  }

  get names(): readonly string[] {
    return [...this.#values.keys()];
  }
}

/** The rivals of a round, each round in the other order: whoever comes second finds the machine as the first left it. */
export function inTurns<T>(rivals: readonly T[], round: number): readonly T[] {
  return round % 2 === 0 ? rivals : rivals.toReversed();
}

export function rounds(count: number, smoke: boolean): readonly number[] {
  return Array.from({ length: smoke ? 1 : count }, (_, round) => round);
}
