/**
 * Compiles the policy to the program that bubblewrap loads. The numbers of one architecture are sorted into ranges of
 * equal verdict and searched by halving, so a call costs some nine comparisons at most; kernels from 5.11 on remember
 * the calls that are always let through and run no program for them at all.
 */
import { Assembler, SECCOMP_DATA } from './assembler.ts';
import { SYSCALL_GROUPS, type Verdict } from './policy.ts';
import { SYSCALL_NUMBERS, type SyscallName } from './syscalls.ts';

export type Architecture = 'x64' | 'arm64';

export const SECCOMP_RETURN = {
  allow: 0x7fff0000,
  /** Answered as done, and not done. */
  pretend: 0x00050000,
  refuse: 0x00050000 | 1, // EPERM
  absent: 0x00050000 | 38, // ENOSYS
  kill: 0x80000000,
} as const;

export const AUDIT_ARCH: Record<Architecture, number> = { x64: 0xc000003e, arm64: 0xc00000b7 };
/** x86_64 kernels may also offer the x32 calls: the same calls under other numbers, past every rule below. */
export const X32_BIT = 0x40000000;

const CLONE_NAMESPACES = 0x7e020000;
const FAMILY = { unix: 1, inet: 2, inet6: 10, netlink: 16 } as const;
const SOCKET_TYPE_MASK = 0xf;
const SOCKET_TYPES = [1, 2, 5]; // stream, datagram, seqpacket
/** Default, ICMP echo, TCP, UDP; others would load kernel modules (SCTP, DCCP, …) on demand. */
const SOCKET_PROTOCOLS = [0, 1, 6, 17];
const NETLINK_ROUTE = 0;
const TIOCSTI = 0x5412;
const TIOCLINUX = 0x541c;
const PERSONALITY_QUERY = 0xffffffff;
const PR_SCHED_CORE = 62;
const MADV_DONTFORK = 10;

const CLONE = { mounts: 0x20000, ipc: 0x8000000, processes: 0x20000000, network: 0x40000000 } as const;
/** The sets of namespaces that a zygote makes for a copy, and those that it enters. */
const UNSHARE_SETS = [CLONE.processes, CLONE.mounts | CLONE.ipc, CLONE.mounts | CLONE.ipc | CLONE.network];
const SETNS_TYPES = [CLONE.processes, CLONE.network];
const MS = { readOnly: 1, noSuid: 2, noDevices: 4, noExec: 8, remount: 32, bind: 4096 } as const;
/** The flags of the mounts that a copy makes for itself: /tmp, /proc, and /proc/sys read-only. */
const MOUNT_FLAGS = [
  MS.noSuid | MS.noDevices,
  MS.noSuid | MS.noDevices | MS.noExec,
  MS.bind,
  MS.bind | MS.remount | MS.readOnly | MS.noSuid | MS.noDevices | MS.noExec,
];

/**
 * Whose filter it is. A cell, and what is forked from it, may also make the namespaces and mounts of a copy, and drop
 * its capabilities; a copy keeps the filter, and has no capability left that these calls need.
 */
export type FilterUse = 'instance' | 'cell';

const CELL_LABELS: ReadonlyMap<SyscallName, string> = new Map([
  ['unshare', 'arguments-unshare'],
  ['setns', 'arguments-setns'],
  ['mount', 'arguments-mount'],
  ['madvise', 'arguments-madvise'],
  ['capset', 'allow'],
]);

export function isArchitecture(name: string): name is Architecture {
  return name === 'x64' || name === 'arm64';
}

/** The number of a call, or -1 where the architecture has none. */
export function syscallNumber(name: SyscallName, architecture: Architecture): number {
  return SYSCALL_NUMBERS[name][architecture === 'x64' ? 0 : 1];
}

export function seccompProgram(architecture: Architecture, use: FilterUse = 'instance'): Buffer {
  const assembler = new Assembler();
  assembler.load(SECCOMP_DATA.arch);
  assembler.jumpIfEqual(AUDIT_ARCH[architecture], 'arch-ok');
  assembler.ret(SECCOMP_RETURN.kill);
  assembler.label('arch-ok');
  assembler.load(SECCOMP_DATA.nr);
  if (architecture === 'x64') assembler.jumpIfAtLeast(X32_BIT, 'kill');
  const ranges = rangesOf(architecture, use === 'cell' ? CELL_LABELS : new Map());
  emitSearch(assembler, ranges, 0, ranges.length);
  emitArgumentRules(assembler);
  if (use === 'cell') emitCellRules(assembler);
  for (const verdict of ['allow', 'pretend', 'refuse', 'absent', 'kill'] as const) {
    assembler.label(verdict);
    assembler.ret(SECCOMP_RETURN[verdict]);
  }
  return assembler.assemble();
}

interface Range {
  /** First number of the range; it ends before the next one's first. */
  readonly first: number;
  readonly label: string;
}

function rangesOf(architecture: Architecture, others: ReadonlyMap<SyscallName, string>): Range[] {
  const labels = new Map<number, string>();
  for (const group of SYSCALL_GROUPS) {
    for (const name of group.calls) {
      const number = syscallNumber(name, architecture);
      if (number >= 0) labels.set(number, others.get(name) ?? labelOf(group.verdict, name));
    }
  }
  const ranges: Range[] = [];
  const numberMax = Math.max(...labels.keys());
  for (let number = 0; number <= numberMax + 1; number++) {
    const label = labels.get(number) ?? 'absent';
    if (ranges.at(-1)?.label !== label) ranges.push({ first: number, label });
  }
  return ranges;
}

function labelOf(verdict: Verdict, name: SyscallName): string {
  return verdict === 'arguments' ? `arguments-${name}` : verdict;
}

/** Halves ranges[from … to) until one is left. */
function emitSearch(assembler: Assembler, ranges: readonly Range[], from: number, to: number): void {
  const only = ranges[from] as Range;
  if (to - from === 1) {
    assembler.jump(only.label);
    return;
  }
  const middle = (from + to) >> 1;
  const upper = `search-${middle}-${to}`;
  assembler.jumpIfAtLeast((ranges[middle] as Range).first, upper);
  emitSearch(assembler, ranges, from, middle);
  assembler.label(upper);
  emitSearch(assembler, ranges, middle, to);
}

/**
 * The kernel reads most of these arguments as 32-bit integers; the upper half is then noise that a caller may set as
 * it likes, so the rules look at the lower half alone. clone's flags are 64 bits wide, but only the lower half is
 * defined for it.
 */
function emitArgumentRules(assembler: Assembler): void {
  assembler.label('arguments-clone');
  assembler.load(SECCOMP_DATA.argumentLow(0));
  assembler.and(CLONE_NAMESPACES);
  assembler.jumpIfEqual(0, 'allow');
  assembler.jump('refuse');

  assembler.label('arguments-socket');
  assembler.load(SECCOMP_DATA.argumentLow(0));
  assembler.jumpIfEqual(FAMILY.unix, 'socket-type');
  assembler.jumpIfEqual(FAMILY.inet, 'socket-type');
  assembler.jumpIfEqual(FAMILY.inet6, 'socket-type');
  assembler.jumpIfEqual(FAMILY.netlink, 'socket-netlink');
  assembler.jump('refuse');
  assembler.label('socket-netlink');
  assembler.load(SECCOMP_DATA.argumentLow(2));
  assembler.jumpIfEqual(NETLINK_ROUTE, 'allow');
  assembler.jump('refuse');
  assembler.label('socket-type');
  assembler.load(SECCOMP_DATA.argumentLow(1));
  assembler.and(SOCKET_TYPE_MASK);
  for (const type of SOCKET_TYPES) assembler.jumpIfEqual(type, 'socket-protocol');
  assembler.jump('refuse');
  assembler.label('socket-protocol');
  assembler.load(SECCOMP_DATA.argumentLow(2));
  for (const protocol of SOCKET_PROTOCOLS) assembler.jumpIfEqual(protocol, 'allow');
  assembler.jump('refuse');

  assembler.label('arguments-socketpair');
  assembler.load(SECCOMP_DATA.argumentLow(0));
  assembler.jumpIfEqual(FAMILY.unix, 'allow');
  assembler.jump('refuse');

  emitExcept(assembler, 'ioctl', 1, [TIOCSTI, TIOCLINUX]);
  emitExcept(assembler, 'prctl', 0, [PR_SCHED_CORE]);

  assembler.label('arguments-personality');
  assembler.load(SECCOMP_DATA.argumentLow(0));
  assembler.jumpIfEqual(PERSONALITY_QUERY, 'allow');
  assembler.jump('refuse');
}

function emitCellRules(assembler: Assembler): void {
  emitOnly(assembler, 'unshare', 0, UNSHARE_SETS);
  emitOnly(assembler, 'setns', 1, SETNS_TYPES);
  emitOnly(assembler, 'mount', 3, MOUNT_FLAGS);
  assembler.label('arguments-madvise');
  assembler.load(SECCOMP_DATA.argumentLow(2));
  // V8 marks memory so that a fork leaves it out; a copy needs all of it.
  assembler.jumpIfEqual(MADV_DONTFORK, 'pretend');
  assembler.jump('allow');
}

/** Lets `name` through if its argument is one of `values`. */
function emitOnly(assembler: Assembler, name: SyscallName, index: number, values: readonly number[]): void {
  assembler.label(`arguments-${name}`);
  assembler.load(SECCOMP_DATA.argumentLow(index));
  for (const value of values) assembler.jumpIfEqual(value, 'allow');
  assembler.jump('refuse');
}

/** Lets `name` through unless its argument is one of `values`. */
function emitExcept(assembler: Assembler, name: SyscallName, index: number, values: readonly number[]): void {
  assembler.label(`arguments-${name}`);
  assembler.load(SECCOMP_DATA.argumentLow(index));
  for (const value of values) assembler.jumpIfEqual(value, 'refuse');
  assembler.jump('allow');
}
