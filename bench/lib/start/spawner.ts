/** Processes without a platform, started by `spawn-process.ts`, whose CPU time is counted. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type CpuMeter, makeCpuMeter } from '../cpu-time.ts';

const FILE = fileURLToPath(new URL('../spawn-process.ts', import.meta.url));

export class Spawner {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #meter: CpuMeter | null;

  constructor() {
    this.#meter = makeCpuMeter();
    const [file, ...args] = [...(this.#meter?.prefix ?? []), process.execPath, FILE];
    this.#child = spawn(file!, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  /** All at once: microseconds until each had printed its first line, sorted. Resolves when all have ended. */
  async run(commands: readonly (readonly string[])[]): Promise<readonly number[]> {
    this.#child.stdin!.write(JSON.stringify(commands) + '\n');
    const line = await this.#lines.next();
    if (line.done === true) throw new Error('a process did not run, see above');
    return JSON.parse(line.value) as number[];
  }

  cpuUs(): number {
    return this.#meter?.usedUs() ?? NaN;
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.stdin!.end();
    await ended;
    await this.#meter?.close();
  }
}
