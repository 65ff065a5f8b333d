import type { RuntimeName } from '../../store/store.ts';
import { nodeRuntime } from './node/runtime.ts';
import { pythonRuntimes } from './python/runtime.ts';
import { providedRuntime } from './provided/runtime.ts';
import { wasmRuntime } from './wasm/runtime.ts';
import type { Runtime, RuntimeFinding } from './runtime.ts';

export type { Runtime } from './runtime.ts';

export const RUNTIME_FOLDERS: readonly Runtime[] = [nodeRuntime, ...pythonRuntimes, providedRuntime, wasmRuntime];

const BY_NAME = new Map<RuntimeName, Runtime>(
  RUNTIME_FOLDERS.flatMap((runtime) => runtime.names.map((name) => [name, runtime])),
);

export function runtimeOf(name: RuntimeName): Runtime {
  const runtime = BY_NAME.get(name);
  if (runtime === undefined) throw new Error(`no runtime folder serves ${name}`);
  return runtime;
}

/** Whether there is a folder that serves it, whatever this machine has. */
export function knowsRuntime(name: RuntimeName): boolean {
  return BY_NAME.has(name);
}

/** What this machine has for a runtime; null where no folder serves that name. */
export function findRuntime(name: RuntimeName): RuntimeFinding | null {
  return BY_NAME.get(name)?.check() ?? null;
}
