/** What Lambda writes around an invocation: log lines, and the JSON that a caller gets for an instance's end. */
import type { FunctionErrorType } from '../../base/errors.ts';
import type { FunctionVersion } from '../../store/store.ts';
import type { ExitReason } from '../sandbox/contract.ts';
import type { InvocationRecord } from './contract.ts';

export function startLine(requestId: string, fn: FunctionVersion): string {
  return `START RequestId: ${requestId} Version: ${fn.version}\n`;
}

/** END and REPORT, with Perch's own fields behind Lambda's. */
export function endLines(requestId: string, fn: FunctionVersion, record: InvocationRecord): string {
  const init = record.start === 'cold' ? `\tInit Duration: ${ms(record.initUs)} ms` : '';
  return (
    `END RequestId: ${requestId}\n` +
    `REPORT RequestId: ${requestId}\tDuration: ${ms(record.runUs)} ms\tBilled Duration: ${record.billedMs} ms` +
    `\tMemory Size: ${fn.config.memoryMb} MB\tMax Memory Used: ${record.memoryPeakMb} MB${init}` +
    `\tCore: ${record.core}\tStart: ${record.start}\tQueued: ${ms(record.queuedUs)} ms\tStarted: ${ms(record.startUs)} ms\n`
  );
}

export function errorPayload(errorType: FunctionErrorType, requestId: string, what: string): Buffer {
  return Buffer.from(JSON.stringify({ errorType, errorMessage: `RequestId: ${requestId} Error: ${what}` }));
}

export function timeoutText(timeoutS: number): string {
  return `Task timed out after ${timeoutS.toFixed(2)} seconds`;
}

/** Lambda's words for an instance that ended before it answered. */
export function exitError(reason: ExitReason): { type: FunctionErrorType; what: string } {
  switch (reason.kind) {
    case 'oom':
      return { type: 'Runtime.OutOfMemory', what: 'Runtime exited with error: signal: killed' };
    case 'exit':
      return {
        type: 'Runtime.ExitError',
        what:
          reason.code === 0
            ? 'Runtime exited without providing a reason'
            : `Runtime exited with error: exit status ${reason.code}`,
      };
    case 'signal':
      return { type: 'Runtime.ExitError', what: `Runtime exited with error: signal: ${reason.signal}` };
    case 'killed':
      return { type: 'Runtime.ExitError', what: 'The platform ended the instance' };
    case 'start-failed':
      return {
        type: 'Sandbox.StartError',
        what: 'The sandbox of the function could not be started; the log of the platform says why',
      };
  }
}

/** The error object of a failed initialisation in words, whatever the function made of it. */
export function errorText(payload: Buffer): string {
  const text = payload.toString('utf8');
  try {
    const { errorType, errorMessage } = JSON.parse(text) as { errorType?: unknown; errorMessage?: unknown };
    const parts = [errorType, errorMessage].filter((part) => typeof part === 'string' && part !== '');
    return parts.length === 0 ? text : parts.join(': ');
  } catch {
    return text;
  }
}

/** The platform's own line, once for each zygote of it. */
export function uncopyableLine(wallMs: number, functionName: string, reasons: string): string {
  const at = new Date(wallMs).toISOString();
  return `${at} PERCH ${functionName} runs in processes of its own, and cannot be copied: ${reasons}\n`;
}

/** Microseconds as milliseconds with two decimals; `toFixed` is several times as slow. */
function ms(us: number): string {
  const hundredths = Math.round(us / 10);
  const fraction = hundredths % 100;
  return `${(hundredths - fraction) / 100}.${fraction < 10 ? '0' : ''}${fraction}`;
}
