/** The scheduler of one machine as that of a cluster would be seen: one worker, one gateway. */
import { hostname } from 'node:os';
import type { CoreState } from '../machine/scheduler.ts';
import { COUNTER_NAMES } from '../machine/counters.ts';
import type { LocalScheduler } from './local.ts';
import { type ClusterView, type ExtraSeatCounts, noExtraSeats } from './view.ts';

const GRANTS = COUNTER_NAMES.filter((name) => name.startsWith('grant'));

interface Local {
  /** When it began, ms since 1970. */
  readonly sinceMs: number;
  readonly memoryMb: number;
  readonly versionCount: number;
}

type CoreCounts = Record<CoreState, number>;

export function localCores(scheduler: LocalScheduler): CoreCounts {
  const cores = { idle: 0, leased: 0, withdrawn: 0, absent: 0 };
  for (let core = 0; core < scheduler.coreCount; core++) cores[scheduler.stateOf(core)]++;
  return cores;
}

export function localExtraSeats(scheduler: LocalScheduler): ExtraSeatCounts {
  const counts = noExtraSeats();
  for (let seat = scheduler.coreCount; seat < scheduler.seatCount; seat++) {
    counts.count++;
    const state = scheduler.stateOf(seat);
    if (state === 'leased') counts.leased++;
    else if (state === 'idle') counts.open++;
  }
  return counts;
}

export function localView(scheduler: LocalScheduler, { sinceMs, memoryMb, versionCount }: Local): ClusterView {
  const { machine, coreCount } = scheduler;
  const cores = localCores(scheduler);
  const extraSeats = localExtraSeats(scheduler);
  const memoryFreeMb = machine.workers.unreserved(machine.workers.homeOf(0));
  const waiting = machine.queue.length;
  return {
    epoch: machine.epoch,
    queueLength: waiting,
    collectedCount: 0,
    versionCount,
    grantsTotal: GRANTS.reduce((sum, name) => sum + machine.count(name), 0),
    cores,
    extraSeats,
    workers: [
      {
        name: hostname(),
        state: 'joined',
        host: '',
        port: 0,
        firstCore: 0,
        coreCount,
        cores,
        extraSeats,
        memoryMb,
        memoryFreeMb,
        sinceMs,
      },
    ],
    gateways: [{ name: hostname(), waiting, running: machine.leasedCount, sinceMs }],
    provisioned: [],
  };
}
