/** What runs jobs: all servers of a cluster, which share their cores in the same way (a *discipline*). One file for each discipline. */
import type { Jobs } from '../jobs.ts';
import type { World } from '../world.ts';
import type { Instances } from './instances.ts';

export interface Servers {
  /** The job is there from now on: it runs, or waits for a core. What it costs to start it is done first, on its core. */
  begin(server: number, job: number): void;
  /** It is no longer there, and has had what it has had: it moves on, or its client has left. */
  take(server: number, job: number): void;
  /** Jobs that are there: they run, sleep or wait. */
  count(server: number): number;
  /** Jobs of all servers that want a core and share none. */
  readonly waitingCount: number;
  /** All that is there is lost, in the order of arrival. */
  clear(server: number, lost: (job: number) => void): void;
}

export interface ServersSetup {
  readonly world: World;
  /** Which instances are warm; null: all are, and a start costs nothing but `startUs`. */
  readonly instances: Instances | null;
  /** The job has done all that it had to do, and its core is free. `world.finish` is for the policy to call. */
  readonly ended: (job: number, server: number) => void;
}

/** Prepares a job that begins at a server: what its start costs goes before its first phase. */
export function chargeStart({ world, instances }: ServersSetup, server: number, job: number): void {
  const { jobs, costs } = world;
  let costUs = costs.startUs;
  if (instances !== null && !instances.take(server, jobs.functionOf[job]!)) {
    const { initUs } = world.workload.functions[jobs.functionOf[job]!]!;
    costUs += initUs >= 0 ? initUs : costs.coldStartUs;
    world.counters.coldStarts++;
  }
  jobs.leftUs[job]! += costUs;
}

/** Its server is gone. */
export function forget(jobs: Jobs, job: number, lost: (job: number) => void): void {
  jobs.server[job] = -1;
  jobs.restart(job);
  lost(job);
}
