/**
 * The door to shared words, as a test sees it: `Atomics` is replaced, and the arrays of the machine's memory are wrapped, so that a
 * thread stops before each access, be it atomic or plain. The machine's files are not touched.
 */
import type { SharedMemory, ShardMemory } from '../../../src/scheduler/machine/memory.ts';

type Ints = Int32Array<SharedArrayBuffer>;
/** Called before each access. `word` names it; notifications have no word. */
export type Stop = (word: number, isWrite: boolean) => void;

const real = globalThis.Atomics;
/** So far apart are the names of two arrays' words. */
const ARRAY_STRIDE = 1 << 16;

export class Door {
  readonly #stop: Stop;
  readonly #raw = new Map<object, { readonly array: Ints; readonly first: number }>();
  #arrayCount = 0;

  constructor(stop: Stop) {
    this.#stop = stop;
  }

  /** Which words are shared: of these every access is a step. */
  wrapMemory(memory: SharedMemory): SharedMemory {
    return {
      ...memory,
      words: this.#wrap(memory.words),
      leases: this.#wrap(memory.leases),
      masks: this.#wrap(memory.masks),
      rooms: this.#wrap(memory.rooms),
      extraRooms: this.#wrap(memory.extraRooms),
      functions: this.#wrap(memory.functions),
      globals: this.#wrap(memory.globals),
      flags: this.#wrap(memory.flags),
      bells: this.#wrap(memory.bells),
      shards: memory.shards.map((shard): ShardMemory => ({ ...shard, functions: this.#wrap(shard.functions) })),
    };
  }

  /** The name of the word of an array that was wrapped. */
  wordOf(array: object, index: number): number {
    return this.#raw.get(array)!.first + index;
  }

  /** `onNotify`: somebody rang; the array and the index. */
  replaceAtomics(onNotify: (array: object, index: number) => void): void {
    const access =
      (name: 'load' | 'store' | 'exchange' | 'add' | 'sub' | 'or' | 'and' | 'compareExchange', isWrite: boolean) =>
      (array: object, index: number, ...rest: number[]): number => {
        const wrapped = this.#raw.get(array);
        if (wrapped !== undefined) this.#stop(wrapped.first + index, isWrite);
        const operation = real[name] as (array: object, index: number, ...rest: number[]) => number;
        return operation(wrapped?.array ?? array, index, ...rest);
      };
    const door = {
      load: access('load', false),
      store: access('store', true),
      exchange: access('exchange', true),
      add: access('add', true),
      sub: access('sub', true),
      or: access('or', true),
      and: access('and', true),
      compareExchange: access('compareExchange', true),
      notify: (array: object, index: number): number => {
        onNotify(array, index);
        return 0;
      },
    };
    (globalThis as { Atomics: unknown }).Atomics = door;
  }

  #wrap(array: Ints): Ints {
    const first = this.#arrayCount++ * ARRAY_STRIDE;
    const wrapper = new Proxy(array, {
      get: (target, key) => {
        const index = typeof key === 'string' ? Number(key) : NaN;
        if (!Number.isInteger(index)) return Reflect.get(target, key, target) as unknown;
        this.#stop(first + index, false);
        return target[index];
      },
      set: (target, key, value) => {
        this.#stop(first + Number(key), true);
        target[Number(key)] = value as number;
        return true;
      },
    });
    this.#raw.set(wrapper, { array, first });
    return wrapper;
  }
}
