/** A thread that simulates what it is told, one after the other. The same set-up gives the same result in whichever thread. */
import { parentPort, workerData } from 'node:worker_threads';
import { simulate } from '../simulate.ts';
import { parseWorkload, setupOf, type SimulationSpec, SpecError } from '../spec.ts';
import type { Workload } from '../workload.ts';
import { policiesOf } from './policy-files.ts';
import type { Answer, ThreadData } from './batch.ts';

const { policyFiles, shares, index } = workerData as ThreadData;
const policies = await policiesOf(policyFiles);
let kept: { readonly text: string; readonly workload: Workload } | null = null;

/** A workload from a file takes long to read, and runs that follow each other mostly have the same. */
function workloadOf(text: string): Workload {
  if (kept?.text !== text) kept = { text, workload: parseWorkload(text) };
  return kept.workload;
}

function sampled(share: number): void {
  shares[index] = share;
}

function answerTo(spec: SimulationSpec): Answer {
  try {
    return { kind: 'result', result: simulate(setupOf(spec, { policies, workloadOf }), sampled) };
  } catch (error) {
    if (error instanceof SpecError) return { kind: 'error', message: error.message, details: '', isSpec: true };
    const message = error instanceof Error ? error.message : String(error);
    return { kind: 'error', message, details: error instanceof Error ? (error.stack ?? '') : '' };
  }
}

parentPort?.on('message', (spec: SimulationSpec) => {
  const answer = answerTo(spec);
  shares[index] = 0;
  parentPort?.postMessage(answer);
});
