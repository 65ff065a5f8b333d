/**
 * Frames of 16 bytes, in four layouts. Each class is a register: the decoder fills one and hands it to the receiver, who
 * must not keep it; a sender fills its own and puts it. `read` is false where the frame cannot be.
 *
 * Hot: REQUEST, GRANT and RELEASE of each invocation. Nothing is allocated; test/wire checks the bytes, and
 * bench/lib/frames-process.ts the time. Cores and requests are below 2^31, so they stay small integers.
 */
import { ClusterKind } from '../cluster-frame.ts';
import type { Span } from './span.ts';

// Constants of this module are folded into the code, imported ones are not.
const REQUEST = ClusterKind.request;
const REFUSED = ClusterKind.refused;
const RELEASE = ClusterKind.release;
const UNSTARTED = ClusterKind.unstarted;
const HELD = ClusterKind.held;
const HELD_CORES = ClusterKind.heldCores;

type RequestKind =
  | typeof ClusterKind.request
  | typeof ClusterKind.cancel
  | typeof ClusterKind.refused
  | typeof ClusterKind.cancelled;

/**
 *   0      1       2         4         8         12
 *   ┌──────┬───────┬─────────┬─────────┬─────────┬─────────┐
 *   │ kind │ again │ version │ request │ waited  │ 0       │
 *   │ u8   │ why   │ u16     │ u31     │ ms u32  │         │
 *   └──────┴───────┴─────────┴─────────┴─────────┴─────────┘
 */
export class RequestFrame {
  kind: RequestKind;
  /** REQUEST. 1: it was accepted before, by this scheduler or an earlier one, and is not to be refused for want of a place. */
  again = 0;
  /** REFUSED: a `RefusedWhy`. */
  why = 0;
  /** REQUEST: its index. */
  version = 0;
  /** The gateway's number for it. */
  request = 0;
  /** REQUEST: since it was accepted. */
  waitedMs = 0;

  constructor(kind: RequestKind) {
    this.kind = kind;
  }

  read({ view }: Span, at: number): boolean {
    const head = view.getUint32(at, true);
    this.kind = (head & 0xff) as RequestKind;
    const extra = (head >>> 8) & 0xff;
    this.version = head >>> 16;
    this.request = view.getInt32(at + 4, true);
    this.waitedMs = view.getUint32(at + 8, true);
    if (this.request < 0 || view.getInt32(at + 12, true) !== 0) return false;
    if (this.kind === REQUEST) {
      this.again = extra;
      return extra <= 1;
    }
    this.why = extra;
    if (this.version !== 0 || this.waitedMs !== 0) return false;
    return this.kind === REFUSED ? extra >= 1 && extra <= REFUSED_WHY_MAX : extra === 0;
  }

  write({ view }: Span, at: number): void {
    const { kind } = this;
    const isRequest = kind === REQUEST;
    const head = isRequest ? (this.again << 8) | (this.version << 16) : kind === REFUSED ? this.why << 8 : 0;
    view.setInt32(at, kind | head, true);
    view.setInt32(at + 4, this.request, true);
    view.setUint32(at + 8, isRequest ? this.waitedMs : 0, true);
    view.setInt32(at + 12, 0, true);
  }
}

/** Why a request is refused. */
export const RefusedWhy = {
  /** The function is at its reserved concurrency. */
  concurrency: 1,
  queueFull: 2,
  /** It asks more memory than any worker has in all. */
  memory: 3,
  /** The index stands for nothing. */
  version: 4,
  stopping: 5,
  /** It asks for more cores than any worker has. */
  cores: 6,
} as const;
export type RefusedWhy = (typeof RefusedWhy)[keyof typeof RefusedWhy];
const REFUSED_WHY_MAX = 6;

/** Why a gateway did not start what it was granted. */
export const UnstartedWhy = {
  /** The worker has no memory for it. */
  noMemory: 1,
  /** The worker does not take the lease: its core is busy, or its epoch is over. */
  staleLease: 2,
  /** The worker stops. */
  stopping: 3,
  /** There is no connection to the worker, and nothing of it was sent. */
  unreachable: 4,
  /** Nobody waits for it any more; it is not to be granted again. */
  cancelled: 5,
} as const;
export type UnstartedWhy = (typeof UnstartedWhy)[keyof typeof UnstartedWhy];
const UNSTARTED_WHY_MAX = 5;

type GrantKind = typeof ClusterKind.grant | typeof ClusterKind.grantCores | typeof ClusterKind.unstarted;

const WARM = 1;
const WAITED = 2;

/**
 *   0      1       2         4         8         12
 *   ┌──────┬───────┬─────────┬─────────┬─────────┬──────────┐
 *   │ kind │ flags │ shard   │ request │ core    │ sequence │
 *   │ u8   │ why   │ version │ u31     │ u31     │ i32      │
 *   └──────┴───────┴─────────┴─────────┴─────────┴──────────┘
 */
export class GrantFrame {
  kind: GrantKind;
  /** GRANT, GRANT_CORES. 1: the worker is believed to have a warm instance. */
  warm = 0;
  /** GRANT, GRANT_CORES: in whose queue it waited; -1: it did not. */
  shard = -1;
  /** UNSTARTED: an `UnstartedWhy`. */
  why = 0;
  /** UNSTARTED: the index that was requested. */
  version = 0;
  request = 0;
  core = 0;
  sequence = 0;

  constructor(kind: GrantKind) {
    this.kind = kind;
  }

  read({ view }: Span, at: number): boolean {
    const head = view.getUint32(at, true);
    this.kind = (head & 0xff) as GrantKind;
    const extra = (head >>> 8) & 0xff;
    const half = head >>> 16;
    this.request = view.getInt32(at + 4, true);
    this.core = view.getInt32(at + 8, true);
    this.sequence = view.getInt32(at + 12, true);
    if ((this.request | this.core) < 0) return false;
    if (this.kind === UNSTARTED) {
      this.why = extra;
      this.version = half;
      return extra >= 1 && extra <= UNSTARTED_WHY_MAX;
    }
    this.warm = extra & WARM;
    const waited = (extra & WAITED) !== 0;
    this.shard = waited ? half : -1;
    return extra <= (WARM | WAITED) && (waited || half === 0);
  }

  write({ view }: Span, at: number): void {
    if (this.kind === UNSTARTED) {
      view.setInt32(at, this.kind | (this.why << 8) | (this.version << 16), true);
    } else {
      const flags = this.shard < 0 ? this.warm : this.warm | WAITED;
      view.setInt32(at, this.kind | (flags << 8) | (this.shard < 0 ? 0 : this.shard << 16), true);
    }
    view.setInt32(at + 4, this.request, true);
    view.setInt32(at + 8, this.core, true);
    view.setInt32(at + 12, this.sequence, true);
  }
}

type LeaseKind =
  | typeof ClusterKind.release
  | typeof ClusterKind.noMemory
  | typeof ClusterKind.held
  | typeof ClusterKind.heldCores
  | typeof ClusterKind.fenced
  | typeof ClusterKind.probe
  | typeof ClusterKind.letGo;

/**
 *   0      1      2        4         8         12
 *   ┌──────┬──────┬────────┬─────────┬─────────┬──────────┐
 *   │ kind │ warm │ handle │ core    │ epoch   │ sequence │
 *   │ u8   │ u8   │ u16    │ u31     │ u32     │ i32      │
 *   └──────┴──────┴────────┴─────────┴─────────┴──────────┘
 */
export class LeaseFrame {
  kind: LeaseKind;
  /** RELEASE. 1: the worker keeps its instance. */
  warm = 0;
  /** HELD, HELD_CORES in an announcement: of the version that holds it, as NAME_VERSION on this connection gave it. */
  handle = 0;
  core = 0;
  epoch = 0;
  sequence = 0;

  constructor(kind: LeaseKind) {
    this.kind = kind;
  }

  read({ view }: Span, at: number): boolean {
    const head = view.getUint32(at, true);
    this.kind = (head & 0xff) as LeaseKind;
    this.warm = (head >>> 8) & 0xff;
    this.handle = head >>> 16;
    this.core = view.getInt32(at + 4, true);
    this.epoch = view.getUint32(at + 8, true);
    this.sequence = view.getInt32(at + 12, true);
    if (this.core < 0 || this.warm > (this.kind === RELEASE ? 1 : 0)) return false;
    return this.handle === 0 || this.kind === HELD || this.kind === HELD_CORES;
  }

  write({ view }: Span, at: number): void {
    const warm = this.kind === RELEASE ? this.warm : 0;
    const handle = this.kind === HELD || this.kind === HELD_CORES ? this.handle : 0;
    view.setInt32(at, this.kind | (warm << 8) | (handle << 16), true);
    view.setInt32(at + 4, this.core, true);
    view.setUint32(at + 8, this.epoch, true);
    view.setInt32(at + 12, this.sequence, true);
  }
}

type CountKind =
  | typeof ClusterKind.version
  | typeof ClusterKind.warmed
  | typeof ClusterKind.evicted
  | typeof ClusterKind.provision
  | typeof ClusterKind.provisioned
  | typeof ClusterKind.memoryAvailable
  | typeof ClusterKind.announce
  | typeof ClusterKind.gone;

/** How many of the fields a kind has: flag, half, and the three words. */
const FIELDS: Readonly<Record<CountKind, readonly [flag: 0 | 1, half: 0 | 1, words: 0 | 1 | 2 | 3]>> = {
  [ClusterKind.version]: [0, 1, 1],
  [ClusterKind.warmed]: [0, 1, 0],
  [ClusterKind.evicted]: [0, 1, 0],
  [ClusterKind.provision]: [0, 1, 1],
  [ClusterKind.provisioned]: [1, 1, 3],
  [ClusterKind.memoryAvailable]: [0, 0, 0],
  [ClusterKind.announce]: [1, 0, 3],
  [ClusterKind.gone]: [0, 0, 2],
};

/**
 * All other small ones; what the fields are called depends on the kind.
 *
 *   0      1      2         4         8         12
 *   ┌──────┬──────┬─────────┬─────────┬─────────┬─────────┐
 *   │ kind │ flag │ version │ first   │ second  │ third   │
 *   │ u8   │ u8   │ u16     │ i32     │ i32     │ i32     │
 *   └──────┴──────┴─────────┴─────────┴─────────┴─────────┘
 */
export class CountFrame {
  kind: CountKind;
  /** ANNOUNCE. 1: the last word of the announcement. PROVISIONED. 1: it failed. */
  flag = 0;
  /** The index of a version; in VERSION the handle. */
  version = 0;
  /** VERSION: the index, or NO_INDEX. PROVISION, PROVISIONED: how many are wanted. ANNOUNCE: the word's first core. GONE: the first core. */
  first = 0;
  /** PROVISIONED: how many there are or are being made. ANNOUNCE: bits of cores that are busy. GONE: how many cores. */
  second = 0;
  /** PROVISIONED: how many are ready. ANNOUNCE: bits of cores that are withdrawn. */
  third = 0;

  constructor(kind: CountKind) {
    this.kind = kind;
  }

  read({ view }: Span, at: number): boolean {
    const head = view.getUint32(at, true);
    this.kind = (head & 0xff) as CountKind;
    this.flag = (head >>> 8) & 0xff;
    this.version = head >>> 16;
    this.first = view.getInt32(at + 4, true);
    this.second = view.getInt32(at + 8, true);
    this.third = view.getInt32(at + 12, true);
    const [flag, half, words] = FIELDS[this.kind];
    if (this.flag > flag || (half === 0 && this.version !== 0)) return false;
    if ((words < 1 && this.first !== 0) || (words < 2 && this.second !== 0) || (words < 3 && this.third !== 0))
      return false;
    return this.#isInRange();
  }

  write({ view }: Span, at: number): void {
    const [flag, half, words] = FIELDS[this.kind];
    view.setInt32(at, this.kind | (flag === 0 ? 0 : this.flag << 8) | (half === 0 ? 0 : this.version << 16), true);
    view.setInt32(at + 4, words < 1 ? 0 : this.first, true);
    view.setInt32(at + 8, words < 2 ? 0 : this.second, true);
    view.setInt32(at + 12, words < 3 ? 0 : this.third, true);
  }

  #isInRange(): boolean {
    if (this.kind === ClusterKind.version) return this.first >= -1 && this.first <= 0xffff;
    if (this.kind === ClusterKind.announce) return this.first >= 0 && (this.first & 31) === 0;
    if (this.kind === ClusterKind.gone) return this.first >= 0 && this.second > 0;
    return (this.first | this.second | this.third) >= 0;
  }
}
