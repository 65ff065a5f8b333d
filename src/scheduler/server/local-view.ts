/** The scheduler of one machine as that of a cluster would be seen: one worker, one gateway. */
import { hostname } from 'node:os';
import { COUNTER_NAMES } from '../machine/counters.ts';
import type { LocalScheduler } from './local.ts';
import type { ClusterView } from './view.ts';

const GRANTS = COUNTER_NAMES.filter((name) => name.startsWith('grant'));

interface Local {
  /** When it began, ms since 1970. */
  readonly sinceMs: number;
  readonly memoryMb: number;
  readonly versionCount: number;
}

/** Of its cores; the extra seats are not shown. */
export function localView(scheduler: LocalScheduler, { sinceMs, memoryMb, versionCount }: Local): ClusterView {
  const { machine, coreCount } = scheduler;
  const cores = { idle: 0, leased: 0, withdrawn: 0, absent: 0 };
  for (let core = 0; core < coreCount; core++) cores[scheduler.stateOf(core)]++;
  const memoryFreeMb = machine.workers.unreserved(machine.workers.homeOf(0));
  const waiting = machine.queue.length;
  return {
    epoch: machine.epoch,
    queueLength: waiting,
    collectedCount: 0,
    versionCount,
    grantsTotal: GRANTS.reduce((sum, name) => sum + machine.count(name), 0),
    cores,
    workers: [
      {
        name: hostname(),
        state: 'joined',
        host: '',
        port: 0,
        firstCore: 0,
        coreCount,
        cores,
        memoryMb,
        memoryFreeMb,
        sinceMs,
      },
    ],
    gateways: [{ name: hostname(), waiting, running: machine.leasedCount, sinceMs }],
    provisioned: [],
  };
}
