/**
 * What the control and the shards say to each other. With one shard these are calls; with more, each shard is a thread, and what is told
 * is a message that waits for nobody. What is asked is answered before the call returns: the shard stands still until then
 * (threads/control-client.ts). The control asks nothing of a shard.
 *
 * A line is named by a number, of which the lower bits say at which shard it is.
 */
import type { CloseReason } from '../../wire/cluster-frame.ts';
import type { Announcement, Place, ProvisionedSum, WorkerSize, WorkerView } from './ports.ts';
import type { NamedVersion } from './version-names.ts';

const SHARD_BITS = 7;

export function lineOf(shard: number, count: number): number {
  return count * (1 << SHARD_BITS) + shard;
}

export function shardOfLine(line: number): number {
  return line % (1 << SHARD_BITS);
}

export type LineRole = 'worker' | 'gateway';

/** Who greets, and whom it has followed. */
export interface Greeting {
  readonly role: LineRole;
  readonly name: string;
  readonly life: number;
  readonly epoch: number;
}

export interface Joined extends Place {
  /** The worker's index in the machine. */
  readonly index: number;
  /** Of what it runs from before, the cores that are leased for it; the others are only kept back. */
  readonly counted: readonly number[];
}

/** How often each index was named. */
export type NameCounts = readonly (readonly [index: number, count: number])[];

/** What a shard knows and the control does not. */
export interface ShardReport {
  readonly queueLength: number;
  readonly collectedCount: number;
  /** Grants that were told. */
  readonly grantCount: number;
  readonly gateways: readonly { readonly line: number; readonly waiting: number; readonly running: number }[];
}

export interface ControlPort {
  // ---- asked

  /** The epoch that it joins, or why it may not. */
  greet(line: number, greeting: Greeting): { readonly epoch: number } | CloseReason;
  place(worker: WorkerSize): Place | string;
  joinWorker(line: number, announcement: Announcement): Joined | string;
  /** All workers that are here, as of this worker event. */
  joinGateway(
    line: number,
    gateway: { readonly name: string; readonly nowMs: number },
  ): { readonly asOf: number; readonly workers: readonly WorkerView[] };
  /** -1: there are too many. Named until it is unnamed, or its line has left. */
  name(version: NamedVersion): number;
  /** The same, and nobody names it by this. */
  keep(version: NamedVersion): number;
  /** Asked, so that what the worker releases next is not granted again. */
  withdraw(line: number, firstCore: number, bits: number): void;
  /** A gateway was granted the core, and could not reach its worker. Asked, so that what it asks for next is not granted there again. */
  unreachable(core: number): void;

  // ---- told

  unname(index: number): void;
  /** Requests that no machine knows of wait for it; `letGo` when they do not any more. */
  hold(index: number): void;
  letGo(index: number): void;
  /** A request of the version is over. */
  ended(index: number): void;
  setConcurrency(functionKey: string, max: number): void;
  provision(line: number, index: number, count: number): void;
  gatewayLeft(line: number, names: NameCounts): void;
  workerLeft(line: number): void;
  /** What it ran from before has ended there. */
  endEarlier(line: number, core: number, warm: boolean): void;
  reported(line: number, index: number, own: Omit<ProvisionedSum, 'wanted'>): void;
  warmed(line: number, index: number): void;
  evicted(line: number, index: number): void;
  /** Its worker is to be asked whether it runs this. */
  probe(core: number, sequence: number): void;
  /** Something runs, or ran, on a worker that was doubted. */
  reached(line: number): void;
  /** The connection has ended, whether or not it had greeted. */
  closed(line: number, reason: string): void;
  /** The answer to `answerTurn`. */
  turned(shard: number, turn: number): void;
}

export interface ShardPort {
  /** `event` goes up by one with each of these two. */
  workerJoined(event: number, worker: WorkerView): void;
  workerLeft(event: number, worker: WorkerView): void;
  /** A worker was given a place, or has one again. */
  workerPlaced(): void;
  dropped(index: number, key: string): void;
  provision(line: number, index: number, count: number, version: NamedVersion): void;
  provisioned(index: number, sum: ProvisionedSum): void;
  probe(core: number, sequence: number): void;
  /** Leases of requests of this shard have ended elsewhere: for each its request, and its core where that has a warm instance now, or -1. */
  endedElsewhere(requests: Int32Array): void;
  /** The worker refused the lease of one of this shard's requests for want of memory. */
  noMemory(core: number, sequence: number): void;
  /** The worker has memory again, as it said after that. */
  memoryAvailable(worker: number): void;
  warmed(worker: number, version: number): void;
  evicted(worker: number, version: number): void;
  /** A gateway could not reach the worker: what is heard of it next is to be told. */
  doubted(worker: number): void;
  /** Closes the line: its node has another one. */
  close(line: number, reason: CloseReason): void;
  /** All that joined an earlier epoch come back to this one. */
  renew(epoch: number): void;
  /** Answered once nothing that began before is still going on. */
  answerTurn(turn: number): void;
  /** The control has used the machine that this shard uses too: its grants are to be told. */
  settle(): void;
}
