/**
 * Logs of functions kept by another node. What is appended here goes there in batches, one after the other; each has a number, so that
 * one sent again is appended once. While that node is away, what comes waits in memory up to a limit; what is beyond is dropped, and
 * a line in the function's own log says how much.
 */
import { randomUUID } from 'node:crypto';
import { LIMITS } from '../../base/limits.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Counter, Metrics } from '../../telemetry/metrics.ts';
import type { LogStore } from '../logs.ts';
import { StoreError } from '../store.ts';
import { addressText } from '../../cluster/node/connect.ts';
import { Again, type Answer, ask, NoAnswer, refusalOf, type StoreNode } from './client.ts';
import { LogFollow } from './log-follow.ts';
import { type LogBatchHead, PATHS } from './protocol.ts';

export interface RemoteLogsLimits {
  readonly logFlushMs: number;
  readonly logFlushBytes: number;
  readonly logBufferBytesMax: number;
  readonly logMemoryBytesMax: number;
  readonly logCloseMs: number;
}

export interface RemoteLogsOptions extends StoreNode {
  readonly log: Log;
  readonly metrics?: Metrics;
  readonly limits?: Partial<RemoteLogsLimits>;
}

interface Text {
  readonly functionName: string;
  readonly bytes: Buffer;
}

interface Batch {
  readonly body: Buffer;
  /** Of what is in it, by function. */
  readonly texts: readonly Text[];
}

export class RemoteLogs implements LogStore {
  readonly #options: RemoteLogsOptions;
  readonly #limits: RemoteLogsLimits;
  readonly #sender: string = randomUUID();
  readonly #again: Again;
  readonly #dropped: Counter | null;
  #waiting: Text[] = [];
  /** What it costs in memory: of each function, and of all; what is on its way included. */
  readonly #heldBytes = new Map<string, number>();
  #allBytes = 0;
  readonly #droppedBytes = new Map<string, number>();
  #number = 0;
  #sending: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #away = false;
  /** From now on a batch that fails is not sent again. */
  #lastTries = false;
  #closed = false;
  readonly #follows = new Map<string, LogFollow>();

  constructor(options: RemoteLogsOptions) {
    this.#options = options;
    this.#limits = { ...LIMITS, ...options.limits };
    this.#again = new Again(options.clock);
    this.#dropped = options.metrics?.counter('perch_log_unsent_dropped_bytes_total') ?? null;
  }

  append(functionName: string, text: string): void {
    if (text === '' || this.#closed) return;
    const bytes = Buffer.from(text);
    const cost = costOf(bytes);
    const full = (this.#heldBytes.get(functionName) ?? 0) + cost > this.#limits.logBufferBytesMax;
    if (full || this.#allBytes + cost > this.#limits.logMemoryBytesMax) this.#drop(functionName, bytes.length);
    else this.#push(functionName, bytes);
    this.#schedule();
  }

  async tail(functionName: string, lineCount: number): Promise<string> {
    if (lineCount <= 0) return '';
    const path = `${PATHS.logs}/${functionName}?lines=${lineCount}`;
    return (await this.#ask('GET', path)).body.toString('utf8');
  }

  follow(functionName: string, listener: (text: string) => void): () => void {
    let follow = this.#follows.get(functionName);
    if (follow === undefined) {
      follow = new LogFollow(this.#options, functionName);
      this.#follows.set(functionName, follow);
    }
    const { listeners } = follow;
    // Of its own, so that the same listener may follow twice.
    const own = (text: string): void => listener(text);
    listeners.add(own);
    const started = follow;
    return () => {
      listeners.delete(own);
      if (listeners.size > 0) return;
      started.stop();
      if (this.#follows.get(functionName) === started) this.#follows.delete(functionName);
    };
  }

  async delete(functionName: string): Promise<void> {
    await this.#ask('DELETE', `${PATHS.logs}/${functionName}`);
  }

  /** Sends what is left, for as long as `logCloseMs`. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const follow of this.#follows.values()) follow.stop();
    let stopWaiting = (): void => {};
    const over = new Promise<void>((resolve) => {
      stopWaiting = this.#options.clock.every(this.#limits.logCloseMs, resolve);
    });
    this.#flush();
    await Promise.race([this.#sending ?? Promise.resolve(), over]);
    stopWaiting();
    this.#lastTries = true;
    this.#again.stop();
    if (this.#allBytes === 0) return;
    this.#dropped?.add(this.#allBytes);
    this.#options.log.warn({ bytes: this.#allBytes }, 'log of functions was lost: the store could not be reached');
  }

  // --- what is appended -------------------------------------------------------------------------------------

  #push(functionName: string, bytes: Buffer): void {
    this.#waiting.push({ functionName, bytes });
    this.#hold(functionName, costOf(bytes));
  }

  #hold(functionName: string, byteCount: number): void {
    const held = (this.#heldBytes.get(functionName) ?? 0) + byteCount;
    if (held === 0) this.#heldBytes.delete(functionName);
    else this.#heldBytes.set(functionName, held);
    this.#allBytes += byteCount;
  }

  #drop(functionName: string, byteCount: number): void {
    this.#droppedBytes.set(functionName, (this.#droppedBytes.get(functionName) ?? 0) + byteCount);
    this.#dropped?.add(byteCount);
  }

  #schedule(): void {
    if (this.#sending !== null) return;
    if (this.#allBytes >= this.#limits.logFlushBytes) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), this.#limits.logFlushMs);
  }

  #flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#sending ??= this.#sendAll();
  }

  async #sendAll(): Promise<void> {
    // `#sending` is set by then; it ends in the same turn as the last look, so that nothing comes between the two and is left.
    await Promise.resolve();
    for (let batch = this.#take(); batch !== null; batch = this.#take()) {
      const answer = await this.#send(batch.body);
      if (answer === null) break;
      const isRefused = answer.status !== 200;
      for (const { functionName, bytes } of batch.texts) {
        this.#hold(functionName, -costOf(bytes));
        if (isRefused) this.#dropped?.add(bytes.length);
      }
      if (isRefused) this.#options.log.error({ why: refusalOf(answer).message }, 'the store refused a batch of log');
    }
    this.#sending = null;
  }

  #take(): Batch | null {
    let bytes = 0;
    let count = 0;
    while (count < this.#waiting.length && bytes < this.#limits.logFlushBytes) {
      // With what it takes in the head: many short lines are a long head.
      bytes += costOf(this.#waiting[count++]!.bytes);
    }
    const texts = this.#waiting.slice(0, count);
    this.#waiting = this.#waiting.slice(count);
    // The note comes where the gap is: after all that was taken before it.
    const left = new Set(this.#droppedBytes.size === 0 ? [] : this.#waiting.map((text) => text.functionName));
    for (const [functionName, droppedBytes] of this.#droppedBytes) {
      if (left.has(functionName)) continue;
      if (bytes >= this.#limits.logFlushBytes) break;
      this.#droppedBytes.delete(functionName);
      const note = Buffer.from(`... ${droppedBytes} bytes of log dropped\n`);
      texts.push({ functionName, bytes: note });
      bytes += costOf(note);
      this.#hold(functionName, costOf(note));
    }
    if (texts.length === 0) return null;
    const named = texts.map((text) => ({ functionName: text.functionName, bytes: text.bytes.length }));
    const head: LogBatchHead = { sender: this.#sender, number: ++this.#number, texts: named };
    return {
      body: Buffer.concat([Buffer.from(JSON.stringify(head) + '\n'), ...texts.map((text) => text.bytes)]),
      texts,
    };
  }

  /** Until the store has taken or refused it; null: nobody tries any more. */
  async #send(body: Buffer): Promise<Answer | null> {
    const { agent, store, clock, log } = this.#options;
    for (;;) {
      const answer = await ask(agent, store, clock, {
        method: 'POST',
        path: PATHS.logs,
        body,
        answerBytesMax: LIMITS.storeCallBytesMax,
        timeoutMs: LIMITS.storeCallTimeoutMs,
      });
      const isAway = answer instanceof NoAnswer || answer.status >= 500 || answer.status === 429;
      if (this.#away !== isAway) {
        const why = answer instanceof NoAnswer ? answer.why : `it answers ${answer.status}`;
        if (isAway) log.warn({ store: addressText(store), why }, 'log of functions waits: the store cannot be reached');
        else log.info({ store: addressText(store) }, 'log of functions is sent again');
        this.#away = isAway;
      }
      if (!isAway) {
        this.#again.succeeded();
        return answer;
      }
      if (this.#lastTries) return null;
      await this.#again.wait();
    }
  }

  // --- what is asked ----------------------------------------------------------------------------------------

  async #ask(method: 'GET' | 'DELETE', path: string): Promise<Answer> {
    const { agent, store, clock } = this.#options;
    const answer = await ask(agent, store, clock, {
      method,
      path,
      answerBytesMax: LIMITS.logTailBytesSentMax,
      timeoutMs: LIMITS.storeCallTimeoutMs,
    });
    if (answer instanceof NoAnswer) {
      throw new StoreError(`The node that has the logs, ${addressText(store)}, cannot be reached: ${answer.why}.`);
    }
    if (answer.status === 200) return answer;
    throw new StoreError(refusalOf(answer).message);
  }
}

/** Many short lines cost more than their bytes. */
const TEXT_BYTES = 200;

function costOf(bytes: Buffer): number {
  return bytes.length + TEXT_BYTES;
}
