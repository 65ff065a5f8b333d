/**
 * Frames between the nodes of a cluster: scheduler, gateways, workers. docs/WIRE.md draws each, and says who sends it when.
 * Little-endian. Each kind has one size, a multiple of 16 bytes; four kinds say their length, and are filled up with zeros
 * to a multiple of 16. What a frame does not use is zero, and checked: what is read is written again as the same bytes.
 *
 *   ┌───────┬───────┬─────────┬───────┬───────┐┌───────┬─────────┬───────┬
 *   │ BATCH │ HELLO │ REQUEST │ GRANT │ …     ││ BATCH │ RELEASE │ …     │
 *   └───────┴───────┴─────────┴───────┴───────┘└───────┴─────────┴───────┴
 *      └── bytes of what follows in the batch, its number, bytes received from the other side so far
 *
 * All frames stand in batches. A batch is numbered, so one that comes twice or is missing is seen; an empty one is the
 * heartbeat. The first frame is HELLO from the side that dialled, and WELCOME from the other.
 */
export const WIRE_VERSION = 2;
/** Spoken with nodes that know no more: without extra seats, and without what chains need (docs/WIRE.md). */
export const WIRE_VERSION_OLDEST = 1;
/** 'PRCH': whatever else speaks to the port is found out by its first frame. */
export const WIRE_MAGIC = 0x48435250;

export const Role = { scheduler: 1, gateway: 2, worker: 3 } as const;
export type Role = (typeof Role)[keyof typeof Role];

export const ClusterKind = {
  // Any direction.
  batch: 1,
  hello: 2,
  welcome: 3,
  close: 4,
  // To the scheduler, of requests and versions.
  request: 16,
  cancel: 17,
  unstarted: 18,
  nameVersion: 19,
  dropVersion: 20,
  concurrency: 21,
  provision: 22,
  // From the scheduler.
  grant: 32,
  refused: 33,
  cancelled: 34,
  version: 35,
  worker: 36,
  gone: 37,
  probe: 38,
  grantCores: 39,
  // From workers, of leases and instances.
  release: 48,
  noMemory: 49,
  memoryAvailable: 50,
  warmed: 51,
  evicted: 52,
  announce: 53,
  held: 54,
  fenced: 55,
  provisioned: 56,
  heldCores: 57,
  // Between gateways and workers; all but LET_GO say their length.
  assign: 64,
  result: 65,
  setVersion: 66,
  letGo: 67,
  knowledge: 68,
} as const;
export type ClusterKind = (typeof ClusterKind)[keyof typeof ClusterKind];

/** Every kind is below. */
export const KIND_END = 128;

/** Of every frame: enough to know how long it is. */
export const HEADER_BYTES = 16;
export const KEY_BYTES = 16;
/** ASCII, without spaces, filled up with zeros. */
export const NODE_NAME_BYTES_MAX = 64;
export const HOST_BYTES_MAX = 128;
export const REQUEST_ID_BYTES = 36;

const HELLO_BYTES = 48 + NODE_NAME_BYTES_MAX + HOST_BYTES_MAX;

/** What stands before the texts and the payload of the frames that say their length. */
export const ASSIGN_FIXED_BYTES = 96;
export const RESULT_FIXED_BYTES = 80;
export const SET_VERSION_FIXED_BYTES = 32;
export const KNOWLEDGE_FIXED_BYTES = 16;

/** Bytes by kind; 0: no such kind; below 0: says its length, and has at least so many. */
export const FRAME_BYTES: Int16Array = frameBytes();

function frameBytes(): Int16Array {
  const bytes = new Int16Array(256);
  for (const kind of Object.values(ClusterKind)) bytes[kind] = HEADER_BYTES;
  bytes[ClusterKind.hello] = HELLO_BYTES;
  bytes[ClusterKind.welcome] = HELLO_BYTES;
  bytes[ClusterKind.nameVersion] = 48;
  bytes[ClusterKind.dropVersion] = 32;
  bytes[ClusterKind.concurrency] = 32;
  bytes[ClusterKind.grantCores] = 32;
  bytes[ClusterKind.heldCores] = 32;
  bytes[ClusterKind.worker] = 16 + NODE_NAME_BYTES_MAX + HOST_BYTES_MAX;
  bytes[ClusterKind.assign] = -ASSIGN_FIXED_BYTES;
  bytes[ClusterKind.result] = -RESULT_FIXED_BYTES;
  bytes[ClusterKind.setVersion] = -SET_VERSION_FIXED_BYTES;
  bytes[ClusterKind.knowledge] = -KNOWLEDGE_FIXED_BYTES;
  return bytes;
}

/** Why a connection is closed. What is found wrong in frames is below 32. */
export const CloseReason = {
  /** A frame that cannot be: an unknown kind, a field out of its range, padding that is not zero, a batch that ends inside a frame. */
  malformed: 1,
  /** The connection ended inside a batch. */
  truncated: 2,
  /** A length beyond its limit. */
  oversized: 3,
  /** A kind that this role does not send to that one, or a role that does not speak to that one. */
  outOfRole: 4,
  /** The first frame is not HELLO, or WELCOME. */
  beforeHello: 5,
  /** A batch out of its order, or a second HELLO. */
  replayed: 6,
  /** Another version of the protocol. */
  version: 7,

  /** The node stops. */
  stopping: 32,
  /** Nothing came for the silence limit. */
  silent: 33,
  /** What was sent is not read. */
  unread: 34,
  /** More waits to be sent than may. */
  backlog: 35,
  /** The scheduler's epoch is over. */
  staleEpoch: 36,
  /** Another node of this name is connected. */
  nameTaken: 37,
  /** The node has connected again. */
  superseded: 38,
  /** Its certificate does not say this name and role. */
  notAllowed: 39,
  /** No place for one more: cores, workers or connections. */
  full: 40,
  /** A frame that is well formed, and false: a core that is not the worker's, a version that was never named. */
  breach: 41,

  /** Never sent: the connection ended without a reason. */
  lost: 64,
} as const;
export type CloseReason = (typeof CloseReason)[keyof typeof CloseReason];

const REASON_NAMES = new Map<number, string>(Object.entries(CloseReason).map(([name, code]) => [code, name]));

/** For logs; another version may know reasons that this one does not. */
export function reasonName(code: number): string {
  return REASON_NAMES.get(code) ?? `reason ${code}`;
}

export function isCloseReason(code: number): code is CloseReason {
  return REASON_NAMES.has(code);
}

/** Where an index is expected and there is none. */
export const NO_INDEX = -1;

export function isSpoken(version: number): boolean {
  return version >= WIRE_VERSION_OLDEST && version <= WIRE_VERSION;
}

export function padded(bytes: number): number {
  return (bytes + 15) & ~15;
}
