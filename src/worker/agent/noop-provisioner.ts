/** Of an agent that makes no instance ahead of an invocation. */
import type { CopyState, ProvisionedState, Provisioner } from './contract.ts';

export const NOTHING_PROVISIONED: ProvisionedState = { allocated: 0, available: 0, failed: null };
export const NOTHING_COPIED: CopyState = { copyable: null, reasons: [], zygote: 'none', waiting: 0 };

export class NoopProvisioner implements Provisioner {
  provision(): void {}

  provisionedState(): ProvisionedState {
    return NOTHING_PROVISIONED;
  }

  copyState(): CopyState {
    return NOTHING_COPIED;
  }
}
