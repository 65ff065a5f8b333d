/**
 * The command lines of one start. What runs, each replacing the one before, until bubblewrap forks:
 *
 *   sh        joins the cgroup, opens the seccomp filter as descriptor 4            as root
 *   setpriv   becomes the slot's user, drops every capability, dies with us         as root → slot's user
 *   bwrap     namespaces, mounts, filter; stays outside as the one we wait for      slot's user
 *     └ bwrap   process 1 inside, reaps                                             inside
 *         └ prlimit → env → interpreter                                             inside
 *
 * Bubblewrap reads its own arguments from descriptor 5, so that neither the environment of a function nor the
 * paths of the host stand in a command line that others can read. The chain itself runs with an empty environment: a
 * function's LD_PRELOAD must not reach programs that run as root.
 */
import { lstatSync, readlinkSync } from 'node:fs';
import { LIMITS } from '../../../base/limits.ts';
import type { NetworkPolicy, SandboxSpec } from '../contract.ts';
import { SANDBOX_UIDS } from '../identity.ts';
import { FAMILY_PROCESS_LIMIT, PROCESS_LIMIT, RESOURCE_LIMITS } from '../limits.ts';
import { fillPlaceholders } from '../placeholders.ts';
import { INNER_ID } from './staging.ts';

export const SECCOMP_FD = 5;
export const ARGUMENTS_FD = 6;
export const STATUS_FD = 7;

const SYSTEM_FOLDERS = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/nix/store'];
const SYSTEM_FILES = [
  '/etc/hosts',
  '/etc/nsswitch.conf',
  '/etc/ssl',
  '/etc/ca-certificates',
  '/etc/pki',
  '/etc/localtime',
  '/etc/ld.so.cache',
  '/etc/alternatives',
];

const INSIDE = { code: '/var/task', layers: '/opt', runtime: '/var/runtime', languageFolder: '/var/lang/bin' } as const;

/** The library through which a cell calls the kernel, in the staging folder and inside. */
export const FFI_FILE = 'ffi.node';
export const FFI_INSIDE = '/var/lang/ffi.node';

/** Of instances with a network of their own, in the staging folder. */
export const RESOLV_FILES = { none: 'resolv-none', outbound: 'resolv-outbound' } as const;

export interface Tools {
  readonly sh: string;
  readonly setpriv: string;
  readonly prlimit: string;
  readonly env: string;
  readonly bwrap: string;
}

/** What a start needs of the machine, found out once. */
export interface Machine {
  readonly tools: Tools;
  readonly systemBinds: readonly string[];
  readonly stagingFolder: string;
  /** As root: become the slot's user. */
  readonly privileged: boolean;
  /** --size is known to bubblewrap 0.6 and later. */
  readonly tmpfsSize: boolean;
  /** Before 5.14 the kernel counted a user's processes in all namespaces together. */
  readonly processLimit: boolean;
}

/** The paths of a spec as bubblewrap finds them. */
export interface Paths {
  readonly codeDir: string;
  /** '' if there are none. */
  readonly layersDir: string;
  readonly runtimeDir: string;
  readonly interpreter: string;
}

/** What the sandbox is for: a cell may make namespaces and mounts for its copies. */
export type Use = 'instance' | 'cell';

/** Arguments of sh. */
export function chainArguments(
  machine: Machine,
  spec: SandboxSpec,
  attachFiles: readonly string[],
  use: Use = 'instance',
): string[] {
  const { tools } = machine;
  const attach = attachFiles.map(() => 'echo 0 >"$1" && shift && ').join('');
  const id = String(SANDBOX_UIDS.from + spec.slot);
  const becomeUser = machine.privileged
    ? ['--reuid', id, '--regid', id, '--clear-groups', '--no-new-privs', '--inh-caps=-all', '--bounding-set=-all']
    : [];
  return [
    '-c',
    `${attach}exec "$@" ${SECCOMP_FD}<"$0"`,
    `${machine.stagingFolder}/${use === 'cell' ? 'seccomp-cell' : 'seccomp'}`,
    ...attachFiles,
    tools.setpriv,
    ...becomeUser,
    '--pdeathsig',
    'KILL',
    tools.bwrap,
    '--args',
    String(ARGUMENTS_FD),
    '--',
    tools.prlimit,
    ...RESOURCE_LIMITS,
    ...(machine.processLimit ? [use === 'cell' ? FAMILY_PROCESS_LIMIT : PROCESS_LIMIT] : []),
    tools.env,
    // Bubblewrap sets PWD by itself; the instance gets its environment and nothing else.
    ...(spec.env.PWD === undefined ? ['-u', 'PWD'] : [`PWD=${spec.env.PWD}`]),
    interpreterInside(spec),
    ...filled(spec).args,
  ];
}

/** What bubblewrap reads from ARGUMENTS_FD: arguments with a NUL after each. */
export function bubblewrapArguments(machine: Machine, spec: SandboxSpec, paths: Paths, use: Use = 'instance'): Buffer {
  const { stagingFolder } = machine;
  const id = String(use === 'cell' ? 0 : INNER_ID);
  const suffix = use === 'cell' ? '-cell' : '';
  const list = [
    ['--unshare-user', '--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try'],
    ['--uid', id, '--gid', id, '--hostname', 'perch'],
    ['--die-with-parent', '--new-session', '--cap-drop', 'ALL'],
    use === 'cell' ? ['--cap-add', 'CAP_SYS_ADMIN', '--ro-bind', `${stagingFolder}/${FFI_FILE}`, FFI_INSIDE] : [],
    machine.systemBinds,
    networkArguments(machine, spec.network),
    ['--ro-bind', `${stagingFolder}/passwd${suffix}`, '/etc/passwd'],
    ['--ro-bind', `${stagingFolder}/group${suffix}`, '/etc/group'],
    ['--proc', '/proc', '--dev', '/dev'],
    machine.tmpfsSize ? ['--size', String(LIMITS.tmpBytesMax)] : [],
    ['--tmpfs', '/tmp'],
    ['--ro-bind', paths.codeDir, INSIDE.code],
    paths.layersDir === '' ? ['--dir', INSIDE.layers] : ['--ro-bind', paths.layersDir, INSIDE.layers],
    ['--ro-bind', paths.runtimeDir, INSIDE.runtime],
    isOfSystem(spec.interpreter) ? [] : ['--ro-bind', paths.interpreter, interpreterInside(spec)],
    // The root and /dev are tmpfs of bubblewrap's, and the user inside owns them.
    ['--remount-ro', '/dev', '--remount-ro', '/', '--chdir', INSIDE.code],
    ['--json-status-fd', String(STATUS_FD), '--seccomp', String(SECCOMP_FD)],
    // An empty environment came in; but sh may add these.
    ...['PWD', 'OLDPWD', 'SHLVL', '_'].map((name) => ['--unsetenv', name]),
    ...Object.entries(filled(spec).env).map(([name, value]) => ['--setenv', name, value]),
  ].flat();
  return Buffer.from(`${list.join('\0')}\0`);
}

/** As root the chain is born in the namespace it belongs to; see networks.ts. */
function networkArguments({ privileged, stagingFolder }: Machine, policy: NetworkPolicy): string[] {
  const shares = policy === 'host' || (policy === 'outbound' && !privileged);
  if (shares) return ['--ro-bind-try', '/etc/resolv.conf', '/etc/resolv.conf'];
  const resolvConf = ['--ro-bind', `${stagingFolder}/${RESOLV_FILES[policy]}`, '/etc/resolv.conf'];
  return privileged ? resolvConf : ['--unshare-net', ...resolvConf];
}

/** Part of the read-only system, so that it is found inside where it is outside. */
export function isOfSystem(interpreter: string): boolean {
  return interpreter.startsWith('/usr/');
}

function interpreterInside(spec: SandboxSpec): string {
  if (isOfSystem(spec.interpreter)) return spec.interpreter;
  return `${INSIDE.languageFolder}/${spec.interpreter.slice(spec.interpreter.lastIndexOf('/') + 1)}`;
}

/** The environment of a function as it appears in any sandbox of this backend. */
export function fillEnvironment(spec: Pick<SandboxSpec, 'env'>): Readonly<Record<string, string>> {
  return fillPlaceholders({ args: [], env: spec.env }, INSIDE).env;
}

function filled(spec: SandboxSpec): ReturnType<typeof fillPlaceholders> {
  return fillPlaceholders(spec, INSIDE);
}

/** The read-only system, with symbolic links as on the host. */
export function systemBinds(): string[] {
  const list: string[] = [];
  for (const folder of SYSTEM_FOLDERS) {
    const stat = lstatSync(folder, { throwIfNoEntry: false });
    if (stat?.isSymbolicLink() === true) list.push('--symlink', readlinkSync(folder), folder);
    else if (stat !== undefined) list.push('--ro-bind', folder, folder);
  }
  return [...list, ...SYSTEM_FILES.flatMap((file) => ['--ro-bind-try', file, file])];
}
