/**
 * The log of one invocation: what the instance writes meanwhile goes to the function's log, up to a limit, and its
 * last bytes are kept where the client asked for them (Lambda's LogType=Tail).
 */
import type { LogStore } from '../../store/logs.ts';
import type { Invocation, InvocationRecord } from './contract.ts';
import { endLines, startLine } from './report.ts';

interface LogLimits {
  readonly logBytesPerInvocationMax: number;
  readonly logTailBytesMax: number;
}

export class InvocationLog {
  readonly #invocation: Invocation;
  readonly #logs: LogStore;
  readonly #limits: LogLimits;
  /** Only the text that may still be part of the tail. */
  #tail = '';
  #bytes = 0;
  #dropped = 0;

  constructor(invocation: Invocation, logs: LogStore, limits: LogLimits) {
    this.#invocation = invocation;
    this.#logs = logs;
    this.#limits = limits;
  }

  start(): void {
    const { requestId, fn } = this.#invocation;
    this.#append(startLine(requestId, fn));
  }

  /** What the instance wrote. False: it was dropped, since the invocation has logged too much. */
  write(text: string, bytes: number): boolean {
    this.#bytes += bytes;
    if (this.#bytes <= this.#limits.logBytesPerInvocationMax) {
      this.#append(text);
      return true;
    }
    this.#dropped += bytes;
    return false;
  }

  /** What the platform has to say about it; never dropped. */
  note(text: string): void {
    this.#append(text);
  }

  end(record: InvocationRecord): void {
    const { requestId, fn } = this.#invocation;
    const dropped =
      this.#dropped > 0
        ? `... ${this.#dropped} bytes of log dropped beyond ${this.#limits.logBytesPerInvocationMax}\n`
        : '';
    this.#append(dropped + endLines(requestId, fn, record));
  }

  /** '' unless it was asked for. */
  tail(): string {
    if (this.#tail === '') return '';
    const bytes = Buffer.from(this.#tail);
    return bytes.subarray(Math.max(0, bytes.length - this.#limits.logTailBytesMax)).toString('utf8');
  }

  #append(text: string): void {
    this.#logs.append(this.#invocation.fn.functionName, text);
    if (!this.#invocation.tail) return;
    this.#tail += text;
    if (this.#tail.length > 2 * this.#limits.logTailBytesMax)
      this.#tail = this.#tail.slice(-this.#limits.logTailBytesMax);
  }
}
