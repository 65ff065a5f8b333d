/** One live instance as the agent sees it: its sandbox, its channel, and what it logs. */
import { StringDecoder } from 'node:string_decoder';
import { FRAME_HEADER_BYTES, FrameKind, INVOKE_FIXED_BYTES } from '../../wire/instance-frame.ts';
import type { ExitReason, Sandbox, SandboxTasks } from '../sandbox/contract.ts';
import type { Invocation } from './contract.ts';
import { FLOOD_BYTES } from './flood.ts';
import { type FrameLimits, FrameReader } from './frame-reader.ts';

/** Beyond this a payload is written beside its header instead of copied behind it. */
const COPIED_BYTES_MAX = 64 * 1024;
/** How often the peak of memory is read, which costs a file read or two. */
const PEAK_INTERVAL_US = 100_000;
const NOWHERE: readonly number[] = [];
/**
 * What a hint counts for beside its header when the agent decides whether to listen on: it may have cores change hands,
 * which is more work than its bytes. So some 500 of them are heard in one tick.
 */
const HINT_BYTES = 1024;

/** What a function says of itself; believed only as far as it yields. */
export type Hint = 'sleeping' | 'awake';

export interface InstanceEvents {
  /** The first that it sends since its last `tick`: it wants the next one. */
  heard?(instance: Instance): void;
  /** A copy has namespaces of its own, and rehearses next. */
  made?(instance: Instance): void;
  ready(instance: Instance): void;
  /** An answer, to be checked against what the instance runs. */
  answer(instance: Instance, answer: Answer): void;
  /** `bytes`: the length of the text in UTF-8. */
  log(instance: Instance, text: string, bytes: number): void;
  /** While it serves an invocation, and of that one. Rationing them is left to the receiver. */
  hint?(instance: Instance, hint: Hint): void;
  /** It closed its side of the channel, as a process does that ends. */
  lost(instance: Instance): void;
  broke(instance: Instance, message: string): void;
  exited(instance: Instance, reason: ExitReason): void;
}

export interface Answer {
  readonly kind: FrameKind;
  readonly last: boolean;
  readonly sequence: number;
  readonly body: Buffer;
}

export interface InstanceIdentity {
  readonly slot: number;
  readonly versionIndex: number;
  readonly functionName: string;
  readonly startedUs: number;
  readonly once: boolean;
  /** Of a copy. */
  readonly shared?: SharedMemory;
}

/** What it shares with its zygote, which its own memory does not count, and what its function may use. */
export interface SharedMemory {
  readonly mb: number;
  readonly limitMb: number;
}

const NOTHING_SHARED: SharedMemory = { mb: 0, limitMb: 0 };

export class Instance {
  readonly slot: number;
  readonly versionIndex: number;
  readonly functionName: string;
  /** For lines that it writes outside of an invocation. */
  readonly startedUs: number;
  initUs = 0;
  /** It says so in an answer. */
  readonly initError = null;
  readonly #shared: SharedMemory;
  /** Its code was there before it was. */
  readonly awaitsCode = false;
  readonly refusal = null;
  /** When it gave the one answer that it was made for; 0 before. */
  answeredUs = 0;
  exit: ExitReason | null = null;
  /** Bytes that it has logged while it served no invocation. */
  loggedBytes = 0;
  /** It ends by itself after its one answer, and says so in the answer. */
  readonly once: boolean;
  /**
   * How many invocations it was given: names the last one on its channel. Leases are numbered for each core, and an
   * instance changes cores, so a late second answer could bear the number of the next lease.
   */
  sequence = 0;
  /** Between an invocation and its answer. */
  #serves = false;
  readonly #sandbox: Sandbox;
  readonly #events: InstanceEvents;
  readonly #reader: FrameReader;
  /** Frames count with their headers: empty ones are work too. */
  #heardBytes = 0;
  #paused = false;
  #killed = false;
  /** Where it was pinned last. */
  #cpus = NOWHERE;
  /** Null: not known, since not all of it could be changed; there may be nothing of it yet. */
  #isBackground: boolean | null = false;
  #peakBytes = 0;
  #peakReadUs = -Infinity;

  constructor(identity: InstanceIdentity, sandbox: Sandbox, events: InstanceEvents, limits: FrameLimits) {
    this.slot = identity.slot;
    this.versionIndex = identity.versionIndex;
    this.functionName = identity.functionName;
    this.startedUs = identity.startedUs;
    this.once = identity.once;
    this.#shared = identity.shared ?? NOTHING_SHARED;
    this.#sandbox = sandbox;
    this.#events = events;
    this.#reader = new FrameReader(
      {
        frame: (kind, last, sequence, body) => this.#frame({ kind, last, sequence, body }),
        breach: (message) => this.#events.broke(this, message),
      },
      limits,
    );
    this.#listen();
  }

  /** True if it was moved: nothing is done where it was given this very array last. */
  pin(cpus: readonly number[]): boolean {
    if (cpus === this.#cpus || cpus.length === 0) return false;
    this.#cpus = this.#sandbox.pin(cpus) ? cpus : NOWHERE;
    return this.#cpus === cpus;
  }

  /** True if it was moved. */
  place(cpus: readonly number[], isBackground: boolean): boolean {
    if (isBackground === this.#isBackground) return this.pin(cpus);
    if (cpus === this.#cpus || cpus.length === 0) {
      this.#isBackground = this.#sandbox.background(isBackground) ? isBackground : null;
      return false;
    }
    const isPlaced = this.#sandbox.place(cpus, isBackground);
    this.#isBackground = isPlaced ? isBackground : null;
    this.#cpus = isPlaced ? cpus : NOWHERE;
    return isPlaced;
  }

  /** In real time until it is placed again. False where that cannot be, or it is in the background. */
  goFirst(): boolean {
    if (this.#isBackground !== false || !this.#sandbox.goFirst()) return false;
    this.#isBackground = null;
    return true;
  }

  tasks(): SandboxTasks | null {
    return this.#sandbox.tasks();
  }

  freeze(): void {
    this.#sandbox.freeze();
  }

  thaw(): void {
    this.#sandbox.thaw();
  }

  /** From now on its frames count for nothing: its result, if it had one to give, is decided. */
  kill(): void {
    this.#killed = true;
    this.#reader.stop();
    this.#sandbox.kill();
  }

  /** The same for one that has given its last answer: it may end by itself. */
  retire(): void {
    this.#killed = true;
    this.#reader.stop();
    this.#sandbox.retire();
  }

  /** `deadlineMs`: epoch milliseconds. */
  invoke(invocation: Invocation, deadlineMs: number): void {
    this.sequence = (this.sequence + 1) >>> 0;
    this.#serves = true;
    const extra = extraOf(invocation);
    const payload = invocation.payload;
    const bodyBytes = INVOKE_FIXED_BYTES + extra.length + payload.length;
    const copied = payload.length <= COPIED_BYTES_MAX;
    const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + bodyBytes - (copied ? 0 : payload.length));
    frame.writeUInt32LE(bodyBytes, 0);
    frame.writeUInt32LE((FrameKind.invoke | (extra.length << 16)) >>> 0, 4);
    frame.writeUInt32LE(this.sequence, 8);
    frame.writeUInt32LE(0, 12);
    frame.writeDoubleLE(deadlineMs, FRAME_HEADER_BYTES);
    frame.write(invocation.requestId, FRAME_HEADER_BYTES + 8, 36, 'latin1');
    const at = FRAME_HEADER_BYTES + INVOKE_FIXED_BYTES;
    if (extra.length > 0) extra.copy(frame, at);
    if (copied) payload.copy(frame, at + extra.length);
    const channel = this.#sandbox.channel;
    channel.write(frame);
    if (!copied) channel.write(payload);
  }

  /** Megabytes, rounded up; at most PEAK_INTERVAL_US old. Of a copy: what a process of its own would have used. */
  memoryPeakMb(nowUs: number): number {
    if (nowUs - this.#peakReadUs >= PEAK_INTERVAL_US) {
      this.#peakReadUs = nowUs;
      this.#peakBytes = Math.max(this.#peakBytes, this.#sandbox.memoryPeakBytes());
    }
    const ownMb = Math.ceil(this.#peakBytes / (1024 * 1024));
    // What it has written to since is counted twice.
    return Math.max(ownMb, Math.min(ownMb + this.#shared.mb, this.#shared.limitMb));
  }

  /** Listens again to an instance that had sent too much in the last tick. */
  tick(): void {
    this.#heardBytes = 0;
    if (!this.#paused) return;
    this.#paused = false;
    this.#sandbox.answers.resume();
    for (const stream of this.#sandbox.output) stream.resume();
  }

  #listen(): void {
    const sandbox = this.#sandbox;
    sandbox.answers.on('data', (chunk: Buffer) => this.#reader.push(chunk));
    sandbox.answers.on('end', () => {
      if (!this.#killed && this.exit === null) this.#events.lost(this);
    });
    // The exit that follows says it all.
    sandbox.channel.on('error', () => {});
    sandbox.answers.on('error', () => {});
    for (const stream of sandbox.output) {
      // A chunk may end in the middle of a character.
      const decoder = new StringDecoder('utf8');
      stream.on('data', (chunk: Buffer) => this.#log(decoder.write(chunk), chunk.length));
      stream.on('error', () => {});
    }
    sandbox.onExit((reason) => {
      // What it still has on the way belongs to a slot that may be another instance's by then.
      this.#reader.stop();
      this.exit = reason;
      this.#events.exited(this, reason);
    });
  }

  #frame(answer: Answer): void {
    this.#hear(FRAME_HEADER_BYTES);
    if (answer.kind === FrameKind.log) this.#log(answer.body.toString('utf8'), answer.body.length);
    else if (answer.kind === FrameKind.ready) this.#events.ready(this);
    else if (answer.kind === FrameKind.made) this.#events.made?.(this);
    else if (answer.kind === FrameKind.sleeping) this.#hint('sleeping', answer.sequence);
    else if (answer.kind === FrameKind.awake) this.#hint('awake', answer.sequence);
    else this.#answer(answer);
  }

  #answer(answer: Answer): void {
    this.#serves = false;
    this.#events.answer(this, answer);
  }

  /** One that comes late, or from an initialisation, is no breach: nobody can tell a function when it ends. */
  #hint(hint: Hint, sequence: number): void {
    this.#hear(HINT_BYTES);
    if (this.#serves && sequence === this.sequence) this.#events.hint?.(this, hint);
  }

  #log(text: string, bytes: number): void {
    // Its output may be read after its end, when its slot is another's.
    if (this.exit !== null) return;
    this.#events.log(this, text, bytes);
    this.#hear(bytes);
  }

  #hear(bytes: number): void {
    if (this.#heardBytes === 0) this.#events.heard?.(this);
    this.#heardBytes += bytes;
    if (this.#heardBytes < FLOOD_BYTES || this.#paused) return;
    this.#paused = true;
    this.#sandbox.answers.pause();
    for (const stream of this.#sandbox.output) stream.pause();
  }
}

const NOTHING = Buffer.alloc(0);

function extraOf(invocation: Invocation): Buffer {
  if (invocation.clientContext === '' && invocation.traceId === '' && invocation.invokedArn === '') return NOTHING;
  const extra: Record<string, unknown> = {};
  if (invocation.clientContext !== '') extra['clientContext'] = JSON.parse(invocation.clientContext);
  if (invocation.traceId !== '') extra['traceId'] = invocation.traceId;
  if (invocation.invokedArn !== '') extra['arn'] = invocation.invokedArn;
  return Buffer.from(JSON.stringify(extra));
}
