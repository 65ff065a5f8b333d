/** What the maps of sleep.bpf.c are asked by. */
import { statSync } from 'node:fs';

/** As many 32-bit words as they are. */
export function words(...values: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

/** The kernel names a cgroup by the inode of its folder. */
export function cgroupKey(folder: string): Uint8Array {
  return new Uint8Array(BigUint64Array.of(statSync(folder, { bigint: true }).ino).buffer);
}
