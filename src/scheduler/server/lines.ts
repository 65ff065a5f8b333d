/**
 * Who is connected, by role and name: a node that connects again with the same life supersedes its older line, one of another life
 * waits until the older one is gone. And who has followed which epoch: a node that has seen a later one makes this scheduler's later still.
 */
import { CloseReason } from '../../wire/cluster-frame.ts';
import { type Greeting, shardOfLine } from './shard-ports.ts';

/** There would be none after it. */
const EPOCH_LAST = 2 ** 32 - 1;

interface Line {
  readonly line: number;
  readonly life: number;
  readonly key: string;
}

export interface LinesEvents {
  /** It is over, whoever may not know yet. */
  superseded(line: number): void;
  renewed(greeting: Greeting, epoch: number): void;
}

export class Lines {
  /** Of this scheduler; it only grows. */
  epoch: number;
  readonly #events: LinesEvents;
  readonly #byKey = new Map<string, Line>();
  readonly #byLine = new Map<number, Line>();
  readonly #superseded = new Set<number>();
  /** The life of each node that was told this epoch, by role and name. */
  readonly #welcomed = new Map<string, number>();

  constructor(epoch: number, events: LinesEvents) {
    this.epoch = epoch;
    this.#events = events;
  }

  greet(line: number, greeting: Greeting): { readonly epoch: number } | CloseReason {
    const { role, name, life, epoch } = greeting;
    const key = `${role} ${name}`;
    if (epoch === EPOCH_LAST) return CloseReason.breach;
    if (this.#isForeign(key, greeting)) return this.#renew(greeting);
    const older = this.#byKey.get(key);
    if (older !== undefined && older.life !== life) return CloseReason.nameTaken;
    if (older !== undefined) this.#supersede(older);
    const entry = { line, life, key };
    this.#byKey.set(key, entry);
    this.#byLine.set(line, entry);
    this.#welcomed.set(key, life);
    return { epoch: this.epoch };
  }

  /** Those at one shard. */
  of(shard: number): readonly number[] {
    return [...this.#byLine.keys(), ...this.#superseded].filter((line) => shardOfLine(line) === shard);
  }

  /** Nothing that it still says counts. */
  isSuperseded(line: number): boolean {
    return this.#superseded.has(line);
  }

  closed(line: number): void {
    this.#superseded.delete(line);
    const entry = this.#byLine.get(line);
    if (entry !== undefined) this.#remove(entry);
  }

  /** It has followed another scheduler, of a later epoch or of this one: two that began within a second have the same. */
  #isForeign(key: string, { epoch, life }: Greeting): boolean {
    return epoch > this.epoch || (epoch === this.epoch && this.#welcomed.get(key) !== life);
  }

  /**
   * Some node has followed a later scheduler than this one, or this machine's clock went back. Leases of that epoch may run:
   * all come back to a later one still, and say what they have.
   */
  #renew(greeting: Greeting): CloseReason {
    this.epoch = greeting.epoch + 1;
    this.#welcomed.clear();
    this.#events.renewed(greeting, this.epoch);
    return CloseReason.staleEpoch;
  }

  #supersede(older: Line): void {
    this.#remove(older);
    this.#superseded.add(older.line);
    this.#events.superseded(older.line);
  }

  #remove({ line, key }: Line): void {
    this.#byLine.delete(line);
    if (this.#byKey.get(key)?.line === line) this.#byKey.delete(key);
  }
}
