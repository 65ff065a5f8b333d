/**
 * A copy of a zygote as a sandbox. It is no child of ours: what we hold of it is its descriptors and its cgroup, and
 * that decides. Its end is seen when its answers end, which happens when its process 1, and with it its process namespace, goes;
 * it is over when its cgroup is empty. What its zygote says of its exit status is only used to say how it ended.
 */
import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { FRAME_HEADER_BYTES, FrameKind } from '../../../wire/instance-frame.ts';
import type { Cgroup } from '../cgroup/cgroup.ts';
import type { ExitReason, Sandbox, SandboxTasks } from '../contract.ts';
import type { DescriptorPassing } from '../descriptor-passing.ts';
import { reasonOfStatus } from '../exit-status.ts';
import { Placement } from '../placement.ts';
import { delay, drained, ignore } from '../streams.ts';

const POLL_MS_MAX = 16;
const QUICK_POLLS = 6;
/** How long a zygote may take to say how its copy ended. */
const STATUS_WAIT_MS = 500;
/** How long one that retires may take to end. */
const RETIRE_MS = 50;
/** How long its cgroup may take to be empty once its answers have ended: it may have closed them, or its zygote sit there. */
const LEAVE_MS = 1000;
const SIGNAL_MASK = 0x7f;

/** Our ends, and those for the copy. */
export interface CopyDescriptors {
  readonly channel: number;
  readonly answers: number;
  readonly output: number;
  /** Channel, answers, output, as FORK sends them. */
  readonly theirs: readonly number[];
}

export function makeDescriptors(passing: DescriptorPassing): CopyDescriptors {
  const made: number[] = [];
  try {
    for (let count = 0; count < 3; count++) made.push(...passing.pair());
  } catch (error) {
    for (const descriptor of made) closeSync(descriptor);
    throw error;
  }
  const [channel, channelThere, answers, answersThere, output, outputThere] = made as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return { channel, answers, output, theirs: [channelThere, answersThere, outputThere] };
}

export interface CopyOptions {
  readonly descriptors: CopyDescriptors;
  readonly cgroup: Cgroup;
  /**
   * Gives it its network, where it makes its namespace itself: called once it has, before anybody reads more of its
   * answers. '' or what failed. Null where it enters one that is connected, or has the host's.
   */
  readonly connect: (() => string) | null;
  /** Its status as wait(2) gives it, from its zygote. */
  readonly askStatus: () => Promise<number | null>;
  readonly gone: () => void;
}

export class CopySandbox implements Sandbox {
  readonly channel: Writable;
  readonly answers: Readable;
  readonly output: readonly Readable[];
  readonly #options: CopyOptions;
  readonly #placement: Placement;
  readonly #listeners: ((reason: ExitReason) => void)[] = [];
  #killed = false;
  #retired = false;
  #over = false;
  #oomBeforeKill = false;
  #ending = false;
  #memoryPeakBytes = 0;
  /** Why it never came to life. */
  #failure = '';

  constructor(options: CopyOptions) {
    const { descriptors, cgroup } = options;
    this.#options = options;
    this.#placement = new Placement(() => cgroup.taskIds());
    this.channel = new Socket({ fd: descriptors.channel, readable: false, writable: true });
    this.answers = new Socket({ fd: descriptors.answers, readable: true, writable: false });
    this.output = [new Socket({ fd: descriptors.output, readable: true, writable: false })];
    for (const stream of [this.channel, this.answers, ...this.output]) stream.on('error', ignore);
    if (options.connect !== null) this.#awaitNamespace(options.connect);
    this.answers.once('end', () => void this.#end());
    this.answers.once('close', () => void this.#end());
  }

  pin(cpus: readonly number[]): boolean {
    return !this.#ending && this.#placement.pin(cpus);
  }

  place(cpus: readonly number[], isBackground: boolean): boolean {
    return !this.#ending && this.#placement.place(cpus, isBackground);
  }

  background(isBackground: boolean): boolean {
    return !this.#ending && this.#placement.background(isBackground);
  }

  goFirst(): boolean {
    return !this.#ending && this.#placement.goFirst();
  }

  tasks(): SandboxTasks {
    const { cgroup } = this.#options;
    return { cgroup: cgroup.unifiedFolder || null, processIds: () => cgroup.processIds() };
  }

  freeze(): void {
    if (!this.#killed && !this.#ending) this.#options.cgroup.freeze();
  }

  thaw(): void {
    if (!this.#over) this.#options.cgroup.thaw();
  }

  kill(): void {
    if (this.#killed || this.#over) return;
    this.#killed = true;
    this.#oomBeforeKill = this.#options.cgroup.oomKillCount() > 0;
    this.#options.cgroup.killAll();
    void this.#end();
  }

  /** Its end is under way: the descriptors close when it is nearly over. */
  retire(): void {
    this.#retired = true;
    setTimeout(() => this.kill(), RETIRE_MS).unref();
  }

  memoryPeakBytes(): number {
    return Math.max(this.#memoryPeakBytes, this.#options.cgroup.memoryPeakBytes());
  }

  onExit(listener: (reason: ExitReason) => void): void {
    this.#listeners.push(listener);
  }

  /** The first it says is that it has its namespaces. Who reads its answers listens later, and so hears it later. */
  #awaitNamespace(connect: () => string): void {
    let head: Buffer = Buffer.alloc(0);
    const listen = (chunk: Buffer): void => {
      head = Buffer.concat([head, chunk]);
      if (head.length < FRAME_HEADER_BYTES) return;
      this.answers.off('data', listen);
      if (this.#killed || this.#ending) return;
      this.#failure = head[4] === FrameKind.made ? connect() : 'the copy has made itself no namespaces';
      if (this.#failure !== '') this.kill();
    };
    this.answers.on('data', listen);
  }

  async #end(): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    const { cgroup } = this.#options;
    const late = setTimeout(() => this.kill(), LEAVE_MS).unref();
    // It closes its descriptors about a millisecond before it leaves its cgroup.
    for (let poll = 0; cgroup.processIds().length > 0; poll++) {
      if (this.#killed) cgroup.killAll();
      if (poll === 0) await nextTurn();
      else await delay(Math.min(2 ** Math.max(0, poll - QUICK_POLLS), POLL_MS_MAX));
    }
    clearTimeout(late);
    await drained(this.output);
    const reason = await this.#reason();
    this.#memoryPeakBytes = this.memoryPeakBytes();
    this.#over = true;
    await cgroup.release();
    for (const stream of [this.channel, this.answers, ...this.output]) stream.destroy();
    this.#options.gone();
    for (const listener of this.#listeners) listener(reason);
  }

  async #reason(): Promise<ExitReason> {
    if (this.#failure !== '') return { kind: 'start-failed', message: `the network of the instance: ${this.#failure}` };
    if (this.#retired) return this.#killed ? { kind: 'killed' } : { kind: 'exit', code: 0 };
    const oom = this.#options.cgroup.oomKillCount() > 0;
    if (this.#killed) return oom && this.#oomBeforeKill ? { kind: 'oom' } : { kind: 'killed' };
    const status = await Promise.race([this.#options.askStatus(), delay(STATUS_WAIT_MS).then(() => null)]);
    if (status === null) return oom ? { kind: 'oom' } : { kind: 'killed' };
    const signal = status & SIGNAL_MASK;
    // As a shell tells a signal, and so as bubblewrap tells it of a process of its own.
    const reason = reasonOfStatus(signal === 0 ? (status >> 8) & 0xff : 128 + signal);
    return oom && reason.kind === 'signal' && reason.signal === 'SIGKILL' ? { kind: 'oom' } : reason;
  }
}
