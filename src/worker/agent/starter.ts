/** Puts instances, cells and zygotes into their slots: what the machine asks to be started. */
import { UserError } from '../../base/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../telemetry/log.ts';
import type { ExitReason, Sandbox } from '../sandbox/contract.ts';
import type { AgentMetrics } from './agent-metrics.ts';
import { Cell, type CellEvents } from './cell.ts';
import type { CodeFolders, CodeSupply } from './contract.ts';
import { Instance, type InstanceEvents } from './instance.ts';
import type { Launcher } from './launcher.ts';
import { Pending } from './pending.ts';
import type { Topology } from './topology.ts';
import type { VersionBook } from './version-book.ts';

const NONE = -1;

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
}

export class Starter {
  readonly #setting: StarterSetting;
  readonly #parts: StarterParts;
  readonly #events: StarterEvents;

  constructor(setting: StarterSetting, parts: StarterParts, events: StarterEvents) {
    this.#setting = setting;
    this.#parts = parts;
    this.#events = events;
  }

  /** A process of its own. */
  start(slot: number, core: number, versionIndex: number): void {
    const { fn } = this.#parts.book.target(versionIndex);
    this.#withCode(slot, versionIndex, (folders) => {
      const more = { cpus: this.#cpus(core), provisioned: this.#parts.book.isProvisioned(versionIndex) };
      this.#addInstance(slot, versionIndex, this.#parts.launcher.start(slot, fn, folders, more), false);
    });
  }

  boot(slot: number, kind: number): void {
    this.#parts.residents[slot] = new Cell(
      slot,
      this.#parts.launcher.boot(slot, kind, this.#cpus(NONE)),
      this.#events.cell,
    );
    this.#parts.metrics.cellsStarted.add();
  }

  adopt(slot: number, core: number, versionIndex: number): void {
    const cell = this.#parts.residents[slot] as Cell;
    const { fn } = this.#parts.book.target(versionIndex);
    cell.functionName = fn.functionName;
    cell.versionIndex = versionIndex;
    this.#withCode(slot, versionIndex, (folders) => {
      this.pin(cell, core);
      const provisioned = this.#parts.book.isProvisioned(versionIndex);
      cell.adopt(this.#parts.launcher.adoption(fn, folders, provisioned), this.#parts.clock.nowUs());
    });
  }

  /**
   * Has `use` put its resident into the slot once the code is there: now, or later, with a place-holder in an empty slot until
   * then. Whoever was killed meanwhile does not come.
   */
  #withCode(slot: number, versionIndex: number, use: (folders: CodeFolders) => void): void {
    const found = this.#parts.codes.acquire(this.#parts.book.target(versionIndex).fn);
    if (!(found instanceof Promise)) {
      this.#parts.book.holdCode(slot, found);
      use(found);
      return;
    }
    const holder = this.#parts.residents[slot] ?? new Pending(slot, versionIndex, this.#events.exited);
    this.#parts.residents[slot] = holder;
    void found.then((folders) => {
      const isThere = this.#parts.residents[slot] === holder && !this.#events.isDying(slot);
      if (folders instanceof UserError) {
        if (isThere) this.#onCodeMissing(holder, folders);
        return;
      }
      if (!isThere) return this.#parts.codes.release(folders);
      this.#parts.book.holdCode(slot, folders);
      use(folders);
    });
  }

  #onCodeMissing(holder: Resident, error: UserError): void {
    this.#parts.log.error({ slot: holder.slot, message: error.message }, 'the code of a function is not there');
    if (holder instanceof Pending) return holder.end({ kind: 'start-failed', message: error.message });
    holder.kill();
  }

  /** The zygote that it is forked from. */
  fork(slot: number, zygoteSlot: number, core: number): Cell {
    const { book, residents } = this.#parts;
    const zygote = residents[zygoteSlot] as Cell;
    const { fn, isolation } = book.target(zygote.versionIndex);
    this.pin(zygote, core);
    const once = isolation === 'fresh';
    const copy = zygote.fork({ slot, memoryMb: fn.config.memoryMb, once });
    this.#addInstance(slot, zygote.versionIndex, copy, once);
    this.#parts.metrics.copiesMade.add();
    return zygote;
  }

  /** To the CPUs of the core; -1: to where what no lease asked for runs. */
  pin(resident: Resident, core: number): void {
    if (resident.pin(core, this.#cpus(core))) this.#parts.metrics.pins.add();
  }

  #addInstance(slot: number, versionIndex: number, sandbox: Sandbox, once: boolean): void {
    const { functionName } = this.#parts.book.target(versionIndex).fn;
    const identity = { slot, versionIndex, functionName, startedUs: this.#parts.clock.nowUs(), once };
    const limits = {
      responseBytesMax: this.#setting.limits.responseBytesMax,
      logBytesMax: this.#setting.limits.logLineBytesMax,
    };
    this.#parts.residents[slot] = new Instance(identity, sandbox, this.#events.instance, limits);
    this.#parts.metrics.started.add();
  }

  #cpus(core: number): readonly number[] {
    const { topology } = this.#setting;
    if (core !== NONE) return topology.cores[core]!;
    return topology.known ? topology.platformCpus : [];
  }
}
