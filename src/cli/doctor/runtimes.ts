/** Which language runtimes this machine can run; the same checks that a deployed function meets. */
import { RUNTIME_FOLDERS } from '../../worker/runtimes/index.ts';
import type { Diagnosis } from './machine.ts';

export function findRuntimes(): readonly Diagnosis[] {
  return RUNTIME_FOLDERS.map((runtime) => {
    const { ok, detail, fix } = runtime.check();
    return { topic: `runtime ${runtime.label}`, ok, required: false, detail, fix };
  });
}
