/**
 * One case of the fuzzer: a cluster, its functions, what is invoked when, and what goes wrong when; all from one seed, and all of it data. So a case can be
 * made smaller, by taking things out of it, and what is left stays as it was.
 */
import type { SharingPolicy } from '../../worker/machine/sharing.ts';
import { Random } from '../engine/random.ts';
import { type Fault, FAULT_KINDS, type FaultKind } from './fault.ts';
import { exponentialOf } from './waits.ts';

export interface FunctionSpec {
  readonly memoryMb: number;
  readonly coreCount: number;
  readonly sharing: 'shared' | 'dedicated' | 'spare';
  readonly isFresh: boolean;
  /** Of it zygotes are made, which are copied. */
  readonly isForkable: boolean;
  readonly timeoutUs: number;
}

/** What the function does, once it runs. */
export type Outcome = 'answers' | 'exits' | 'breaks' | 'hangs' | 'ends';

export interface Arrival {
  readonly atUs: number;
  readonly gateway: number;
  readonly version: number;
  /** It runs, sleeps, runs, … */
  readonly phasesUs: readonly number[];
  readonly outcome: Outcome;
  /** Its client leaves so long after; 0: it does not. */
  readonly cancelUs: number;
  /** Steps of its chain that come after it. */
  readonly followers: number;
}

export interface WorkerSpec {
  readonly coreCount: number;
  /** As it says, and as its agent has it: less where others take some of it. */
  readonly memoryMb: number;
  readonly agentMemoryMb: number;
  readonly slotCount: number;
  readonly policy: SharingPolicy;
  readonly perCore: number;
  /** How much longer all takes there than elsewhere. */
  readonly slowness: number;
  readonly cellCount: number;
}

export interface Shares {
  /** Of instances that start, such as fail to. */
  readonly startFails: number;
  readonly uncopyable: number;
  /** Of resting instances, such as end by themselves. */
  readonly restingEnds: number;
}

export interface FuzzCase {
  readonly seed: number;
  readonly shardCount: number;
  readonly workers: readonly WorkerSpec[];
  readonly gatewayCount: number;
  readonly functions: readonly FunctionSpec[];
  readonly queueMax: number;
  readonly requestCountMax: number;
  readonly overtakeMax: number;
  readonly firstSequence: number;
  readonly delayUs: number;
  readonly lateShare: number;
  readonly lateUs: number;
  readonly bellUs: number;
  /** The safety phase. */
  readonly endUs: number;
  readonly shares: Shares;
  readonly arrivals: readonly Arrival[];
  readonly faults: readonly Fault[];
}

const POLICIES: readonly SharingPolicy[] = ['dedicated', 'lend', 'lend', 'packed', 'preempt', 'fair'];
/** Sequences that are about to wrap, and others. */
const FIRST_SEQUENCES: readonly number[] = [0, 0x0ffffff0, 0x07fffff0];
/** Room for any of the functions, its zygote and some cells: else it would be admitted, and never run. */
const AGENT_MEMORY_MB_MIN = 1100;
const MS = 1000;
const S = 1_000_000;

/** Numbers of streams; the net has one of its own (world.ts). */
const stream = { cluster: 1, arrivals: 2, faults: 3 } as const;

class Draw {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  unit(): number {
    return this.#random.unit();
  }

  from(least: number, most: number): number {
    return least + this.#random.below(most - least + 1);
  }

  one<T>(of: readonly T[]): T {
    return of[this.#random.below(of.length)]!;
  }

  chance(share: number): boolean {
    return this.#random.unit() < share;
  }

  /** Most are short. */
  us(meanUs: number): number {
    return Math.ceil(exponentialOf(this.#random) * meanUs);
  }
}

export function caseOf(seed: number): FuzzCase {
  const draw = new Draw(new Random(seed, stream.cluster));
  const workers = Array.from({ length: draw.from(1, 4) }, () => workerOf(draw));
  const functions = Array.from({ length: draw.from(1, 5) }, () => functionOf(draw));
  const cluster = {
    seed,
    shardCount: draw.one([1, 1, 2, 2, 3]),
    workers,
    gatewayCount: draw.one([1, 2, 2, 3]),
    functions,
    queueMax: draw.from(2, 12),
    requestCountMax: draw.from(8, 40),
    overtakeMax: draw.from(0, 4),
    firstSequence: draw.one(FIRST_SEQUENCES),
    delayUs: draw.one([20, 50, 200, 1000]),
    lateShare: draw.one([0, 0.02, 0.1]),
    lateUs: draw.one([5, 50, 1500]) * MS,
    bellUs: draw.one([10, 60, 5000]),
    endUs: draw.from(2, 10) * S,
    shares: {
      startFails: draw.one([0, 0.05, 0.2]),
      uncopyable: draw.one([0, 0.1]),
      restingEnds: draw.one([0, 0.05, 0.2]),
    },
  };
  return { ...cluster, arrivals: arrivalsOf(cluster), faults: faultsOf(cluster) };
}

function workerOf(draw: Draw): WorkerSpec {
  const coreCount = draw.from(1, 8);
  const policy = draw.one(POLICIES);
  const perCore = policy === 'dedicated' ? 1 : draw.from(2, 3);
  const memoryMb = draw.from(2, 12) * 256;
  // A slot for each seat, or the machine is not made for it.
  const seatCount = policy === 'dedicated' ? coreCount : coreCount * (perCore + 1);
  return {
    coreCount,
    memoryMb,
    agentMemoryMb: draw.chance(0.5) ? Math.max(AGENT_MEMORY_MB_MIN, Math.ceil(memoryMb / 3)) : memoryMb + 256,
    slotCount: seatCount + draw.from(0, 6),
    policy,
    perCore,
    slowness: draw.chance(0.2) ? draw.from(2, 20) : 1,
    cellCount: draw.from(0, 2),
  };
}

function functionOf(draw: Draw): FunctionSpec {
  return {
    memoryMb: draw.one([128, 128, 256, 400, 512]),
    coreCount: draw.chance(0.25) ? draw.from(2, 4) : 1,
    sharing: draw.one(['shared', 'shared', 'shared', 'dedicated', 'spare'] as const),
    isFresh: draw.chance(0.25),
    isForkable: draw.chance(0.6),
    timeoutUs: draw.one([20, 200, 1000]) * MS,
  };
}

type Cluster = Omit<FuzzCase, 'arrivals' | 'faults'>;

function arrivalsOf({ seed, workers, gatewayCount, functions, endUs }: Cluster): Arrival[] {
  const draw = new Draw(new Random(seed, stream.arrivals));
  const coreCount = workers.reduce((sum, worker) => sum + worker.coreCount, 0);
  const meanRunUs = draw.one([1, 10, 60]) * MS;
  const sleeps = draw.one([0, 0.3, 0.8]);
  const load = draw.one([0.3, 0.8, 1.5]);
  const count = Math.min(draw.from(40, 400), Math.ceil((endUs * load * coreCount) / meanRunUs));
  // They come within a while, and then nobody does, and again.
  const burstUs = Math.max(1, Math.min(endUs, (count * meanRunUs) / (load * coreCount)));
  const startUs = draw.unit() * (endUs - burstUs);
  const arrivals = Array.from({ length: count }, (): Arrival => {
    const isInBurst = draw.chance(0.8);
    return {
      atUs: Math.floor(isInBurst ? startUs + draw.unit() * burstUs : draw.unit() * endUs),
      gateway: draw.from(0, gatewayCount - 1),
      version: draw.from(0, functions.length - 1),
      phasesUs: draw.chance(sleeps)
        ? [draw.us(meanRunUs / 2), draw.us(meanRunUs * 2), draw.us(meanRunUs / 2)]
        : [draw.us(meanRunUs)],
      outcome: draw.chance(0.9) ? 'answers' : draw.one(['exits', 'breaks', 'hangs', 'ends']),
      cancelUs: draw.chance(0.07) ? draw.us(meanRunUs * 2) : 0,
      followers: draw.chance(0.15) ? draw.from(1, 3) : 0,
    };
  });
  return arrivals.sort((a, b) => a.atUs - b.atUs);
}

function faultsOf({ seed, endUs }: Cluster): Fault[] {
  const draw = new Draw(new Random(seed, stream.faults));
  const count = draw.one([0, 0, 3, 8, 20, 40, 80]);
  const kinds = FAULT_KINDS.filter(() => draw.chance(0.6));
  if (kinds.length === 0) return [];
  const faults = Array.from({ length: count }, () => ({
    atUs: Math.floor(draw.unit() * endUs),
    kind: draw.one<FaultKind>(kinds),
    a: draw.from(0, 99),
    b: draw.from(0, 99),
    // Of what takes a while: an absence, a partition.
    forUs: draw.us(draw.one([1, 100, 1500]) * MS),
  }));
  return faults.sort((a, b) => a.atUs - b.atUs);
}

/** The seed of the case after this one. */
export function seedAfter(seed: number): number {
  return new Random(seed, 0).int32() >>> 0;
}

/** A number, or any text, as the hash of a commit: FNV-1a over it. */
export function seedOf(text: string): number {
  if (/^\d{1,10}$/.test(text) && Number(text) <= 0xffff_ffff) return Number(text);
  let hash = 0x811c9dc5;
  for (const character of text) hash = Math.imul(hash ^ character.codePointAt(0)!, 0x01000193);
  return hash >>> 0;
}
