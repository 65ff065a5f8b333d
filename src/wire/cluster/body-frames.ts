/**
 * Frames that say their length, between gateways and workers: a fixed part, texts, a payload, zeros up to a multiple of
 * 16. `bytes` counts all but those zeros. Times are spans, never moments: the clocks of two nodes disagree.
 *
 * Registers, as in small-frames.ts; but a payload that was read is the receiver's to keep, and one that is sent must not
 * change until it is on its way.
 */
import { isSeveral } from '../../base/core-mask.ts';
import { LIMITS } from '../../base/limits.ts';
import {
  ASSIGN_FIXED_BYTES,
  ClusterKind,
  KEY_BYTES,
  KNOWLEDGE_FIXED_BYTES,
  padded,
  REQUEST_ID_BYTES,
  RESULT_FIXED_BYTES,
  SET_VERSION_FIXED_BYTES,
} from '../cluster-frame.ts';
import type { Span } from './span.ts';

const EMPTY: Buffer = Buffer.alloc(0);

export type BodyKind =
  | typeof ClusterKind.assign
  | typeof ClusterKind.result
  | typeof ClusterKind.setVersion
  | typeof ClusterKind.knowledge;

/** The most that `bytes` may be. */
export const BODY_BYTES_MAX: Readonly<Record<BodyKind, number>> = {
  [ClusterKind.assign]: ASSIGN_FIXED_BYTES + 3 * LIMITS.frameTextBytesMax + LIMITS.payloadBytesMax,
  [ClusterKind.result]: RESULT_FIXED_BYTES + LIMITS.frameTextBytesMax + LIMITS.responseBytesMax,
  [ClusterKind.setVersion]: SET_VERSION_FIXED_BYTES + LIMITS.frameVersionBytesMax,
  [ClusterKind.knowledge]: KNOWLEDGE_FIXED_BYTES + LIMITS.frameKnowledgeBytesMax,
};

// Flags of ASSIGN; all but the first from version 2 on.
const TAIL = 1;
const NEXT = 2;
const FOLLOWS = 4;
/** And the three bits from here on. */
const SLEEPS_ON_SHIFT = 3;
const FLAGS_MAX = 0x3f;
const ID_AT = 48;
const MASK_AT = ID_AT + REQUEST_ID_BYTES;
const USED_AT = MASK_AT + 4;

/**
 *   0        1        2          4         8             12        16
 *   ┌────────┬────────┬──────────┬─────────┬─────────────┬──────────┐
 *   │ kind   │ tail   │ version  │ bytes   │ core        │ sequence │
 *   │ u8     │ u8     │ u16      │ u32     │ u31         │ i32      │
 *   ├────────┴────────┴──────────┼─────────┼─────────────┴──────────┤ 32
 *   │ epoch u32                  │ request │ queued, µs f64         │
 *   ├────────────────────────────┼─────────┼────────┬────────┬──────┤ 48
 *   │ timeout, ms u32            │ shard   │ context│ trace  │ ARN  │   lengths, u16 each; next version, u16
 *   ├────────────────────────────┴─────────┴────────┴────────┴──────┤ 96
 *   │ request id, 36 bytes; mask, 32 bits; used before, µs f64      │
 *   ├───────────────────────────────────────────────────────────────┤
 *   │ client context │ trace id │ ARN │ payload │ zeros             │
 *   └───────────────────────────────────────────────────────────────┘
 */
export class AssignFrame {
  readonly kind = ClusterKind.assign;
  /** Keep the last of its log for the answer. */
  tail = false;
  /** The index of what is asked for when this is answered: to be readied, and the lease kept for it. Null: nothing is. */
  next: number | null = null;
  /** The worker has kept the lease for it. */
  follows = false;
  /** What it may sleep on: 1 the output of a step, 2 a response, 4 a timer; their sum. */
  sleepsOn = 0;
  /** How long the steps before it have run. */
  usedUs = 0;
  version = 0;
  /** The lead of several. */
  core = 0;
  /** All its cores as bits of the lead's word, as a signed integer: two or more, of which the lead is the lowest; 0: one core. */
  mask = 0;
  sequence = 0;
  epoch = 0;
  /** The gateway's number for it; RESULT says it again. */
  request = 0;
  /** From its acceptance until this was sent. */
  queuedUs = 0;
  /** How long the handler may run. */
  timeoutMs = 0;
  /** The scheduler's shard in whose queue it waited; -1: it did not. */
  shard = -1;
  /** A UUID, 36 characters. */
  requestId = '';
  clientContext = '';
  traceId = '';
  invokedArn = '';
  payload: Buffer = EMPTY;

  get headBytes(): number {
    return ASSIGN_FIXED_BYTES + textBytes(this.clientContext) + textBytes(this.traceId) + textBytes(this.invokedArn);
  }

  /** All but the payload. */
  write(span: Span, at: number): void {
    const { view, bytes } = span;
    let end = at + ASSIGN_FIXED_BYTES;
    view.setUint32(at, this.kind | (this.#flags << 8) | (this.version << 16), true);
    view.setInt32(at + 8, this.core, true);
    view.setInt32(at + 12, this.sequence, true);
    view.setUint32(at + 16, this.epoch, true);
    view.setInt32(at + 20, this.request, true);
    view.setFloat64(at + 24, this.queuedUs, true);
    view.setUint32(at + 32, this.timeoutMs, true);
    view.setInt32(at + 36, this.shard, true);
    end += putText(span, this.clientContext, end, at + 40);
    end += putText(span, this.traceId, end, at + 42);
    end += putText(span, this.invokedArn, end, at + 44);
    view.setUint16(at + 46, this.next ?? 0, true);
    bytes.write(this.requestId, at + ID_AT, REQUEST_ID_BYTES, 'latin1');
    view.setInt32(at + MASK_AT, this.mask, true);
    view.setFloat64(at + USED_AT, this.usedUs, true);
    view.setUint32(at + 4, end - at + this.payload.length, true);
  }

  read(span: Span, at: number): boolean {
    const { view, bytes } = span;
    const flags = view.getUint8(at + 1);
    const end = at + view.getUint32(at + 4, true);
    this.tail = (flags & TAIL) !== 0;
    this.version = view.getUint16(at + 2, true);
    this.core = view.getInt32(at + 8, true);
    this.sequence = view.getInt32(at + 12, true);
    this.epoch = view.getUint32(at + 16, true);
    this.request = view.getInt32(at + 20, true);
    this.queuedUs = view.getFloat64(at + 24, true);
    this.timeoutMs = view.getUint32(at + 32, true);
    this.shard = view.getInt32(at + 36, true);
    const context = at + ASSIGN_FIXED_BYTES;
    const trace = context + view.getUint16(at + 40, true);
    const arn = trace + view.getUint16(at + 42, true);
    const payload = arn + view.getUint16(at + 44, true);
    if (!this.#readChain(span, at, flags) || payload > end) return false;
    if ((this.core | this.request) < 0 || this.shard < -1 || !isSpan(this.queuedUs)) return false;
    if (trace - context > LIMITS.frameTextBytesMax || arn - trace > LIMITS.frameTextBytesMax) return false;
    if (payload - arn > LIMITS.frameTextBytesMax || end - payload > LIMITS.payloadBytesMax) return false;
    const id = span.name(at + ID_AT, REQUEST_ID_BYTES);
    if (id === null || id.length !== REQUEST_ID_BYTES) return false;
    if (!this.#readMask(span, at) || !isPadded(span, at, end)) return false;
    this.requestId = id;
    this.clientContext = text(bytes, context, trace);
    this.traceId = text(bytes, trace, arn);
    this.invokedArn = text(bytes, arn, payload);
    this.payload = bytes.subarray(payload, end);
    return true;
  }

  get #flags(): number {
    const chain = (this.next === null ? 0 : NEXT) | (this.follows ? FOLLOWS : 0) | (this.sleepsOn << SLEEPS_ON_SHIFT);
    return (this.tail ? TAIL : 0) | chain;
  }

  #readChain({ view }: Span, at: number, flags: number): boolean {
    const next = view.getUint16(at + 46, true);
    this.follows = (flags & FOLLOWS) !== 0;
    this.sleepsOn = flags >>> SLEEPS_ON_SHIFT;
    this.next = (flags & NEXT) === 0 ? null : next;
    this.usedUs = view.getFloat64(at + USED_AT, true);
    return flags <= FLAGS_MAX && (next === 0 || this.next !== null) && isSpan(this.usedUs);
  }

  #readMask(span: Span, at: number): boolean {
    this.mask = span.view.getInt32(at + MASK_AT, true);
    return this.mask === 0 || isSeveral(this.core, this.mask);
  }
}

/** What an invocation came to. */
export const ResultKind = {
  response: 1,
  error: 2,
  /** The payload was no JSON; the payload of this frame is the message. */
  badPayload: 3,
  /** Its code could not be supplied; the payload of this frame is the error as JSON. */
  notStarted: 4,
  /** The worker did not take the lease; `why` says why. */
  refused: 5,
} as const;
export type ResultKind = (typeof ResultKind)[keyof typeof ResultKind];

export const ResultStart = { cold: 0, copy: 1, warm: 2 } as const;
export type ResultStart = (typeof ResultStart)[keyof typeof ResultStart];

/** The values of `UnstartedWhy` that a worker may give. */
const REFUSED_WHY_MAX = 3;

/**
 *   0        1        2       3       4         8             12        16
 *   ┌────────┬────────┬───────┬───────┬─────────┬─────────────┬──────────┐
 *   │ kind   │ result │ start │ why   │ bytes   │ core        │ sequence │
 *   │ u8     │ u8     │ u8    │ u8    │ u32     │ u31         │ i32      │
 *   ├────────┴────────┴───────┴───────┼─────────┼─────────────┴──────────┤ 32
 *   │ epoch u32                       │ request │ queued, µs f64         │
 *   ├─────────────────────────────────┴─────────┼────────────────────────┤ 48
 *   │ start, µs f64                             │ initialisation, µs f64 │
 *   ├───────────────────────────────────────────┼────────────────────────┤ 64
 *   │ run, µs f64                               │ memory peak, MB f64    │
 *   ├─────────────────────────────────┬─────────┼─────────────┬──────────┤ 80
 *   │ billed, ms u32                  │ shard   │ tail bytes  │ kept u32 │
 *   ├─────────────────────────────────┴─────────┴─────────────┴──────────┤
 *   │ tail of the log │ payload │ zeros                                  │
 *   └────────────────────────────────────────────────────────────────────┘
 */
export class ResultFrame {
  readonly kind = ClusterKind.result;
  result: ResultKind = ResultKind.response;
  start: ResultStart = ResultStart.cold;
  /** Of one that is refused: an `UnstartedWhy`; else 0. */
  why = 0;
  /** The lease and the request as ASSIGN named them. */
  core = 0;
  sequence = 0;
  epoch = 0;
  request = 0;
  // The record of a response or an error; else all 0.
  queuedUs = 0;
  startUs = 0;
  initUs = 0;
  runUs = 0;
  memoryPeakMb = 0;
  billedMs = 0;
  shard = -1;
  /** 1: the lease is kept for what comes next, until that is assigned or LET_GO says otherwise. From version 2 on. */
  kept = 0;
  tail = '';
  payload: Buffer = EMPTY;

  get headBytes(): number {
    return RESULT_FIXED_BYTES + textBytes(this.tail);
  }

  /** All but the payload. */
  write(span: Span, at: number): void {
    const { view } = span;
    view.setUint32(at, this.kind | (this.result << 8) | (this.start << 16) | (this.why << 24), true);
    view.setInt32(at + 8, this.core, true);
    view.setInt32(at + 12, this.sequence, true);
    view.setUint32(at + 16, this.epoch, true);
    view.setInt32(at + 20, this.request, true);
    view.setFloat64(at + 24, this.queuedUs, true);
    view.setFloat64(at + 32, this.startUs, true);
    view.setFloat64(at + 40, this.initUs, true);
    view.setFloat64(at + 48, this.runUs, true);
    view.setFloat64(at + 56, this.memoryPeakMb, true);
    view.setUint32(at + 64, this.billedMs, true);
    view.setInt32(at + 68, this.shard, true);
    view.setInt32(at + 72, 0, true);
    view.setUint32(at + 76, this.kept, true);
    const tailBytes = putText(span, this.tail, at + RESULT_FIXED_BYTES, at + 72);
    view.setUint32(at + 4, RESULT_FIXED_BYTES + tailBytes + this.payload.length, true);
  }

  read(span: Span, at: number): boolean {
    const { view, bytes } = span;
    const end = at + view.getUint32(at + 4, true);
    this.result = view.getUint8(at + 1) as ResultKind;
    this.start = view.getUint8(at + 2) as ResultStart;
    this.why = view.getUint8(at + 3);
    this.core = view.getInt32(at + 8, true);
    this.sequence = view.getInt32(at + 12, true);
    this.epoch = view.getUint32(at + 16, true);
    this.request = view.getInt32(at + 20, true);
    this.queuedUs = view.getFloat64(at + 24, true);
    this.startUs = view.getFloat64(at + 32, true);
    this.initUs = view.getFloat64(at + 40, true);
    this.runUs = view.getFloat64(at + 48, true);
    this.memoryPeakMb = view.getFloat64(at + 56, true);
    this.billedMs = view.getUint32(at + 64, true);
    this.shard = view.getInt32(at + 68, true);
    this.kept = view.getUint32(at + 76, true);
    const tail = at + RESULT_FIXED_BYTES;
    const payload = tail + view.getUint16(at + 72, true);
    if (payload > end || payload - tail > LIMITS.frameTextBytesMax || end - payload > LIMITS.responseBytesMax)
      return false;
    if (!this.#isSound() || view.getUint16(at + 74, true) !== 0 || !isPadded(span, at, end)) return false;
    this.tail = text(bytes, tail, payload);
    this.payload = bytes.subarray(payload, end);
    return true;
  }

  #isSound(): boolean {
    if (this.result < ResultKind.response || this.result > ResultKind.refused) return false;
    if (this.kept > 1 || this.start > ResultStart.warm || (this.core | this.request) < 0 || this.shard < -1)
      return false;
    const isRefused = this.result === ResultKind.refused;
    if (isRefused ? this.why < 1 || this.why > REFUSED_WHY_MAX : this.why !== 0) return false;
    const isRun = isSpan(this.startUs) && isSpan(this.initUs) && isSpan(this.runUs);
    return isRun && isSpan(this.queuedUs) && isSpan(this.memoryPeakMb);
  }
}

/**
 *   0        1        2          4         8             12        16                32
 *   ┌────────┬────────┬──────────┬─────────┬─────────────┬──────────┬─────────────────┬─────────────────┐
 *   │ kind   │ 0      │ version  │ bytes   │ epoch       │ 0        │ key             │ JSON │ zeros    │
 *   │ u8     │        │ u16      │ u32     │ u32         │          │ 16 bytes        │                 │
 *   └────────┴────────┴──────────┴─────────┴─────────────┴──────────┴─────────────────┴─────────────────┘
 */
export class SetVersionFrame {
  readonly kind = ClusterKind.setVersion;
  version = 0;
  /** In which the index stands for it. */
  epoch = 0;
  key = '';
  /** What an agent is told of a version, as JSON. */
  payload: Buffer = EMPTY;

  get headBytes(): number {
    return SET_VERSION_FIXED_BYTES;
  }

  /** All but the payload. */
  write(span: Span, at: number): void {
    const { view } = span;
    view.setUint32(at, this.kind | (this.version << 16), true);
    view.setUint32(at + 4, SET_VERSION_FIXED_BYTES + this.payload.length, true);
    view.setUint32(at + 8, this.epoch, true);
    view.setInt32(at + 12, 0, true);
    span.putKey(this.key, at + 16, KEY_BYTES);
  }

  read(span: Span, at: number): boolean {
    const { view } = span;
    const end = at + view.getUint32(at + 4, true);
    this.version = view.getUint16(at + 2, true);
    this.epoch = view.getUint32(at + 8, true);
    this.key = span.key(at + 16, KEY_BYTES);
    if (view.getUint8(at + 1) !== 0 || view.getInt32(at + 12, true) !== 0 || !isPadded(span, at, end)) return false;
    this.payload = span.bytes.subarray(at + SET_VERSION_FIXED_BYTES, end);
    return true;
  }
}

/**
 *   0        1                   4         8                       16
 *   ┌────────┬───────────────────┬─────────┬────────────────────────┬─────────────────┐
 *   │ kind   │ 0                 │ bytes   │ 0                      │ JSON │ zeros    │
 *   │ u8     │                   │ u32     │                        │                 │
 *   └────────┴───────────────────┴─────────┴────────────────────────┴─────────────────┘
 */
export class KnowledgeFrame {
  readonly kind = ClusterKind.knowledge;
  /** What an operator says of a function, as JSON. */
  payload: Buffer = EMPTY;

  get headBytes(): number {
    return KNOWLEDGE_FIXED_BYTES;
  }

  /** All but the payload. */
  write({ view }: Span, at: number): void {
    view.setUint32(at, this.kind, true);
    view.setUint32(at + 4, KNOWLEDGE_FIXED_BYTES + this.payload.length, true);
    view.setFloat64(at + 8, 0, true);
  }

  read(span: Span, at: number): boolean {
    const end = at + span.view.getUint32(at + 4, true);
    if (!span.isZero(at + 1, at + 4) || !span.isZero(at + 8, at + 16) || !isPadded(span, at, end)) return false;
    this.payload = span.bytes.subarray(at + KNOWLEDGE_FIXED_BYTES, end);
    return true;
  }
}

function textBytes(value: string): number {
  return value === '' ? 0 : Buffer.byteLength(value);
}

/** Answers how many bytes it took, and writes that at `lengthAt`. */
function putText(span: Span, value: string, at: number, lengthAt: number): number {
  const length = value === '' ? 0 : span.bytes.write(value, at);
  span.view.setUint16(lengthAt, length, true);
  return length;
}

function text(bytes: Buffer, from: number, to: number): string {
  return from === to ? '' : bytes.toString('utf8', from, to);
}

function isSpan(value: number): boolean {
  return value >= 0 && value < Infinity;
}

function isPadded(span: Span, at: number, end: number): boolean {
  return span.isZero(end, at + padded(end - at));
}
