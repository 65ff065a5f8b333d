/**
 * What a function may ask of the kernel: an allow-list. Each group has its reason; docs/SANDBOX.md shows the same
 * table, and a test compares the two. A call that no group names is answered ENOSYS, as by a kernel that is older
 * than it: libc and libuv then fall back, and a call that some future kernel adds is closed until somebody has
 * thought about it.
 */
import { SYSCALL_NUMBERS, type SyscallName } from './syscalls.ts';

/**
 * - allow: let through.
 * - arguments: let through if its arguments pass the rules in filter.ts, else EPERM.
 * - refuse: EPERM. The caller hears that it may not.
 * - absent: ENOSYS. The caller falls back to something older.
 * - kill: the whole sandbox ends with SIGSYS.
 */
export type Verdict = 'allow' | 'arguments' | 'refuse' | 'absent' | 'kill';

export interface SyscallGroup {
  readonly name: string;
  readonly verdict: Verdict;
  readonly why: string;
  readonly calls: readonly SyscallName[];
}

/** Splits the calls of a group; an unknown name is a bug in this file. */
function calls(text: string): readonly SyscallName[] {
  return text
    .trim()
    .split(/\s+/)
    .map((name) => {
      if (!(name in SYSCALL_NUMBERS)) throw new Error(`unknown system call in the policy: ${name}`);
      return name as SyscallName;
    });
}

export const SYSCALL_GROUPS: readonly SyscallGroup[] = [
  {
    name: 'files',
    verdict: 'allow',
    why:
      'Open, read, write, list, rename, watch and describe files. What can be reached is decided by the mounts: ' +
      'everything but /tmp is read-only, so no path needs filtering here.',
    calls: calls(`
      read write open close stat fstat lstat lseek pread64 pwrite64 readv writev preadv pwritev preadv2 pwritev2
      access pipe pipe2 dup dup2 dup3 sendfile fcntl flock fsync fdatasync truncate ftruncate getdents getdents64
      getcwd chdir fchdir rename renameat renameat2 mkdir mkdirat rmdir creat link linkat unlink unlinkat symlink
      symlinkat readlink readlinkat chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat umask utime utimes
      utimensat futimesat statfs fstatfs newfstatat statx openat openat2 faccessat faccessat2 sync syncfs
      sync_file_range fallocate fadvise64 readahead splice tee vmsplice copy_file_range close_range getxattr
      lgetxattr fgetxattr listxattr llistxattr flistxattr setxattr lsetxattr fsetxattr removexattr lremovexattr
      fremovexattr inotify_init inotify_init1 inotify_add_watch inotify_rm_watch cachestat
    `),
  },
  {
    name: 'memory',
    verdict: 'allow',
    why:
      "Map, protect and release memory of one's own; V8 and WebAssembly live on these. The memory cgroup bounds " +
      'the sum.',
    calls: calls(`
      mmap mprotect munmap brk mremap msync mincore madvise mlock mlock2 munlock mlockall munlockall membarrier
      memfd_create pkey_alloc pkey_free pkey_mprotect get_mempolicy map_shadow_stack mseal
    `),
  },
  {
    name: 'processes',
    verdict: 'allow',
    why:
      'Start, await and end processes and threads. They stay inside the pid namespace; their number is bounded ' +
      'by the pids cgroup and RLIMIT_NPROC. clone is let through only without namespace flags (see arguments).',
    calls: calls(`
      fork vfork execve execveat exit exit_group wait4 waitid kill tkill tgkill pidfd_open pidfd_send_signal getpid
      gettid getppid getpgrp getpgid setpgid getsid setsid set_tid_address set_robust_list get_robust_list rseq
      arch_prctl uname sysinfo times getrusage getrlimit setrlimit prlimit64 getcpu restart_syscall capget
    `),
  },
  {
    name: 'identity',
    verdict: 'allow',
    why:
      "Read one's ids, and set them to what they already are. Without capabilities nothing else succeeds; " +
      'libraries that drop privileges call these and check.',
    calls: calls(`
      getuid geteuid getgid getegid getresuid getresgid getgroups setuid setgid setreuid setregid setresuid
      setresgid setfsuid setfsgid
    `),
  },
  {
    name: 'signals',
    verdict: 'allow',
    why: 'Handle signals and wait for them.',
    calls: calls(`
      rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigqueueinfo rt_tgsigqueueinfo
      rt_sigsuspend sigaltstack pause signalfd signalfd4 alarm
    `),
  },
  {
    name: 'waiting',
    verdict: 'allow',
    why: 'Wait for time, descriptors and other threads: the event loop, timers and locks.',
    calls: calls(`
      poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd
      eventfd2 futex futex_waitv futex_wake futex_wait futex_requeue nanosleep clock_nanosleep clock_gettime
      clock_getres gettimeofday time getitimer setitimer timer_create timer_settime timer_gettime timer_getoverrun
      timer_delete timerfd_create timerfd_settime timerfd_gettime sched_yield getrandom
    `),
  },
  {
    name: 'scheduling-read',
    verdict: 'allow',
    why: 'Ask how one is scheduled. os.availableParallelism() reads the affinity mask.',
    calls: calls(`
      sched_getaffinity sched_getparam sched_getscheduler sched_getattr sched_get_priority_max
      sched_get_priority_min sched_rr_get_interval getpriority ioprio_get
    `),
  },
  {
    name: 'sockets',
    verdict: 'allow',
    why: 'Talk over sockets that are open. Which families can be opened is decided at socket (see arguments).',
    calls: calls(`
      connect accept accept4 bind listen shutdown getsockname getpeername setsockopt getsockopt sendto recvfrom
      sendmsg recvmsg sendmmsg recvmmsg
    `),
  },
  {
    name: 'ipc',
    verdict: 'allow',
    why:
      'Queues, semaphores and shared memory of System V, and POSIX queues. They stay inside the ipc namespace; some databases ' +
      'use them. POSIX semaphores and shared memory are files below /dev/shm, which is read-only.',
    calls: calls(`
      shmget shmat shmctl shmdt semget semop semctl semtimedop msgget msgsnd msgrcv msgctl mq_open mq_unlink
      mq_timedsend mq_timedreceive mq_notify mq_getsetattr
    `),
  },
  {
    name: 'arguments',
    verdict: 'arguments',
    why:
      'Harmless with some arguments, not with others; the filter looks at them. clone: without flags for new ' +
      'namespaces. socket: families unix, inet and inet6 with stream, datagram or seqpacket type, and netlink ' +
      'for routes alone (getaddrinfo and os.networkInterfaces() read the addresses through it). socketpair: ' +
      'family unix. ioctl: all but TIOCSTI and TIOCLINUX, which type into a terminal. personality: queries ' +
      'alone. prctl: all but core scheduling.',
    calls: calls(`
      clone socket socketpair ioctl personality prctl
    `),
  },
  {
    name: 'newer-libc',
    verdict: 'absent',
    why:
      'Answered as if the kernel did not have it, so that libc falls back. clone3 hides its flags in memory ' +
      "where a filter cannot look; io_uring does the work of filtered calls behind the filter's back and has a " +
      'long history of holes. libc and libuv have fallbacks for both.',
    calls: calls(`
      clone3 io_uring_setup io_uring_enter io_uring_register
    `),
  },
  {
    name: 'own-priority',
    verdict: 'refuse',
    why:
      "Change one's CPUs, priority or scheduling class. The platform pins an instance to the core of its lease; " +
      'an instance may not unpin itself, raise its priority or choose a memory node.',
    calls: calls(`
      sched_setaffinity sched_setparam sched_setscheduler sched_setattr setpriority ioprio_set mbind set_mempolicy
      set_mempolicy_home_node migrate_pages move_pages
    `),
  },
  {
    name: 'namespaces',
    verdict: 'refuse',
    why:
      'Make or enter namespaces, mounts and roots: the first step of most escapes, since a new user namespace ' +
      'opens code in the kernel that only root used to reach.',
    calls: calls(`
      unshare setns mount umount2 pivot_root chroot open_tree move_mount fsopen fsconfig fsmount fspick
      mount_setattr statmount listmount sethostname setdomainname
    `),
  },
  {
    name: 'other-processes',
    verdict: 'refuse',
    why:
      'Look into or steer other processes. Within a sandbox there is nobody to debug but oneself, and ptrace ' +
      'gets around filters on old kernels.',
    calls: calls(`
      ptrace process_vm_readv process_vm_writev process_madvise process_mrelease pidfd_getfd kcmp
    `),
  },
  {
    name: 'kernel-interfaces',
    verdict: 'refuse',
    why:
      'Kernel subsystems with a large surface and no use in a function: BPF, performance events, keys, user- ' +
      'space page faults, file handles that bypass mounts, file-system-wide watches, security modules.',
    calls: calls(`
      bpf perf_event_open add_key request_key keyctl userfaultfd memfd_secret name_to_handle_at open_by_handle_at
      fanotify_init fanotify_mark lookup_dcookie quotactl quotactl_fd acct vhangup remap_file_pages seccomp
      landlock_create_ruleset landlock_add_rule landlock_restrict_self lsm_get_self_attr lsm_set_self_attr
      lsm_list_modules syslog mknod mknodat nfsservctl _sysctl ustat sysfs uselib modify_ldt io_setup io_destroy
      io_submit io_cancel io_getevents io_pgetevents capset setgroups
    `),
  },
  {
    name: 'clocks',
    verdict: 'refuse',
    why: 'Set the clock of the machine.',
    calls: calls(`
      settimeofday clock_settime adjtimex clock_adjtime
    `),
  },
  {
    name: 'never',
    verdict: 'kill',
    why:
      'No honest program without privileges calls these: load a kernel or a module, restart or halt the ' +
      'machine, swap, raw ports. A call ends the sandbox with SIGSYS.',
    calls: calls(`
      kexec_load kexec_file_load init_module finit_module delete_module create_module reboot swapon swapoff iopl
      ioperm
    `),
  },
];
