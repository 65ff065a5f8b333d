/**
 * What the scheduler calls the versions in use here: an index for each, which holds for one connection to it. A version is
 * named when it is first needed; answers come in the order of the questions.
 */
import { assert } from '../../../base/assert.ts';
import type { SchedulerPort } from './ports.ts';

interface Question {
  readonly version: number;
  /** Tells a version from another one that had its number before. */
  readonly serial: number;
  readonly key: string;
}

export const NO_NAME = -1;
const ASKED = -2;

export class Names {
  readonly #port: Pick<SchedulerPort, 'nameVersion' | 'dropVersion'>;
  /** By version: the index, or `NO_NAME`, or `ASKED`. */
  readonly #indexes: Int32Array;
  readonly #serials: Int32Array;
  readonly #keys: string[];
  readonly #byIndex = new Map<number, number>();
  readonly #questions: Question[] = [];
  #serial = 0;

  constructor(versionCountMax: number, port: Pick<SchedulerPort, 'nameVersion' | 'dropVersion'>) {
    this.#port = port;
    this.#indexes = new Int32Array(versionCountMax).fill(NO_NAME);
    this.#serials = new Int32Array(versionCountMax);
    this.#keys = new Array<string>(versionCountMax).fill('');
  }

  add(version: number, key: string): void {
    this.#serial = (this.#serial + 1) & 0x7fffffff;
    this.#serials[version] = this.#serial;
    this.#keys[version] = key;
    this.#indexes[version] = NO_NAME;
  }

  remove(version: number): void {
    const index = this.#indexes[version]!;
    if (index >= 0) this.#drop(index, this.#keys[version]!);
    this.#indexes[version] = NO_NAME;
    this.#serials[version] = 0;
    this.#keys[version] = '';
  }

  /** Below 0: it has none. */
  index(version: number): number {
    return this.#indexes[version]!;
  }

  serial(version: number): number {
    return this.#serials[version]!;
  }

  /** NO_NAME: the index stands for nothing here. */
  versionOf(index: number): number {
    return this.#byIndex.get(index) ?? NO_NAME;
  }

  /** Only while there is a scheduler. */
  need(version: number): void {
    if (this.#indexes[version] !== NO_NAME) return;
    this.#indexes[version] = ASKED;
    this.#questions.push({ version, serial: this.#serials[version]!, key: this.#keys[version]! });
    this.#port.nameVersion(version);
  }

  /** The scheduler says that its index stands for nothing. */
  forget(version: number): void {
    const index = this.#indexes[version]!;
    if (index >= 0) this.#byIndex.delete(index);
    if (index !== ASKED) this.#indexes[version] = NO_NAME;
  }

  /** The answer; null: there was no such question. NO_NAME: its version is gone already. */
  named(handle: number, index: number): number | null {
    const question = this.#questions.shift();
    if (question === undefined || question.version !== handle) return null;
    const { version, serial, key } = question;
    if (this.#serials[version] !== serial) {
      if (index >= 0) this.#port.dropVersion(index, key);
      return NO_NAME;
    }
    this.#indexes[version] = index;
    if (index >= 0) this.#byIndex.set(index, version);
    return version;
  }

  /** The connection is another one: nothing has a name. */
  clear(): void {
    this.#indexes.fill(NO_NAME);
    this.#byIndex.clear();
    this.#questions.length = 0;
  }

  /** For tests. */
  checkInvariants(): void {
    for (const [index, version] of this.#byIndex)
      assert(this.#indexes[version] === index, `index ${index} is nobody's`);
  }

  #drop(index: number, key: string): void {
    this.#byIndex.delete(index);
    this.#port.dropVersion(index, key);
  }
}
