/** The Node.js runtimes: the pinned Node, with boot.cjs in front of the function's handler. */
import { fileURLToPath } from 'node:url';
import type { Runtime } from '../runtime.ts';

/** Node itself needs this much beside the JavaScript heap. */
const HEAP_SHARE = 0.85;

/** The instance owns one core: helper threads would only take turns with it. */
const COMMON_FLAGS = ['--single-threaded', '--v8-pool-size=0', '--disable-sigusr1'];

export const nodeRuntime: Runtime = {
  label: 'node',
  names: ['nodejs24.x', 'nodejs22.x', 'nodejs20.x'],
  dir: fileURLToPath(new URL('.', import.meta.url)),
  interpreter: () => process.execPath,
  args: (memoryMb) => [
    ...COMMON_FLAGS,
    `--max-old-space-size=${Math.floor(memoryMb * HEAP_SHARE)}`,
    '{runtime}/boot.cjs',
  ],
  env: () => ({
    AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x',
    NODE_PATH: '{layers}/nodejs/node24/node_modules:{layers}/nodejs/node_modules:{code}/node_modules',
  }),
  alwaysFresh: false,
  cellArgs: () => [...COMMON_FLAGS, '{runtime}/cell.cjs'],
  check: () => ({ ok: true, detail: `Node ${process.version}`, fix: '' }),
};
