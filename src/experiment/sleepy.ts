/**
 * The second paper's experiment (Mvondo, Barbalace, Tchana, Muller: *Tell me when you are sleepy and what may wake you up!*, SoCC '21,
 * section 2): chains of functions on one server, more and more of them at once.
 *
 * Rounds are interleaved: each round has every setting once, in an order that the next round turns by one, on a platform of its own. What
 * is reported of a setting is the median of its rounds, number by number.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type BurstMetrics, BurstRunner } from './burst.ts';
import { median } from './metrics.ts';
import { ObjectServer } from './object-server/object-server.ts';
import { type Build, PIPELINES, type Pipeline, functionName } from './pipelines.ts';
import type { ExperimentPlatform, PlatformStarter } from './platform.ts';
import { type Latency, type Setting, argumentsOf, functionBuild } from './policies.ts';

export interface SleepyOptions {
  readonly chainCounts: readonly number[];
  readonly pipelines: readonly string[];
  readonly builds: readonly Build[];
  readonly latencies: readonly Latency[];
  readonly settings: readonly Setting[];
  readonly roundCount: number;
  /** Calls of a short function a second, beside every burst; 0: none. */
  readonly shortPerSecond: number;
  /** Small inputs: does it run? Its figures mean nothing. */
  readonly smoke: boolean;
}

export interface SleepyRow extends Setting {
  readonly pipeline: string;
  readonly build: Build;
  readonly latency: Latency;
  readonly chainCount: number;
  /** Medians, number by number. */
  readonly metrics: BurstMetrics;
  readonly rounds: readonly BurstMetrics[];
}

export interface SleepyResult {
  readonly rows: readonly SleepyRow[];
  readonly coreCount: number;
  /** Who led from step to step. */
  readonly chainsBy: 'platform' | 'harness';
  /** Settings that could not be measured, and why. */
  readonly skipped: readonly string[];
}

interface Case {
  readonly pipeline: string;
  readonly build: Build;
  readonly latency: Latency;
  readonly chainCount: number;
}

/** A function is called alone before it is in a burst. Who comes before there is a cell for it would have it in processes that each initialise themselves. */
const FIRST_CALL_MS = 500;
/** So many chains for each core warm every instance that the densest policy may use at once. */
const WARM_CHAINS_PER_CORE = 12;
/** Functions and platforms run for long as a rule: what their compilers do in the first seconds is not what is looked for. */
const WARM_BURSTS = 12;
/** Some hundred short calls, at 20 a second: the slowest of a hundred is more than one of a dozen. */
const WITH_SHORT_MS = 20_000;

type Say = (text: string) => void;

export async function runSleepy(options: SleepyOptions, starter: PlatformStarter, say: Say): Promise<SleepyResult> {
  const settings = options.settings.filter((setting) => !(argumentsOf(setting, starter) instanceof Error));
  const skipped = options.settings
    .map((setting) => argumentsOf(setting, starter))
    .filter((each) => each instanceof Error);
  const objects = await ObjectServer.start();
  const session = new Session(options, starter, objects);
  try {
    for (let round = 0; round < options.roundCount; round++) {
      for (let turn = 0; turn < settings.length; turn++) {
        await session.run(settings[(round + turn) % settings.length]!, (text) => say(`round ${round + 1}: ${text}`));
      }
    }
  } finally {
    await objects.stop();
  }
  return session.result([...new Set(skipped.map((error) => error.message))]);
}

async function callEachAlone(platform: ExperimentPlatform, { steps }: Pipeline, build: Build | 'hint'): Promise<void> {
  for (const step of steps) {
    await platform.invoke(functionName(step, build), {});
    await sleep(FIRST_CALL_MS);
  }
}

class Session {
  readonly #options: SleepyOptions;
  readonly #starter: PlatformStarter;
  readonly #objects: ObjectServer;
  readonly #rows = new Map<string, { setting: Setting; measured: Case; rounds: BurstMetrics[] }>();
  #coreCount = 0;
  #chainsBy: SleepyResult['chainsBy'] = 'harness';

  constructor(options: SleepyOptions, starter: PlatformStarter, objects: ObjectServer) {
    this.#options = options;
    this.#starter = starter;
    this.#objects = objects;
  }

  /** Every case on one platform that is set up so. */
  async run(setting: Setting, say: Say): Promise<void> {
    const args = argumentsOf(setting, this.#starter);
    if (args instanceof Error) throw args;
    const name = `${setting.policy}, ${setting.source}`;
    say(`${name}: starting a platform`);
    const platform = await this.#starter.start(args);
    try {
      this.#coreCount = platform.cores.length;
      this.#chainsBy = platform.invokeChain === null ? 'harness' : 'platform';
      const runner = new BurstRunner(platform, this.#objects, this.#options.smoke);
      await runner.prepare();
      for (const [pipeline, build] of product(this.#options.pipelines, this.#options.builds)) {
        const { shortPerSecond } = this.#options;
        const warm = {
          pipeline: pipelineOf(pipeline),
          build,
          source: setting.source,
          latency: 'none',
          shortPerSecond,
          lastsMs: 0,
        } as const;
        say(`${name}: warming ${pipeline}, ${build}`);
        if (!this.#options.smoke)
          await callEachAlone(platform, pipelineOf(pipeline), functionBuild(build, setting.source));
        const chainCount = Math.min(WARM_CHAINS_PER_CORE * this.#coreCount, Math.max(...this.#options.chainCounts));
        const burstCount = this.#options.smoke ? 1 : WARM_BURSTS;
        for (let burst = 0; burst < burstCount; burst++) await runner.run({ ...warm, chainCount });
        // Where only sleepers' cores are lent, nobody is lent any as long as nobody sleeps: the most instances are there after a burst like the greatest.
        if (!this.#options.smoke)
          await runner.run({ ...warm, ...this.#casesOf(pipeline, build).at(-1)!, pipeline: warm.pipeline });
        for (const measured of this.#casesOf(pipeline, build)) {
          say(`${name}: ${measured.chainCount} × ${pipeline}, ${build}, ${measured.latency}`);
          const lastsMs = shortPerSecond > 0 && !this.#options.smoke ? WITH_SHORT_MS : 0;
          const { metrics } = await runner.run({ ...warm, ...measured, pipeline: warm.pipeline, lastsMs });
          this.#keep(setting, measured, metrics);
        }
      }
    } finally {
      await platform.stop();
    }
  }

  #casesOf(pipeline: string, build: Build): readonly Case[] {
    return product(this.#options.latencies, this.#options.chainCounts).map(([latency, chainCount]) => ({
      pipeline,
      build,
      latency,
      chainCount,
    }));
  }

  #keep(setting: Setting, measured: Case, metrics: BurstMetrics): void {
    const key = JSON.stringify([setting, measured]);
    const row = this.#rows.get(key) ?? { setting, measured, rounds: [] };
    row.rounds.push(metrics);
    this.#rows.set(key, row);
  }

  result(skipped: readonly string[]): SleepyResult {
    const rows = [...this.#rows.values()].map(({ setting, measured, rounds }) => ({
      ...setting,
      ...measured,
      metrics: medians(rounds),
      rounds,
    }));
    return { rows, coreCount: this.#coreCount, chainsBy: this.#chainsBy, skipped };
  }
}

function medians(rounds: readonly BurstMetrics[]): BurstMetrics {
  const names = Object.keys(rounds[0]!) as (keyof BurstMetrics)[];
  const values = names.map((name) => [name, median(rounds.map((round) => round[name]))] as const);
  return Object.fromEntries(values) as Record<keyof BurstMetrics, number>;
}

function pipelineOf(name: string): (typeof PIPELINES)[number] {
  return PIPELINES.find((pipeline) => pipeline.name === name)!;
}

function product<A, B>(first: readonly A[], second: readonly B[]): readonly (readonly [A, B])[] {
  return first.flatMap((a) => second.map((b) => [a, b] as const));
}
