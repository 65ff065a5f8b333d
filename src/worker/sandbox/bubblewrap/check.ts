/** What bubblewrap needs of the machine, and what of it is there. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { backgroundFinding } from '../background.ts';
import { realTimeFinding } from '../priority.ts';
import { freezerFinding, openCgroups } from '../cgroup/open.ts';
import { isTree } from '../cgroup/cgroup.ts';
import type { Finding } from '../contract.ts';
import { SANDBOX_UIDS } from '../identity.ts';
import { libc } from '../libc.ts';
import { isArchitecture } from '../seccomp/filter.ts';
import { findTool } from '../tools.ts';
import type { Tools } from './arguments.ts';

const run = promisify(execFile);
const PROBE_TIMEOUT_MS = 10_000;

type Checked = Finding & { readonly required: boolean };

const PACKAGES: Readonly<Record<keyof Tools, string>> = {
  sh: 'dash',
  setpriv: 'util-linux',
  prlimit: 'util-linux',
  env: 'coreutils',
  bwrap: 'bubblewrap',
};

export function toolsOf(): Tools {
  return {
    sh: findTool('sh'),
    setpriv: findTool('setpriv'),
    prlimit: findTool('prlimit'),
    env: findTool('env'),
    bwrap: findTool('bwrap'),
  };
}

/** Names of the programs that are not installed. */
export function missingTools(): (keyof Tools)[] {
  const tools = toolsOf();
  return (Object.keys(tools) as (keyof Tools)[]).filter((name) => tools[name] === '');
}

/** As a number: 0.8.1 is 0.008001; 0 if it does not run. */
export async function bubblewrapVersion(): Promise<number> {
  try {
    const { stdout } = await run(toolsOf().bwrap, ['--version'], { timeout: PROBE_TIMEOUT_MS });
    const [, major, minor, patch] = /(\d+)\.(\d+)\.?(\d*)/.exec(stdout) ?? [];
    return Number(major ?? 0) + Number(minor ?? 0) / 1e3 + Number(patch ?? 0) / 1e6;
  } catch {
    return 0;
  }
}

export function kernelAtLeast(release: string, major: number, minor: number): boolean {
  const [, ownMajor, ownMinor] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  return Number(ownMajor) > major || (Number(ownMajor) === major && Number(ownMinor) >= minor);
}

const NAMESPACES_FIX =
  'Allow user namespaces: sysctl kernel.unprivileged_userns_clone=1 (Debian), ' +
  'sysctl kernel.apparmor_restrict_unprivileged_userns=0 or an AppArmor profile for bwrap (Ubuntu), ' +
  'sysctl user.max_user_namespaces=10000. In a container: run it privileged, or with --security-opt seccomp=unconfined.';

const FIXES: readonly (readonly [RegExp, string])[] = [
  [/uid map|namespace|CLONE_NEWUSER|RTM_NEWADDR/i, NAMESPACES_FIX],
  [
    /Can't mount proc/i,
    'The container hides parts of /proc: run it privileged, or with --security-opt systempaths=unconfined.',
  ],
  [/Can't find source path/i, 'A folder that the sandbox needs is missing or cannot be read by others.'],
  [
    /Resource temporarily unavailable|Cannot fork/i,
    'The machine is out of processes: raise kernel.pid_max or the limit of the service.',
  ],
];

/** What to do about a message of the chain, with a space before it; '' if nothing is known. */
export function fixFor(message: string): string {
  const found = FIXES.find(([pattern]) => pattern.test(message));
  return found === undefined ? '' : ` (${found[1]})`;
}

export async function checkMachine(): Promise<readonly Checked[]> {
  if (process.platform !== 'linux') {
    const detail = `${process.platform} has no namespaces, cgroups or seccomp`;
    const fix = 'Run Perch on Linux, or in a Linux virtual machine; for trusted code only: --sandbox none.';
    return [{ topic: 'sandbox', ok: false, required: true, detail, fix }];
  }
  const missing = missingTools();
  const tools: Checked[] = (Object.keys(PACKAGES) as (keyof Tools)[]).map((name) => toolFinding(name));
  return [
    userFinding(),
    containerFinding(),
    ...tools,
    ...(missing.length === 0 ? [await versionFinding(), await startFinding()] : []),
    ...namespaceFindings(),
    seccompFinding(),
    ...(await cgroupFindings()),
    pinningFinding(),
    backgroundFinding(),
    realTimeFinding(),
  ];
}

function toolFinding(name: keyof Tools): Checked {
  const file = findTool(name);
  const ok = file !== '';
  const detail = ok ? file : 'not installed';
  return { topic: name, ok, required: true, detail, fix: ok ? '' : `apt-get install ${PACKAGES[name]}` };
}

async function versionFinding(): Promise<Checked> {
  const version = await bubblewrapVersion();
  const ok = version >= 0.004;
  const fix = ok ? '' : 'Install bubblewrap 0.4 or later.';
  const text = `${Math.floor(version)}.${Math.floor((version * 1000) % 1000)}`;
  const detail = version >= 0.006 ? text : `${text}: /tmp is bounded by the memory limit alone, for want of --size`;
  return { topic: 'bubblewrap version', ok, required: true, detail, fix };
}

/** Starts a sandbox that does nothing, as an instance's would be. */
async function startFinding(): Promise<Checked> {
  const tools = toolsOf();
  const id = String(SANDBOX_UIDS.from);
  const user = process.getuid?.() === 0 ? ['--reuid', id, '--regid', id, '--clear-groups', '--no-new-privs'] : [];
  const namespaces = ['--unshare-user', '--unshare-pid', '--unshare-ipc', '--unshare-uts', '--cap-drop', 'ALL'];
  const mounts = ['--ro-bind', '/', '/', '--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp'];
  const args = [...user, '--pdeathsig', 'KILL', tools.bwrap, ...namespaces, ...mounts, '--', tools.env, 'true'];
  try {
    await run(tools.setpriv, args, { timeout: PROBE_TIMEOUT_MS, env: {}, cwd: '/' });
    return { topic: 'sandbox', ok: true, required: true, detail: 'starts', fix: '' };
  } catch (error) {
    const said = ((error as { stderr?: string }).stderr ?? '').trim() || (error as Error).message;
    const fix = fixFor(said).trim() || 'Run the command by hand to see more.';
    return { topic: 'sandbox', ok: false, required: true, detail: said, fix };
  }
}

function userFinding(): Checked {
  const ok = process.getuid?.() === 0;
  const detail = ok
    ? 'root: every instance gets a host user of its own'
    : 'ordinary user: instances run as this user, in namespaces';
  return {
    topic: 'user',
    ok,
    required: false,
    detail,
    fix: ok ? '' : 'Run as root to give every instance a user of its own.',
  };
}

function containerFinding(): Checked {
  const marks = ['/.dockerenv', '/run/.containerenv', '/run/systemd/container'];
  const mark = marks.find((file) => existsSync(file));
  const detail = mark === undefined ? 'no' : `yes (${mark}); namespaces and cgroups may be withheld`;
  return { topic: 'in a container', ok: true, required: false, detail, fix: '' };
}

/** Settings that forbid user namespaces. Each exists on some distributions only. */
function namespaceFindings(): Checked[] {
  const settings: readonly (readonly [string, string, (value: number) => boolean])[] = [
    ['user.max_user_namespaces', '/proc/sys/user/max_user_namespaces', (value) => value > 0],
    ['kernel.unprivileged_userns_clone', '/proc/sys/kernel/unprivileged_userns_clone', (value) => value === 1],
    [
      'kernel.apparmor_restrict_unprivileged_userns',
      '/proc/sys/kernel/apparmor_restrict_unprivileged_userns',
      (value) => value === 0,
    ],
  ];
  return settings.flatMap(([topic, file, isGood]) => {
    const text = readTrimmed(file);
    if (text === '') return [];
    const ok = isGood(Number(text));
    return [{ topic, ok, required: false, detail: text, fix: ok ? '' : NAMESPACES_FIX }];
  });
}

function seccompFinding(): Checked {
  const kernel = existsSync('/proc/sys/kernel/seccomp/actions_avail');
  const ok = kernel && isArchitecture(process.arch);
  const detail = kernel ? `filter for ${process.arch}${ok ? '' : ' is missing'}` : 'the kernel has none';
  return {
    topic: 'seccomp',
    ok,
    required: true,
    detail,
    fix: ok ? '' : 'Use a kernel with CONFIG_SECCOMP_FILTER on x86_64 or aarch64.',
  };
}

async function cgroupFindings(): Promise<Checked[]> {
  const opened = await openCgroups({ processCountMax: 1, log: () => {} });
  if (!isTree(opened)) {
    const detail = `${opened.detail}: no memory limit, and pinning and peaks by /proc`;
    return [{ topic: 'cgroup', ok: false, required: false, detail, fix: opened.fix }, freezerFinding(opened)];
  }
  const controllers = [opened.memory ? 'memory' : '', opened.pids ? 'pids' : ''].filter((name) => name !== '');
  opened.close();
  const ok = opened.memory;
  const detail = `version ${opened.version}, with ${controllers.join(' and ')}`;
  const fix = ok ? '' : 'Enable the memory controller (cgroup_enable=memory on the kernel command line).';
  return [{ topic: 'cgroup', ok, required: false, detail, fix }, freezerFinding(opened)];
}

function pinningFinding(): Checked {
  const ok = libc !== undefined;
  const detail = ok ? 'sched_setaffinity' : 'the koffi package does not load';
  return { topic: 'pinning', ok, required: false, detail, fix: ok ? '' : 'Reinstall the dependencies: npm install.' };
}

function readTrimmed(file: string): string {
  try {
    return readFileSync(file, 'latin1').trim();
  } catch {
    return '';
  }
}
