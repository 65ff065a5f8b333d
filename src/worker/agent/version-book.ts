/** What the agent knows of the versions that it was told of, beside what the machine decides by. */
import { assert } from '../../base/assert.ts';
import { SlotState } from '../machine/actions.ts';
import { CellLack } from '../machine/ahead.ts';
import type { WorkerMachine } from '../machine/worker.ts';
import type { CodeFolders, CodeSupply, CopyState, ProvisionedState, VersionTarget } from './contract.ts';

const REASON_COUNT_MAX = 16;
const REASON_LENGTH_MAX = 256;

const LACKS: Record<CellLack, string> = {
  [CellLack.none]: '',
  [CellLack.unwanted]: 'no stem cell: none is to be kept',
  [CellLack.boots]: 'no stem cell: the next one boots',
  [CellLack.fails]: 'no stem cell: none boots, and the log of the platform says why',
  [CellLack.slots]: 'no stem cell: every slot is taken',
  [CellLack.memory]: 'no stem cell: memory is full',
};

interface Page {
  readonly target: VersionTarget;
  copyable: boolean | null;
  /** Why it is not copied; the platform's own, or the zygote's. */
  reasons: readonly string[];
  /** What its last initialisation failed with. */
  failure: string;
  provisioned: number;
}

interface Held {
  readonly folders: CodeFolders;
  readonly target: VersionTarget;
}

export class VersionBook {
  readonly #pages: (Page | null)[];
  readonly #codes: CodeSupply;
  /** What each slot's process is shown, until that is gone. Copies have it from their zygotes. */
  readonly #held: (Held | null)[];

  constructor(versionCount: number, codes: CodeSupply, slotCount: number) {
    this.#pages = new Array<Page | null>(versionCount).fill(null);
    this.#codes = codes;
    this.#held = new Array<Held | null>(slotCount).fill(null);
  }

  set(target: VersionTarget, reasons: readonly string[]): void {
    const copyable = reasons.length > 0 ? false : null;
    this.#pages[target.versionIndex] = { target, copyable, reasons, failure: '', provisioned: 0 };
  }

  target(versionIndex: number): VersionTarget {
    return this.#page(versionIndex).target;
  }

  holdCode(slot: number, folders: CodeFolders, target: VersionTarget): void {
    assert(this.#held[slot] === null, `slot ${slot} holds code already`);
    this.#held[slot] = { folders, target };
  }

  releaseCode(slot: number): void {
    const held = this.#held[slot] ?? null;
    this.#held[slot] = null;
    if (held !== null) this.#codes.release(held.folders);
  }

  /** How the initialisation of what is in the slot went; '' where it is over. Nothing is noted of what was forked. */
  noteInitialised(slot: number, failure: string): void {
    const held = this.#held[slot] ?? null;
    const page = held === null ? null : this.#pageOf(held.target);
    if (page !== null) page.failure = bound(failure);
  }

  /** Of a version that was dropped meanwhile nothing is noted: its index may be another's. */
  noteCopyable(target: VersionTarget): void {
    const page = this.#pageOf(target);
    if (page !== null) page.copyable = true;
  }

  /** The reasons come from the function itself: they are bounded, and on one line each. Returns them in one. */
  noteUncopyable(target: VersionTarget, reasons: readonly string[]): string {
    const bounded = reasons.slice(0, REASON_COUNT_MAX).map(bound);
    const page = this.#pageOf(target);
    if (page !== null) Object.assign(page, { copyable: false, reasons: bounded });
    return bounded.join('; ');
  }

  provision(versionIndex: number, count: number): void {
    this.#page(versionIndex).provisioned = count;
  }

  isProvisioned(target: VersionTarget): boolean {
    return (this.#pageOf(target)?.provisioned ?? 0) > 0;
  }

  provisionedState(versionIndex: number, machine: WorkerMachine): ProvisionedState {
    const { provisioned } = this.#page(versionIndex);
    const granted = machine.provisionedCount(versionIndex);
    const hasFailed = machine.provisionedFailed(versionIndex);
    const ready = machine.provisionedReady(versionIndex);
    const lacking = granted < provisioned ? `This worker keeps at most ${granted} instances of it ready.` : null;
    const failed = hasFailed ? 'Its initialisation failed; the log of the function says why.' : lacking;
    return { allocated: granted, available: Math.min(ready, provisioned), failed };
  }

  copyState(versionIndex: number, machine: WorkerMachine): CopyState {
    const { copyable, reasons, failure } = this.#page(versionIndex);
    const slots = Array.from(this.#held.keys()).filter((slot) => machine.versionOf(slot) === versionIndex);
    const has = (state: SlotState): boolean => slots.some((slot) => machine.stateOf(slot) === state);
    const zygote = has(SlotState.zygote) ? 'ready' : has(SlotState.initialising) ? 'initialising' : 'none';
    const waiting = slots.filter((slot) => machine.stateOf(slot) === SlotState.idle).length;
    const lacks = zygote === 'none' ? LACKS[machine.cellLack(versionIndex)] : '';
    return { copyable, reasons, zygote, lacks, failure, waiting };
  }

  #pageOf(target: VersionTarget): Page | null {
    const page = this.#pages[target.versionIndex] ?? null;
    return page?.target === target ? page : null;
  }

  #page(versionIndex: number): Page {
    const page = this.#pages[versionIndex] ?? null;
    assert(page !== null, `the agent was not told of version ${versionIndex}`);
    return page;
  }
}

/** On one line, and of a bounded length: it comes from the function. */
function bound(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]/gu, ' ').slice(0, REASON_LENGTH_MAX);
}
