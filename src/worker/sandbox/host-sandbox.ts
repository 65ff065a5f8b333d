/**
 * A sandbox whose instance is a child process of the platform: what bubblewrap and none have in common. From spawn to
 * the last process' death:
 *
 *   running ──kill() or child's exit──▶ ending: SIGKILL to whatever is left, again until nothing is
 *           ──nothing left──▶ drained: the output is read (for a short while), the cgroup is released
 *           ──▶ gone: onExit, once
 */
import type { ChildProcess } from 'node:child_process';
import { PassThrough, type Readable, type Writable } from 'node:stream';
import { descendantProcesses, descendantTasks } from './affinity.ts';
import type { Cgroup } from './cgroup/cgroup.ts';
import { killProcesses } from './cgroup/folder.ts';
import type { ExitReason, Sandbox, SandboxTasks } from './contract.ts';
import { memoryHighWaterBytes } from './memory.ts';
import { Placement } from './placement.ts';
import { delay, drained, ignore } from './streams.ts';

const STDERR_HEAD_BYTES = 2048;
const POLL_MS_MAX = 16;

/** How the child ended, as far as the backend needs it to give the reason. */
export interface ChildExit {
  readonly code: number | null;
  readonly signal: string | null;
  /** The first output to descriptor 2: where it did not come to life, this says why. */
  readonly stderrHead: string;
}

export interface HostSandboxOptions {
  readonly child: ChildProcess;
  readonly cgroup: Cgroup | undefined;
  readonly cpus: readonly number[];
  /** Streams of the child whose end must be seen before `reasonOf` is asked. */
  readonly statusStreams: readonly Readable[];
  /** The reason, out-of-memory and kills by us left aside. */
  readonly reasonOf: (exit: ChildExit) => ExitReason;
  /** Without a cgroup: processes that may outlive the child, as arguments of kill(2). */
  readonly stragglers: () => readonly number[];
}

export function startHostSandbox(options: HostSandboxOptions): Sandbox {
  const { child } = options;
  // Out of descriptors or processes, Node answers with a child that has no id, and perhaps no streams.
  if (child.pid !== undefined) return new HostSandbox(options, child.pid);
  const failed = new FailedSandbox();
  child.on('error', (error) => failed.end(`the sandbox could not be started: ${error.message}`));
  return failed;
}

/** A sandbox that never was, for what goes wrong before there is a process. */
export function failedSandbox(message: string): Sandbox {
  const failed = new FailedSandbox();
  process.nextTick(() => failed.end(message));
  return failed;
}

class HostSandbox implements Sandbox {
  readonly channel: Writable;
  readonly answers: Readable;
  readonly output: readonly Readable[];
  readonly #options: HostSandboxOptions;
  readonly #processId: number;
  readonly #placement: Placement;
  readonly #listeners: ((reason: ExitReason) => void)[] = [];
  #stderrHead = '';
  #killed = false;
  #oomBeforeKill = false;
  #childGone = false;
  #gone = false;
  #memoryPeakBytes = 0;

  constructor(options: HostSandboxOptions, processId: number) {
    const { child } = options;
    this.#options = options;
    this.#processId = processId;
    this.channel = child.stdio[3] as Writable;
    this.answers = child.stdio[4] as Readable;
    this.output = [child.stdout as Readable, child.stderr as Readable];
    for (const stream of child.stdio) stream?.on('error', ignore);
    child.on('error', ignore);
    this.output[1]?.on('data', this.#keepHead);
    this.#placement = new Placement(() => this.#taskIds());
    if (options.cpus.length > 0) this.#placement.pin(options.cpus);
    child.once('exit', (code, signal) => {
      this.#childGone = true;
      void this.#end(code, signal);
    });
  }

  pin(cpus: readonly number[]): boolean {
    return !this.#childGone && this.#placement.pin(cpus);
  }

  place(cpus: readonly number[], isBackground: boolean): boolean {
    return !this.#childGone && this.#placement.place(cpus, isBackground);
  }

  background(isBackground: boolean): boolean {
    return !this.#childGone && this.#placement.background(isBackground);
  }

  goFirst(): boolean {
    return !this.#childGone && this.#placement.goFirst();
  }

  tasks(): SandboxTasks {
    const { cgroup } = this.#options;
    const processIds = (): readonly number[] => cgroup?.processIds() ?? descendantProcesses(this.#processId);
    return { cgroup: cgroup?.unifiedFolder || null, processIds };
  }

  /** Without a cgroup nothing is done: stopping by signals shows, and misses what is being forked. */
  freeze(): void {
    if (!this.#killed && !this.#childGone) this.#options.cgroup?.freeze();
  }

  thaw(): void {
    if (!this.#childGone) this.#options.cgroup?.thaw();
  }

  kill(): void {
    if (this.#killed || this.#childGone) return;
    this.#killed = true;
    const { cgroup, child } = this.#options;
    this.#oomBeforeKill = (cgroup?.oomKillCount() ?? 0) > 0;
    // Without a cgroup the children are known only as long as their parent lives.
    if (cgroup === undefined) {
      child.kill('SIGSTOP');
      killProcesses(descendantProcesses(this.#processId));
    }
    child.kill('SIGKILL');
    cgroup?.killAll();
  }

  retire(): void {
    this.kill();
  }

  memoryPeakBytes(): number {
    if (!this.#gone) this.#memoryPeakBytes = Math.max(this.#memoryPeakBytes, this.#readPeak());
    return this.#memoryPeakBytes;
  }

  onExit(listener: (reason: ExitReason) => void): void {
    this.#listeners.push(listener);
  }

  #taskIds(): readonly number[] {
    const ids = this.#options.cgroup?.taskIds() ?? [];
    return ids.length > 0 ? ids : descendantTasks(this.#processId);
  }

  #readPeak(): number {
    const { cgroup } = this.#options;
    const fromCgroup = cgroup?.memoryPeakBytes() ?? 0;
    if (fromCgroup > 0 || this.#childGone) return fromCgroup;
    return descendantProcesses(this.#processId).reduce((sum, id) => sum + memoryHighWaterBytes(id), 0);
  }

  readonly #keepHead = (chunk: Buffer): void => {
    this.#stderrHead += chunk.toString('utf8');
    if (this.#stderrHead.length < STDERR_HEAD_BYTES) return;
    this.#stderrHead = this.#stderrHead.slice(0, STDERR_HEAD_BYTES);
    this.output[1]?.off('data', this.#keepHead);
  };

  async #end(code: number | null, signal: string | null): Promise<void> {
    await this.#killLeftovers();
    const { cgroup, statusStreams, reasonOf } = this.#options;
    await drained([...this.output, ...statusStreams]);
    this.memoryPeakBytes();
    const reason = this.#reason(signal, reasonOf({ code, signal, stderrHead: this.#stderrHead }));
    this.#gone = true;
    await cgroup?.release();
    for (const stream of this.#options.child.stdio.slice(3)) stream?.destroy();
    for (const listener of this.#listeners) listener(reason);
  }

  /** The kernel kills with SIGKILL, like us: its counter tells the two apart. */
  #reason(signal: string | null, reason: ExitReason): ExitReason {
    const oom = (this.#options.cgroup?.oomKillCount() ?? 0) > 0;
    const instanceKilled = reason.kind === 'signal' && reason.signal === 'SIGKILL';
    if (this.#killed) return oom && (this.#oomBeforeKill || (instanceKilled && signal === null)) ? OOM : KILLED;
    return oom && instanceKilled ? OOM : reason;
  }

  async #killLeftovers(): Promise<void> {
    const { cgroup, stragglers } = this.#options;
    for (let waitMs = 0; ; waitMs = Math.min(waitMs * 2 + 1, POLL_MS_MAX)) {
      const left = cgroup === undefined ? stragglers() : cgroup.processIds();
      if (left.length === 0) return;
      if (cgroup === undefined) killProcesses(left);
      else cgroup.killAll();
      await delay(waitMs);
    }
  }
}

class FailedSandbox implements Sandbox {
  readonly channel: Writable = new PassThrough();
  readonly answers: Readable = new PassThrough();
  readonly output: readonly Readable[] = [];
  readonly #listeners: ((reason: ExitReason) => void)[] = [];

  pin(): boolean {
    return false;
  }

  background(): boolean {
    return false;
  }

  goFirst(): boolean {
    return false;
  }

  place(): boolean {
    return false;
  }

  tasks(): null {
    return null;
  }

  freeze(): void {}

  thaw(): void {}

  kill(): void {}

  retire(): void {}

  memoryPeakBytes(): number {
    return 0;
  }

  onExit(listener: (reason: ExitReason) => void): void {
    this.#listeners.push(listener);
  }

  end(message: string): void {
    this.channel.destroy();
    this.answers.destroy();
    for (const listener of this.#listeners) listener({ kind: 'start-failed', message });
  }
}

const OOM: ExitReason = { kind: 'oom' };
const KILLED: ExitReason = { kind: 'killed' };
