/** WebAssembly: the pinned Node with boot.cjs, which gives each invocation a fresh instance of the function's module. */
import { fileURLToPath } from 'node:url';
import { ONE_THREAD } from '../one-thread.ts';
import type { Runtime } from '../runtime.ts';

/** Of the memory of the function: for Node, this runtime, and the garbage of instances that are gone (see collect.cjs). */
const RUNTIME_SHARE_MB = 48;
const PAGES_PER_MB = 16;
/** What 32-bit addresses reach. */
const PAGES_MAX = 65_536;

export const wasmRuntime: Runtime = {
  label: 'wasm',
  names: ['wasm'],
  dir: fileURLToPath(new URL('.', import.meta.url)),
  interpreter: () => process.execPath,
  args: (memoryMb) => [
    ...ONE_THREAD,
    '--expose-gc',
    `--wasm-max-mem-pages=${Math.min((memoryMb - RUNTIME_SHARE_MB) * PAGES_PER_MB, PAGES_MAX)}`,
    '{runtime}/boot.cjs',
  ],
  env: () => ({ PERCH_MEMORY_SHARE_MB: String(RUNTIME_SHARE_MB) }),
  alwaysFresh: true,
  cellArgs: () => null,
  check: () => ({ ok: true, detail: `WebAssembly of Node ${process.version}`, fix: '' }),
};
