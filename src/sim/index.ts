/** `perch/sim`: what a policy of one's own may use (docs/SIMULATOR.md). */
export { type Discipline, DISCIPLINE_OPTION, serversOf } from './servers/disciplines.ts';
export { Instances } from './servers/instances.ts';
export type { Servers } from './servers/servers.ts';
export type { Lane } from './engine/lane.ts';
export { Random } from './engine/random.ts';
export type { OptionSpec, OptionValues, Policy, PolicyKind } from './policy.ts';
export type { World } from './world.ts';
