/** `perch/sim`: what a policy of one's own may use (docs/SIMULATOR.md). */
export { Random } from './engine/random.ts';
export type { Lane } from './engine/lane.ts';
export type { OptionSpec, OptionSpecs, OptionValues, Policy, PolicyKind } from './policy.ts';
export { type Discipline, serversFor, serversOf, SHARING_OPTIONS } from './servers/disciplines.ts';
export { Instances } from './servers/instances.ts';
export type { Servers } from './servers/servers.ts';
export type { World } from './world.ts';
