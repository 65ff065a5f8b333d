/** A real process on a host: its ready line, what it wrote, and what can be done to it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { descendantProcesses } from '../../../src/worker/sandbox/affinity.ts';
import { startTime } from '../../../src/worker/sandbox/identity.ts';
import { namespaceFile } from './namespaces.ts';

const MAIN = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url));
/** Far beyond what it takes on a busy machine. */
const READY_MS = 60_000;
const STDERR_KEPT_CHARACTERS = 64_000;

export interface ProcessOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Its time of day differs by so many seconds; its monotonic clock does not. */
  readonly clockOffsetS?: number;
  /** Another program than perch, with its arguments in `args`; it has to write a line of JSON when it is ready. */
  readonly program?: string;
}

export class HostProcess {
  readonly pid: number;
  /** Its line of JSON when it was ready. */
  ready: Readonly<Record<string, any>> = {};
  readonly exited: Promise<number | null>;
  readonly #child: ChildProcess;
  readonly #name: string;
  readonly #started: number;
  #stderr = '';

  constructor(namespace: string, args: readonly string[], options: ProcessOptions) {
    const { clockOffsetS = 0, env = {}, program } = options;
    const words = [
      // Dies with the test, whatever ends it.
      'setpriv',
      '--pdeathsig=KILL',
      // `ip netns exec` would hide the cgroups with a new /sys.
      'nsenter',
      `--net=${namespaceFile(namespace)}`,
      ...(clockOffsetS === 0 ? [] : ['env', ...otherClock(clockOffsetS)]),
      ...(program === undefined ? [process.execPath, MAIN] : [program]),
      ...args,
    ];
    const [command, ...rest] = words as [string, ...string[]];
    this.#name = args.slice(0, 4).join(' ');
    this.#child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    this.pid = this.#child.pid ?? 0;
    this.#started = startTime(this.pid);
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString()).slice(-STDERR_KEPT_CHARACTERS);
    });
    this.exited = once(this.#child, 'exit').then(([code]) => {
      if (clockOffsetS !== 0) removeClockFiles(this.pid);
      return code as number | null;
    });
  }

  async untilReady(): Promise<this> {
    const lines = createInterface({ input: this.#child.stdout! });
    const tooLate = setTimeout(() => this.#signal('SIGKILL'), READY_MS);
    const [line] = (await Promise.race([once(lines, 'line'), this.exited.then(() => [null])])) as [string | null];
    clearTimeout(tooLate);
    if (line === null) throw new Error(`'${this.#name}' did not start:\n${this.#stderr}`);
    this.ready = JSON.parse(line) as Record<string, unknown>;
    lines.resume();
    return this;
  }

  get isRunning(): boolean {
    return this.pid !== 0 && startTime(this.pid) === this.#started && this.#started !== 0;
  }

  stderr(): string {
    return this.#stderr;
  }

  /** At once, its sandboxes as they may: `kill -9`. */
  async kill(): Promise<void> {
    this.#signal('SIGKILL');
    await this.exited;
  }

  /** Asks it to stop; its exit code. */
  async stop(): Promise<number | null> {
    this.#signal('SIGTERM');
    return this.exited;
  }

  /** It does nothing at all from now on, and its connections stand. */
  pause(): void {
    this.#signal('SIGSTOP');
  }

  resume(): void {
    this.#signal('SIGCONT');
  }

  /** It and all that it has started, and what those have. */
  tree(): number[] {
    return this.isRunning ? descendantProcesses(this.pid) : [];
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.isRunning) process.kill(this.pid, signal);
  }
}

/** What faketime sets; the program itself would stand between the signals and the process. */
function otherClock(offsetS: number): string[] {
  const offset = offsetS < 0 ? String(offsetS) : `+${offsetS}`;
  return ['LD_PRELOAD=/usr/$LIB/faketime/libfaketime.so.1', `FAKETIME=${offset}`, 'DONT_FAKE_MONOTONIC=1'];
}

/** A process that is killed leaves them. */
function removeClockFiles(pid: number): void {
  for (const name of ['faketime_shm', 'sem.faketime_sem']) rmSync(`/dev/shm/${name}_${pid}`, { force: true });
}
