/** A stem cell of which no test looks at anything but its slot. */
import type { CellSpec } from '../../../src/worker/sandbox/contract.ts';

export const FAKE_CELL: CellSpec = {
  slot: 0,
  runtimeDir: '/r',
  interpreter: '/i',
  args: [],
  env: {},
  memoryMb: 64,
  cpus: [],
  network: 'own',
};
