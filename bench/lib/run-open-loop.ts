/** Runs the open-loop client in a process of its own, so that it neither waits for the benchmark nor it for the client. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { OpenLoopResult } from './open-loop.ts';

const OPEN_LOOP = fileURLToPath(new URL('open-loop.ts', import.meta.url));

/** `cpu` null: on any. Throws where a request failed: a latency of errors is no result. */
export async function runOpenLoop(
  url: string,
  load: { rate: number; seconds: number; cpu: number | null },
): Promise<OpenLoopResult> {
  const command = [process.execPath, OPEN_LOOP, url, String(load.rate), String(load.seconds)];
  const [file, ...args] = load.cpu === null ? command : ['taskset', '-c', String(load.cpu), ...command];
  const { stdout } = await promisify(execFile)(file!, args);
  const result = JSON.parse(stdout) as OpenLoopResult;
  if (result.failed > 0) throw new Error(`${result.failed} requests failed`);
  return result;
}
