/** No isolation at all; see README.md beside this file. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { LIMITS } from '../../../base/limits.ts';
import { backgroundFinding } from '../background.ts';
import { realTimeFinding } from '../priority.ts';
import { type Cgroup, type CgroupTree, isTree } from '../cgroup/cgroup.ts';
import { freezerFinding, openCgroups } from '../cgroup/open.ts';
import type { Finding, Sandbox, SandboxBackend, SandboxSpec } from '../contract.ts';
import { sealDescriptors } from '../descriptors.ts';
import { type ChildExit, failedSandbox, startHostSandbox } from '../host-sandbox.ts';
import { libc } from '../libc.ts';
import { RESOURCE_LIMITS } from '../limits.ts';
import type { SandboxLog } from '../log.ts';
import { fillPlaceholders, specFault } from '../placeholders.ts';
import { findTool } from '../tools.ts';

/** `perch up` prints this first where the operator chose --sandbox none. */
export const NO_SANDBOX_WARNING = `WARNING: --sandbox none. Functions run WITHOUT a sandbox, as the user that runs Perch.
Any function can read and change all that this user can: the code, secrets and data of all other functions,
the platform itself, your files, your keys. It can stop the platform and stay behind when it is stopped.
Use it only for code that you would run in your own shell.`;

export interface NoneOptions {
  readonly log: SandboxLog;
}

export class NoneBackend implements SandboxBackend {
  readonly name = 'none';
  readonly #options: NoneOptions;
  #opened = false;
  #cgroups: CgroupTree | undefined;

  constructor(options: NoneOptions) {
    this.#options = options;
  }

  async check(): Promise<readonly (Finding & { readonly required: boolean })[]> {
    const fix = 'Install bubblewrap (apt-get install bubblewrap) and leave --sandbox away.';
    const pins = libc !== undefined;
    const opened = await openCgroups({ processCountMax: 1, log: () => {} });
    if (isTree(opened)) opened.close();
    return [
      freezerFinding(opened),
      backgroundFinding(),
      realTimeFinding(),
      { topic: 'isolation', ok: false, required: false, detail: 'none: functions run as the platform does', fix },
      {
        topic: 'pinning',
        ok: pins,
        required: false,
        detail: pins ? 'sched_setaffinity' : 'not on this machine',
        fix: '',
      },
    ];
  }

  async open(): Promise<void> {
    sealDescriptors();
    const opened = await openCgroups({
      processCountMax: LIMITS.processesPerInstanceMax,
      log: (text) => this.#options.log.warn(text),
    });
    if (isTree(opened)) this.#cgroups = opened;
    else this.#options.log.warn(`no memory limit for instances: ${opened.detail}. ${opened.fix}`);
    this.#opened = true;
  }

  start(spec: SandboxSpec): Sandbox {
    if (!this.#opened) return failedSandbox('the sandbox backend is not open');
    const fault = specFault(spec);
    if (fault !== '') return failedSandbox(fault);
    for (const file of [spec.codeDir, spec.runtimeDir, spec.interpreter]) {
      if (!existsSync(file)) return failedSandbox(`the sandbox could not be started: ${file} does not exist`);
    }
    const cgroup = this.#cgroups?.slot(spec.slot);
    try {
      cgroup?.prepare(spec.memoryMb);
      return spawnPlain(spec, cgroup);
    } catch (error) {
      return failedSandbox(`the sandbox could not be started: ${(error as Error).message}`);
    }
  }

  canCopy(): boolean {
    return false;
  }

  startCell(): never {
    throw new Error('without a sandbox nothing is copied');
  }

  async close(): Promise<void> {
    this.#cgroups?.close();
    this.#cgroups = undefined;
    this.#opened = false;
  }
}

function spawnPlain(spec: SandboxSpec, cgroup: Cgroup | undefined): Sandbox {
  const { args, env } = fillPlaceholders(spec, {
    runtime: spec.runtimeDir,
    code: spec.codeDir,
    layers: spec.layersDir,
  });
  const [command = spec.interpreter, ...rest] = [...chain(spec, cgroup?.attachFiles ?? []), spec.interpreter, ...args];
  const child = spawn(command, rest, {
    cwd: spec.codeDir,
    env: { ...env },
    // A session, and so a process group, of its own: the group is what can be killed where there is no cgroup.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
  });
  return startHostSandbox({
    child,
    cgroup,
    cpus: spec.cpus,
    statusStreams: [],
    reasonOf,
    stragglers: () => (groupExists(child.pid) ? [-(child.pid as number)] : []),
  });
}

/** Programs that run before the interpreter, each replacing itself by the next. */
function chain(spec: SandboxSpec, attachFiles: readonly string[]): string[] {
  const setpriv = findTool('setpriv');
  const prlimit = findTool('prlimit');
  const tools = [
    ...(setpriv === '' ? [] : [setpriv, '--pdeathsig', 'KILL']),
    ...(prlimit === '' ? [] : [prlimit, ...RESOURCE_LIMITS]),
  ];
  if (attachFiles.length === 0) return tools;
  const attach = attachFiles.map(() => 'echo 0 >"$1" && shift && ').join('');
  // The shell adds these to the environment; the instance gets what the spec says and nothing else.
  const added = ['PWD', 'OLDPWD', 'SHLVL', '_'].filter((name) => spec.env[name] === undefined);
  const clean = ['/usr/bin/env', ...added.flatMap((name) => ['-u', name])];
  return ['/bin/sh', '-c', `${attach}exec "$@"`, 'sh', ...attachFiles, ...clean, ...tools];
}

function reasonOf(exit: ChildExit): ReturnType<Parameters<typeof startHostSandbox>[0]['reasonOf']> {
  if (exit.signal !== null) return { kind: 'signal', signal: exit.signal };
  if (/^(\S*sh: |\S*setpriv: |\S*prlimit: )/.test(exit.stderrHead) && exit.code !== 0) {
    return { kind: 'start-failed', message: `the sandbox could not be started: ${exit.stderrHead.trim()}` };
  }
  return { kind: 'exit', code: exit.code ?? 0 };
}

function groupExists(id: number | undefined): boolean {
  if (id === undefined) return false;
  try {
    process.kill(-id, 0);
    return true;
  } catch {
    return false;
  }
}
