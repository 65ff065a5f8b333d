/**
 * Who waits where, and who has to stand back. Each shard has a flag that the others read:
 *
 *   0            nobody waits at the shard
 *   [ count | aside | 1 ]   somebody does; the count goes up at each change, so that none is overlooked
 *
 * Each shard counts, for itself, how many grants it has made past each other shard's raised flag since that changed. At `overtakeMax` it
 * claims nothing until the flag has changed, neither for newcomers nor for its own waiters. The flag changes whenever its shard grants
 * something to a waiter. Beside its flag each shard has two words more, of which others take turns at keeping a worker: whether it wants to keep one while
 * another shard does, and how often it has kept one. Who has kept one for several cores does not do so again before each of those that
 * wanted to then has had its turn, or does not want it any more.
 *
 * *Aside* says: I wait for what nobody could claim in my place (memory, above all); do not stand back for me. Who does so is woken each time that
 * another shard has made `overtakeMax` grants past its flag, and counts that (overtaking.ts).
 */
import { LINE_LOG2 as SHARED_LINE_LOG2, type Place } from './memory.ts';
import { ShardSet } from './shard-set.ts';
import type { SharedInt32 } from './shared.ts';

const LINE_LOG2 = SHARED_LINE_LOG2;
const RAISED = 1;
const ASIDE = 2;
const STEP = 4;
/** Offsets from the flag. */
const WANTS = 1;
const KEEPS = 2;

export class Turns {
  readonly #flags: SharedInt32;
  readonly #shard: number;
  readonly #shardCount: number;
  readonly #overtakeMax: number;
  /** Of each other shard: its flag when last seen, and the grants made past it since then. */
  readonly #seen: Int32Array;
  readonly #passed: Int32Array;
  readonly #raised: ShardSet;
  /** The shards that go before this one in keeping a worker, and how often each had kept one then. */
  readonly #before: ShardSet;
  readonly #keepsOf: Int32Array;
  #wants = false;
  #count = 0;
  #own = 0;

  constructor({ memory, shard }: Place, overtakeMax: number) {
    this.#flags = memory.flags;
    this.#shard = shard;
    this.#shardCount = memory.shards.length;
    // With 0, two shards at which somebody waits would stand back for each other from the beginning.
    this.#overtakeMax = Math.max(overtakeMax, 1);
    this.#seen = new Int32Array(this.#shardCount);
    this.#passed = new Int32Array(this.#shardCount);
    this.#raised = new ShardSet(this.#shardCount);
    this.#before = new ShardSet(this.#shardCount);
    this.#keepsOf = new Int32Array(this.#shardCount);
  }

  get isRaised(): boolean {
    return this.#own !== 0;
  }

  get isAside(): boolean {
    return (this.#own & ASIDE) !== 0;
  }

  /**
   * To be asked before each look that may end in a grant. -1: it may; else the shard to stand back for. Plain loads will do: there is a swap
   * in each grant, so each flag is read anew between the swap of one grant and that of the next.
   */
  toStandBackFor(): number {
    let ahead = -1;
    for (let shard = 0; shard < this.#shardCount; shard++) {
      if (shard === this.#shard) continue;
      const flag = this.#flags[shard << LINE_LOG2]!;
      if (flag !== this.#seen[shard]!) {
        this.#seen[shard] = flag;
        this.#passed[shard] = 0;
      } else if ((flag & (RAISED | ASIDE)) === RAISED && this.#passed[shard]! >= this.#overtakeMax) {
        ahead = shard;
      }
    }
    return ahead;
  }

  /** A grant was made, after the look that `toStandBackFor` allowed. A shard that stands aside, and was passed `overtakeMax` times more; else -1. */
  countGrant(): number {
    let aside = -1;
    for (let shard = 0; shard < this.#shardCount; shard++) {
      const flag = this.#seen[shard]!;
      if (flag === 0) continue;
      this.#passed[shard]! += 1;
      if ((flag & ASIDE) !== 0 && this.#passed[shard]! >= this.#overtakeMax) aside = shard;
    }
    if (aside >= 0) this.#passed[aside] = 0;
    return aside;
  }

  /** Somebody waits here, or whoever was first in turn does not any more; `aside` as above. */
  raise(aside: boolean): void {
    this.#count = (this.#count + STEP) | 0;
    this.#set(this.#count | RAISED | (aside ? ASIDE : 0));
  }

  lower(): void {
    if (this.#own !== 0) this.#set(0);
  }

  /** Once a second, so that nobody stands back for long for a shard that does not answer. */
  forget(): void {
    this.#passed.fill(0);
    this.#before.clear();
  }

  // ---- who keeps a worker for several cores

  /** This shard would keep a worker, and another one does. */
  want(): void {
    if (this.#wants) return;
    this.#wants = true;
    Atomics.store(this.#flags, (this.#shard << LINE_LOG2) + WANTS, 1);
  }

  /** True: it did want to, and somebody may have let it go before himself. */
  wantNoMore(): boolean {
    if (!this.#wants) return false;
    this.#wants = false;
    Atomics.store(this.#flags, (this.#shard << LINE_LOG2) + WANTS, 0);
    return true;
  }

  /** May this shard keep a worker now, or is it the turn of others? */
  mayKeep(): boolean {
    for (let shard = 0; !this.#before.isEmpty && shard < this.#shardCount; shard++) {
      const at = shard << LINE_LOG2;
      const isBefore = Atomics.load(this.#flags, at + WANTS) === 1;
      if (!isBefore || Atomics.load(this.#flags, at + KEEPS) !== this.#keepsOf[shard]!) this.#before.remove(shard);
    }
    return this.#before.isEmpty;
  }

  /** It keeps one from now on. */
  keeps(): void {
    Atomics.add(this.#flags, (this.#shard << LINE_LOG2) + KEEPS, 1);
    this.wantNoMore();
  }

  /** It does not any more: those that want to go before it. */
  keepsNoMore(): void {
    for (let shard = 0; shard < this.#shardCount; shard++) {
      const at = shard << LINE_LOG2;
      if (shard === this.#shard || Atomics.load(this.#flags, at + WANTS) === 0) continue;
      this.#before.add(shard);
      this.#keepsOf[shard] = Atomics.load(this.#flags, at + KEEPS);
    }
  }

  /** The shards, but this one, at which somebody waits; good until the next time. */
  raised(): ShardSet {
    const raised = this.#raised;
    raised.clear();
    for (let shard = 0; shard < this.#shardCount; shard++)
      if (shard !== this.#shard && Atomics.load(this.#flags, shard << LINE_LOG2) !== 0) raised.add(shard);
    return raised;
  }

  #set(flag: number): void {
    this.#own = flag;
    Atomics.store(this.#flags, this.#shard << LINE_LOG2, flag);
  }
}
