/**
 * Asynchronous invocations on their way to the store: those that come while some are on their way go together after them. So their
 * order is kept, and many a second are few requests.
 */
import type { Clock } from '../../base/clock.ts';
import { UserError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import type { AsyncInvocation } from '../store.ts';
import { userError } from './protocol.ts';

/** What is sent: the arguments as JSON. The answer is one error or null for each. */
export type SendBatch = (body: Buffer) => Promise<unknown>;

interface Waiting {
  readonly text: string;
  readonly resolve: (result: UserError | null) => void;
}

export class EnqueueLine {
  readonly #send: SendBatch;
  readonly #clock: Clock;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #running = false;

  constructor(send: SendBatch, clock: Clock) {
    this.#send = send;
    this.#clock = clock;
  }

  enqueue(invocation: AsyncInvocation): Promise<UserError | null> {
    const { payload, acceptedMs, dueMs, ...rest } = invocation;
    const nowMs = this.#clock.wallMs();
    // Spans, since the store's node may have another clock.
    const spans = { sinceMs: nowMs - acceptedMs, untilMs: dueMs - nowMs };
    const text = JSON.stringify({ ...rest, ...spans, payload: payload.toString('base64') });
    if (this.#waitingBytes + text.length > LIMITS.enqueueWaitingBytesMax) {
      const message = 'Too many asynchronous invocations are on their way to the store.';
      return Promise.resolve(new UserError('TooManyRequestsException', message));
    }
    this.#waitingBytes += text.length;
    return new Promise((resolve) => {
      this.#waiting.push({ text, resolve });
      if (!this.#running) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#running = true;
    // What comes in one turn of the event loop goes together.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#take();
      const answer = await this.#send(Buffer.from(`[[${batch.map(({ text }) => text).join(',')}]]`));
      for (const [index, { text, resolve }] of batch.entries()) {
        this.#waitingBytes -= text.length;
        resolve(resultOf(answer, index));
      }
    }
    this.#running = false;
  }

  #take(): Waiting[] {
    let bytes = 0;
    let count = 0;
    while (count < this.#waiting.length && bytes < LIMITS.enqueueBatchBytesMax) {
      bytes += this.#waiting[count++]!.text.length;
    }
    const batch = this.#waiting.slice(0, count);
    this.#waiting = this.#waiting.slice(count);
    return batch;
  }
}

function resultOf(answer: unknown, index: number): UserError | null {
  if (answer instanceof UserError) return answer;
  const result = Array.isArray(answer) ? (answer[index] as unknown) : undefined;
  if (result === null) return null;
  return userError(result) ?? new UserError('ServiceException', "The store's node gave no answer to this invocation.");
}
