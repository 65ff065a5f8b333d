/**
 * A stem cell, then zygote, under bubblewrap: a host sandbox whose channel carries the frames of wire/zygote-frame.ts, and
 * descriptors for its copies. FORK and ADOPT are written by hand, since descriptors go along; both are small enough for
 * the socket's buffer, and a zygote that does not read is dead to us.
 */
import { closeSync } from 'node:fs';
import type { Readable } from 'node:stream';
import {
  FORK_ENTER_NETWORK,
  FORK_NEW_NETWORK,
  FORK_ONCE,
  ZYGOTE_HEADER_BYTES,
  ZygoteKind,
} from '../../../wire/zygote-frame.ts';
import type { Cgroup, CgroupTree } from '../cgroup/cgroup.ts';
import {
  type AdoptSpec,
  cellNetworkOf,
  type CopySpec,
  type ExitReason,
  type NetworkPolicy,
  type Sandbox,
  type SandboxTasks,
  type Zygote,
  type ZygoteReport,
} from '../contract.ts';
import type { DescriptorPassing } from '../descriptor-passing.ts';
import { failedSandbox } from '../host-sandbox.ts';
import { CopySandbox, makeDescriptors } from './copy.ts';
import type { Seat, Seats } from './seats.ts';
import { type ZygoteFrame, ZygoteReports } from './zygote-reports.ts';

export interface ZygoteOptions {
  /** Its process, whose channel and answers are the two ends of the frames. */
  readonly sandbox: Sandbox;
  /** The descriptor behind `sandbox.channel`. */
  readonly control: number;
  readonly cgroup: Cgroup;
  readonly cgroups: CgroupTree;
  readonly passing: DescriptorPassing;
  /** Null: it is in the host's network, and so are its copies. */
  readonly seats: Seats | null;
  /** Makes the function's folders appear inside; answers the environment with its placeholders filled in. */
  readonly fill: (spec: AdoptSpec) => Readonly<Record<string, string>>;
}

export class ZygoteSandbox implements Zygote {
  readonly output: readonly Readable[];
  readonly #options: ZygoteOptions;
  readonly #reports: ZygoteReports;
  readonly #listeners: ((report: ZygoteReport) => void)[] = [];
  readonly #heardListeners: ((bytes: number) => void)[] = [];
  /** Who waits to hear how a copy ended, by its number. */
  readonly #statuses = new Map<number, (status: number) => void>();
  /** How copies ended that nobody has asked about yet. */
  readonly #ended = new Map<number, number>();
  /** Copies that are not over: what a zygote says of others counts for nothing. */
  readonly #living = new Set<number>();
  /** It may keep the attach descriptors of its copies' cgroups. */
  readonly #holder = Symbol('zygote');
  #copyCount = 0;
  #frozen = false;
  #paused = false;
  #gone = false;

  constructor(options: ZygoteOptions) {
    const { sandbox } = options;
    this.#options = options;
    this.output = sandbox.output;
    this.#reports = new ZygoteReports(
      (frame) => this.#frame(frame),
      (message) => this.#report({ kind: 'breach', message }),
    );
    sandbox.answers.on('data', (chunk: Buffer) => {
      for (const listener of this.#heardListeners) listener(chunk.length);
      this.#reports.push(chunk);
    });
    sandbox.onExit(() => {
      this.#gone = true;
      this.#reports.stop();
    });
  }

  onReport(listener: (report: ZygoteReport) => void): void {
    this.#listeners.push(listener);
  }

  onHeard(listener: (bytes: number) => void): void {
    this.#heardListeners.push(listener);
  }

  pause(): void {
    this.#paused = true;
    for (const stream of [this.#options.sandbox.answers, ...this.output]) stream.pause();
  }

  resume(): void {
    this.#paused = false;
    for (const stream of [this.#options.sandbox.answers, ...this.output]) stream.resume();
  }

  adopt(spec: AdoptSpec): void {
    try {
      this.#options.cgroup.limitMemory(spec.memoryMb);
      this.#connect(spec.network);
      const env = this.#options.fill(spec);
      this.#send(ZygoteKind.adopt, { body: Buffer.from(JSON.stringify({ env })) });
    } catch (error) {
      this.#report({
        kind: 'breach',
        message: `the function could not be given to its cell: ${(error as Error).message}`,
      });
    }
  }

  fork(spec: CopySpec): Sandbox {
    const { cgroups, seats } = this.#options;
    const seat = seats?.take();
    try {
      const cgroup = cgroups.slot(spec.slot);
      cgroup.prepare(spec.memoryMb, this.#holder);
      return this.#fork(cgroup, seat, spec.once);
    } catch (error) {
      if (seat !== undefined) seats?.give(seat);
      return failedSandbox(`a copy could not be made: ${(error as Error).message}`);
    }
  }

  #fork(cgroup: Cgroup, entered: Seat | undefined, once: boolean): Sandbox {
    const { passing, seats } = this.#options;
    const copy = ++this.#copyCount;
    const descriptors = makeDescriptors(passing);
    this.#living.add(copy);
    let seat = entered;
    const connect = (own: Seats): string => {
      const made = own.make(() => cgroup.processIds());
      if (typeof made === 'string') return made;
      seat = made;
      return '';
    };
    const makes = seats !== null && entered === undefined;
    try {
      const network = entered === undefined ? [] : [entered.descriptor];
      this.#send(ZygoteKind.fork, {
        copy,
        flags:
          (once ? FORK_ONCE : 0) | (makes ? FORK_NEW_NETWORK : 0) | (entered === undefined ? 0 : FORK_ENTER_NETWORK),
        rights: [...descriptors.theirs, ...network, ...cgroup.attachDescriptors()],
      });
    } catch (error) {
      for (const descriptor of [descriptors.channel, descriptors.answers, descriptors.output]) closeSync(descriptor);
      this.#living.delete(copy);
      throw error;
    } finally {
      for (const descriptor of descriptors.theirs) closeSync(descriptor);
    }
    return new CopySandbox({
      descriptors,
      cgroup,
      connect: makes ? () => connect(seats) : null,
      askStatus: () => this.#askStatus(copy),
      gone: () => {
        this.#statuses.delete(copy);
        this.#ended.delete(copy);
        this.#living.delete(copy);
        // It may not have said how its copy ended.
        this.#stopAsking();
        if (seat !== undefined) seats?.give(seat);
      },
    });
  }

  #connect(policy: NetworkPolicy): void {
    const { seats } = this.#options;
    const own = seats === null ? 'host' : 'own';
    if (cellNetworkOf(policy) !== own)
      throw new Error(`the network of the cell is '${own}', of the function '${policy}'`);
    const failure = policy === 'host' ? '' : seats!.connect(policy);
    if (failure !== '') throw new Error(failure);
  }

  pin(cpus: readonly number[]): boolean {
    return this.#options.sandbox.pin(cpus);
  }

  background(isBackground: boolean): boolean {
    return this.#options.sandbox.background(isBackground);
  }

  tasks(): SandboxTasks | null {
    return this.#options.sandbox.tasks();
  }

  freeze(): void {
    this.#frozen = true;
    // It has yet to say how a copy ended; it is frozen when it has.
    if (this.#statuses.size === 0) this.#options.sandbox.freeze();
  }

  thaw(): void {
    this.#frozen = false;
    this.#options.sandbox.thaw();
  }

  kill(): void {
    this.#options.sandbox.kill();
  }

  memoryBytes(): number {
    return this.#options.cgroup.memoryBytes();
  }

  onExit(listener: (reason: ExitReason) => void): void {
    this.#options.sandbox.onExit(listener);
  }

  #askStatus(copy: number): Promise<number> {
    const known = this.#ended.get(copy);
    if (known !== undefined) return Promise.resolve(known);
    return new Promise((resolve) => {
      this.#statuses.set(copy, resolve);
      if (this.#gone) return;
      if (this.#frozen) this.#options.sandbox.thaw();
      // A flood goes on for as long as it takes to be paused once more.
      if (this.#paused) this.#options.sandbox.answers.resume();
      try {
        this.#send(ZygoteKind.reap, { copy });
      } catch {
        // Then nobody says how it ended.
      }
    });
  }

  /** It was thawed and listened to, to be asked how a copy ended. */
  #stopAsking(): void {
    if (this.#statuses.size > 0) return;
    const { sandbox } = this.#options;
    if (this.#frozen) sandbox.freeze();
    if (this.#paused) sandbox.answers.pause();
  }

  #send(kind: number, more: { copy?: number; flags?: number; body?: Buffer; rights?: readonly number[] }): void {
    // A zygote can have its stream closed here, and the number of its descriptor may be that of a stranger's by now.
    if (this.#options.sandbox.channel.destroyed) throw new Error('the zygote has closed its channel');
    const body = more.body ?? Buffer.alloc(0);
    const header = Buffer.alloc(ZYGOTE_HEADER_BYTES);
    header.writeUInt32LE(body.length, 0);
    header[4] = kind;
    header[5] = more.flags ?? 0;
    header.writeUInt32LE(more.copy ?? 0, 8);
    this.#options.passing.send(this.#options.control, Buffer.concat([header, body]), more.rights ?? []);
  }

  #report(report: ZygoteReport): void {
    for (const listener of this.#listeners) listener(report);
  }

  #frame({ kind, copy, body }: ZygoteFrame): void {
    switch (kind) {
      case ZygoteKind.cell:
        return this.#report({ kind: 'cell' });
      case ZygoteKind.initialised:
        return this.#report({ kind: 'initialised' });
      case ZygoteKind.initError:
        return this.#report({ kind: 'init-error', payload: Buffer.from(body) });
      case ZygoteKind.uncopyable:
        return this.#report({ kind: 'uncopyable', reasons: body.toString('utf8').split('\n') });
      case ZygoteKind.exited:
        return this.#exited(copy, body);
      default:
        return this.#report({ kind: 'log', text: body.toString('utf8'), bytes: body.length });
    }
  }

  #exited(copy: number, body: Buffer): void {
    if (body.length !== 4)
      return this.#report({ kind: 'breach', message: 'the zygote sent a status of the wrong size' });
    const status = body.readUInt32LE(0);
    const waiting = this.#statuses.get(copy);
    if (waiting === undefined) {
      if (this.#living.has(copy)) this.#ended.set(copy, status);
      return;
    }
    waiting(status);
    this.#statuses.delete(copy);
    this.#stopAsking();
  }
}
