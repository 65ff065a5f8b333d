/** The ways in which a server may share its cores, by name. */
import { assert } from '../../base/assert.ts';
import type { OptionSpec } from '../policy.ts';
import type { World } from '../world.ts';
import { FirstCome } from './first-come.ts';
import { Instances } from './instances.ts';
import { ProcessorSharing } from './processor-sharing.ts';
import type { Servers, ServersSetup } from './servers.ts';

const DISCIPLINES = {
  ps: (setup: ServersSetup): Servers => new ProcessorSharing(setup),
  fcfs: (setup: ServersSetup): Servers => new FirstCome(setup),
};

export type Discipline = keyof typeof DISCIPLINES;
export const DISCIPLINE_NAMES: readonly Discipline[] = Object.keys(DISCIPLINES) as Discipline[];

export const DISCIPLINE_OPTION: OptionSpec = {
  help: 'how a server shares its cores: processor sharing, or first come first served',
  default: 'ps',
  choices: DISCIPLINE_NAMES,
};

export function serversOf(discipline: Discipline, world: World, ended: ServersSetup['ended']): Servers {
  const make = DISCIPLINES[discipline];
  assert(make !== undefined, `${discipline}: no such discipline`);
  return make({ world, instances: world.hasColdStarts ? new Instances(world) : null, ended });
}
