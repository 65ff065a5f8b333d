/** Every frame of a cluster, with values for each of its fields; and both ends of a connection without one. */
import fc from 'fast-check';
import { LIMITS } from '../../src/base/limits.ts';
import { type CloseReason, ClusterKind, FRAME_BYTES, reasonName, Role } from '../../src/wire/cluster-frame.ts';
import { AssignFrame, KnowledgeFrame, ResultFrame, SetVersionFrame } from '../../src/wire/cluster/body-frames.ts';
import { GrantCoresFrame, HeldCoresFrame } from '../../src/wire/cluster/cores-frames.ts';
import { FrameDecoder } from '../../src/wire/cluster/decoder.ts';
import {
  type Direction,
  GatewayToScheduler,
  GatewayToWorker,
  SchedulerToGateway,
  SchedulerToWorker,
  WorkerToGateway,
  WorkerToScheduler,
} from '../../src/wire/cluster/directions.ts';
import {
  BATCH_BYTES,
  BatchBuffers,
  FrameEncoder,
  type OutBodyFrame,
  type OutFrame,
} from '../../src/wire/cluster/encoder.ts';
import {
  CloseFrame,
  ConcurrencyFrame,
  DropVersionFrame,
  HelloFrame,
  NameVersionFrame,
  WorkerFrame,
} from '../../src/wire/cluster/large-frames.ts';
import { CountFrame, GrantFrame, LeaseFrame, RequestFrame } from '../../src/wire/cluster/small-frames.ts';

const u8 = (max: number, min = 0): fc.Arbitrary<number> => fc.integer({ min, max });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u31 = fc.integer({ min: 0, max: 0x7fffffff });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const i32 = fc.integer({ min: -0x80000000, max: 0x7fffffff });
const word = fc.integer({ min: 0, max: 0x3ffffff }).map((index) => index * 32);
const span = fc.double({ min: 0, noNaN: true, noDefaultInfinity: true });
const key = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString('hex'));
const printable = fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code));
const name = (max: number, min: number): fc.Arbitrary<string> =>
  fc.array(printable, { minLength: min, maxLength: max, size: 'max' }).map((all) => all.join(''));
const text = fc.oneof(fc.constant(''), fc.string({ unit: 'grapheme', maxLength: 60, size: 'max' }));
const payload = fc.oneof(
  fc.uint8Array({ maxLength: 200, size: 'max' }).map((bytes) => Buffer.from(bytes)),
  // Beyond what is copied, and beyond a batch.
  fc.constantFrom(8191, 8192, 8193, 65_536, 200_001).map((length) => Buffer.alloc(length, length & 0xff)),
);

type Values = Record<string, unknown>;
type Pair = readonly [from: Role, to: Role];

export interface Spec {
  readonly ways: readonly Pair[];
  readonly create: () => OutFrame | OutBodyFrame;
  /** Those that this kind has; the register may have more. */
  readonly fields: Readonly<Record<string, fc.Arbitrary<unknown>>>;
}

const { scheduler, gateway, worker } = Role;
const GS: Pair = [gateway, scheduler];
const SG: Pair = [scheduler, gateway];
const WS: Pair = [worker, scheduler];
const SW: Pair = [scheduler, worker];
const GW: Pair = [gateway, worker];
const WG: Pair = [worker, gateway];
export const PAIRS: readonly Pair[] = [GS, SG, WS, SW, GW, WG];

const lease = { core: u31, epoch: u32, sequence: i32 };
const flag = u8(1);
/** A lead, and a mask of two cores or more of its word that has the lead as its lowest. */
const lead = fc
  .tuple(u31, fc.integer({ min: 1, max: 0x7fffffff }))
  .filter(([core]) => (core & 31) !== 31)
  .map(([core, others]) => ({ core, mask: maskOf(core & 31, others) }));

/** The bits of `others` above the lead's, of which there is one at least. */
function maskOf(bit: number, others: number): number {
  const above = others << (bit + 1);
  return (above === 0 ? 1 << 31 : above) | (1 << bit);
}

/** By the name of its kind. */
export const SPECS: Readonly<Record<string, Spec>> = {
  request: {
    ways: [GS],
    create: () => new RequestFrame(ClusterKind.request),
    fields: { again: flag, version: u16, request: u31, waitedMs: u32 },
  },
  cancel: { ways: [GS], create: () => new RequestFrame(ClusterKind.cancel), fields: { request: u31 } },
  unstarted: {
    ways: [GS],
    create: () => new GrantFrame(ClusterKind.unstarted),
    fields: { why: u8(5, 1), version: u16, request: u31, core: u31, sequence: i32 },
  },
  nameVersion: {
    ways: [GS, WS, SW],
    create: () => new NameVersionFrame(),
    fields: { handle: u16, coreCount: u8(32, 1), dedicated: flag, memoryMb: u31, key, functionKey: key },
  },
  dropVersion: { ways: [GS, SW], create: () => new DropVersionFrame(), fields: { version: u16, epoch: u32, key } },
  concurrency: {
    ways: [GS],
    create: () => new ConcurrencyFrame(),
    fields: { max: fc.integer({ min: -1, max: 0x7fffffff }), functionKey: key },
  },
  provision: {
    ways: [GS, SW],
    create: () => new CountFrame(ClusterKind.provision),
    fields: { version: u16, first: u31 },
  },
  grant: {
    ways: [SG],
    create: () => new GrantFrame(ClusterKind.grant),
    fields: { warm: flag, shard: fc.integer({ min: -1, max: 0xffff }), request: u31, core: u31, sequence: i32 },
  },
  grantCores: {
    ways: [SG],
    create: () => new GrantCoresFrame(),
    fields: { warm: flag, shard: fc.integer({ min: -1, max: 0xffff }), request: u31, lead, sequence: i32 },
  },
  refused: {
    ways: [SG],
    create: () => new RequestFrame(ClusterKind.refused),
    fields: { why: u8(6, 1), request: u31 },
  },
  cancelled: { ways: [SG], create: () => new RequestFrame(ClusterKind.cancelled), fields: { request: u31 } },
  version: {
    ways: [SG, SW],
    create: () => new CountFrame(ClusterKind.version),
    fields: { version: u16, first: fc.integer({ min: -1, max: 0xffff }) },
  },
  worker: {
    ways: [SG],
    create: () => new WorkerFrame(),
    fields: {
      port: u16,
      firstCore: word,
      coreCount: fc.integer({ min: 1, max: 0xffff }),
      extraSeatCount: u16,
      life: u32,
      name: name(64, 1),
      host: name(128, 0),
    },
  },
  gone: {
    ways: [SG],
    create: () => new CountFrame(ClusterKind.gone),
    fields: { first: u31, second: fc.integer({ min: 1, max: 0x7fffffff }) },
  },
  probe: { ways: [SW], create: () => new LeaseFrame(ClusterKind.probe), fields: lease },
  release: { ways: [WS], create: () => new LeaseFrame(ClusterKind.release), fields: { warm: flag, ...lease } },
  noMemory: { ways: [WS], create: () => new LeaseFrame(ClusterKind.noMemory), fields: lease },
  memoryAvailable: { ways: [WS], create: () => new CountFrame(ClusterKind.memoryAvailable), fields: {} },
  warmed: { ways: [WS], create: () => new CountFrame(ClusterKind.warmed), fields: { version: u16 } },
  evicted: { ways: [WS], create: () => new CountFrame(ClusterKind.evicted), fields: { version: u16 } },
  announce: {
    ways: [WS],
    create: () => new CountFrame(ClusterKind.announce),
    fields: { flag, first: word, second: i32, third: i32 },
  },
  held: { ways: [WS], create: () => new LeaseFrame(ClusterKind.held), fields: { handle: u16, ...lease } },
  heldCores: {
    ways: [WS],
    create: () => new HeldCoresFrame(),
    fields: { handle: u16, lead, epoch: u32, sequence: i32 },
  },
  fenced: { ways: [WS], create: () => new LeaseFrame(ClusterKind.fenced), fields: lease },
  provisioned: {
    ways: [WS, SG],
    create: () => new CountFrame(ClusterKind.provisioned),
    fields: { flag, version: u16, first: u31, second: u31, third: u31 },
  },
  assign: {
    ways: [GW],
    create: () => new AssignFrame(),
    fields: {
      tail: fc.boolean(),
      next: fc.option(u16),
      follows: fc.boolean(),
      sleepsOn: u8(7),
      usedUs: span,
      version: u16,
      lead: fc.oneof(
        u31.map((core) => ({ core, mask: 0 })),
        lead,
      ),
      epoch: u32,
      sequence: i32,
      request: u31,
      queuedUs: span,
      timeoutMs: u32,
      shard: fc.integer({ min: -1, max: 0x7fffffff }),
      requestId: fc.uuid(),
      clientContext: text,
      traceId: text,
      invokedArn: text,
      payload,
    },
  },
  result: {
    ways: [WG],
    create: () => new ResultFrame(),
    fields: {
      // The two depend on each other.
      outcome: fc.oneof(
        u8(4, 1).map((result) => ({ result, why: 0 })),
        u8(3, 1).map((why) => ({ result: 5, why })),
      ),
      start: u8(2),
      ...lease,
      request: u31,
      queuedUs: span,
      startUs: span,
      initUs: span,
      runUs: span,
      memoryPeakMb: span,
      billedMs: u32,
      shard: fc.integer({ min: -1, max: 0x7fffffff }),
      kept: flag,
      tail: text,
      payload,
    },
  },
  setVersion: {
    ways: [GW],
    create: () => new SetVersionFrame(),
    fields: {
      version: u16,
      epoch: u32,
      key,
      payload: payload.filter(({ length }) => length <= LIMITS.frameVersionBytesMax),
    },
  },
  knowledge: {
    ways: [GW],
    create: () => new KnowledgeFrame(),
    fields: { payload: payload.filter(({ length }) => length <= LIMITS.frameKnowledgeBytesMax) },
  },
  letGo: { ways: [GW], create: () => new LeaseFrame(ClusterKind.letGo), fields: lease },
};

export const HELLO_FIELDS = {
  epoch: u32,
  life: u32,
  firstCore: fc.oneof(fc.constant(-1), word),
  coreCount: u31,
  extraSeatCount: u16,
  memoryMb: u31,
  port: u16,
  floor: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  name: name(64, 1),
  host: name(128, 0),
};

/** A frame as plain values. */
export interface Plain {
  readonly kind: string;
  readonly values: Values;
}

export function build({ kind, values }: Plain): OutFrame | OutBodyFrame {
  const { outcome, lead: cores, ...others } = values as { outcome?: object; lead?: object };
  return Object.assign(SPECS[kind]!.create(), others, outcome, cores);
}

export function specsOf(pair: Pair): readonly [string, Spec][] {
  return Object.entries(SPECS).filter(([, { ways }]) => ways.some(([from, to]) => from === pair[0] && to === pair[1]));
}

export function plainFrame(pair: Pair): fc.Arbitrary<Plain> {
  return fc.oneof(
    ...specsOf(pair).map(([kind, { fields }]) =>
      fc.record(fields).map((values) => ({ kind, values: values as Values })),
    ),
  );
}

/** What of a register its kind has. */
export function plainOf(kind: string, frame: object): Plain {
  const values: Values = {};
  const register = frame as Values;
  for (const field of Object.keys(SPECS[kind]!.fields)) {
    if (field === 'outcome') values[field] = { result: register['result'], why: register['why'] };
    else if (field === 'lead') values[field] = { core: register['core'], mask: register['mask'] };
    else values[field] = register[field];
  }
  // It is to be the receiver's own, so it is not copied here.
  return { kind, values };
}

/** Equal values compare as equal texts, and payloads of many kilobytes quickly. */
export function shown(frames: readonly Plain[]): readonly string[] {
  return frames.map(({ kind, values }) => {
    const entries = Object.entries(values)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([field, value]) => [field, value instanceof Buffer ? value.toString('base64') : value]);
    return `${kind} ${JSON.stringify(entries, (_, value) => (Object.is(value, -0) ? '-0' : value))}`;
  });
}

const DIRECTIONS = new Map<string, new (receiver: any) => Direction>([
  [String(GS), GatewayToScheduler],
  [String(SG), SchedulerToGateway],
  [String(WS), WorkerToScheduler],
  [String(SW), SchedulerToWorker],
  [String(GW), GatewayToWorker],
  [String(WG), WorkerToGateway],
]);

/** Hands each frame on, whatever its kind. */
export function directionOf(pair: Pair, receive: (kind: string, frame: any) => void): Direction {
  const receiver: Record<string, (frame: object) => void> = {};
  for (const [kind] of specsOf(pair)) {
    receiver[kind] = (frame) => receive(kind, frame ?? SPECS[kind]!.create());
  }
  return new (DIRECTIONS.get(String(pair))!)(receiver);
}

export interface Seen {
  readonly hellos: Values[];
  readonly frames: Plain[];
  readonly batches: number[];
  /** At most one. */
  readonly ends: string[];
}

/** Decodes what comes from the first of the pair at the second. Fails on anything after the end. */
export class Ear {
  readonly seen: Seen = { hellos: [], frames: [], batches: [], ends: [] };
  readonly decoder: FrameDecoder;

  constructor(pair: Pair) {
    const alive = (): void => {
      if (this.seen.ends.length > 0) throw new Error(`something came after ${this.seen.ends[0]}`);
    };
    const direction = directionOf(pair, (kind, frame) => {
      alive();
      this.seen.frames.push(plainOf(kind, frame));
    });
    this.decoder = new FrameDecoder(ClusterKind.hello, {
      opened: (hello) => {
        alive();
        this.seen.hellos.push(Object.assign<Values, object>({}, hello));
        return direction;
      },
      batch: (received) => {
        alive();
        this.seen.batches.push(received);
      },
      closed: ({ reason }) => {
        alive();
        this.seen.ends.push(`closed: ${reasonName(reason)}`);
      },
      fault: ({ reason }) => {
        alive();
        this.seen.ends.push(reasonName(reason));
      },
    });
  }

  hear(chunks: readonly Buffer[]): Seen {
    for (const chunk of chunks) this.decoder.push(chunk);
    return this.seen;
  }
}

/** Encodes into memory. */
export class Mouth {
  readonly parts: Buffer[] = [];
  readonly encoder: FrameEncoder;

  constructor(batchBytes = BATCH_BYTES) {
    this.encoder = new FrameEncoder(
      {
        ready: () => {},
        // Copied: the buffer is used again.
        write: (parts, done) => {
          for (const part of parts) this.parts.push(Buffer.from(part));
          done();
        },
        overflow: () => {
          throw new Error('overflow');
        },
      },
      new BatchBuffers(batchBytes, 2),
      2 ** 30,
    );
  }

  hello(role: Role, values: Values = {}): this {
    const frame = Object.assign(new HelloFrame(ClusterKind.hello), { role, name: 'node-1' }, values);
    this.encoder.put(frame, FRAME_BYTES[frame.kind]);
    return this;
  }

  say(frame: OutFrame | OutBodyFrame, isUrgent = true): this {
    if ('payload' in frame) this.encoder.putBody(frame);
    else if (!isUrgent) this.encoder.putLater(frame, FRAME_BYTES[frame.kind]);
    else this.encoder.put(frame, FRAME_BYTES[frame.kind]);
    return this;
  }

  close(reason: CloseReason): this {
    return this.say(Object.assign(new CloseFrame(), { reason }));
  }

  flush(): this {
    this.encoder.flush();
    return this;
  }

  get bytes(): Buffer {
    this.encoder.flush();
    return Buffer.concat(this.parts);
  }
}

/** Into chunks that end at these places, wherever those are beyond the end counted from the start again. */
export function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  const chunks: Buffer[] = [];
  let from = 0;
  for (const end of [...ends, bytes.length]) {
    // In a buffer of its own, so that whoever reads past its end finds nothing.
    chunks.push(Buffer.from(new Uint8Array(bytes.subarray(from, end)).buffer));
    from = end;
  }
  return chunks;
}
