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
  /** 0, or the negative error number. The priority, 1 to 99, is that of real-time policies; with all others it is 0. */
  schedSetscheduler(taskId: number, policy: number, priority?: number): number;
  unshare(flags: number): number;
  /** Moves the calling thread alone. */
  setns(descriptor: number, type: number): number;
  mount(source: string, target: string, type: string | null, flags: number, data: string | null): number;
  umount(target: string, flags: number): number;
  /** A descriptor, or the negative error number. */
  socket(domain: number, type: number, protocol: number): number;
  /** Bytes sent, or the negative error number. */
  send(descriptor: number, message: Uint8Array, flags: number): number;
  /** Bytes received into the buffer, or the negative error number. */
  recv(descriptor: number, buffer: Uint8Array, flags: number): number;
  closeRange(first: number, last: number, flags: number): number;
  /** Of the commands that take a number. */
  fcntl(descriptor: number, command: number, value: number): number;
}

const SYS_CLOSE_RANGE = 436;

type Call = (...values: unknown[]) => number;

export type Koffi = typeof koffiModule;
export type Library = ReturnType<Koffi['load']>;

/** The C library, for calls that are bound elsewhere; undefined where koffi or Linux is missing. */
export function loadLibrary(): { readonly koffi: Koffi; readonly library: Library } | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    const koffi = createRequire(import.meta.url)('koffi') as Koffi;
    return { koffi, library: koffi.load('libc.so.6') };
  } catch {
    return undefined;
  }
}

function load(): Libc | undefined {
  const loaded = loadLibrary();
  return loaded === undefined ? undefined : bindCalls(loaded.koffi, loaded.library);
}

/** A prototype that koffi does not understand is a bug, and is not caught. */
function bindCalls(koffi: Koffi, library: Library): Libc {
  const bind = (prototype: string): Call => {
    const call = library.func(prototype) as unknown as Call;
    return (...values) => (call(...values) === 0 ? 0 : -koffi.errno());
  };
  /** For calls whose result counts something. */
  const bindCount = (prototype: string): Call => {
    const call = library.func(prototype) as unknown as Call;
    return (...values) => {
      const result = Number(call(...values));
      return result >= 0 ? result : -koffi.errno();
    };
  };
  const send = bindCount('long send(int descriptor, const uint8_t *message, size_t size, int flags)');
  const recv = bindCount('long recv(int descriptor, _Out_ uint8_t *buffer, size_t size, int flags)');
  // Older C libraries do not have the function. Its number is the same on all architectures.
  const closeRange = bind('long syscall(long number, ulong first, ulong last, ulong flags)');
  const schedSetaffinity = bind('int sched_setaffinity(int pid, size_t size, const uint8_t *mask)');
  const schedSetscheduler = bind('int sched_setscheduler(int pid, int policy, const int *param)');
  const schedParam = new Int32Array(1);
  return {
    schedSetscheduler(taskId, policy, priority = 0) {
      schedParam[0] = priority;
      return schedSetscheduler(taskId, policy, schedParam);
    },
    schedSetaffinity: (taskId, mask) => schedSetaffinity(taskId, mask.length, mask),
    unshare: bind('int unshare(int flags)'),
    setns: bind('int setns(int descriptor, int type)'),
    mount: bind('int mount(const char *source, const char *target, const char *type, ulong flags, const char *data)'),
    umount: bind('int umount2(const char *target, int flags)'),
    socket: bindCount('int socket(int domain, int type, int protocol)'),
    send: (descriptor, message, flags) => send(descriptor, message, message.length, flags),
    recv: (descriptor, buffer, flags) => recv(descriptor, buffer, buffer.length, flags),
    closeRange: (first, last, flags) => closeRange(SYS_CLOSE_RANGE, first, last, flags),
    fcntl: bindCount('int fcntl(int descriptor, int command, long value)'),
  };
}

export const libc: Libc | undefined = load();

/** The name of an error number that `Libc` returned, as in EPERM. */
export function errorName(result: number): string {
  const entry = Object.entries(os.constants.errno).find(([, number]) => number === -result);
  return entry?.[0] ?? `error ${-result}`;
}
