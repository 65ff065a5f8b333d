/** What an invocation came to: the payload for its caller, and its record. */
import { UserError } from '../../base/errors.ts';
import { FrameKind } from '../../wire/instance-frame.ts';
import { Ending } from '../machine/actions.ts';
import { coreCountOf } from '../../base/core-mask.ts';
import type { ExitReason } from '../sandbox/contract.ts';
import type { Invocation, InvocationRecord, InvocationResult, Lease, StartKind } from './contract.ts';
import type { Answer } from './instance.ts';
import type { InvocationLog } from './invocation-log.ts';
import { errorPayload, exitError, timeoutText } from './report.ts';

/** What a core runs, or several of one lease: from `assign` until that is released. */
export interface Running {
  readonly lease: Lease;
  readonly invocation: Invocation;
  readonly grantedUs: number;
  readonly log: InvocationLog;
  startedUs: number;
  start: StartKind;
  /** Of the zygote that it was forked from; 0 where there was none. */
  initUs: number;
  /** The instance's answer, for the `complete` that follows it. */
  answer: Answer | null;
}

/** What is known of whatever served it, or failed to: an instance, or what it waited for. */
export interface Server {
  readonly initUs: number;
  readonly exit: ExitReason | null;
  /** What the zygote said. */
  readonly initError: Buffer | null;
  readonly refusal: UserError | null;
  readonly awaitsCode: boolean;
  memoryPeakMb(nowUs: number): number;
}

interface Payload {
  readonly kind: 'response' | 'error';
  readonly payload: Buffer;
}

export interface Moment {
  readonly nowUs: number;
  readonly wallMs: number;
  readonly initTimeoutMs: number;
}

function codeIsLate(): UserError {
  return new UserError('ServiceException', 'The code of the function took too long to be fetched and unpacked.');
}

/** Ends its log. */
export function resultOf(running: Running, ending: Ending, server: Server | null, moment: Moment): InvocationResult {
  const refusal = server?.refusal ?? null;
  if (refusal !== null) return { kind: 'not-started', error: refusal };
  if (ending === Ending.initTimedOut && server?.awaitsCode === true)
    return { kind: 'not-started', error: codeIsLate() };
  if (ending === Ending.answered && running.answer!.kind === FrameKind.badPayload) {
    return { kind: 'bad-payload', message: running.answer!.body.toString('utf8') };
  }
  const record = recordOf(running, server, moment.nowUs);
  const { kind, payload } = payloadOf(running, ending, server, moment);
  running.log.end(record);
  return { kind, payload, record, tail: running.log.tail() };
}

/** Notes in the log what the instance could not. */
function payloadOf(running: Running, ending: Ending, server: Server | null, moment: Moment): Payload {
  const { requestId, fn } = running.invocation;
  const { log } = running;
  const error = (...values: Parameters<typeof errorPayload>): Payload => ({
    kind: 'error',
    payload: errorPayload(...values),
  });
  switch (ending) {
    case Ending.answered: {
      const { kind, body } = running.answer!;
      return { kind: kind === FrameKind.response ? 'response' : 'error', payload: body };
    }
    case Ending.initFailed:
      return { kind: 'error', payload: server?.initError ?? Buffer.from('{}') };
    case Ending.timedOut: {
      const what = timeoutText(fn.config.timeoutS);
      log.note(`${new Date(moment.wallMs).toISOString()} ${requestId} ${what}\n`);
      return error('Sandbox.Timedout', requestId, what);
    }
    case Ending.initTimedOut:
      return error('Runtime.InitTimeout', requestId, `Initialisation took longer than ${moment.initTimeoutMs} ms`);
    case Ending.broke:
      return error('Runtime.InvalidProtocol', requestId, 'The instance broke the protocol of its channel');
    case Ending.exited: {
      const { type, what } = exitError(server?.exit ?? { kind: 'killed' });
      log.note(`RequestId: ${requestId} Error: ${what}\n${type}\n`);
      return error(type, requestId, what);
    }
  }
}

function recordOf(running: Running, server: Server | null, nowUs: number): InvocationRecord {
  const started = running.startedUs > 0;
  const runUs = started ? nowUs - running.startedUs : 0;
  const startUs = (started ? running.startedUs : nowUs) - running.grantedUs;
  // That of a copy is its rehearsal, which is the platform's. What was over before the invocation came is not its own.
  const initUs = running.start === 'cold' ? Math.min(running.initUs || (server?.initUs ?? 0), startUs) : 0;
  return {
    core: running.lease.core,
    coreCount: coreCountOf(running.lease.mask ?? 0),
    start: running.start,
    queuedAt: running.invocation.queuedAt,
    queuedUs: running.grantedUs - running.invocation.acceptedUs,
    startUs,
    initUs,
    runUs,
    // Initialisation is billed with the invocation that caused it, as Lambda does since 2025.
    billedMs: Math.max(1, Math.ceil((runUs + initUs) / 1000)),
    memoryPeakMb: server?.memoryPeakMb(nowUs) ?? 0,
  };
}
