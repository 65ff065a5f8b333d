/** Runs one chain, by the platform's own chains where it has them. */
import { CHAIN_BUILDS, PIPELINES, type Pipeline, functionName } from './pipelines.ts';
import type { ExperimentPlatform } from './platform.ts';
import type { ChainPayload, ChainRun } from './records.ts';

type AnyBuild = (typeof CHAIN_BUILDS)[number];

export interface ChainCall {
  readonly pipeline: Pipeline;
  readonly build: AnyBuild;
  readonly kind: string;
  readonly payload: ChainPayload;
}

function chainName(pipeline: Pipeline, build: AnyBuild): string {
  return `sleepy-${pipeline.name}-${build}`;
}

export async function createChains(platform: ExperimentPlatform): Promise<void> {
  for (const pipeline of PIPELINES) {
    for (const build of CHAIN_BUILDS) {
      const functions = pipeline.steps.map((step) => functionName(step, build));
      await platform.createChain(chainName(pipeline, build), functions);
    }
  }
}

export async function runChain(
  platform: ExperimentPlatform,
  call: ChainCall,
): Promise<ChainRun & { readonly key: string }> {
  const triggerUs = nowUs();
  const answer = platform.invokeChain === null ? await stepByStep(platform, call) : await asOne(platform, call);
  return { kind: call.kind, triggerUs, answeredUs: nowUs(), steps: answer.steps, key: answer.key };
}

function asOne(platform: ExperimentPlatform, { pipeline, build, payload }: ChainCall): Promise<ChainPayload> {
  return platform.invokeChain!(chainName(pipeline, build), payload) as Promise<ChainPayload>;
}

/** The harness is the chain: each step costs a way out of the platform and back. */
async function stepByStep(
  platform: ExperimentPlatform,
  { pipeline, build, payload }: ChainCall,
): Promise<ChainPayload> {
  let at = payload;
  for (const step of pipeline.steps) at = (await platform.invoke(functionName(step, build), at)) as ChainPayload;
  return at;
}

function nowUs(): number {
  return Number(process.hrtime.bigint()) / 1000;
}
