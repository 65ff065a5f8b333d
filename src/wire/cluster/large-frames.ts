/** Frames of one size above 16 bytes, sent once a connection, a node or a version. Registers, as in small-frames.ts. */
import {
  ClusterKind,
  HOST_BYTES_MAX,
  isCloseReason,
  KEY_BYTES,
  NODE_NAME_BYTES_MAX,
  NO_INDEX,
  isSpoken,
  Role,
  WIRE_MAGIC,
  WIRE_VERSION,
} from '../cluster-frame.ts';
import type { Span } from './span.ts';

const NAME_AT = 48;
const HOST_AT = NAME_AT + NODE_NAME_BYTES_MAX;

/**
 *   0      1      2         4         8         12
 *   ┌──────┬──────┬─────────┬─────────┬─────────┬─────────┐
 *   │ kind │ role │ version │ 'PRCH'  │ epoch   │ life    │
 *   │ u8   │ u8   │ u16     │ u32     │ u32     │ u32     │
 *   ├──────┴──────┴─────────┼─────────┼─────────┼─────────┤
 *   │ first core        i32 │ cores   │ memory  │ port    │
 *   │ -1: none              │ u31     │ MB u31  │ u32     │
 *   ├───────────────────────┼─────────┴─────────┴─────────┤
 *   │ floor             i32 │ extra   │ 0                 │
 *   │                       │ u16     │                   │
 *   ├───────────────────────┴─────────────────────────────┤
 *   │ name, 64 bytes; host, 128 bytes                     │
 *   └─────────────────────────────────────────────────────┘
 */
export class HelloFrame {
  kind: typeof ClusterKind.hello | typeof ClusterKind.welcome;
  role: Role = Role.scheduler;
  /** Of the protocol. Another one is read no further than to here. */
  version: number = WIRE_VERSION;
  /** Scheduler: its own. Gateway, worker: the highest it has seen; 0: none. */
  epoch = 0;
  /** Chosen at random at each start of the node: tells a node that connects again from another of its name. */
  life = 0;
  /** From a worker: the first core of the range that it had; NO_INDEX: none. To a worker: of the range that it has now. */
  firstCore: number = NO_INDEX;
  /** A worker's; else 0. */
  coreCount = 0;
  /** Of its seats beside the cores' own; from version 2 on. To a worker: those that the scheduler knows of. */
  extraSeatCount = 0;
  memoryMb = 0;
  /** Where gateways reach a worker; else 0 and ''. */
  port = 0;
  /** To a worker from its scheduler: it takes no lease of this epoch but those after this sequence. */
  floor = 0;
  name = '';
  host = '';

  constructor(kind: typeof ClusterKind.hello | typeof ClusterKind.welcome) {
    this.kind = kind;
  }

  /** With another magic or version, nothing else is read. */
  read(span: Span, at: number): boolean {
    const { view } = span;
    this.kind = view.getUint8(at) as typeof ClusterKind.hello;
    this.version = view.getUint16(at + 2, true);
    if (view.getUint32(at + 4, true) !== WIRE_MAGIC) return false;
    if (!isSpoken(this.version)) return true;
    this.role = view.getUint8(at + 1) as Role;
    this.epoch = view.getUint32(at + 8, true);
    this.life = view.getUint32(at + 12, true);
    this.firstCore = view.getInt32(at + 16, true);
    this.coreCount = view.getInt32(at + 20, true);
    this.memoryMb = view.getInt32(at + 24, true);
    this.port = view.getUint32(at + 28, true);
    this.floor = view.getInt32(at + 32, true);
    this.extraSeatCount = view.getUint16(at + 36, true);
    const name = span.name(at + NAME_AT, NODE_NAME_BYTES_MAX);
    const host = span.name(at + HOST_AT, HOST_BYTES_MAX);
    if (name === null || name === '' || host === null) return false;
    this.name = name;
    this.host = host;
    const isRole = this.role >= Role.scheduler && this.role <= Role.worker;
    const isRange = this.firstCore === NO_INDEX || (this.firstCore >= 0 && (this.firstCore & 31) === 0);
    return (
      isRole &&
      isRange &&
      (this.version > 1 || this.extraSeatCount === 0) &&
      span.isZero(at + 38, at + NAME_AT) &&
      (this.coreCount | this.memoryMb) >= 0 &&
      this.port <= 0xffff
    );
  }

  write(span: Span, at: number): void {
    const { view } = span;
    view.setUint32(at, this.kind | (this.role << 8) | (this.version << 16), true);
    view.setUint32(at + 4, WIRE_MAGIC, true);
    view.setUint32(at + 8, this.epoch, true);
    view.setUint32(at + 12, this.life, true);
    view.setInt32(at + 16, this.firstCore, true);
    view.setInt32(at + 20, this.coreCount, true);
    view.setInt32(at + 24, this.memoryMb, true);
    view.setUint32(at + 28, this.port, true);
    view.setInt32(at + 32, this.floor, true);
    view.setUint32(at + 36, this.version > 1 ? this.extraSeatCount : 0, true);
    for (let zero = at + 40; zero < at + NAME_AT; zero += 4) view.setInt32(zero, 0, true);
    span.putName(this.name, at + NAME_AT, NODE_NAME_BYTES_MAX);
    span.putName(this.host, at + HOST_AT, HOST_BYTES_MAX);
  }
}

/**
 *   0      1        2       4                             16
 *   ┌──────┬────────┬───────┬─────────────────────────────┐
 *   │ kind │ reason │ about │ 0                           │
 *   │ u8   │ u8     │ u16   │                             │
 *   └──────┴────────┴───────┴─────────────────────────────┘
 */
export class CloseFrame {
  readonly kind = ClusterKind.close;
  /** A `CloseReason`, or one of another version. */
  reason: number = 0;
  /** The kind of the frame that was wrong; 0: none. */
  about = 0;

  read(span: Span, at: number): boolean {
    this.reason = span.view.getUint8(at + 1);
    this.about = span.view.getUint16(at + 2, true);
    return this.reason !== 0 && this.about <= 0xff && span.isZero(at + 4, at + 16);
  }

  write({ view }: Span, at: number): void {
    view.setUint32(at, this.kind | (this.reason << 8) | (this.about << 16), true);
    view.setInt32(at + 4, 0, true);
    view.setInt32(at + 8, 0, true);
    view.setInt32(at + 12, 0, true);
  }

  get isKnown(): boolean {
    return isCloseReason(this.reason);
  }
}

/**
 *   0      1       2        4         8           12     16             32                 48
 *   ┌──────┬───────┬────────┬─────────┬───────────┬──────┬──────────────┬──────────────────┐
 *   │ kind │ cores │ handle │ memory  │ dedicated │ 0    │ key          │ function key     │
 *   │ u8   │ u8    │ u16    │ MB u31  │ u32       │      │ 16 bytes     │ 16 bytes         │
 *   └──────┴───────┴────────┴─────────┴───────────┴──────┴──────────────┴──────────────────┘
 */
export class NameVersionFrame {
  readonly kind = ClusterKind.nameVersion;
  /** Chosen by the sender, for this connection; VERSION and HELD use it. */
  handle = 0;
  /** What an invocation of it asks for. */
  coreCount = 1;
  /** 1: on cores only, never on an extra seat; from version 2 on. */
  dedicated = 0;
  memoryMb = 0;
  /** SHA-256 of account, function, version and revision, its beginning; 32 hexadecimal digits. */
  key = '';
  /** The same of account and function: over these reserved concurrency counts. */
  functionKey = '';

  read(span: Span, at: number): boolean {
    this.coreCount = span.view.getUint8(at + 1);
    this.handle = span.view.getUint16(at + 2, true);
    this.memoryMb = span.view.getInt32(at + 4, true);
    this.key = span.key(at + 16, KEY_BYTES);
    this.functionKey = span.key(at + 32, KEY_BYTES);
    this.dedicated = span.view.getUint32(at + 8, true);
    const isOne = this.coreCount >= 1 && this.coreCount <= 32 && this.memoryMb >= 0;
    return isOne && this.dedicated <= 1 && span.isZero(at + 12, at + 16);
  }

  write(span: Span, at: number): void {
    span.view.setUint32(at, this.kind | (this.coreCount << 8) | (this.handle << 16), true);
    span.view.setInt32(at + 4, this.memoryMb, true);
    span.view.setInt32(at + 8, this.dedicated, true);
    span.view.setInt32(at + 12, 0, true);
    span.putKey(this.key, at + 16, KEY_BYTES);
    span.putKey(this.functionKey, at + 32, KEY_BYTES);
  }
}

/**
 *   0      1      2         4         8                  16             32
 *   ┌──────┬──────┬─────────┬─────────┬──────────────────┬──────────────┐
 *   │ kind │ 0    │ version │ epoch   │ 0                │ key          │
 *   │ u8   │      │ u16     │ u32     │                  │ 16 bytes     │
 *   └──────┴──────┴─────────┴─────────┴──────────────────┴──────────────┘
 */
export class DropVersionFrame {
  readonly kind = ClusterKind.dropVersion;
  version = 0;
  epoch = 0;
  /** Of what the index stood for: where it stands for something else already, nothing is dropped. */
  key = '';

  read(span: Span, at: number): boolean {
    this.version = span.view.getUint16(at + 2, true);
    this.epoch = span.view.getUint32(at + 4, true);
    this.key = span.key(at + 16, KEY_BYTES);
    return span.bytes[at + 1] === 0 && span.isZero(at + 8, at + 16);
  }

  write(span: Span, at: number): void {
    span.view.setUint32(at, this.kind | (this.version << 16), true);
    span.view.setUint32(at + 4, this.epoch, true);
    span.view.setInt32(at + 8, 0, true);
    span.view.setInt32(at + 12, 0, true);
    span.putKey(this.key, at + 16, KEY_BYTES);
  }
}

/**
 *   0      1              4         8                  16             32
 *   ┌──────┬──────────────┬─────────┬──────────────────┬──────────────┐
 *   │ kind │ 0            │ max     │ 0                │ function key │
 *   │ u8   │              │ i32     │                  │ 16 bytes     │
 *   └──────┴──────────────┴─────────┴──────────────────┴──────────────┘
 */
export class ConcurrencyFrame {
  readonly kind = ClusterKind.concurrency;
  /** -1: no limit of its own. */
  max = -1;
  functionKey = '';

  read(span: Span, at: number): boolean {
    this.max = span.view.getInt32(at + 4, true);
    this.functionKey = span.key(at + 16, KEY_BYTES);
    return this.max >= -1 && span.isZero(at + 1, at + 4) && span.isZero(at + 8, at + 16);
  }

  write(span: Span, at: number): void {
    span.view.setUint32(at, this.kind, true);
    span.view.setInt32(at + 4, this.max, true);
    span.view.setInt32(at + 8, 0, true);
    span.view.setInt32(at + 12, 0, true);
    span.putKey(this.functionKey, at + 16, KEY_BYTES);
  }
}

/**
 *   0      1      2         4            8         10      12       16             80              208
 *   ┌──────┬──────┬─────────┬────────────┬─────────┬───────┬────────┬──────────────┬───────────────┐
 *   │ kind │ 0    │ port    │ first core │ cores   │ extra │ life   │ name         │ host          │
 *   │ u8   │      │ u16     │ u31        │ u16     │ u16   │ u32    │ 64 bytes     │ 128 bytes     │
 *   └──────┴──────┴─────────┴────────────┴─────────┴───────┴────────┴──────────────┴───────────────┘
 */
export class WorkerFrame {
  readonly kind = ClusterKind.worker;
  port = 0;
  firstCore = 0;
  coreCount = 0;
  /** Seats beside the cores' own. */
  extraSeatCount = 0;
  life = 0;
  name = '';
  host = '';

  read(span: Span, at: number): boolean {
    const { view } = span;
    this.port = view.getUint16(at + 2, true);
    this.firstCore = view.getInt32(at + 4, true);
    this.coreCount = view.getUint16(at + 8, true);
    this.extraSeatCount = view.getUint16(at + 10, true);
    this.life = view.getUint32(at + 12, true);
    const name = span.name(at + 16, NODE_NAME_BYTES_MAX);
    const host = span.name(at + 16 + NODE_NAME_BYTES_MAX, HOST_BYTES_MAX);
    if (name === null || name === '' || host === null) return false;
    this.name = name;
    this.host = host;
    return span.bytes[at + 1] === 0 && this.firstCore >= 0 && (this.firstCore & 31) === 0 && this.coreCount >= 1;
  }

  write(span: Span, at: number): void {
    const { view } = span;
    view.setUint32(at, this.kind | (this.port << 16), true);
    view.setInt32(at + 4, this.firstCore, true);
    view.setUint32(at + 8, this.coreCount | (this.extraSeatCount << 16), true);
    view.setUint32(at + 12, this.life, true);
    span.putName(this.name, at + 16, NODE_NAME_BYTES_MAX);
    span.putName(this.host, at + 16 + NODE_NAME_BYTES_MAX, HOST_BYTES_MAX);
  }
}
