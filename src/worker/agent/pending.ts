/** Holds a slot while the code of its instance is fetched. It has no process. */
import type { ExitReason } from '../sandbox/contract.ts';

export class Pending {
  readonly slot: number;
  readonly versionIndex: number;
  readonly functionName = '';
  readonly initUs = 0;
  exit: ExitReason | null = null;
  readonly #exited: (pending: Pending, reason: ExitReason) => void;

  constructor(slot: number, versionIndex: number, exited: (pending: Pending, reason: ExitReason) => void) {
    this.slot = slot;
    this.versionIndex = versionIndex;
    this.#exited = exited;
  }

  end(reason: ExitReason): void {
    if (this.exit !== null) return;
    this.exit = reason;
    this.#exited(this, reason);
  }

  kill(): void {
    // As of any other: its end follows what asked for it.
    queueMicrotask(() => this.end({ kind: 'killed' }));
  }

  retire(): void {
    this.kill();
  }

  pin(): boolean {
    return false;
  }

  freeze(): void {}

  thaw(): void {}

  memoryPeakMb(): number {
    return 0;
  }

  tick(): void {}
}
