/** What a gateway of a cluster knows of a request, and of a version in use. */
import { LIMITS } from '../../base/limits.ts';
import type { KnowledgeBody } from '../../cluster/knowledge-body.ts';
import { knowledgeMsOf } from '../../store/functions.ts';
import type { Store } from '../../store/store.ts';
import type { ProvisionedState } from '../../worker/agent/contract.ts';
import type { ResultFrame } from '../../wire/cluster/body-frames.ts';
import type { InvokeRequest, InvokeResult } from '../platform.ts';
import type { VersionEntry } from '../versions.ts';
import type { Waiter } from '../waiting-line.ts';
import type { HeldLease } from './handing-on.ts';
import { lostResult } from './results.ts';

/** An accepted request, until its number is free again. */
export interface Pending extends Waiter {
  readonly number: number;
  readonly request: InvokeRequest;
  readonly entry: VersionEntry;
  readonly done: (result: InvokeResult) => void;
  readonly acceptedUs: number;
  /** It has its result, or was withdrawn. */
  isOver: boolean;
  /** What it was sent with last. */
  assignedUs: number;
  core: number;
  /** The same, counted from the first core of its worker. */
  lead: number;
  mask: number;
  shard: number;
  /** Of the lease that it has: the scheduler's line on which it was granted, and the memory that was. */
  line: number;
  memoryMb: number;
  /** The version that comes next, and the one after that; none where none does, or it cannot be used. */
  readonly following: VersionEntry[];
}

/** A version in use. */
export interface VersionUse {
  readonly entry: VersionEntry;
  readonly key: string;
  readonly functionKey: string;
  /** Workers that have answered an invocation of it, and so have its code; the last first. */
  peers: number[];
  provisioned: ProvisionedState;
}

/** A step of a chain that has begun has waited since the chain was accepted: else the chains of a burst would all end at its end. */
export function waitsSinceUs({ request, acceptedUs }: Pending): number {
  return request.sinceUs ?? acceptedUs;
}

/** Null: nothing comes next that is known here. */
export function heldBy(worker: number, { epoch, core, sequence }: ResultFrame, pending: Pending): HeldLease | null {
  const { entry: before, following, mask, line, memoryMb, assignedUs } = pending;
  const [next] = following;
  return next === undefined ? null : { worker, epoch, core, sequence, mask, line, memoryMb, assignedUs, before, next };
}

export function notePeer(use: VersionUse, worker: number): void {
  use.peers = [worker, ...use.peers.filter((peer) => peer !== worker)].slice(0, LIMITS.codePeersMax);
}

export function lostOf(pending: Pending, what: string, nowUs: number): InvokeResult {
  return lostResult({ ...pending, requestId: pending.request.requestId }, what, nowUs);
}

/** What an operator says of a function; null: there is no such function any more. */
export function knowledgeOf(store: Pick<Store, 'getFunction'>, functionName: string): KnowledgeBody | null {
  const record = store.getFunction(functionName);
  if (record === null) return null;
  return { functionName, atMs: knowledgeMsOf(record), knowledge: record.knowledge ?? null };
}
