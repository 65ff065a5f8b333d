/**
 * The database as the platform's event loop sees it: writes go to a thread of their own, reads are plain calls on a
 * second connection (WAL lets it read beside the writer).
 *
 * Group commit: while a transaction is on its way to the disk, what else is asked for gathers and becomes the next
 * one. So there is one fsync for all writes of one turn of the event loop, and under load for all that arrived during
 * the one before.
 *
 *   write() ─▶ gathering ──(end of turn, thread idle)──▶ in flight ──▶ done() or failed(), in order
 */
import { DatabaseSync } from 'node:sqlite';
import { extname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { assert, unreachable } from '../../base/assert.ts';
import { StoreError } from '../store.ts';
import type { DatabaseReply, DatabaseRequest, DatabaseThreadData, Statement } from './schema.ts';

export interface Write {
  readonly statements: readonly Statement[];
  /** It is on disk. For each statement the sequences of the queue rows that it touched. */
  readonly done: (sequences: readonly (readonly number[])[]) => void;
  /** Nothing of it was done, nor of any write asked for since. */
  readonly failed: (message: string) => void;
}

export class Database {
  /** For reads only; never within a transaction, so it always sees the last commit. */
  readonly reader: DatabaseSync;
  readonly #thread: Worker;
  readonly #onIdle: (() => void)[] = [];
  #gathering: Write[] = [];
  #inFlight: Write[] | null = null;
  #bytes = 0;
  #flushScheduled = false;
  #broken: string | null = null;

  private constructor(thread: Worker, reader: DatabaseSync) {
    this.#thread = thread;
    this.reader = reader;
    thread.removeAllListeners('message');
    thread.on('message', (reply: DatabaseReply) => this.#onReply(reply));
  }

  /** Takes the lock of the folder, brings the tables up to date. Throws a StoreError that says what is wrong. */
  static async open(data: DatabaseThreadData): Promise<Database> {
    // The platform runs from its TypeScript sources and from what they were built to.
    const entry = new URL(`./database-thread${extname(import.meta.url)}`, import.meta.url);
    const thread = new Worker(entry, { workerData: data, name: 'perch-database' });
    // A thread that throws has met a bug; there is no store without it.
    thread.on('error', (error) => {
      throw error;
    });
    const reply = await new Promise<DatabaseReply>((resolve) => thread.once('message', resolve));
    if (reply.kind !== 'opened') {
      assert(reply.kind === 'refused', `first reply of the database thread: ${reply.kind}`);
      await thread.terminate();
      throw new StoreError(reply.message);
    }
    return new Database(thread, new DatabaseSync(join(data.folder, 'perch.db'), { readOnly: true, timeout: 5000 }));
  }

  /** Bytes of blobs that wait for the disk. */
  get waitingBytes(): number {
    return this.#bytes;
  }

  write(write: Write): void {
    this.#gathering.push(write);
    this.#bytes += writeBytes(write);
    this.#scheduleFlush();
  }

  /** Waits for what is on its way to the disk. Nothing may be written any more. */
  async close(): Promise<void> {
    while (this.#inFlight || this.#gathering.length > 0) {
      await new Promise<void>((resolve) => this.#onIdle.push(resolve));
    }
    this.reader.close();
    const closed = new Promise<void>((resolve) => this.#thread.once('exit', () => resolve()));
    this.#post({ kind: 'close' });
    await closed;
  }

  #post(request: DatabaseRequest): void {
    this.#thread.postMessage(request);
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled || this.#inFlight) return;
    this.#flushScheduled = true;
    setImmediate(() => {
      this.#flushScheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#inFlight || this.#gathering.length === 0) return;
    this.#inFlight = this.#gathering;
    this.#gathering = [];
    if (this.#broken !== null) return this.#fail(this.#broken);
    this.#post({ kind: 'commit', statements: this.#inFlight.flatMap((write) => write.statements) });
  }

  #onReply(reply: DatabaseReply): void {
    switch (reply.kind) {
      case 'committed':
        return this.#succeed(reply.sequences);
      case 'failed':
        if (reply.broken) this.#broken = `${reply.message}; no more writes until a restart`;
        return this.#fail(reply.message);
      case 'closed':
        return;
      case 'opened':
      case 'refused':
        throw new StoreError(`unexpected reply of the database thread: ${reply.kind}`);
      default:
        return unreachable(reply);
    }
  }

  #succeed(sequences: readonly (readonly number[])[]): void {
    const writes = this.#takeInFlight();
    let start = 0;
    for (const write of writes) {
      const end = start + write.statements.length;
      write.done(sequences.slice(start, end));
      start = end;
    }
    this.#next();
  }

  /** What gathered meanwhile was decided on top of what has now failed, so it fails too. */
  #fail(message: string): void {
    const writes = [...this.#takeInFlight(), ...this.#gathering];
    this.#gathering = [];
    this.#bytes = 0;
    for (const write of writes) write.failed(message);
    this.#next();
  }

  #takeInFlight(): Write[] {
    const writes = this.#inFlight;
    assert(writes !== null, 'a reply of the database thread belongs to a transaction in flight');
    this.#inFlight = null;
    for (const write of writes) this.#bytes -= writeBytes(write);
    return writes;
  }

  #next(): void {
    if (this.#gathering.length > 0) return this.#scheduleFlush();
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }
}

function writeBytes(write: Write): number {
  let bytes = 0;
  for (const statement of write.statements) {
    for (const value of statement.values)
      if (typeof value !== 'string' && typeof value !== 'number') bytes += value.length;
  }
  return bytes;
}
