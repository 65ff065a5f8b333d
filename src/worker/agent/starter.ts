/** Puts instances, cells and zygotes into their slots: what the machine asks to be started. */
import { UserError } from '../../base/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../telemetry/log.ts';
import type { ExitReason, Sandbox } from '../sandbox/contract.ts';
import { coresOf } from '../../base/core-mask.ts';
import type { AgentMetrics } from './agent-metrics.ts';
import { Cell, type CellEvents } from './cell.ts';
import type { CodeFolders, CodeSupply, VersionTarget } from './contract.ts';
import { Instance, type InstanceEvents, type SharedMemory } from './instance.ts';
import type { Launcher } from './launcher.ts';
import { Pending } from './pending.ts';
import type { Topology } from './topology.ts';
import type { VersionBook } from './version-book.ts';

const NONE = -1;
const NO_CPUS: readonly number[] = [];

/** Whatever is in a slot. */
export type Resident = Instance | Cell | Pending;

export interface StarterSetting {
  readonly topology: Topology;
  readonly limits: { readonly responseBytesMax: number; readonly logLineBytesMax: number };
}

export interface StarterParts {
  readonly residents: (Resident | null)[];
  readonly launcher: Launcher;
  readonly book: VersionBook;
  readonly codes: CodeSupply;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: AgentMetrics;
}

export interface StarterEvents {
  readonly instance: InstanceEvents;
  readonly cell: CellEvents;
  /** What waited for its code is over. */
  readonly exited: (pending: Pending, reason: ExitReason) => void;
  readonly isDying: (slot: number) => boolean;
  /** The lead of its lease; -1: it has none. */
  readonly coreOf: (slot: number) => number;
  /** The cores of the lease that the core leads; 0: it alone. */
  readonly maskOf: (core: number) => number;
  /** Of the resident of a seat that has not several cores. */
  readonly cpusOf: (seat: number) => readonly number[];
  readonly isBackground: (seat: number) => boolean;
  /** The seat of the lease as which a zygote initialises; -1: none awaits it. */
  readonly leadOf: (zygote: number) => number;
  /** The code for the slot is on its way, or here. */
  readonly code: (slot: number, isHere: boolean) => void;
}

export class Starter {
  readonly #setting: StarterSetting;
  readonly #parts: StarterParts;
  readonly #events: StarterEvents;
  /** Of the last lease of several cores that each core led. */
  readonly #several: { readonly mask: number; readonly cpus: readonly number[] }[] = [];

  constructor(setting: StarterSetting, parts: StarterParts, events: StarterEvents) {
    this.#setting = setting;
    this.#parts = parts;
    this.#events = events;
  }

  /** A process of its own. */
  start(slot: number, versionIndex: number): void {
    const { book, codes, residents } = this.#parts;
    const target = book.target(versionIndex);
    const found = codes.acquire(target.fn);
    if (!(found instanceof Promise)) return this.#start(slot, target, found);
    // Whoever is gone from the slot may still stand in it.
    const pending = new Pending(slot, target, this.#events.exited);
    residents[slot] = pending;
    void this.#whenThere(found, pending, (folders) => this.#start(slot, target, folders));
  }

  #start(slot: number, target: VersionTarget, folders: CodeFolders): void {
    const { book, launcher } = this.#parts;
    book.holdCode(slot, folders, target);
    const more = { cpus: this.#cpus(this.#events.coreOf(slot)), provisioned: book.isProvisioned(target) };
    const instance = this.#addInstance(slot, target, launcher.start(slot, target.fn, folders, more), { once: false });
    this.placeFirst(instance);
  }

  boot(slot: number, kind: number): void {
    this.#parts.residents[slot] = new Cell(
      slot,
      this.#parts.launcher.boot(slot, kind, this.#cpus(NONE)),
      this.#events.cell,
    );
    this.#parts.metrics.cellsStarted.add();
  }

  adopt(slot: number, versionIndex: number): void {
    const { book, codes, residents } = this.#parts;
    const cell = residents[slot] as Cell;
    const target = book.target(versionIndex);
    cell.target = target;
    const found = codes.acquire(target.fn);
    if (!(found instanceof Promise)) return this.#adopt(cell, found);
    void this.#whenThere(found, cell, (folders) => this.#adopt(cell, folders));
  }

  #adopt(cell: Cell, folders: CodeFolders): void {
    const { book, launcher, clock } = this.#parts;
    const target = cell.target!;
    book.holdCode(cell.slot, folders, target);
    this.placeZygote(cell);
    cell.adopt(launcher.adoption(target.fn, folders, book.isProvisioned(target)), clock.nowUs());
  }

  /** Whoever was killed while the code was on its way does not use it. */
  async #whenThere(
    found: Promise<CodeFolders | UserError>,
    holder: Cell | Pending,
    use: (folders: CodeFolders) => void,
  ): Promise<void> {
    this.#events.code(holder.slot, false);
    const folders = await found;
    const isThere = this.#parts.residents[holder.slot] === holder && !this.#events.isDying(holder.slot);
    if (!(folders instanceof UserError)) {
      if (!isThere) return this.#parts.codes.release(folders);
      this.#events.code(holder.slot, true);
      return use(folders);
    }
    if (!isThere) return;
    const { message } = folders;
    this.#parts.log.error({ slot: holder.slot, message }, 'the code of a function is not there');
    holder.fail(folders);
  }

  /** The zygote that it is forked from. */
  fork(slot: number, zygoteSlot: number, core: number): Cell {
    const zygote = this.#parts.residents[zygoteSlot] as Cell;
    const target = zygote.target!;
    if (!this.#spread(zygote, core)) this.pin(zygote, core);
    const once = target.isolation === 'fresh';
    const shared = { mb: zygote.sharedMb(this.#parts.clock.nowUs()), limitMb: target.fn.config.memoryMb };
    const copy = zygote.fork({ slot, memoryMb: target.fn.config.memoryMb, once });
    this.#addInstance(slot, target, copy, { once, shared });
    this.#parts.metrics.copiesMade.add();
    return zygote;
  }

  /**
   * A copy begins where its zygote is, which is asked for several at once and makes them later: so it has the cores of
   * all that are on their way. Each moves to its own as soon as it says a word. False: no other is on its way.
   */
  #spread(zygote: Cell, core: number): boolean {
    if (core === NONE) return false;
    const cpus: number[] = [];
    for (const resident of this.#parts.residents) {
      if (!(resident instanceof Instance) || resident.initUs > 0) continue;
      if (resident.versionIndex !== zygote.target!.versionIndex) continue;
      const other = this.#events.coreOf(resident.slot);
      if (other !== NONE) cpus.push(...this.#cpus(other));
    }
    if (cpus.length > 0) zygote.spread([...cpus, ...this.#cpus(core)]);
    return cpus.length > 0;
  }

  /** To the CPUs of the lease that the core leads; -1: to where what no lease asked for runs. */
  pin(resident: Resident, core: number): void {
    if (resident.pin(this.#cpus(core))) this.#parts.metrics.pins.add();
  }

  /** Before its invocation runs: where it begins is told of it here, and by no change. */
  placeFirst(instance: Instance): void {
    const core = this.#events.coreOf(instance.slot);
    if (core !== NONE) this.place(instance, core, this.#events.isBackground(core));
  }

  /** While it initialises. */
  placeZygote(cell: Cell): void {
    const lead = this.#events.leadOf(cell.slot);
    this.pin(cell, lead);
    cell.background(lead !== NONE && this.#events.isBackground(lead));
  }

  /** The same, and in the background or not, of who has a lease. */
  place(resident: Resident, core: number, isBackground: boolean): void {
    if (core === NONE || !(resident instanceof Instance)) this.pin(resident, core);
    else if (resident.place(this.#cpus(core), isBackground)) this.#parts.metrics.pins.add();
  }

  #addInstance(
    slot: number,
    { fn, versionIndex }: VersionTarget,
    sandbox: Sandbox,
    more: { once: boolean; shared?: SharedMemory },
  ): Instance {
    const { functionName } = fn;
    const identity = { slot, versionIndex, functionName, startedUs: this.#parts.clock.nowUs(), ...more };
    const limits = {
      responseBytesMax: this.#setting.limits.responseBytesMax,
      logBytesMax: this.#setting.limits.logLineBytesMax,
    };
    const instance = new Instance(identity, sandbox, this.#events.instance, limits);
    this.#parts.residents[slot] = instance;
    this.#parts.metrics.started.add();
    return instance;
  }

  /** The same array for the same cores, so that whoever is pinned there already can tell. */
  #cpus(core: number): readonly number[] {
    const { topology } = this.#setting;
    if (core === NONE) return topology.known ? topology.platformCpus : NO_CPUS;
    const mask = this.#events.maskOf(core);
    return mask === 0 ? this.#events.cpusOf(core) : this.#cpusOfSeveral(core, mask);
  }

  #cpusOfSeveral(lead: number, mask: number): readonly number[] {
    const last = this.#several[lead];
    if (last?.mask === mask) return last.cpus;
    const cpus = coresOf(lead, mask).flatMap((core) => this.#setting.topology.cores[core]!);
    this.#several[lead] = { mask, cpus };
    return cpus;
  }
}
