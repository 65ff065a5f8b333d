/** Runs the open-loop client in a process of its own, so that it neither waits for the benchmark nor it for the client. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { OpenLoopResult } from './open-loop.ts';

const OPEN_LOOP = fileURLToPath(new URL('open-loop.ts', import.meta.url));

/** Requests of the first moments meet cold caches and connections: those of the first second are sent and not counted. */
const WARM_UP_SECONDS = 1;

/** `cpu` null: on any. Throws where a request failed: a latency of errors is no result. */
export async function runOpenLoop(
  url: string,
  load: { rate: number; seconds: number; cpu: number | null; warmUpSeconds?: number },
): Promise<OpenLoopResult> {
  const { warmUpSeconds = WARM_UP_SECONDS } = load;
  const command = [process.execPath, OPEN_LOOP, url, ...[load.rate, load.seconds, warmUpSeconds].map(String)];
  const [file, ...args] = load.cpu === null ? command : ['taskset', '-c', String(load.cpu), ...command];
  const { stdout } = await promisify(execFile)(file!, args);
  const result = JSON.parse(stdout) as OpenLoopResult;
  if (result.failed > 0) throw new Error(`${result.failed} requests failed`);
  return result;
}
