/**
 * From a function version to what its sandbox is given: folders, interpreter, environment; and whether it can be forked
 * from a zygote at all, as far as that is known before it ran.
 */
import type { Account } from '../../base/arn.ts';
import { type Isolation, networkOf } from '../../store/settings.ts';
import type { FunctionVersion } from '../../store/store.ts';
import { RUNTIME_FOLDERS, runtimeOf } from '../runtimes/index.ts';
import type { Runtime } from '../runtimes/runtime.ts';
import {
  type AdoptSpec,
  type CellNetwork,
  cellNetworkOf,
  type Sandbox,
  type SandboxBackend,
  type Zygote,
} from '../sandbox/contract.ts';
import type { CodeFolders } from './contract.ts';
import { cellEnvironment, instanceEnvironment } from './environment.ts';

const NO_CELLS = -1;

/** What a stem cell is made for: each has a runtime and a kind of network before it has a function. */
export interface CellUse {
  readonly runtime: Runtime;
  readonly network: CellNetwork;
  /** In metrics. */
  readonly label: string;
}

/**
 * Variables that a runtime or the C library reads when its process begins. A cell has begun before it knows its
 * function.
 */
const READ_AT_START = /^(NODE_|LD_|UV_|MALLOC_|GLIBC_|PYTHON|SSL_CERT_|OPENSSL_|LC_|LANG$|TZ$)/;

export interface CellKind {
  readonly kind: number;
  /** Why its instances are processes of their own, each in words for the function's owner. */
  readonly reasons: readonly string[];
}

export interface LauncherSetting {
  readonly account: Account;
  readonly responseBytesMax: number;
  readonly cellMemoryMb: number;
  /** Functions may have the network of the host. */
  readonly hostNetworkAllowed?: boolean;
}

export class Launcher {
  readonly #backend: SandboxBackend;
  readonly #setting: LauncherSetting;
  /** What there are cells for, in the order of their kinds. */
  readonly cellUses: readonly CellUse[];

  constructor(backend: SandboxBackend, setting: LauncherSetting) {
    this.#backend = backend;
    this.#setting = setting;
    const runtimes = RUNTIME_FOLDERS.filter(
      (runtime) => runtime.names.length > 0 && runtime.cellArgs() !== null && runtime.check().ok,
    );
    const own = runtimes.map((runtime) => ({ runtime, network: 'own', label: runtime.label }) as const);
    const host = runtimes.map(
      (runtime) => ({ runtime, network: 'host', label: `${runtime.label}, network host` }) as const,
    );
    const uses = setting.hostNetworkAllowed === true ? [...own, ...host] : own;
    this.cellUses = backend.canCopy() ? uses : [];
  }

  cellKindOf({ config }: FunctionVersion, isolation: Isolation): CellKind {
    const runtime = runtimeOf(config.runtime);
    const network = cellNetworkOf(networkOf(config));
    const kind = this.cellUses.findIndex((use) => use.runtime === runtime && use.network === network);
    if (kind < 0) {
      const lacks = runtime.cellArgs() === null ? `the runtime ${config.runtime}` : 'this machine';
      return { kind: NO_CELLS, reasons: [`${lacks} has no zygotes`] };
    }
    const reasons = Object.keys(config.environment)
      .filter((name) => READ_AT_START.test(name))
      .map((name) => `the environment variable ${name} is read when a process begins`);
    if (isolation === 'process') reasons.push("its isolation is 'process'");
    return { kind: reasons.length === 0 ? kind : NO_CELLS, reasons };
  }

  start(
    slot: number,
    fn: FunctionVersion,
    folders: CodeFolders,
    more: { cpus: readonly number[]; provisioned: boolean },
  ): Sandbox {
    const runtime = runtimeOf(fn.config.runtime);
    return this.#backend.start({
      slot,
      codeDir: folders.codeDir,
      layersDir: folders.layersDir,
      runtimeDir: runtime.dir,
      interpreter: runtime.interpreter(),
      args: runtime.args(fn.config.memoryMb),
      env: this.#environment(fn, runtime, more.provisioned),
      memoryMb: fn.config.memoryMb,
      cpus: more.cpus,
      network: networkOf(fn.config),
    });
  }

  boot(slot: number, kind: number, cpus: readonly number[]): Zygote {
    const { runtime, network } = this.cellUses[kind]!;
    return this.#backend.startCell({
      slot,
      network,
      runtimeDir: runtime.dir,
      interpreter: runtime.interpreter(),
      args: runtime.cellArgs()!,
      env: cellEnvironment(runtime, this.#setting.account),
      memoryMb: this.#setting.cellMemoryMb,
      cpus,
    });
  }

  adoption(fn: FunctionVersion, folders: CodeFolders, provisioned: boolean): AdoptSpec {
    const runtime = runtimeOf(fn.config.runtime);
    return {
      ...folders,
      env: this.#environment(fn, runtime, provisioned),
      memoryMb: fn.config.memoryMb,
      network: networkOf(fn.config),
    };
  }

  #environment(fn: FunctionVersion, runtime: Runtime, provisioned: boolean): Record<string, string> {
    const { account, responseBytesMax } = this.#setting;
    return instanceEnvironment(fn, runtime, { account, responseBytesMax, provisioned });
  }
}
