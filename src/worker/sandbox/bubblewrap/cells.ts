/** Stem cells of the bubblewrap backend: what they need of the machine, and how one is started. */
import { copyFileSync, existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import type { Writable } from 'node:stream';
import { LIMITS } from '../../../base/limits.ts';
import type { CgroupTree } from '../cgroup/cgroup.ts';
import type { AdoptSpec, CellSpec, SandboxSpec, Zygote } from '../contract.ts';
import { type DescriptorPassing, openDescriptorPassing } from '../descriptor-passing.ts';
import { SandboxError } from '../error.ts';
import { FFI_FILE, FFI_INSIDE, fillEnvironment, type Paths } from './arguments.ts';
import { CellMounts } from './cell-mounts.ts';
import type { StartedCell } from './networks.ts';
import type { Staging } from './staging.ts';
import { ZygoteSandbox } from './zygote.ts';

/** A text says why it could not. */
export type SpawnCell = (spec: SandboxSpec, paths: Paths) => StartedCell | string;

export class Cells {
  readonly #staging: Staging;
  readonly #cgroups: CgroupTree;
  readonly #passing: DescriptorPassing;
  readonly #mounts: CellMounts;

  private constructor(staging: Staging, cgroups: CgroupTree, passing: DescriptorPassing) {
    this.#staging = staging;
    this.#cgroups = cgroups;
    this.#passing = passing;
    this.#mounts = new CellMounts(path.join(staging.folder, 'cells'));
  }

  /** Why a machine has none, or the cells. */
  static open(staging: Staging, cgroups: CgroupTree | undefined, privileged: boolean): Cells | string {
    if (!privileged) return 'copies of a zygote need root';
    if (cgroups === undefined || !cgroups.memory || !cgroups.pids)
      return 'copies of a zygote need cgroups with the memory and pids controllers';
    const passing = openDescriptorPassing();
    const library = ffiLibrary();
    if (passing === undefined || library === '') return 'copies of a zygote need the koffi package';
    copyFileSync(library, path.join(staging.folder, FFI_FILE));
    return new Cells(staging, cgroups, passing);
  }

  start(spec: CellSpec, paths: Omit<Paths, 'codeDir' | 'layersDir'>, spawn: SpawnCell): Zygote {
    const place = this.#mounts.make(spec.slot);
    try {
      return this.#start(spec, { ...paths, codeDir: place.code, layersDir: place.layers }, spawn);
    } catch (error) {
      this.#mounts.remove(spec.slot);
      throw error;
    }
  }

  #start(spec: CellSpec, paths: Paths, spawn: SpawnCell): Zygote {
    const { codeDir, layersDir } = paths;
    const env = { ...spec.env, PERCH_FFI: FFI_INSIDE, PERCH_TMP_BYTES_MAX: String(LIMITS.tmpBytesMax) };
    const network = spec.network === 'host' ? 'host' : 'outbound';
    const whole: SandboxSpec = { ...spec, env, codeDir, layersDir, network };
    const cgroup = this.#cgroups.slot(spec.slot);
    const spawned = spawn(whole, paths);
    if (typeof spawned === 'string') throw new SandboxError(spawned);
    const { sandbox, seats } = spawned;
    sandbox.onExit(() => this.#mounts.remove(spec.slot));
    return new ZygoteSandbox({
      sandbox,
      control: descriptorOf(sandbox.channel),
      cgroup,
      cgroups: this.#cgroups,
      passing: this.#passing,
      seats,
      fill: (function_) => this.#fill(spec.slot, function_),
    });
  }

  #fill(slot: number, spec: AdoptSpec): Readonly<Record<string, string>> {
    const codeDir = this.#staging.translate(spec.codeDir);
    const layersDir = spec.layersDir === '' ? '' : this.#staging.translate(spec.layersDir);
    if (codeDir === undefined || layersDir === undefined)
      throw new SandboxError(`${spec.codeDir} or ${spec.layersDir} is not below the code root`);
    this.#mounts.fill(slot, codeDir, layersDir);
    return fillEnvironment(spec);
  }
}

/** Node keeps it to itself; -1 where the stream has none. */
function descriptorOf(stream: Writable): number {
  return (stream as unknown as { _handle?: { fd?: number } })._handle?.fd ?? -1;
}

/** The native library in the koffi package; '' where it is not installed. */
function ffiLibrary(): string {
  try {
    const koffi = createRequire(createRequire(import.meta.url).resolve('koffi'));
    const folder = path.dirname(koffi.resolve(`@koromix/koffi-linux-${process.arch}`));
    const file = path.join(folder, `linux_${process.arch}`, 'koffi.node');
    return existsSync(file) ? file : '';
  } catch {
    return '';
  }
}
