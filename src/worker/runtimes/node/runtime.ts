/** The Node.js runtimes: the pinned Node, with boot.cjs in front of the function's handler. */
import { fileURLToPath } from 'node:url';
import { LIMITS } from '../../../base/limits.ts';
import { ONE_THREAD } from '../one-thread.ts';
import type { Runtime } from '../runtime.ts';

/** Node itself needs the rest, beside the older objects of JavaScript. */
const HEAP_SHARE = 0.85;

/**
 * V8 lets the younger objects take three times this, and by default 96 MB: garbage alone would have a small function killed at
 * its memory limit. A cell does not know how large its function will be.
 */
const SEMI_SPACE_MB = 8;
const SMALL_SEMI_SPACE_MB = 4;
const SMALL_MB = 256;

const COMMON_FLAGS = [
  ...ONE_THREAD,
  // Without other threads V8 enters the middle tier's code for a long loop and never leaves it for the best.
  '--no-maglev-osr',
];

export const nodeRuntime: Runtime = {
  label: 'node',
  names: ['nodejs24.x', 'nodejs22.x', 'nodejs20.x'],
  dir: fileURLToPath(new URL('.', import.meta.url)),
  interpreter: () => process.execPath,
  args: (memoryMb) => [
    ...COMMON_FLAGS,
    `--max-semi-space-size=${memoryMb < SMALL_MB ? SMALL_SEMI_SPACE_MB : SEMI_SPACE_MB}`,
    `--max-old-space-size=${Math.floor(memoryMb * HEAP_SHARE)}`,
    '{runtime}/boot.cjs',
  ],
  env: () => ({
    AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x',
    NODE_PATH: '{layers}/nodejs/node24/node_modules:{layers}/nodejs/node_modules:{code}/node_modules',
  }),
  alwaysFresh: false,
  // The limit of the older objects can only be lowered later: it is that of the largest function until then.
  cellArgs: () => [
    ...COMMON_FLAGS,
    // A zygote collects when nobody waits for it.
    '--no-minor-gc-task',
    `--max-semi-space-size=${SEMI_SPACE_MB}`,
    `--max-old-space-size=${Math.floor(LIMITS.memoryMbMax * HEAP_SHARE)}`,
    '{runtime}/cell.cjs',
  ],
  check: () => ({ ok: true, detail: `Node ${process.version}`, fix: '' }),
};
