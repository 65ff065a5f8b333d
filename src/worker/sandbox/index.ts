/** Chooses the sandbox by name. `none` is only ever an answer to having been asked for it. */
import { BubblewrapBackend, type BackendOptions } from './bubblewrap/index.ts';
import type { SandboxBackend } from './contract.ts';
import { SHARED_NETWORK_WARNING } from './bubblewrap/networks.ts';
import { NO_SANDBOX_WARNING, NoneBackend } from './none/index.ts';
import { SafeBackend } from './safe.ts';

export { FakeBackend, type FakeCell, type FakeInstance, type FakeScript } from './fake/index.ts';
export { SandboxError } from './error.ts';
export { SafeBackend } from './safe.ts';
export type { BackendOptions } from './bubblewrap/index.ts';

export const SANDBOX_NAMES = ['bubblewrap', 'none'] as const;
export type SandboxName = (typeof SANDBOX_NAMES)[number];

export const SANDBOX_DEFAULT: SandboxName = 'bubblewrap';

export function isSandboxName(name: string): name is SandboxName {
  return (SANDBOX_NAMES as readonly string[]).includes(name);
}

/** What functions do not get from this sandbox that they should, as this user; '' where they get it all. */
export function warningOf(name: SandboxName): string {
  if (name === 'none') return NO_SANDBOX_WARNING;
  return process.getuid?.() === 0 ? '' : SHARED_NETWORK_WARNING;
}

/** The backend of that name, wrapped. Where the machine cannot run it, `check` says so and `open` fails. */
export function createBackend(name: SandboxName, options: BackendOptions): SandboxBackend {
  const backend = name === 'none' ? new NoneBackend(options) : new BubblewrapBackend(options);
  return new SafeBackend(backend, options.slotCount);
}
