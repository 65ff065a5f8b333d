/** The backend for servers: instances under bubblewrap. See README.md beside this file and docs/SANDBOX.md. */
import { spawn } from 'node:child_process';
import os from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { LIMITS } from '../../../base/limits.ts';
import type { Refusal } from '../../network/index.ts';
import { type Cgroup, type CgroupTree, isTree } from '../cgroup/cgroup.ts';
import { openCgroups } from '../cgroup/open.ts';
import { favorQuickMoves } from '../cgroup/quick-moves.ts';
import type { CellSpec, ExitReason, Finding, Sandbox, SandboxBackend, SandboxSpec, Zygote } from '../contract.ts';
import { reasonOfStatus } from '../exit-status.ts';
import { sealDescriptors } from '../descriptors.ts';
import { SandboxError } from '../error.ts';
import { type ChildExit, failedSandbox, startHostSandbox } from '../host-sandbox.ts';
import { startTime } from '../identity.ts';
import type { SandboxLog } from '../log.ts';
import { specFault } from '../placeholders.ts';
import { isArchitecture, seccompProgram } from '../seccomp/filter.ts';
import {
  ARGUMENTS_FD,
  bubblewrapArguments,
  chainArguments,
  isOfSystem,
  type Machine,
  type Paths,
  STATUS_FD,
  systemBinds,
  type Use,
} from './arguments.ts';
import { Cells } from './cells.ts';
import { checkMachine, fixFor, kernelAtLeast, missingTools, toolsOf, bubblewrapVersion } from './check.ts';
import { Networks, probeNetwork } from './networks.ts';
import { openStaging, type Staging } from './staging.ts';

export interface BackendOptions {
  /** Every spec's codeDir lies below this folder. */
  readonly codeRoot: string;
  /** Every spec's runtimeDir lies below this folder. */
  readonly runtimesRoot: string;
  /** Every spec's interpreter lies in the folder of this one. */
  readonly interpreter: string;
  readonly slotCount: number;
  /** What functions with a network of their own do not reach, besides what none should. */
  readonly networkRefusals?: readonly Refusal[];
  readonly log: SandboxLog;
}

interface Opened {
  readonly machine: Machine;
  readonly staging: Staging;
  readonly cgroups: CgroupTree | undefined;
  readonly networks: Networks;
  /** Or why there are none. */
  readonly cells: Cells | string;
}

export class BubblewrapBackend implements SandboxBackend {
  readonly name = 'bubblewrap';
  readonly #options: BackendOptions;
  #opened: Opened | undefined;

  constructor(options: BackendOptions) {
    this.#options = options;
  }

  async check(): Promise<readonly (Finding & { readonly required: boolean })[]> {
    const network = this.#opened?.networks.findings() ?? probeNetwork();
    return [...(await checkMachine()), ...network.map((finding) => ({ ...finding, required: false }))];
  }

  async open(): Promise<void> {
    const { codeRoot, runtimesRoot, interpreter } = this.#options;
    const log = (text: string): void => this.#options.log.warn(text);
    if (!isArchitecture(process.arch)) throw new SandboxError(`bubblewrap: no seccomp filter for ${process.arch}`);
    const missing = missingTools();
    if (missing.length > 0)
      throw new SandboxError(`bubblewrap: not installed: ${missing.join(', ')}. Run 'perch doctor'.`);
    sealDescriptors();
    const privileged = process.getuid?.() === 0;
    const opened = await openCgroups({ processCountMax: LIMITS.processesPerInstanceMax, log });
    if (!isTree(opened)) log(`no memory limit for instances: ${opened.detail}. ${opened.fix}`);
    const programs = {
      seccompProgram: seccompProgram(process.arch),
      cellProgram: seccompProgram(process.arch, 'cell'),
    };
    const staging = openStaging({ codeRoot, runtimesRoot, interpreter, privileged, ...programs });
    const machine: Machine = {
      tools: toolsOf(),
      systemBinds: systemBinds(),
      stagingFolder: staging.folder,
      privileged,
      tmpfsSize: (await bubblewrapVersion()) >= 0.006,
      processLimit: privileged || kernelAtLeast(os.release(), 5, 14),
    };
    const cgroups = isTree(opened) ? opened : undefined;
    if (!favorQuickMoves())
      log('copies may take 10 ms longer to make: cgroups are joined quickly as root on Linux 6.0');
    const cells = Cells.open(staging, cgroups, privileged);
    if (typeof cells === 'string') log(`every instance is a process of its own: ${cells}`);
    const { slotCount, networkRefusals = [] } = this.#options;
    const networks = Networks.open({
      privileged,
      folder: staging.folder,
      slotCount,
      refusals: networkRefusals,
      log: this.#options.log,
    });
    this.#opened = { machine, staging, cgroups, networks, cells };
  }

  start(spec: SandboxSpec): Sandbox {
    const opened = this.#opened;
    if (opened === undefined) return failedSandbox('the sandbox backend is not open');
    const fault = specFault(spec);
    if (fault !== '') return failedSandbox(fault);
    const paths = pathsOf(opened.staging, spec);
    if (typeof paths === 'string') return failedSandbox(paths);
    const cgroup = opened.cgroups?.slot(spec.slot);
    try {
      cgroup?.prepare(spec.memoryMb);
      return opened.networks.start(spec.network, () =>
        spawnSandbox({ machine: opened.machine, use: 'instance' }, spec, paths, cgroup),
      );
    } catch (error) {
      return failedSandbox(`the sandbox could not be started: ${(error as Error).message}`);
    }
  }

  canCopy(): boolean {
    return this.#opened !== undefined && typeof this.#opened.cells !== 'string';
  }

  startCell(spec: CellSpec): Zygote {
    const opened = this.#opened;
    if (opened === undefined || typeof opened.cells === 'string') throw new SandboxError('this machine cannot copy');
    const runtimeDir = opened.staging.translate(spec.runtimeDir);
    const interpreter = interpreterPath(opened.staging, spec.interpreter);
    if (runtimeDir === undefined || interpreter === undefined)
      throw new SandboxError(`the runtime ${spec.runtimeDir} or ${spec.interpreter} is not staged`);
    const cgroup = opened.cgroups?.slot(spec.slot);
    cgroup?.prepare(spec.memoryMb);
    return opened.cells.start(spec, { runtimeDir, interpreter }, (whole, paths) =>
      opened.networks.startCell(spec.network, () =>
        spawnSandbox({ machine: opened.machine, use: 'cell' }, whole, paths, cgroup),
      ),
    );
  }

  async close(): Promise<void> {
    this.#opened?.networks.close();
    this.#opened?.cgroups?.close();
    this.#opened?.staging.close();
    this.#opened = undefined;
  }
}

function pathsOf(staging: Staging, spec: SandboxSpec): Paths | string {
  const codeDir = staging.translate(spec.codeDir);
  const runtimeDir = staging.translate(spec.runtimeDir);
  const interpreter = interpreterPath(staging, spec.interpreter);
  const layersDir = spec.layersDir === '' ? '' : staging.translate(spec.layersDir);
  if (layersDir === undefined) return `the layers folder ${spec.layersDir} is not below the code root`;
  if (codeDir === undefined) return `the code folder ${spec.codeDir} is not below the code root`;
  if (runtimeDir === undefined) return `the runtime folder ${spec.runtimeDir} is not below the runtimes root`;
  if (interpreter === undefined) return `the interpreter ${spec.interpreter} is not in the staged folder`;
  return { codeDir, layersDir, runtimeDir, interpreter };
}

function interpreterPath(staging: Staging, interpreter: string): string | undefined {
  return isOfSystem(interpreter) ? interpreter : staging.translate(interpreter);
}

function spawnSandbox(
  { machine, use }: { machine: Machine; use: Use },
  spec: SandboxSpec,
  paths: Paths,
  cgroup: Cgroup | undefined,
): Sandbox {
  const child = spawn(machine.tools.sh, chainArguments(machine, spec, cgroup?.attachFiles ?? [], use), {
    cwd: '/',
    env: {},
    //      0         1       2       3 channel 4 answers 5 seccomp 6 arguments 7 status
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe', 'ignore', 'pipe', 'pipe'],
  });
  // Missing altogether where the platform is out of descriptors.
  const streams: readonly unknown[] = child.stdio ?? [];
  const status = new Status(streams[STATUS_FD] as Readable | undefined);
  const sandbox = startHostSandbox({
    child,
    cgroup,
    cpus: spec.cpus,
    statusStreams: status.streams,
    reasonOf: (exit) => status.reasonOf(exit),
    stragglers: () => status.stragglers(),
  });
  (streams[ARGUMENTS_FD] as Writable | undefined)?.end(bubblewrapArguments(machine, spec, paths, use));
  return sandbox;
}

/** What bubblewrap tells on STATUS_FD: the id of process 1 of the sandbox, then the exit status of the instance. */
class Status {
  readonly streams: readonly Readable[];
  #text = '';
  #initId = 0;
  #initStart = 0;

  constructor(stream: Readable | undefined) {
    this.streams = stream === undefined ? [] : [stream];
    stream?.on('data', (chunk: Buffer) => {
      this.#text += chunk.toString('latin1');
      if (this.#initId !== 0) return;
      this.#initId = Number(/"child-pid": (\d+)/.exec(this.#text)?.[1] ?? 0);
      this.#initStart = startTime(this.#initId);
    });
  }

  reasonOf(exit: ChildExit): ExitReason {
    const match = /"exit-code": (\d+)/.exec(this.#text);
    if (match !== null && !isChainFault(exit.stderrHead)) return reasonOfStatus(Number(match[1]));
    if (exit.signal !== null) return { kind: 'signal', signal: exit.signal };
    const said = exit.stderrHead.trim() || `exit status ${exit.code}, without a message`;
    return { kind: 'start-failed', message: `the sandbox could not be started: ${said}${fixFor(said)}` };
  }

  /** A pid namespace is empty when its process 1 is gone: the kernel reaps that one last. */
  stragglers(): readonly number[] {
    return this.#initStart > 0 && startTime(this.#initId) === this.#initStart ? [this.#initId] : [];
  }
}

/** The chain inside the sandbox reports its own failures as the instance would: by exit status and standard error. */
function isChainFault(stderr: string): boolean {
  return /^(bwrap: execvp|\S*prlimit: failed|\S*env: .*No such file|\S*env: .*Permission denied)/.test(stderr);
}
