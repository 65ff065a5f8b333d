/**
 * The zips that this worker has had from others, kept for those that ask it next: a folder under a budget of disk. Of what is
 * there, what was asked for longest ago goes first. Nothing here is needed: a zip that is gone, or was not written, is fetched
 * again from the store; and whoever gets one checks its hash.
 */
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const SHA256 = /^[0-9a-f]{64}$/;
const UNFINISHED = '.part';
const HALF_WRITTEN = /^[0-9a-f]{64}\.part$/;

export interface ZipShelfOptions {
  readonly folder: string;
  readonly bytesMax: number;
  /** For the operator: what could not be kept. */
  readonly report: (message: string) => void;
}

export class ZipShelf {
  readonly #options: ZipShelfOptions;
  /** Bytes of each; the least recently used first. */
  readonly #zips = new Map<string, number>();
  #bytes = 0;
  /** What is done in the folder, one after the other. */
  #work: Promise<void> = Promise.resolve();
  #failing = false;

  /** Makes the folder if need be, and takes over what an earlier life left. Throws what that throws. */
  constructor(options: ZipShelfOptions) {
    this.#options = options;
    mkdirSync(options.folder, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(options.folder)) {
      if (SHA256.test(name)) this.#note(name, statSync(this.#path(name)).size);
      // Nothing but what an earlier life began: the folder may be another one by mistake.
      else if (HALF_WRITTEN.test(name)) rmSync(this.#path(name), { force: true });
    }
    this.#makeRoom();
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Null where it is not there. Whoever gets it checks that it is what its name says. */
  async get(sha256: string): Promise<Buffer | null> {
    const size = this.#zips.get(sha256);
    if (size === undefined) return null;
    this.#zips.delete(sha256);
    this.#zips.set(sha256, size);
    await this.#work;
    return readFile(this.#path(sha256)).catch(() => null);
  }

  /** Returns at once. The bytes are what the name says, and do not change any more. */
  put(sha256: string, bytes: Buffer): void {
    if (!SHA256.test(sha256) || this.#zips.has(sha256) || bytes.length > this.#options.bytesMax) return;
    this.#note(sha256, bytes.length);
    this.#do(async () => {
      const path = this.#path(sha256);
      await writeFile(path + UNFINISHED, bytes, { mode: 0o600 });
      await rename(path + UNFINISHED, path);
    }, sha256);
    this.#makeRoom();
  }

  /** It is not what its name says. */
  drop(sha256: string): void {
    const size = this.#zips.get(sha256);
    if (size === undefined) return;
    this.#zips.delete(sha256);
    this.#bytes -= size;
    this.#do(() => rm(this.#path(sha256), { force: true }), '');
  }

  /** Resolves when everything is written. */
  close(): Promise<void> {
    return this.#work;
  }

  #path(name: string): string {
    return join(this.#options.folder, name);
  }

  #note(sha256: string, bytes: number): void {
    this.#zips.set(sha256, bytes);
    this.#bytes += bytes;
  }

  #makeRoom(): void {
    for (const oldest of this.#zips.keys()) {
      if (this.#bytes <= this.#options.bytesMax) return;
      this.drop(oldest);
    }
  }

  /** `sha256`: what is forgotten if it fails; '': nothing. */
  #do(job: () => Promise<void>, sha256: string): void {
    this.#work = this.#work.then(job).then(
      () => void (this.#failing = false),
      (error: Error) => {
        if (!this.#failing) this.#options.report(`cannot keep code in ${this.#options.folder}: ${error.message}`);
        this.#failing = true;
        if (sha256 !== '') this.drop(sha256);
      },
    );
  }
}
