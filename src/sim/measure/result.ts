/** What is reported of one simulation: plain data, for tables, JSON, CSV and plots. Nothing in it depends on the machine it ran on. */
import type { Policy } from '../policy.ts';
import type { Setup } from '../simulate.ts';
import type { World } from '../world.ts';
import { DEMAND_CLASSES, type Moment } from './recorder.ts';
import type { Samples } from './samples.ts';

export interface Distribution {
  readonly count: number;
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export interface Result {
  readonly policy: string;
  readonly options: Readonly<Record<string, number | string>>;
  readonly workload: string;
  readonly serverCount: number;
  /** Of each server. */
  readonly coreCount: number;
  readonly load: number | null;
  readonly seed: number;
  readonly traceHash: string;
  readonly eventCount: number;
  /** Virtual time that was simulated. */
  readonly seconds: number;
  readonly arrived: number;
  readonly refused: number;
  readonly lost: number;
  /** Times that one was run again after it was lost. */
  readonly retried: number;
  /** Share of all servers' time in which they were down, or nothing got through to them. */
  readonly unavailable: number;
  /** Counted, and not at their end when it stopped: the cluster cannot bear the load, and nothing that is said of latency holds. */
  readonly unfinished: number;
  readonly slowdown: Distribution;
  readonly latencyUs: Distribution;
  readonly waitUs: Distribution;
  readonly startUs: Distribution;
  /** Of chains of several steps; null: there were none. */
  readonly chainUs: Distribution | null;
  readonly betweenUs: Distribution | null;
  /** Slowdown by what a job needs of a core. */
  readonly byDemand: readonly { readonly name: string; readonly slowdown: Distribution }[];
  /** Share of the cores at work. */
  readonly utilisation: number;
  readonly waitingMean: number;
  readonly waitingMax: number;
  /** By a name that people read. */
  readonly counters: Readonly<Record<string, number>>;
  /** (slowdown, share of jobs at or below it). */
  readonly slowdownPoints: readonly (readonly [number, number])[];
  readonly moments: readonly Moment[];
}

const POINT_COUNT = 120;

export function resultOf(setup: Setup, world: World, policy: Policy): Result {
  const { recorder, engine } = world;
  return {
    policy: setup.policy.name,
    options: setup.options,
    workload: setup.workload.name,
    serverCount: setup.cluster.serverCount,
    coreCount: setup.cluster.coreCount,
    load: setup.load,
    seed: setup.seed,
    traceHash: engine.hash.toString(),
    eventCount: engine.eventCount,
    seconds: engine.nowUs / 1e6,
    arrived: recorder.arrivedCount,
    refused: recorder.refusedCount,
    lost: recorder.lostCount,
    retried: recorder.retriedCount,
    unavailable: world.faults?.unavailableShare(engine.nowUs) ?? 0,
    unfinished: recorder.openCount,
    slowdown: distributionOf(recorder.slowdown),
    latencyUs: distributionOf(recorder.latencyUs),
    waitUs: distributionOf(recorder.waitUs),
    startUs: distributionOf(recorder.startUs),
    chainUs: recorder.chainUs.count === 0 ? null : distributionOf(recorder.chainUs),
    betweenUs: recorder.betweenUs.count === 0 ? null : distributionOf(recorder.betweenUs),
    byDemand: DEMAND_CLASSES.map(({ name }, i) => ({ name, slowdown: distributionOf(recorder.byDemand[i]!) })),
    utilisation: recorder.utilisation(engine.nowUs),
    waitingMean: recorder.waitingMean,
    waitingMax: recorder.waitingMax,
    counters: {
      'cold starts': world.counters.coldStarts,
      migrations: world.counters.migrations,
      preemptions: world.counters.preemptions,
      messages: world.counters.messages,
      ...world.faults?.counters(),
      ...policy.counters?.(),
    },
    slowdownPoints: recorder.slowdown.points(POINT_COUNT),
    moments: recorder.moments,
  };
}

function distributionOf(samples: Samples): Distribution {
  return {
    count: samples.count,
    mean: samples.mean,
    p50: samples.quantile(0.5),
    p90: samples.quantile(0.9),
    p99: samples.quantile(0.99),
    p999: samples.quantile(0.999),
    max: samples.max,
  };
}
