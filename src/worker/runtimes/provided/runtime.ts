/** Functions that bring their own runtime: any program named `bootstrap` that speaks Lambda's Runtime API. */
import { fileURLToPath } from 'node:url';
import { ONE_THREAD } from '../one-thread.ts';
import type { Runtime } from '../runtime.ts';

/** What boot.cjs needs: it holds an invocation and its answer, and counts towards the memory of the function. */
const HEAP_MB = 48;

export const providedRuntime: Runtime = {
  label: 'provided',
  names: ['provided.al2023', 'provided.al2'],
  dir: fileURLToPath(new URL('.', import.meta.url)),
  interpreter: () => process.execPath,
  args: () => [...ONE_THREAD, `--max-old-space-size=${HEAP_MB}`, '{runtime}/boot.cjs', '{code}', '{layers}'],
  // Lambda sets no AWS_EXECUTION_ENV for a runtime that it does not know.
  env: () => ({}),
  alwaysFresh: false,
  cellArgs: () => null,
  check: () => ({ ok: true, detail: 'any executable file named bootstrap', fix: '' }),
};
