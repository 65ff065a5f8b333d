/** What the main thread and a shard's thread post to each other: calls, as their name and arguments. */
import type { MessagePort } from 'node:worker_threads';
import type { SchedulerLimits } from '../../machine/limits.ts';
import type { SharedMemory } from '../../machine/memory.ts';
import type { PeerPort } from '../mail.ts';
import type { ControlPort, ShardPort, ShardReport } from '../shard-ports.ts';

/** Of an error of Node's, what a message can carry and whoever reports it needs. */
export interface ListenFailure {
  readonly message: string;
  readonly code?: string | undefined;
  readonly syscall?: string | undefined;
  readonly hostname?: string | undefined;
}

/** What a thread tells the main one, beside what its shard tells the control. */
export interface MainPort extends ControlPort {
  /** It takes connections at this port; or what listening throws. */
  listening(port: number): void;
  notListening(error: ListenFailure): void;
  /** The answer to `report`. */
  reportIs(id: number, report: ShardReport): void;
  /** Somebody has asked over HTTP; answered with `answered`. */
  wanted(id: number, what: 'view' | 'metrics'): void;
  /** All its connections are closed. */
  stopped(): void;
}

/** What the main thread tells a shard's, beside what the control tells the shard. */
export interface ThreadPort extends ShardPort {
  report(id: number): void;
  answered(id: number, answer: object | string): void;
  /** The list of certificates that were taken back, whole. */
  revoke(fingerprints: readonly string[]): void;
  /** This shard was started again. */
  peer(shard: number, port: MessagePort): void;
  stop(): void;
}

export type Call<Port> = {
  [Name in keyof Port]: Port[Name] extends (...args: infer Args) => unknown ? readonly [name: Name, args: Args] : never;
}[keyof Port];

/** `isAsked`: the thread stands still until it is answered. */
export interface ToMain {
  readonly isAsked: boolean;
  readonly call: Call<MainPort>;
}
export type ToThread = Call<ThreadPort>;
export type ToPeer = Call<PeerPort>;

/** For a shard's thread, as its worker data. */
export interface ThreadData {
  readonly shard: number;
  /** How many threads there were for it before this one. */
  readonly generation: number;
  readonly limits: SchedulerLimits;
  readonly memory: SharedMemory;
  readonly requestsEach: number;
  readonly queueMax: number;
  readonly startSweeps: number;
  readonly epoch: number;
  /** See `ControlSetting.joins`; and how they were when the thread was begun. */
  readonly joins: Int32Array;
  readonly joinsSeen: Int32Array;
  /** Requests that hold a core for whoever the one before this thread granted it to. */
  readonly heldRequests: readonly number[];
  readonly toMain: MessagePort;
  readonly answers: MessagePort;
  /** How many questions were answered. */
  readonly answerCount: Int32Array;
  readonly pushes: MessagePort;
  /** By shard; null: itself. */
  readonly peers: readonly (MessagePort | null)[];
  /** Of this node, and of the process. */
  readonly name: string;
  readonly life: number;
  /** What the thread needs to listen: whoever wrote its entry knows. */
  readonly door: unknown;
}

/** Carries a message out on whoever has its name. */
export function call<Port extends object>(port: Port, name: keyof Port, args: readonly unknown[]): unknown {
  return (port[name] as (...all: unknown[]) => unknown).apply(port, [...args]);
}
