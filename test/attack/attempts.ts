/**
 * Attempts to break out, as data: what is done, how it has to end, and what makes it end so. The attackers carry them out
 * (attackers/), breakout.test.ts checks how they end, and docs/ATTACKS.md has a row for each.
 */
import { SYSCALL_NUMBERS, type SyscallName } from '../../src/worker/sandbox/seccomp/syscalls.ts';

type Value = number | string | null | { readonly zeros: number };

export type Op =
  | { readonly op: 'call'; readonly number: number; readonly values: readonly Value[]; readonly child?: boolean }
  | { readonly op: 'read' | 'open' | 'create' | 'list'; readonly path: string }
  | { readonly op: 'write'; readonly path: string; readonly text: string }
  | { readonly op: 'connect'; readonly host: string; readonly port: string }
  | { readonly op: 'connect'; readonly path: string }
  /** A body of a function that returns a string; Python that sets `result`. */
  | { readonly op: 'code'; readonly node: string; readonly python: string };

export interface Attempt {
  readonly tried: string;
  readonly stoppedBy: string;
  readonly ops: readonly Op[];
  /** How every one of them may end. */
  readonly ends: readonly string[];
  /** The same while a zygote initialises, where that differs; none: it is not tried there. */
  readonly endsAtInit?: readonly string[];
  /** Root, outside and in namespaces of its own, can do it, or would: it is not broken by itself. */
  readonly rootCan: boolean;
}

const architecture = process.arch === 'x64' ? 0 : 1;

export function call(name: SyscallName, ...values: readonly Value[]): Op {
  return { op: 'call', number: SYSCALL_NUMBERS[name][architecture], values };
}

function inChild(name: SyscallName, ...values: readonly Value[]): Op {
  return { op: 'call', number: SYSCALL_NUMBERS[name][architecture], values, child: true };
}

const read = (path: string): Op => ({ op: 'read', path });
const list = (path: string): Op => ({ op: 'list', path });
const open = (path: string): Op => ({ op: 'open', path });
const write = (path: string, text: string): Op => ({ op: 'write', path, text });
const create = (path: string): Op => ({ op: 'create', path });

const AT_CWD = -100;
const CLONE = { files: 0x400, mounts: 0x20000, uts: 0x4000000, user: 0x10000000, network: 0x40000000 } as const;
const MS = { readOnly: 1, noSuid: 2, noDevices: 4, noExec: 8, remount: 32, bind: 4096 } as const;
const ROOM = { zeros: 256 } as const;

/** What names a process of the host; ids inside are small. */
const VICTIM = '/proc/{victim}';

const FILES: readonly Attempt[] = [
  {
    tried: "list the platform's data folder; read its database, another function's code and its log there",
    stoppedBy: 'mount namespace: nothing of the host is there but the read-only system',
    ops: [list('{data}'), read('{database}'), read('{victimCode}'), read('{victimLog}')],
    ends: ['ENOENT'],
    rootCan: true,
  },
  {
    tried: "list the platform's staging folder, where the code of all functions is bound",
    stoppedBy: 'mount namespace',
    ops: [list('{staging}')],
    ends: ['ENOENT'],
    rootCan: true,
  },
  {
    tried: "read another function's environment, memory and /tmp, and the environment of the platform",
    stoppedBy: 'process namespace: /proc shows processes of the sandbox alone; and a user of its own',
    ops: [
      read(`${VICTIM}/environ`),
      open(`${VICTIM}/mem`),
      list(`${VICTIM}/root/tmp`),
      read('/proc/{platform}/environ'),
    ],
    ends: ['ENOENT'],
    rootCan: true,
  },
  {
    tried: "search what /proc shows for another function's secret",
    stoppedBy: 'process namespace',
    ops: [
      {
        op: 'code',
        node: `const fs = require('node:fs');
          const ids = fs.readdirSync('/proc').filter((name) => /^\\d+$/.test(name));
          const has = (id) => { try { return fs.readFileSync('/proc/' + id + '/environ', 'latin1').includes('{secret}'); } catch { return false; } };
          return ids.some(has) ? 'ok' : 'not found';`,
        python: `
import os
def has(name):
    try:
        with open('/proc/%s/environ' % name, 'rb') as file:
            return b'{secret}' in file.read()
    except OSError:
        return False
result = 'ok' if any(has(name) for name in os.listdir('/proc') if name.isdigit()) else 'not found'`,
      },
    ],
    ends: ['not found'],
    rootCan: true,
  },
  {
    tried: 'change its code, its runtime, the interpreter, the system',
    stoppedBy: 'read-only mounts; Python has no folder of an interpreter',
    ops: [
      create('/var/task/x'),
      create('/var/runtime/x'),
      create('/var/lang/bin/x'),
      create('/usr/x'),
      create('/etc/x'),
      create('/x'),
    ],
    ends: ['EROFS', 'EACCES', 'ENOENT'],
    rootCan: false,
  },
  {
    tried: 'make a device; open those of the host',
    stoppedBy: 'system call filter; a /dev with six harmless devices',
    ops: [
      call('mknodat', AT_CWD, '/tmp/device', 0o60600, 0xfe00),
      open('/dev/kmsg'),
      open('/dev/mem'),
      open('/dev/vda'),
      open('/dev/fuse'),
    ],
    ends: ['EPERM', 'ENOENT'],
    rootCan: false,
  },
  {
    tried: "write to the kernel's settings: /proc/sys, /proc/sysrq-trigger, /sys",
    stoppedBy: 'read-only, or owned by the root of the host; there is no /sys',
    ops: [
      write('/proc/sys/kernel/core_pattern', 'x'),
      write('/proc/sys/kernel/hostname', 'x'),
      write('/proc/sysrq-trigger', 'x'),
      list('/sys/kernel'),
      list('/sys/fs/cgroup'),
    ],
    ends: ['EROFS', 'EACCES', 'ENOENT', 'EPERM'],
    rootCan: false,
  },
];

const PROCESSES: readonly Attempt[] = [
  {
    tried: 'signal a process outside: another function, the platform',
    stoppedBy: 'process namespace: nobody outside has a number inside',
    ops: [
      call('kill', '{victim}', 0),
      call('kill', '{platform}', 0),
      call('pidfd_open', '{victim}', 0),
      call('tgkill', '{victim}', '{victim}', 0),
    ],
    ends: ['ESRCH'],
    rootCan: true,
  },
  {
    tried: 'trace a process, read or write its memory, take its descriptors',
    stoppedBy: 'system call filter',
    ops: [
      call('ptrace', 16, '{victim}', 0, 0),
      call('process_vm_readv', '{victim}', ROOM, 1, ROOM, 1, 0),
      call('process_vm_writev', '{victim}', ROOM, 1, ROOM, 1, 0),
      call('pidfd_getfd', 0, 0, 0),
      call('kcmp', 1, 1, 0, 0, 0),
    ],
    ends: ['EPERM'],
    rootCan: false,
  },
  {
    tried: 'become another user, or gain a capability',
    stoppedBy: 'user namespace with one user; no capability to gain by exec (no_new_privs); system call filter',
    ops: [call('setresuid', 1, 1, 1), call('setresgid', 1, 1, 1), call('setgroups', 1, ROOM)],
    ends: ['EINVAL', 'EPERM'],
    rootCan: false,
  },
  {
    tried: 'have capabilities, also in a child that was executed',
    stoppedBy: 'all are dropped before the handler runs; in a zygote one is left (see below), over its own namespaces',
    ops: [
      {
        op: 'code',
        node: `return String(require('node:child_process').execFileSync('/usr/bin/grep', ['CapEff', '/proc/self/status'])).trim().split('\\t')[1];`,
        python: `
import subprocess
result = subprocess.run(['/usr/bin/grep', 'CapEff', '/proc/self/status'], stdout=subprocess.PIPE).stdout.decode().split()[1]`,
      },
    ],
    ends: ['0000000000000000'],
    endsAtInit: ['0000000000200000'],
    rootCan: false,
  },
  {
    tried: 'raise a limit of its own',
    stoppedBy: 'hard limits, without the capability to raise them',
    ops: [
      {
        op: 'code',
        node: `try { require('node:child_process').execFileSync('/usr/bin/prlimit', ['--pid', String(process.pid), '--nofile=4096:4096'], { stdio: 'ignore' }); return 'ok'; } catch { return 'EPERM'; }`,
        python: `
import resource
try:
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    result = 'ok'
except ValueError:
    result = 'EPERM'`,
      },
    ],
    ends: ['EPERM'],
    rootCan: false,
  },
];

const NAMESPACES: readonly Attempt[] = [
  {
    tried: 'make a namespace: user, mount, network, host name, cgroup; by unshare, clone and clone3',
    stoppedBy: 'system call filter; without it, a limit of none below',
    ops: [
      call('unshare', CLONE.user),
      call('unshare', CLONE.mounts),
      call('unshare', CLONE.network),
      call('unshare', CLONE.uts),
      call('unshare', 0x2000000),
      call('clone', CLONE.user | 17, 0, 0, 0, 0),
      call('clone3', ROOM, 88),
    ],
    ends: ['EPERM', 'ENOSYS'],
    rootCan: false,
  },
  {
    tried: 'mount, unmount, change the root',
    stoppedBy: 'system call filter, and no capability',
    ops: [
      call('mount', 'x', '/tmp', 'tmpfs', 0, null),
      call('mount', '/proc/1/root', '/opt', null, MS.bind, null),
      call('umount2', '/tmp', 2),
      call('umount2', '/proc', 2),
      call('pivot_root', '/tmp', '/tmp'),
      call('chroot', '/tmp'),
      call('open_tree', AT_CWD, '/usr', 0),
      call('fsopen', 'tmpfs', 0),
      call('move_mount', AT_CWD, '/usr', AT_CWD, '/tmp', 0),
      call('mount_setattr', AT_CWD, '/usr', 0, ROOM, 32),
    ],
    ends: ['EPERM'],
    endsAtInit: [],
    rootCan: false,
  },
  {
    tried: 'enter a namespace, its own included',
    stoppedBy: 'system call filter',
    ops: [call('setns', 0, CLONE.user), call('setns', 0, CLONE.mounts), call('setns', 0, 0)],
    ends: ['EPERM'],
    rootCan: false,
  },
];

const KERNEL: readonly Attempt[] = [
  {
    tried: 'load a module or a kernel, restart the machine, swap, reach ports of the hardware',
    stoppedBy: 'system call filter: the process is killed',
    ops: [inChild('init_module', 0, 0, ''), inChild('finit_module', -1, '', 0), inChild('reboot', 0, 0, 0, 0)],
    ends: ['SIGSYS'],
    rootCan: false,
  },
  {
    tried: 'BPF, performance events, keys, page faults of user space, file handles, watches of whole file systems',
    stoppedBy: 'system call filter',
    ops: [
      call('bpf', 0, ROOM, 128),
      call('perf_event_open', ROOM, 0, -1, -1, 0),
      call('keyctl', 0, 0, 0, 0, 0),
      call('add_key', 'user', 'x', 'x', 1, -1),
      call('userfaultfd', 0),
      call('open_by_handle_at', 0, ROOM, 0),
      call('name_to_handle_at', AT_CWD, '/', ROOM, ROOM, 0),
      call('fanotify_init', 0, 0),
      call('syslog', 3, ROOM, 256),
      call('quotactl', 0, null, 0, null),
      call('acct', null),
      call('seccomp', 1, 0, ROOM),
    ],
    ends: ['EPERM'],
    rootCan: false,
  },
  {
    tried: 'io_uring, which does the work of other calls past a filter',
    stoppedBy: 'system call filter: as on a kernel without it',
    ops: [call('io_uring_setup', 1, ROOM)],
    ends: ['ENOSYS'],
    rootCan: false,
  },
  {
    tried: "set the machine's clock or its name",
    stoppedBy: 'system call filter, and no capability',
    ops: [
      call('settimeofday', ROOM, null),
      call('clock_settime', 0, ROOM),
      call('adjtimex', { zeros: 512 }),
      call('sethostname', 'x', 1),
    ],
    ends: ['EPERM'],
    rootCan: false,
  },
  {
    tried: 'type into a terminal (TIOCSTI); switch its address layout off',
    stoppedBy: 'system call filter looks at the arguments',
    ops: [call('ioctl', 0, 0x5412, ROOM), call('personality', 0x0040000)],
    ends: ['EPERM'],
    rootCan: false,
  },
];

const CPUS: readonly Attempt[] = [
  {
    tried: 'move itself to another CPU',
    stoppedBy: 'system call filter; no cpuset to write to',
    ops: [call('sched_setaffinity', 0, 8, { zeros: 8 })],
    ends: ['EPERM'],
    rootCan: false,
  },
  {
    tried: 'raise its priority, or that of its disk access; become a real-time process; share a core by its own rules',
    stoppedBy: 'system call filter',
    ops: [
      call('setpriority', 0, 0, -5),
      call('sched_setscheduler', 0, 1, ROOM),
      call('sched_setparam', 0, ROOM),
      call('sched_setattr', 0, ROOM, 0),
      call('ioprio_set', 1, 0, 0x2000),
      call('prctl', 62, 1, 0, 0, 0),
    ],
    ends: ['EPERM'],
    rootCan: false,
  },
  {
    tried: 'be the last that is killed when memory is short; ask for a larger share of the CPUs for its session',
    stoppedBy: 'no capability',
    ops: [write('/proc/self/oom_score_adj', '-1000'), write('/proc/self/autogroup', '-20')],
    ends: ['EACCES', 'EPERM', 'ENOENT', 'EINVAL'],
    rootCan: false,
  },
];

const NETWORK: readonly Attempt[] = [
  {
    tried: 'open a raw or packet socket, or one of a family or protocol that loads kernel modules',
    stoppedBy: 'system call filter looks at family, type and protocol',
    ops: [
      call('socket', 17, 3, 0),
      call('socket', 2, 3, 1),
      call('socket', 38, 5, 0),
      call('socket', 40, 1, 0),
      call('socket', 16, 3, 16),
      call('socket', 2, 1, 132),
    ],
    ends: ['EPERM'],
    rootCan: false,
  },
  {
    tried: "connect to the platform's port over the loopback",
    stoppedBy: 'network namespace: the loopback is its own',
    ops: [{ op: 'connect', host: '127.0.0.1', port: '{port}' }],
    ends: ['ECONNREFUSED'],
    endsAtInit: [],
    rootCan: true,
  },
  {
    tried: "connect to a service of the server by the server's own address",
    stoppedBy: 'firewall: no address of the server is within reach',
    ops: [{ op: 'connect', host: '{address}', port: '{service}' }],
    ends: ['ECONNREFUSED', 'EHOSTUNREACH'],
    endsAtInit: [],
    rootCan: true,
  },
  {
    tried: 'connect to an abstract Unix socket of the host',
    stoppedBy: 'network namespace',
    ops: [{ op: 'connect', path: '\0{abstract}' }],
    ends: ['ECONNREFUSED'],
    endsAtInit: [],
    rootCan: true,
  },
];

/** In every runtime: in a process of its own, in a copy, and while a zygote initialises. */
export const ATTEMPTS: readonly Attempt[] = [...FILES, ...PROCESSES, ...NAMESPACES, ...KERNEL, ...CPUS, ...NETWORK];

const MOUNT = MS.noSuid | MS.noDevices | MS.noExec;

/** Only while a zygote initialises: there it has the capability for what it does for its copies. */
export const ZYGOTE_ATTEMPTS: readonly Attempt[] = [
  {
    tried: 'make what is read-only writable; unmount; mount with other flags than a copy needs',
    stoppedBy: 'system call filter: the flags of mount are compared whole, and the newer calls refused',
    ops: [
      call('mount', 'none', '/usr', null, MS.bind | MS.remount, null),
      call('mount', 'none', '/', null, MS.remount, null),
      call('mount', 'none', '/var/task', null, MS.bind | MS.remount | MS.noSuid, null),
      call('mount', 'x', '/tmp', 'tmpfs', 0, null),
      call('mount', 'none', '/', null, 1 << 20, null),
      call('umount2', '/proc', 2),
      call('open_tree', AT_CWD, '/usr', 0),
      call('mount_setattr', AT_CWD, '/usr', 0, ROOM, 32),
      call('pivot_root', '/tmp', '/tmp'),
      call('chroot', '/tmp'),
    ],
    ends: ['EPERM'],
    rootCan: false,
  },
  {
    tried: 'mount what belongs to the host: a disk, devices, kernel debugging, /sys',
    stoppedBy: 'the kernel: not in a user namespace',
    ops: [
      call('mount', '/dev/vda', '/opt', 'ext4', MOUNT, null),
      call('mount', 'x', '/opt', 'devtmpfs', MOUNT, null),
      call('mount', 'x', '/opt', 'debugfs', MOUNT, null),
      call('mount', 'x', '/opt', 'tracefs', MOUNT, null),
      call('mount', 'x', '/opt', 'securityfs', MOUNT, null),
      call('mount', 'x', '/opt', 'sysfs', MOUNT, null),
    ],
    ends: ['EPERM', 'ENODEV', 'ENOENT'],
    rootCan: false,
  },
  {
    tried: 'mount its cgroups and raise its own memory limit there, or leave them',
    stoppedBy: 'their files belong to the root of the host, who is nobody inside',
    ops: [
      {
        op: 'code',
        node: `const fs = require('node:fs');
          const places = [['cgroup2', null, 'memory.max', 'max'], ['cgroup2', null, 'cgroup.procs', '0'], ['cgroup', 'memory', 'memory.limit_in_bytes', '-1'], ['cgroup', 'memory', 'tasks', '0']];
          for (const [type, options, file, text] of places) {
            if (call({mount}, ['x', '/opt', type, ${MOUNT}, options]) !== 'ok') continue;
            try { fs.writeFileSync('/opt/' + file, text, { flag: 'r+' }); return 'ok'; } catch {}
            try { fs.mkdirSync('/opt/x'); return 'ok'; } catch {}
          }
          return 'refused';`,
        python: `
import os
result = 'refused'
places = [('cgroup2', None, 'memory.max', b'max'), ('cgroup2', None, 'cgroup.procs', b'0'), ('cgroup', 'memory', 'memory.limit_in_bytes', b'-1'), ('cgroup', 'memory', 'tasks', b'0')]
for kind, options, file, text in places:
    if call({mount}, ['x', '/opt', kind, ${MOUNT}, options]) != 'ok':
        continue
    try:
        os.write(os.open('/opt/' + file, os.O_WRONLY), text)
        result = 'ok'
    except OSError:
        pass
    try:
        os.mkdir('/opt/x')
        result = 'ok'
    except OSError:
        pass`,
      },
    ],
    ends: ['refused'],
    rootCan: false,
  },
  {
    tried:
      'use its capability on what is not its own: accounting, swap, quotas, the name of the machine, a disk, other CPUs',
    stoppedBy: 'system call filter; the capability holds in its own user namespace alone',
    ops: [
      call('sethostname', 'x', 1),
      call('acct', null),
      call('quotactl', 0, null, 0, null),
      call('bpf', 0, ROOM, 128),
      call('perf_event_open', ROOM, 0, -1, -1, 0),
      call('sched_setaffinity', 0, 8, { zeros: 8 }),
      call('setpriority', 0, 0, -5),
      call('unshare', CLONE.user),
      call('setns', 0, CLONE.user),
    ],
    ends: ['EPERM'],
    rootCan: false,
  },
];
