/** The machine and the Node that a benchmark ran on, in one line. */
import { availableParallelism, cpus, totalmem } from 'node:os';

export function describeMachine(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown CPU';
  const memoryGb = Math.round(totalmem() / 1024 ** 3);
  return `${availableParallelism()} × ${model}, ${memoryGb} GB, ${process.platform}, node ${process.version}`;
}
