/** All chains, in memory twice, as functions are: as they are on disk, and as the calls still on their way to the disk have decided. */
import { UserError } from '../../base/errors.ts';
import type { Chain } from '../store.ts';
import type { Database } from './database.ts';
import type { Statement } from './schema.ts';

export interface ChainDecision<T> {
  readonly chainName: string;
  /** null: it goes. */
  readonly chain: Chain | null;
  readonly result: T;
  /** Told which queue rows went with it. */
  readonly onTouched?: (sequences: readonly number[]) => void;
}

export class ChainTable {
  readonly #database: Database;
  readonly #onChange: (chainName: string) => void;
  readonly #onDisk = new Map<string, Chain>();
  readonly #decided = new Map<string, Chain>();
  #names: string[] | null = null;

  constructor(database: Database, onChange: (chainName: string) => void) {
    this.#database = database;
    this.#onChange = onChange;
    for (const row of database.reader.prepare('SELECT body FROM chains').iterate()) {
      const chain = JSON.parse(String(row['body'])) as Chain;
      this.#onDisk.set(chain.chainName, chain);
      this.#decided.set(chain.chainName, chain);
    }
  }

  get(chainName: string): Chain | undefined {
    return this.#onDisk.get(chainName);
  }

  decided(chainName: string): Chain | undefined {
    return this.#decided.get(chainName);
  }

  /** In order. */
  names(): readonly string[] {
    this.#names ??= [...this.#onDisk.keys()].toSorted();
    return this.#names;
  }

  change<T>({ chainName, chain, result, onTouched }: ChainDecision<T>): Promise<T | UserError> {
    put(this.#decided, chainName, chain);
    return new Promise((resolve) => {
      this.#database.write({
        statements: statementsFor(chainName, chain),
        done: (sequences) => {
          put(this.#onDisk, chainName, chain);
          this.#names = null;
          onTouched?.(sequences.flat());
          this.#onChange(chainName);
          resolve(result);
        },
        failed: (message) => {
          // All that was decided since fails too, so what is on disk is what the next call has to decide on.
          put(this.#decided, chainName, this.#onDisk.get(chainName) ?? null);
          resolve(new UserError('ServiceException', message));
        },
      });
    });
  }
}

function put(chains: Map<string, Chain>, chainName: string, chain: Chain | null): void {
  if (chain) chains.set(chainName, chain);
  else chains.delete(chainName);
}

function statementsFor(chainName: string, chain: Chain | null): readonly Statement[] {
  if (chain) return [{ name: 'putChain', values: [chainName, JSON.stringify(chain)] }];
  return [
    { name: 'deleteChain', values: [chainName] },
    { name: 'dequeueChain', values: [chainName] },
  ];
}
