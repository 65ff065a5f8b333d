/** What the commands that run functions on this machine have in common: `perch up` and `perch worker`. */
import { type Command, Option } from 'commander';
import { LIMITS } from '../base/limits.ts';
import type { Log } from '../telemetry/log.ts';
import type { ObserverKind } from '../worker/observers/contract.ts';
import type { Topology } from '../worker/agent/topology.ts';
import { perCoreInMemory, perCoreOf, type SharingChoice } from '../worker/agent/default-sharing.ts';
import {
  extraSeatCountOf,
  perCoreMaxOf,
  type SharingSetting,
  type SourceName,
} from '../worker/agent/sharing-setting.ts';
import type { WorkerOptions } from './compose/worker-parts.ts';
import { defaultMemoryMb } from './default-memory.ts';
import { CliError, EXIT } from './exit-codes.ts';
import {
  dataFolderDefault,
  hostNetworkOption,
  parseCores,
  parseMemoryMb,
  regionOption,
  wholeNumber,
} from './options.ts';

export interface WorkerCommandOptions {
  readonly data: string;
  readonly cores?: number[];
  readonly sandbox: 'bubblewrap' | 'none';
  readonly memory?: number;
  readonly codeCacheMb: number;
  /** Absent: as the machine can. */
  readonly sharing?: SharingChoice;
  readonly observer?: ObserverKind;
  /** Whose word counts on who sleeps. */
  readonly knowledge?: readonly SourceName[];
  readonly allowHostNetwork?: boolean;
  readonly region: string;
}

const MB = 1024 * 1024;

/** `kept`: what the data folder is for: "code is kept". */
export function withWorker(command: Command, kept: string): Command {
  return command
    .option('--data <folder>', `where ${kept}`, dataFolderDefault())
    .option('--cores <list>', 'CPUs for functions, such as 0-1,3 (default: see below)', parseCores)
    .option(
      '--memory <MB>',
      'what all instances may use together (default: three quarters of the machine)',
      parseMemoryMb,
    )
    .addOption(
      new Option('--sandbox <kind>', 'what separates functions from each other and from you')
        .choices(['bubblewrap', 'none'])
        .default('bubblewrap'),
    )
    .option(
      '--code-cache-mb <MB>',
      'disk for unpacked code',
      wholeNumber(LIMITS.codeCacheBytesMin / MB, 2 ** 31 - 1),
      LIMITS.codeCacheBytesMax / MB,
    )
    .addOption(hostNetworkOption())
    .addOption(regionOption());
}

/** What a worker is made of. Says on stderr what its sandbox does not keep apart. */
export async function workerOptionsOf(options: WorkerCommandOptions, log: Log): Promise<WorkerOptions> {
  const [{ warningOf }, { readTopology }] = await Promise.all([
    import('../worker/sandbox/index.ts'),
    import('../worker/agent/topology.ts'),
  ]);
  const topology = readTopology(options.cores ?? null);
  if (topology instanceof Error) throw new CliError(EXIT.usage, `${topology.message}.`);
  const memoryMb = options.memory ?? defaultMemoryMb();
  const chosen = options.sharing;
  const room = { coreCount: topology.cores.length, memoryMb };
  const sharing = chosen === undefined ? await sharingOf(topology, options, log) : settingOf(chosen, room);
  refuseTooMany(sharing, room);
  const warning = warningOf(options.sandbox);
  if (warning !== '') process.stderr.write(warning + '\n');
  return {
    dataDir: options.data,
    topology,
    sandbox: options.sandbox,
    memoryMb,
    codeCacheMb: options.codeCacheMb,
    sharing: { ...sharing, sources: options.knowledge ?? [] },
    observer: options.observer ?? 'none',
    allowHostNetwork: options.allowHostNetwork === true,
    log,
  };
}

interface Room {
  readonly coreCount: number;
  readonly memoryMb: number;
}

function settingOf({ policy, perCore }: SharingChoice, room: Room): SharingSetting {
  return { policy, perCore: perCore ?? perCoreOf(policy, { ...room, instanceCountMax: LIMITS.instanceCountMax }) };
}

/** Throws where some of those who are admitted could never have an instance. */
function refuseTooMany(sharing: SharingSetting, { coreCount, memoryMb }: Room): void {
  const { instanceCountMax, memoryMbMin } = LIMITS;
  const refuse = (perCoreMax: number, why: string): never => {
    const most = `with ${coreCount} ${coreCount === 1 ? 'core' : 'cores'} at most ${perCoreMax}, since ${why}`;
    throw new CliError(EXIT.usage, `--sharing admits ${sharing.perCore} invocations for each core: ${most}.`);
  };
  if (coreCount + extraSeatCountOf(sharing, coreCount) > instanceCountMax)
    refuse(perCoreMaxOf(sharing, coreCount, instanceCountMax), `a worker has ${instanceCountMax} instances`);
  const perCoreMax = Math.max(1, perCoreInMemory(memoryMb, coreCount));
  if (sharing.perCore > perCoreMax)
    refuse(
      perCoreMax,
      `${memoryMb} MB (--memory) hold ${Math.floor(memoryMb / memoryMbMin)} instances of the smallest functions, ${memoryMbMin} MB each`,
    );
}

/** Where the operator has not said. */
async function sharingOf(topology: Topology, options: WorkerCommandOptions, log: Log): Promise<SharingSetting> {
  const { sharingHere } = await import('./machine-sharing.ts');
  const { sharing, reason } = sharingHere(topology, options.memory ?? defaultMemoryMb());
  if (reason !== '') {
    const text = `no core is lent while its function waits: '${doctorCommand(options)}' says what that takes`;
    log.warn({ reason }, `${text}; --sharing dedicated says the same without this line`);
  }
  return sharing;
}

/** The one that judges by the same. */
function doctorCommand({ cores, memory }: WorkerCommandOptions): string {
  const byCores = cores === undefined ? '' : ` --cores ${cores.join(',')}`;
  return `perch doctor${byCores}${memory === undefined ? '' : ` --memory ${memory}`}`;
}
