/**
 * The worker's share of what is provisioned: the scheduler names a version (NAME_VERSION) and says how many instances to keep
 * (PROVISION). What the version is, the worker knows from a gateway, or reads from the store. What a scheduler does not say again
 * once it has welcomed the worker anew ends after a while: it may have ended while nobody could be told.
 */
import { NO_INDEX } from '../../wire/cluster-frame.ts';
import type { OwnVersion } from './own-versions.ts';
import type { Described, ProvisionedFigures } from './ports.ts';

/** Ticks after a welcome for the scheduler to say everything again: it has it from a gateway that joins too. */
const RENEW_TICKS = 30;

export interface ProvisionPorts {
  find(key: string): OwnVersion | null;
  /** A number for it; null: there is none. */
  add(version: Described): OwnVersion | null;
  /** The agent keeps so many instances of it from now on. */
  keep(version: OwnVersion, count: number): void;
  /** What does the store say of this key? `described` follows. */
  ask(key: string): void;
  /** How far the agent is. */
  figuresOf(version: OwnVersion): ProvisionedFigures;
  tell(index: number, figures: ProvisionedFigures): void;
}

interface Wanted {
  readonly index: number;
  readonly count: number;
  isAsked: boolean;
}

interface Kept {
  readonly count: number;
  /** Of which welcome it is. */
  round: number;
  /** What the scheduler was told last; '' nothing yet. */
  told: string;
}

const NOTHING: Omit<ProvisionedFigures, 'wanted'> = { begun: 0, ready: 0, failed: true };

export class Provisions {
  readonly #ports: ProvisionPorts;
  /** By index, as it was named on this connection. */
  readonly #keys = new Map<number, string>();
  /** By key: what is not known yet. */
  readonly #wanted = new Map<string, Wanted>();
  readonly #kept = new Map<OwnVersion, Kept>();
  #round = 0;
  #ticks = 0;

  constructor(ports: ProvisionPorts) {
    this.#ports = ports;
  }

  /** By another scheduler, or again: what is kept is kept until it is said again, or is not. */
  welcomed(): void {
    this.#keys.clear();
    this.#wanted.clear();
    this.#round++;
    this.#ticks = 0;
    for (const kept of this.#kept.values()) kept.told = '';
  }

  name(index: number, key: string): void {
    this.#keys.set(index, key);
    const version = this.#ports.find(key);
    if (version !== null) version.index = index;
  }

  /** False: the index was not named. */
  provision(index: number, count: number): boolean {
    const key = this.#keys.get(index);
    if (key === undefined) return false;
    const version = this.#ports.find(key);
    this.#wanted.delete(key);
    if (version !== null) this.#keep(version, index, count);
    else if (count > 0) {
      this.#wanted.set(key, { index, count, isAsked: true });
      this.#ports.ask(key);
    }
    return true;
  }

  /** The store's answer. Null: it has none of that key. `away`: it is to be asked again. */
  described(key: string, answer: Described | null | 'away'): void {
    const wanted = this.#wanted.get(key);
    if (wanted === undefined) return;
    wanted.isAsked = false;
    if (answer === 'away') return;
    this.#wanted.delete(key);
    const version = this.#ports.find(key) ?? (answer === null ? null : this.#ports.add(answer));
    if (version === null) return this.#ports.tell(wanted.index, { wanted: wanted.count, ...NOTHING });
    this.#keep(version, wanted.index, wanted.count);
  }

  /** The index stands for this key no more, so nothing of it is wanted under it. */
  dropped(index: number, key: string): void {
    if (this.#keys.get(index) === key) this.#keys.delete(index);
    if (this.#wanted.get(key)?.index === index) this.#wanted.delete(key);
    const version = this.#ports.find(key);
    // Kept since an earlier welcome, it may have no index yet.
    if (version !== null && (version.index === index || version.index === NO_INDEX)) this.#end(version);
  }

  /** About once a second. */
  tick(): void {
    this.#ticks++;
    for (const [key, wanted] of this.#wanted) {
      if (wanted.isAsked) continue;
      wanted.isAsked = true;
      this.#ports.ask(key);
    }
    if (this.#ticks >= RENEW_TICKS)
      for (const [version, { round }] of this.#kept) if (round !== this.#round) this.#end(version);
    for (const version of this.#kept.keys()) this.#tell(version);
  }

  #keep(version: OwnVersion, index: number, count: number): void {
    version.index = index;
    if (count === 0) return this.#end(version);
    this.#kept.set(version, { count, round: this.#round, told: '' });
    version.dropped = false;
    version.provisioned = count;
    if (version.described.refusal === null) this.#ports.keep(version, count);
    this.#tell(version);
  }

  #end(version: OwnVersion): void {
    if (!this.#kept.delete(version)) return;
    version.provisioned = 0;
    this.#ports.keep(version, 0);
  }

  #tell(version: OwnVersion): void {
    const kept = this.#kept.get(version)!;
    const isRefused = version.described.refusal !== null;
    const figures = isRefused ? { wanted: kept.count, ...NOTHING } : this.#ports.figuresOf(version);
    const text = JSON.stringify(figures);
    if (text === kept.told || version.index === NO_INDEX) return;
    kept.told = text;
    this.#ports.tell(version.index, figures);
  }
}
