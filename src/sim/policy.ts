/** What a scheduling policy is to the simulator. One folder each in policies/; policies/index.ts lists them. */
import type { World } from './world.ts';

/** Made for one simulation. It decides where each job runs, and has servers (servers/) that run them. */
export interface Policy {
  /**
   * The invocation has reached the platform, at the gateway. It has to end in one of `world.finish`, `refuse` and `lose`, later or at once.
   * `after`, only where it `handsOver`: the job whose output it is fed, as the step of a chain; -1: none. That one ends in this moment, at its
   * worker, and its number is still its own.
   */
  arrive(job: number, after: number): void;
  /** Whether it hears of the next step of a chain at the worker of the one before, and not at the gateway. */
  readonly handsOver?: boolean;
  /** Jobs that have reached the platform and have no core yet, nor wait for one behind others on it. */
  readonly waitingCount: number;
  /** What it has counted of its own, beside `world.counters`: by a name that people read. */
  counters?(): Readonly<Record<string, number>>;
  /** Throws at the first of its invariants that does not hold. */
  check?(): void;
  /** What it still has to do, and for whom: for the message when a simulation does not end. */
  pending?(): readonly string[];
  /**
   * Of faults (docs/SIMULATOR.md). The server has been silent for so long that everybody takes it to be gone: from now on nobody is sent there. Whoever was there is
   * lost: each ends for the policy, as jobs do, just after this. Without it the policy goes on as if the server were there.
   */
  gone?(server: number): void;
  /** It is heard of again, and empty. */
  back?(server: number): void;
  /** How long a server is silent before it is taken to be gone; 3 s unless given. */
  readonly silenceUs?: number;
  /** Of a policy that has servers of its own: all that runs on the server is over from now on, and nobody knows it yet. `servers/` see to it themselves. */
  crash?(server: number): void;
  /** The central scheduler dies, and another takes its place at that time. Without it messages to it wait until then, and it is as before. */
  crashScheduler?(untilUs: number): void;
  /** From now on all that runs on the server takes so many times as long; 1: as usual. */
  slow?(server: number, factor: number): void;
}

export interface OptionSpec {
  readonly help: string;
  readonly default: number | string;
  /** Of a number: at least, at most. */
  readonly min?: number;
  readonly max?: number;
  /** Of a number: a count, or a number of something. */
  readonly isWhole?: boolean;
  /** Of a text. */
  readonly choices?: readonly string[];
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;
export type OptionValues = Readonly<Record<string, number | string>>;

export interface PolicyKind {
  /** As on the command line. */
  readonly name: string;
  /** One line: what it does. */
  readonly summary: string;
  /** Who published it, where: so that it can be checked. */
  readonly source: string;
  readonly options: OptionSpecs;
  make(world: World, options: OptionValues): Policy;
}
