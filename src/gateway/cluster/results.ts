/** What a worker's RESULT is to a client, and what a client is told where there will be none. */
import { coreCountOf } from '../../base/core-mask.ts';
import { API_ERRORS, type ApiErrorCode, type ThrottleReason, UserError } from '../../base/errors.ts';
import { type ResultFrame, ResultKind, ResultStart } from '../../wire/cluster/body-frames.ts';
import type { InvocationRecord, StartKind } from '../../worker/agent/contract.ts';
import { errorPayload } from '../../worker/agent/report.ts';
import type { InvokeResult } from '../platform.ts';

const STARTS: Readonly<Record<ResultStart, StartKind>> = {
  [ResultStart.cold]: 'cold',
  [ResultStart.copy]: 'copy',
  [ResultStart.warm]: 'warm',
};

/** Of a response or a function error. `coreCount`: of its lease, whose lead is what the frame names. */
export function resultOf(frame: ResultFrame, coreCount: number): InvokeResult {
  const kind = frame.result === ResultKind.response ? 'response' : 'error';
  return { kind, payload: frame.payload, record: recordOf(frame, coreCount), tail: frame.tail };
}

function recordOf(frame: ResultFrame, coreCount: number): InvocationRecord {
  const { core, shard, queuedUs, startUs, initUs, runUs, billedMs, memoryPeakMb } = frame;
  const start = STARTS[frame.start];
  return { core, coreCount, start, queuedAt: shard, queuedUs, startUs, initUs, runUs, billedMs, memoryPeakMb };
}

/** Of one whose code could not be supplied. It comes from a node of the cluster: what is no error of ours is one of the platform's. */
export function notStartedError(frame: ResultFrame): UserError {
  const { code, message, reason } = errorIn(frame.payload);
  if (typeof code !== 'string' || !Object.hasOwn(API_ERRORS, code) || typeof message !== 'string')
    return new UserError('ServiceException', 'The worker could not start the function, and its log says why.');
  return new UserError(code as ApiErrorCode, message, reason as ThrottleReason | undefined);
}

function errorIn(payload: Buffer): { code?: unknown; message?: unknown; reason?: unknown } {
  try {
    return (JSON.parse(payload.toString('utf8')) as object | null) ?? {};
  } catch {
    return {};
  }
}

/** What was sent to a worker and is not answered. */
export interface Unanswered {
  readonly requestId: string;
  readonly core: number;
  readonly mask: number;
  readonly shard: number;
  readonly acceptedUs: number;
  readonly assignedUs: number;
}

/** It may have run to its end, in part, or not at all. */
export function lostResult(unanswered: Unanswered, what: string, nowUs: number): InvokeResult {
  const { requestId, core, mask, shard, acceptedUs, assignedUs } = unanswered;
  const runUs = nowUs - assignedUs;
  const record: InvocationRecord = {
    core,
    coreCount: coreCountOf(mask),
    start: 'cold',
    queuedAt: shard,
    queuedUs: assignedUs - acceptedUs,
    startUs: 0,
    initUs: 0,
    runUs,
    billedMs: Math.max(1, Math.ceil(runUs / 1000)),
    memoryPeakMb: 0,
  };
  return {
    kind: 'error',
    payload: errorPayload('Sandbox.WorkerLost', requestId, what),
    record,
    tail: '',
    isLost: true,
  };
}
