/** What runs jobs: all servers of a cluster, which share their cores in the same way (a *discipline*). One file for each discipline. */
import type { World } from '../world.ts';
import type { Instances } from './instances.ts';

/** A job is in the hands of the servers from `begin` or `resume` until it ends, is taken or is lost; `jobs.server` says where, and is theirs to write. */
export interface Servers {
  /** The job is there from now on: it runs, or waits for a core. What it costs to start it is done first, on its core. */
  begin(server: number, job: number): void;
  /** It was taken elsewhere and goes on here. If it had begun there, what a migration costs is done first, on its core, and no start. */
  resume(server: number, job: number): void;
  /** It is no longer there, and has had what it has had: it moves on, or its client has left. */
  take(server: number, job: number): void;
  /** Jobs that are there: they run, sleep or wait. */
  count(server: number): number;
  /** Cores that jobs of the server want beyond those that it has: these jobs wait, or share. */
  waiting(server: number): number;
  /** Cores of the server for which nobody is there. */
  idle(server: number): number;
  /** Whom the server would give away first, if others had room: one that has not begun if there is one, else one of those that wait or share. -1: nobody. */
  spare(server: number): number;
  /** Whether it has had a core; of one that is there, or was taken last. */
  hasBegun(job: number): boolean;
  /** Jobs of all servers that want a core and have none; where they share, cores that are wanted and lacking. */
  readonly waitingCount: number;
  /** From now on all that runs on the server takes so many times as long; 1: as usual. Sleep does not. */
  slow(server: number, factor: number): void;
  /** All that is there is lost, in the order of arrival; nothing is warm any more. */
  clear(server: number, lost: (job: number) => void): void;
}

export interface ServersSetup {
  readonly world: World;
  /** How many there are. */
  readonly serverCount: number;
  /** Of each. */
  readonly coreCount: number;
  /** Which instances are warm; null: all are, and a start costs nothing but `startUs`. */
  readonly instances: Instances | null;
  /** How long a core stays with a job while others wait; 0: as short as can be, and switching is free. */
  readonly quantumUs: number;
  /** The job has done all that it had to do, and its core is free. `world.finish` is for the policy to call. */
  readonly ended: (job: number, server: number) => void;
}

/** When it arrives: its core is held until its end is done too, so that is a part of its work. */
export function chargeEnd({ jobs, costs }: World, job: number): void {
  jobs.setLeftUs(job, jobs.leftUs(job) + costs.endUs);
}
