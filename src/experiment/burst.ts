/** One burst: all chains triggered at once, watched from outside, and every result checked. */
import { createChains, runChain } from './chain-runner.ts';
import { between, lookAt } from './counters.ts';
import { type ChainMetrics, measure } from './metrics.ts';
import type { ObjectServer } from './object-server/object-server.ts';
import type { ChainRun } from './records.ts';
import type { Build, Pipeline, PipelineInput } from './pipelines.ts';
import type { ExperimentPlatform } from './platform.ts';
import { type ShortCalls, callShort } from './short-calls.ts';
import { LATENCIES_US, type Latency, type Source, functionBuild } from './policies.ts';

export interface Burst {
  readonly pipeline: Pipeline;
  readonly build: Build;
  readonly source: Source;
  readonly latency: Latency;
  readonly chainCount: number;
  /** Calls of a short function beside it. */
  readonly shortPerSecond: number;
  /** As long as this every chain that has ended is followed by another. */
  readonly lastsMs: number;
}

export type BurstMetrics = ChainMetrics & ShortCalls;

export interface BurstResult {
  readonly metrics: BurstMetrics;
  readonly runs: readonly ChainRun[];
}

type Run = Awaited<ReturnType<typeof runChain>>;

const BUCKET = 'sleepy';

export class BurstRunner {
  readonly #platform: ExperimentPlatform;
  readonly #objects: ObjectServer;
  readonly #smoke: boolean;

  constructor(platform: ExperimentPlatform, objects: ObjectServer, smoke: boolean) {
    this.#platform = platform;
    this.#objects = objects;
    this.#smoke = smoke;
  }

  async prepare(): Promise<void> {
    if (this.#platform.invokeChain !== null) await createChains(this.#platform);
  }

  /** Throws where a chain fails, or answers something else than it should. */
  async run(burst: Burst): Promise<BurstResult> {
    const inputs = burst.pipeline.inputs(this.#smoke);
    await this.#objects.ask({ latencyUs: 0, clear: true });
    for (const { kind, body } of inputs) await this.#objects.put(inputPath(kind), body);
    await this.#objects.ask({ latencyUs: LATENCIES_US[burst.latency] });
    const sources = {
      platformPid: this.#platform.pid,
      cores: this.#platform.cores,
      objectServerUs: async () => (await this.#objects.ask({})).cpuUs,
    };
    const before = await lookAt(sources);
    let isOver = false;
    const short = callShort(this.#platform, burst.shortPerSecond, () => isOver);
    short.catch(() => undefined); // a chain that fails says more
    const all = Array.from({ length: burst.chainCount }, (_, index) => this.#runLine(burst, inputs, index));
    const runs = (await Promise.all(all).finally(() => (isOver = true))).flat();
    // One question for both: the log is told once.
    const { requests, cpuUs } = await this.#objects.ask({ latencyUs: 0 });
    const after = await lookAt({ ...sources, objectServerUs: () => Promise.resolve(cpuUs) });
    await this.#check(runs, inputs);
    const metrics = measure(runs, requests, between(before, after, this.#platform.cores.length));
    return { metrics: { ...metrics, ...(await short) }, runs };
  }

  /** One chain; beside short calls the next one when it has ended, for as long as it takes to have calls enough. */
  async #runLine(burst: Burst, inputs: readonly PipelineInput[], index: number): Promise<readonly Run[]> {
    const untilMs = performance.now() + burst.lastsMs;
    const runs: Run[] = [];
    do runs.push(await this.#runOne(burst, inputs, index + runs.length * burst.chainCount));
    while (performance.now() < untilMs);
    return runs;
  }

  #runOne(burst: Burst, inputs: readonly PipelineInput[], index: number): Promise<Run> {
    const { kind } = inputs[index % inputs.length]!;
    const payload = {
      host: '127.0.0.1',
      port: this.#objects.port,
      bucket: BUCKET,
      chain: String(index),
      key: inputKey(kind),
      steps: [],
    };
    const build = functionBuild(burst.build, burst.source);
    return runChain(this.#platform, { pipeline: burst.pipeline, build, kind, payload });
  }

  async #check(runs: readonly Run[], inputs: readonly PipelineInput[]): Promise<void> {
    for (const run of runs) {
      const { expected } = inputs.find((input) => input.kind === run.kind)!;
      const found = await this.#objects.get(`/${BUCKET}/${run.key}`);
      if (!found.equals(expected)) throw new Error(`a chain wrote something else than it should to '${run.key}'`);
    }
  }
}

function inputKey(kind: string): string {
  return `input-${kind.replaceAll(' ', '-')}`;
}

function inputPath(kind: string): string {
  return `/${BUCKET}/${inputKey(kind)}`;
}
