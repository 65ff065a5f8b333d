/** Holds a slot while the code of its instance is fetched. It has no process. */
import type { UserError } from '../../base/errors.ts';
import type { ExitReason } from '../sandbox/contract.ts';
import type { VersionTarget } from './contract.ts';

export class Pending {
  readonly slot: number;
  readonly target: VersionTarget;
  readonly initUs = 0;
  readonly initError = null;
  exit: ExitReason | null = null;
  readonly awaitsCode = true;
  /** Why its code did not come. */
  refusal: UserError | null = null;
  readonly #exited: (pending: Pending, reason: ExitReason) => void;

  constructor(slot: number, target: VersionTarget, exited: (pending: Pending, reason: ExitReason) => void) {
    this.slot = slot;
    this.target = target;
    this.#exited = exited;
  }

  get functionName(): string {
    return this.target.fn.functionName;
  }

  end(reason: ExitReason): void {
    if (this.exit !== null) return;
    this.exit = reason;
    this.#exited(this, reason);
  }

  fail(refusal: UserError): void {
    this.refusal = refusal;
    this.end({ kind: 'start-failed', message: refusal.message });
  }

  kill(): void {
    // As of any other: its end follows what asked for it.
    queueMicrotask(() => this.end({ kind: 'killed' }));
  }

  retire(): void {
    this.kill();
  }

  /** What it will be starts on the cores of its lease by itself. */
  pin(): boolean {
    return false;
  }

  freeze(): void {}

  thaw(): void {}

  memoryPeakMb(): number {
    return 0;
  }
}
