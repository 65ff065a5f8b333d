/**
 * The queue of asynchronous invocations: rows of the database, and in memory only what tells which one is next.
 *
 *            enqueue            takeDue              done: row deleted
 *   (client) ───────▶ waiting ──────────▶ handed out ───────────────▶ gone
 *                        ▲                    │ retry: new due time
 *                        └────────────────────┘
 *
 * Being handed out is not written down: after a restart such a row waits again. So each runs at least once.
 */
import type { StatementSync } from 'node:sqlite';
import { UserError } from '../../base/errors.ts';
import { StoreError } from '../store.ts';
import type { AsyncInvocation, ChainProgress, ChainResume } from '../store.ts';
import type { Database } from './database.ts';
import { DueHeap } from './due-heap.ts';
import type { Statement } from './schema.ts';

export interface AsyncQueueLimits {
  readonly countMax: number;
  /** Payloads kept in memory besides on disk; the others are read when they are taken. */
  readonly memoryBytesMax: number;
  readonly commitBytesMax: number;
}

export class AsyncQueue {
  readonly #database: Database;
  readonly #limits: AsyncQueueLimits;
  readonly #select: StatementSync;
  readonly #waiting = new DueHeap();
  /** Sequences of what was handed out, by id. */
  readonly #handedOut = new Map<string, number>();
  readonly #memory = new Map<number, AsyncInvocation>();
  #memoryBytes = 0;
  #nextSequence = 1;
  /** Rows on disk. */
  #count = 0;
  /** Enqueued and not on disk yet. */
  #pendingCount = 0;

  constructor(database: Database, limits: AsyncQueueLimits) {
    this.#database = database;
    this.#limits = limits;
    this.#select = database.reader.prepare('SELECT * FROM async_queue WHERE sequence = ?');
    for (const row of database.reader.prepare('SELECT sequence, due_ms FROM async_queue').iterate()) {
      const sequence = Number(row['sequence']);
      this.#waiting.push(Number(row['due_ms']), sequence);
      this.#nextSequence = Math.max(this.#nextSequence, sequence + 1);
      this.#count++;
    }
  }

  get length(): number {
    return this.#count;
  }

  get nextDueMs(): number | null {
    return this.#waiting.firstDueMs;
  }

  enqueue(invocation: AsyncInvocation): Promise<UserError | null> {
    const full = this.#refusal(invocation);
    if (full) return Promise.resolve(full);
    const sequence = this.#nextSequence++;
    this.#pendingCount++;
    return new Promise((resolve) => {
      this.#database.write({
        statements: [{ name: 'enqueue', values: rowOf(sequence, invocation) }],
        done: () => {
          this.#pendingCount--;
          this.#count++;
          this.#waiting.push(invocation.dueMs, sequence);
          this.#remember(sequence, invocation);
          resolve(null);
        },
        failed: (message) => {
          this.#pendingCount--;
          resolve(new UserError('ServiceException', message));
        },
      });
    });
  }

  takeDue(nowMs: number, max: number): AsyncInvocation[] {
    const taken: AsyncInvocation[] = [];
    while (taken.length < max) {
      const dueMs = this.#waiting.firstDueMs;
      if (dueMs === null || dueMs > nowMs) break;
      const sequence = this.#waiting.pop();
      const invocation = this.#forget(sequence) ?? this.#load(sequence);
      // Deleted with its function a moment ago: gone from the disk, but its reply has not arrived here yet.
      if (!invocation) continue;
      this.#handedOut.set(invocation.id, sequence);
      taken.push(invocation);
    }
    return taken;
  }

  done(id: string): Promise<void> {
    return this.#change(
      id,
      (sequence) => ({ name: 'dequeue', values: [sequence] }),
      () => void this.#count--,
    );
  }

  retry(id: string, attempts: number, dueMs: number, resume?: ChainResume): Promise<void> {
    const statement = (sequence: number): Statement => {
      if (resume === undefined) return { name: 'retry', values: [attempts, dueMs, sequence] };
      const { chain, payload } = resume;
      return { name: 'resume', values: [attempts, dueMs, JSON.stringify(chain), payload, sequence] };
    };
    return this.#change(id, statement, (sequence) => this.#waiting.push(dueMs, sequence));
  }

  /** Rows that were deleted along with their function. */
  removed(sequences: readonly number[]): void {
    if (sequences.length === 0) return;
    const gone = new Set(sequences);
    this.#count -= gone.size;
    this.#waiting.remove(gone);
    for (const sequence of gone) this.#forget(sequence);
    for (const [id, sequence] of this.#handedOut) if (gone.has(sequence)) this.#handedOut.delete(id);
  }

  #refusal(invocation: AsyncInvocation): UserError | null {
    if (this.#count + this.#pendingCount >= this.#limits.countMax) {
      const message = `The queue of asynchronous invocations is full (${this.#limits.countMax}).`;
      return new UserError('TooManyRequestsException', message, 'ConcurrentInvocationLimitExceeded');
    }
    if (this.#database.waitingBytes + invocation.payload.length > this.#limits.commitBytesMax) {
      const message = 'Too many asynchronous invocations are waiting for the disk.';
      return new UserError('TooManyRequestsException', message, 'ConcurrentInvocationLimitExceeded');
    }
    return null;
  }

  /** What is not handed out (told before, or deleted with its function) is left alone. */
  #change(id: string, statement: (sequence: number) => Statement, done: (sequence: number) => void): Promise<void> {
    const sequence = this.#handedOut.get(id);
    if (sequence === undefined) return Promise.resolve();
    this.#handedOut.delete(id);
    return new Promise((resolve, reject) => {
      this.#database.write({
        statements: [statement(sequence)],
        done: ([touched]) => {
          if (touched!.length > 0) done(sequence);
          resolve();
        },
        failed: (message) => {
          this.#handedOut.set(id, sequence);
          reject(new StoreError(message));
        },
      });
    });
  }

  #remember(sequence: number, invocation: AsyncInvocation): void {
    const bytes = memoryBytes(invocation);
    if (this.#memoryBytes + bytes > this.#limits.memoryBytesMax) return;
    this.#memoryBytes += bytes;
    this.#memory.set(sequence, invocation);
  }

  #forget(sequence: number): AsyncInvocation | undefined {
    const invocation = this.#memory.get(sequence);
    if (!invocation) return undefined;
    this.#memory.delete(sequence);
    this.#memoryBytes -= memoryBytes(invocation);
    return invocation;
  }

  #load(sequence: number): AsyncInvocation | undefined {
    const row = this.#select.get(sequence);
    if (!row) return undefined;
    const payload = row['payload'] as Uint8Array;
    const chain = String(row['chain']);
    return {
      id: String(row['id']),
      functionName: String(row['function_name']),
      version: String(row['version']),
      ...(chain !== '' && { chain: JSON.parse(chain) as ChainProgress }),
      payload: Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength),
      clientContext: String(row['client_context']),
      acceptedMs: Number(row['accepted_ms']),
      attempts: Number(row['attempts']),
      dueMs: Number(row['due_ms']),
    };
  }
}

function rowOf(sequence: number, invocation: AsyncInvocation): Statement['values'] {
  const { id, functionName, version, chain, payload, clientContext, acceptedMs, attempts, dueMs } = invocation;
  const ofChain = chain === undefined ? ['', ''] : [chain.chainName, JSON.stringify(chain)];
  return [sequence, id, functionName, version, ...ofChain, payload, clientContext, acceptedMs, attempts, dueMs];
}

/** The objects around a payload count too, or a million empty ones would cost nothing. */
function memoryBytes(invocation: AsyncInvocation): number {
  return invocation.payload.length + 2 * invocation.clientContext.length + 500;
}
