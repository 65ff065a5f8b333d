/**
 * Logs of functions in files: <folder>/<function>/log, and log.1 before it. What is appended waits in memory for the
 * next flush; while the disk is slow or full, it waits there up to a limit and what is beyond is dropped, and a line in
 * the log says how much. Nothing here ever blocks or refuses the function that logs.
 */
import { mkdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { assert } from '../base/assert.ts';
import { LIMITS } from '../base/limits.ts';
import { KeptLogFiles, type KeptLogFilesLimits } from './kept-log-files.ts';
import { readTail } from './log-tail.ts';
import type { LogStore } from './logs.ts';

export interface LogFilesLimits extends KeptLogFilesLimits {
  readonly logFlushMs: number;
  readonly logFlushBytes: number;
  readonly logBufferBytesMax: number;
  readonly logMemoryBytesMax: number;
}

export interface LogFilesOptions {
  readonly limits?: Partial<LogFilesLimits>;
  /** Told when a log cannot be written, once for each run of failures. Default: to stderr. */
  readonly report?: (message: string) => void;
}

type Listener = (text: string) => void;

/** One function's log while something of it is in memory or followed. */
interface OpenLog {
  readonly folder: string;
  readonly listeners: Set<Listener>;
  waiting: string[];
  waitingBytes: number;
  droppedBytes: number;
  /** What is done to its files, one after the other. */
  work: Promise<void>;
  workCount: number;
  timer: NodeJS.Timeout | null;
  failing: boolean;
}

export class LogFiles implements LogStore {
  readonly #folder: string;
  readonly #limits: LogFilesLimits;
  readonly #report: (message: string) => void;
  readonly #logs = new Map<string, OpenLog>();
  readonly #files: KeptLogFiles;
  /** Of all logs together, what is being written included. */
  #memoryBytes = 0;
  #closed = false;

  /** `folder` is made if need be; it belongs to the logs alone. */
  constructor(folder: string, options: LogFilesOptions = {}) {
    this.#folder = resolve(folder);
    this.#limits = { ...LIMITS, ...options.limits };
    this.#files = new KeptLogFiles(this.#limits);
    this.#report = options.report ?? ((message: string) => void process.stderr.write(`perch: ${message}\n`));
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
  }

  append(functionName: string, text: string): void {
    if (text === '' || this.#closed) return;
    const log = this.#open(functionName);
    for (const listener of log.listeners) listener(text);
    const bytes = Buffer.byteLength(text);
    const full = log.waitingBytes + bytes > this.#limits.logBufferBytesMax;
    if (full || this.#memoryBytes + bytes > this.#limits.logMemoryBytesMax) {
      log.droppedBytes += bytes;
    } else {
      log.waiting.push(text);
      log.waitingBytes += bytes;
      this.#memoryBytes += bytes;
    }
    this.#schedule(functionName, log);
  }

  async tail(functionName: string, lineCount: number): Promise<string> {
    const log = this.#open(functionName);
    this.#flush(functionName, log);
    let text = '';
    await this.#enqueue(functionName, log, async () => {
      text = await readTail(log.folder, lineCount);
    });
    return text;
  }

  follow(functionName: string, listener: Listener): () => void {
    const log = this.#open(functionName);
    // Of its own, so that the same listener may follow twice.
    const own: Listener = (text) => listener(text);
    log.listeners.add(own);
    return () => {
      log.listeners.delete(own);
      this.#forgetIfIdle(functionName, log);
    };
  }

  async delete(functionName: string): Promise<void> {
    const log = this.#open(functionName);
    this.#discard(log);
    await this.#enqueue(functionName, log, async () => {
      await this.#files.close(log.folder);
      await rm(log.folder, { recursive: true, force: true });
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    const works = [...this.#logs].map(([functionName, log]) => {
      this.#flush(functionName, log);
      return log.work;
    });
    await Promise.all(works);
    await this.#files.closeAll();
  }

  #open(functionName: string): OpenLog {
    const existing = this.#logs.get(functionName);
    if (existing) return existing;
    // Checked at the gateway already; a name that is not one would be a path.
    assert(/^[A-Za-z0-9_-]{1,140}$/.test(functionName), 'the name of a function is letters, digits, - and _');
    const log: OpenLog = {
      folder: join(this.#folder, functionName),
      listeners: new Set(),
      waiting: [],
      waitingBytes: 0,
      droppedBytes: 0,
      work: Promise.resolve(),
      workCount: 0,
      timer: null,
      failing: false,
    };
    this.#logs.set(functionName, log);
    return log;
  }

  #schedule(functionName: string, log: OpenLog): void {
    if (log.waitingBytes >= this.#limits.logFlushBytes && log.workCount === 0) return this.#flush(functionName, log);
    log.timer ??= setTimeout(() => this.#flush(functionName, log), this.#limits.logFlushMs);
  }

  #flush(functionName: string, log: OpenLog): void {
    if (log.timer) clearTimeout(log.timer);
    log.timer = null;
    if (log.waitingBytes === 0 && log.droppedBytes === 0) return;
    void this.#enqueue(functionName, log, () => this.#writeWaiting(log));
  }

  /** Work on a log's files is done one after the other; none of it may throw but what its caller waits for. */
  #enqueue(functionName: string, log: OpenLog, job: () => Promise<void>): Promise<void> {
    log.workCount++;
    const result = log.work.then(job);
    log.work = result
      .catch(() => undefined)
      .then(() => {
        log.workCount--;
        this.#forgetIfIdle(functionName, log);
      });
    return result;
  }

  #forgetIfIdle(functionName: string, log: OpenLog): void {
    const busy = log.workCount > 0 || log.waitingBytes > 0 || log.droppedBytes > 0 || log.timer !== null;
    if (!busy && log.listeners.size === 0 && this.#logs.get(functionName) === log) this.#logs.delete(functionName);
  }

  #discard(log: OpenLog): void {
    this.#memoryBytes -= log.waitingBytes;
    log.waiting = [];
    log.waitingBytes = 0;
    log.droppedBytes = 0;
    if (log.timer) clearTimeout(log.timer);
    log.timer = null;
  }

  async #writeWaiting(log: OpenLog): Promise<void> {
    const { waitingBytes, droppedBytes } = log;
    if (waitingBytes === 0 && droppedBytes === 0) return;
    const lost = droppedBytes > 0 ? `... ${droppedBytes} bytes of log dropped\n` : '';
    const bytes = Buffer.from(log.waiting.join('') + lost);
    log.waiting = [];
    log.waitingBytes = 0;
    log.droppedBytes = 0;
    try {
      await this.#files.append(log.folder, bytes);
      log.failing = false;
    } catch (error) {
      log.droppedBytes += waitingBytes + droppedBytes;
      if (!log.failing) this.#report(`cannot write the log in ${log.folder}: ${(error as Error).message}`);
      // Tried again with the next line; until then only the count stays.
      log.failing = true;
    } finally {
      this.#memoryBytes -= waitingBytes;
    }
  }
}
