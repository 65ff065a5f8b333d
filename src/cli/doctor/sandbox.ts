/** What the sandbox says about this machine; the same check that `perch up` makes before it starts. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createBackend } from '../../worker/sandbox/index.ts';
import type { Diagnosis } from './machine.ts';

export async function findSandbox(): Promise<readonly Diagnosis[]> {
  const codeRoot = mkdtempSync(join(tmpdir(), 'perch-doctor-'));
  try {
    const backend = createBackend('bubblewrap', {
      codeRoot,
      runtimesRoot: fileURLToPath(new URL('../../worker/runtimes', import.meta.url)),
      interpreter: process.execPath,
      slotCount: 1,
      log: { warn: () => undefined },
    });
    return await backend.check();
  } finally {
    rmSync(codeRoot, { recursive: true, force: true });
  }
}
