/** The newest files of those functions that log at present, kept open: up to a number of them, and until nothing has come for a while. */
import { LogFile, type LogFileLimits } from './log-file.ts';

export interface KeptLogFilesLimits extends LogFileLimits {
  readonly logFilesOpenMax: number;
  /** One that nothing was written to is closed after this time, or twice as long at most. */
  readonly logFileIdleMs: number;
}

interface Kept {
  readonly file: LogFile;
  /** Nothing was written to it since the last look. */
  isIdle: boolean;
}

export class KeptLogFiles {
  readonly #limits: KeptLogFilesLimits;
  /** By folder, the one that was used last at the end. What is being written to is not among them. */
  readonly #kept = new Map<string, Kept>();
  #timer: NodeJS.Timeout | null = null;

  constructor(limits: KeptLogFilesLimits) {
    this.#limits = limits;
  }

  /** To the log in the folder, which is made if need be. One call for each folder at a time. Rejects where the disk refuses. */
  async append(folder: string, bytes: Buffer): Promise<void> {
    const file = this.#kept.get(folder)?.file ?? new LogFile(folder, this.#limits);
    this.#kept.delete(folder);
    try {
      await file.append(bytes);
    } catch (error) {
      await closeQuietly(file);
      throw error;
    }
    this.#kept.set(folder, { file, isIdle: false });
    this.#timer ??= setInterval(() => this.#closeIdle(), this.#limits.logFileIdleMs).unref();
    if (this.#kept.size > this.#limits.logFilesOpenMax) await this.close(this.#kept.keys().next().value!);
  }

  async close(folder: string): Promise<void> {
    const kept = this.#kept.get(folder);
    this.#kept.delete(folder);
    if (this.#kept.size === 0 && this.#timer !== null) {
      clearInterval(this.#timer);
      this.#timer = null;
    }
    if (kept !== undefined) await closeQuietly(kept.file);
  }

  async closeAll(): Promise<void> {
    await Promise.all([...this.#kept.keys()].map((folder) => this.close(folder)));
  }

  #closeIdle(): void {
    for (const [folder, kept] of this.#kept) {
      if (kept.isIdle) void this.close(folder);
      kept.isIdle = true;
    }
  }
}

/** What the disk refused, a write has told. */
async function closeQuietly(file: LogFile): Promise<void> {
  await file.close().catch(() => undefined);
}
