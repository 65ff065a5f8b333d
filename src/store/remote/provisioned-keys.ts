/** Which provisioned version a key stands for: a worker that is to keep some ready asks by it. */
import { versionKey } from '../../cluster/version-key.ts';
import type { VersionBody } from '../../cluster/version-body.ts';
import { eachFunction } from '../each-function.ts';
import { isolationOf } from '../settings.ts';
import type { FunctionRecord, Store } from '../store.ts';

interface Named {
  readonly functionName: string;
  readonly version: string;
}

export class ProvisionedKeys {
  readonly #store: Pick<Store, 'getFunction' | 'getVersion' | 'listFunctions' | 'onChange'>;
  readonly #accountId: string;
  readonly #byKey = new Map<string, Named>();
  readonly #keys = new Map<string, readonly string[]>();

  constructor(store: Pick<Store, 'getFunction' | 'getVersion' | 'listFunctions' | 'onChange'>, accountId: string) {
    this.#store = store;
    this.#accountId = accountId;
    for (const record of eachFunction(store)) this.#add(record);
    store.onChange((functionName) => this.#onChange(functionName));
  }

  get(key: string): VersionBody | null {
    const named = this.#byKey.get(key);
    if (named === undefined) return null;
    const fn = this.#store.getVersion(named.functionName, named.version);
    const record = this.#store.getFunction(named.functionName);
    if (fn === null || record === null) return null;
    return { fn, isolation: isolationOf(fn.config, record.tags), peers: [] };
  }

  #onChange(functionName: string): void {
    for (const key of this.#keys.get(functionName) ?? []) this.#byKey.delete(key);
    this.#keys.delete(functionName);
    const record = this.#store.getFunction(functionName);
    if (record !== null) this.#add(record);
  }

  #add(record: FunctionRecord): void {
    const { functionName } = record.latest;
    const keys: string[] = [];
    for (const version of Object.keys(record.provisioned)) {
      const fn = this.#store.getVersion(functionName, version);
      if (fn === null) continue;
      const key = versionKey(this.#accountId, fn, isolationOf(fn.config, record.tags));
      this.#byKey.set(key, { functionName, version });
      keys.push(key);
    }
    if (keys.length > 0) this.#keys.set(functionName, keys);
  }
}
