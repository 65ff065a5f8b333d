/**
 * The door to the few calls of the C library that Node does not offer. Where koffi or Linux is missing, `libc` is
 * undefined, and whoever needs it says what it cannot do.
 */
import { createRequire } from 'node:module';
import os from 'node:os';
import type koffiModule from 'koffi';

export interface Libc {
  /** 0, or the negative error number. The mask has one bit per CPU, lowest first. */
  schedSetaffinity(taskId: number, mask: Uint8Array): number;
  unshare(flags: number): number;
  mount(source: string, target: string, type: string | null, flags: number, data: string | null): number;
  umount(target: string, flags: number): number;
}

type Call = (...values: unknown[]) => number;

function load(): Libc | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof koffiModule;
    const library = koffi.load('libc.so.6');
    const bind = (prototype: string): Call => {
      const call = library.func(prototype) as unknown as Call;
      return (...values) => (call(...values) === 0 ? 0 : -koffi.errno());
    };
    const schedSetaffinity = bind('int sched_setaffinity(int pid, size_t size, const uint8_t *mask)');
    return {
      schedSetaffinity: (taskId, mask) => schedSetaffinity(taskId, mask.length, mask),
      unshare: bind('int unshare(int flags)'),
      mount: bind('int mount(const char *source, const char *target, const char *type, ulong flags, const char *data)'),
      umount: bind('int umount2(const char *target, int flags)'),
    };
  } catch {
    return undefined;
  }
}

export const libc: Libc | undefined = load();

/** The name of an error number that `Libc` returned, as in EPERM. */
export function errorName(result: number): string {
  const entry = Object.entries(os.constants.errno).find(([, number]) => number === -result);
  return entry?.[0] ?? `error ${-result}`;
}
