/**
 * Descriptors that the platform was started with must not reach a function: a shell, a service manager or a job runner
 * may have left files, folders or sockets open in it, and a child inherits every one that is not marked close-on-exec.
 * Node marks all that it opens itself; so marking what is there when a backend opens covers the rest of the process's
 * life. The descriptors that a child is meant to have lose the mark when they are moved to their places.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { SandboxError } from './error.ts';
import { errorName, type Libc, libc } from './libc.ts';

const FIRST = 3;
const LAST = 0xffff_ffff;
const CLOSE_RANGE_CLOEXEC = 4;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const O_CLOEXEC = 0o2000000;

/** Throws a `SandboxError` where it cannot be done. `calls`: null where there is no C library to call. */
export function sealDescriptors(calls: Libc | null = libc ?? null): void {
  if (process.platform !== 'linux') return;
  // Linux 5.11; and a sandbox around the platform may refuse it.
  if (calls?.closeRange(FIRST, LAST, CLOSE_RANGE_CLOEXEC) === 0) return;
  const open = inheritable();
  if (calls === null && open.length > 0) {
    throw new SandboxError(
      `descriptors ${open.join(', ')} were open when Perch was started and functions would inherit them; ` +
        'without koffi they cannot be kept from that. Start Perch with nothing but its standard descriptors open.',
    );
  }
  for (const descriptor of open) {
    const result = calls?.fcntl(descriptor, F_SETFD, FD_CLOEXEC) ?? 0;
    if (result < 0)
      throw new SandboxError(`descriptor ${descriptor} cannot be kept from functions: ${errorName(result)}`);
  }
}

/** Those from 3 up that a child would have. */
function inheritable(): readonly number[] {
  return readdirSync('/proc/self/fd')
    .map(Number)
    .filter((descriptor) => descriptor >= FIRST && !isCloseOnExec(descriptor));
}

function isCloseOnExec(descriptor: number): boolean {
  try {
    const text = readFileSync(`/proc/self/fdinfo/${descriptor}`, 'latin1');
    return (Number.parseInt(/^flags:\s*([0-7]+)/m.exec(text)?.[1] ?? '0', 8) & O_CLOEXEC) !== 0;
  } catch {
    // It was the one that the folder was read through.
    return true;
  }
}
