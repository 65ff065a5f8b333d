/** The functions of a fuzzed cluster, as those who name, grant and run them know them. A version is named anew with each deployment. */
import { CORES_VARIABLE, SHARING_VARIABLE } from '../../store/settings.ts';
import type { FunctionVersion } from '../../store/store.ts';
import type { Described } from '../../worker/node/ports.ts';
import type { FunctionSpec } from './case.ts';

const KEY_DIGITS = 32;

export class Functions {
  readonly specs: readonly FunctionSpec[];
  readonly #described = new Map<string, Described>();
  readonly #indexes = new Map<string, number>();

  constructor(specs: readonly FunctionSpec[]) {
    this.specs = specs;
  }

  /** The key of a revision of it. */
  keyOf(index: number, revision: number): string {
    const key = `${index + 1}${revision.toString().padStart(KEY_DIGITS - 2, '0')}`.padStart(KEY_DIGITS, '0');
    if (!this.#described.has(key)) this.#add(key, index);
    return key;
  }

  /** Two versions are of one function. */
  functionKeyOf(index: number): string {
    return `f${(index >>> 1).toString(16)}`.padStart(KEY_DIGITS, '0');
  }

  /** As whoever gets to know of it reads it. */
  described(key: string): Described | null {
    return this.#described.get(key) ?? null;
  }

  specOf(key: string): FunctionSpec {
    return this.specs[this.#indexes.get(key)!]!;
  }

  #add(key: string, index: number): void {
    const { memoryMb, coreCount, sharing, isFresh, timeoutUs } = this.specs[index]!;
    const environment = { [CORES_VARIABLE]: String(coreCount), [SHARING_VARIABLE]: sharing };
    const config = { memoryMb, timeoutS: timeoutUs / 1e6, environment };
    // Of a version nobody here reads anything else.
    const fn = { functionName: `f${index}`, version: '1', config } as unknown as FunctionVersion;
    const isolation = isFresh ? 'fresh' : 'reuse';
    this.#described.set(key, { key, functionKey: this.functionKeyOf(index), fn, isolation, refusal: null });
    this.#indexes.set(key, index);
  }
}
