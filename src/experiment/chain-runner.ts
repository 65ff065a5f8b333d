/** Runs one chain, by the platform's own chains where it has them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { CHAIN_BUILDS, PIPELINES, type Pipeline, functionName } from './pipelines.ts';
import type { ExperimentPlatform } from './platform.ts';
import type { ChainPayload, ChainRun } from './records.ts';

const RETRY_MS = 50;

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
  let refusedCount = 0;
  for (;;) {
    const asked = platform.invokeChain === null ? stepByStep(platform, call) : asOne(platform, call);
    const answer = await asked;
    if (answer !== null) {
      const { steps, key } = answer;
      return { kind: call.kind, triggerUs, answeredUs: nowUs(), steps, key, refusedCount };
    }
    // As its client would. A chain is refused before its first step, so nothing is done twice.
    refusedCount++;
    await sleep(RETRY_MS);
  }
}

function asOne(platform: ExperimentPlatform, { pipeline, build, payload }: ChainCall): Promise<ChainPayload | null> {
  return platform.invokeChain!(chainName(pipeline, build), payload) as Promise<ChainPayload | null>;
}

/** The harness is the chain: each step costs a way out of the platform and back. */
async function stepByStep(
  platform: ExperimentPlatform,
  { pipeline, build, payload }: ChainCall,
): Promise<ChainPayload | null> {
  let at = payload;
  for (const step of pipeline.steps) {
    const answer = (await platform.invoke(functionName(step, build), at)) as ChainPayload | null;
    if (answer === null) return null;
    at = answer;
  }
  return at;
}

function nowUs(): number {
  return Number(process.hrtime.bigint()) / 1000;
}
