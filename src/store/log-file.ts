/**
 * The newest file of one function's log, <folder>/log; when it is full it becomes <folder>/log.1, and the one before it goes.
 * It stays open, so that to append is one operation of Node's thread pool; once in a while it is looked whether it is still the file
 * of that name, since somebody else may have removed or cut it.
 */
import { mkdir, open, rename, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

const NEWLINE = 0x0a;

export interface LogFileLimits {
  readonly logFileBytesMax: number;
  /** So long may pass until it is noticed that the file is gone. */
  readonly logFileLookMs: number;
}

export class LogFile {
  readonly #folder: string;
  readonly #path: string;
  readonly #limits: LogFileLimits;
  #handle: FileHandle | null = null;
  #inode = 0;
  #size = 0;
  /** A kill, a full disk or somebody else left half a line at its end. */
  #isTorn = false;
  #lookedMs = 0;

  constructor(folder: string, limits: LogFileLimits) {
    this.#folder = folder;
    this.#path = join(folder, 'log');
    this.#limits = limits;
  }

  /** One at a time. Rejects where the disk refuses; then it is to be closed, and another one made. */
  async append(bytes: Buffer): Promise<void> {
    let handle = this.#isLookDue() ? await this.#look() : (this.#handle ?? (await this.#open()));
    if (this.#isFullWith(bytes)) {
      handle = await this.#look();
      if (this.#isFullWith(bytes)) handle = await this.#rotate();
    }
    if (this.#isTorn) await this.#write(handle, Buffer.of(NEWLINE));
    this.#isTorn = false;
    await this.#write(handle, bytes);
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = null;
    await handle?.close();
  }

  #isLookDue(): boolean {
    return this.#handle !== null && performance.now() - this.#lookedMs >= this.#limits.logFileLookMs;
  }

  #isFullWith(bytes: Buffer): boolean {
    return this.#size > 0 && this.#size + bytes.length > this.#limits.logFileBytesMax;
  }

  async #write(handle: FileHandle, bytes: Buffer): Promise<void> {
    await handle.appendFile(bytes);
    this.#size += bytes.length;
  }

  async #open(): Promise<FileHandle> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const handle = await open(this.#path, 'a+', 0o600);
    this.#handle = handle;
    const { ino, size } = await handle.stat();
    this.#inode = ino;
    await this.#foundAs(handle, size);
    return handle;
  }

  /** Takes what is there now. Nobody else gets the number of a file that is open here. */
  async #look(): Promise<FileHandle> {
    const found = await stat(this.#path).catch(() => null);
    if (this.#handle === null || found?.ino !== this.#inode) {
      await this.close();
      return this.#open();
    }
    if (found.size !== this.#size) await this.#foundAs(this.#handle, found.size);
    this.#lookedMs = performance.now();
    return this.#handle;
  }

  async #rotate(): Promise<FileHandle> {
    await this.close();
    await rename(this.#path, join(this.#folder, 'log.1'));
    return this.#open();
  }

  async #foundAs(handle: FileHandle, size: number): Promise<void> {
    this.#size = size;
    this.#isTorn = size > 0 && (await byteAt(handle, size - 1)) !== NEWLINE;
    this.#lookedMs = performance.now();
  }
}

async function byteAt(handle: FileHandle, position: number): Promise<number | undefined> {
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, position);
  return buffer[0];
}
