/** The ways in which a server may share its cores, by name. */
import { assert } from '../../base/assert.ts';
import { FailingServers } from '../faults/failing-servers.ts';
import type { OptionSpec, OptionSpecs, OptionValues } from '../policy.ts';
import type { World } from '../world.ts';
import { CoreStacks } from './core-stacks.ts';
import { FirstCome } from './first-come.ts';
import { ForegroundBackground } from './foreground-background.ts';
import { ForegroundBackgroundQuantum } from './foreground-background-quantum.ts';
import { refuseSeveral, refuseTooLarge } from './cores-wanted.ts';
import { Instances } from './instances.ts';
import { ProcessorSharing } from './processor-sharing.ts';
import type { Servers, ServersSetup } from './servers.ts';

const DISCIPLINES = {
  ps: (setup: ServersSetup): Servers => new ProcessorSharing(setup),
  fcfs: (setup: ServersSetup): Servers => new FirstCome(setup),
  fb: (setup: ServersSetup): Servers => {
    if (setup.quantumUs === 0) return new ForegroundBackground(setup);
    refuseSeveral(setup.world, 'Foreground–background with a quantum');
    return new ForegroundBackgroundQuantum(setup);
  },
  stack: (setup: ServersSetup): Servers => {
    refuseSeveral(setup.world, 'A stack for each core');
    return new CoreStacks(setup);
  },
};

export type Discipline = keyof typeof DISCIPLINES;
export const DISCIPLINE_NAMES: readonly Discipline[] = Object.keys(DISCIPLINES) as Discipline[];

const DISCIPLINE_OPTION: OptionSpec = {
  help: 'how a server shares its cores: processor sharing; first come, first served; foreground–background; a stack for each core',
  default: 'ps',
  choices: DISCIPLINE_NAMES,
};

/** The slice of Linux 6.6 on 8 CPUs or more: 0.75 ms × (1 + log2 8). */
const QUANTUM_MS = 3;

/** What a policy with servers asks for; `serversFor` reads it. */
export const SHARING_OPTIONS: OptionSpecs = {
  discipline: DISCIPLINE_OPTION,
  quantum: {
    help: 'of ps and fb: time that a core stays with a job while others wait, ms; 0: as short as can be, with free switching',
    default: QUANTUM_MS,
    min: 0,
    max: 1e6,
  },
};

export interface Sharing {
  readonly quantumUs?: number;
  /** Each core is a server of its own to the policy and has its own queue; server s has those from s × coreCount on. Memory is shared all the same. */
  readonly coresApart?: boolean;
}

export function serversOf(
  discipline: Discipline,
  world: World,
  ended: ServersSetup['ended'],
  { quantumUs = QUANTUM_MS * 1e3, coresApart = false }: Sharing = {},
): Servers {
  const make: ((setup: ServersSetup) => Servers) | undefined = DISCIPLINES[discipline];
  assert(make !== undefined, `${discipline}: no such discipline`);
  if (coresApart) refuseSeveral(world, 'A queue for each core');
  refuseTooLarge(world);
  const { serverCount, coreCount } = world.cluster;
  const setup = {
    world,
    serverCount: coresApart ? serverCount * coreCount : serverCount,
    coreCount: coresApart ? 1 : coreCount,
    instances: world.hasColdStarts ? new Instances(world, coresApart ? coreCount : 1) : null,
    quantumUs,
    ended,
  };
  return world.faults === null ? make(setup) : new FailingServers(make(setup), setup, world.faults);
}

/** For a policy that has `SHARING_OPTIONS`. */
export function serversFor(options: OptionValues, world: World, ended: ServersSetup['ended']): Servers {
  const quantumUs = (options['quantum'] as number) * 1e3;
  return serversOf(options['discipline'] as Discipline, world, ended, { quantumUs });
}
