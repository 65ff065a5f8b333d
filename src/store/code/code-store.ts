/**
 * Zips on disk, named by their SHA-256:
 *
 *   zips/<sha256>.zip   as it was uploaded; when it is there, the code is stored
 *   tmp/                half-written; emptied at start
 *
 * A zip is checked whole before it is stored: by unpacking it where it is going to run, if that is this machine (the
 * sink), else by inflating it to nowhere. It is written under tmp/, synced, and renamed into place. So a crash leaves
 * either a whole zip or what the next start removes.
 */
import { chmod, mkdir, readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { UserError } from '../../base/errors.ts';
import { StoreError } from '../store.ts';
import type { CodeRef } from '../store.ts';
import type { CodeSink, CodeSource } from './code-source.ts';
import { isSystemError, moveAway, sha256Of, syncFolder, writeSynced } from './files.ts';
import { Gate } from './gate.ts';
import { verify } from './unpack.ts';
import { ZipRefusal, planZip, unzippedBytesOf } from './zip-plan.ts';
import type { ZipLimits } from './zip-plan.ts';

export interface CodeLimits extends ZipLimits {
  readonly zipBytesMax: number;
  /** Of the zips of all stored code. */
  readonly codeStorageBytesMax: number;
  readonly unpackConcurrencyMax: number;
  readonly codeSweepDelayMs: number;
}

export interface CodeStoreOptions {
  readonly folder: string;
  readonly limits: CodeLimits;
  readonly clock: Clock;
  /** For the operator: damage that was found, and what was mended. */
  readonly report: (message: string) => void;
  /** Null where no worker is on this machine. */
  readonly sink: CodeSink | null;
}

interface StoredCode {
  readonly ref: CodeRef;
  /** When it was last uploaded, or seen to be used by a version. */
  usedMs: number;
  damage: string | null;
  /** Null: nobody asked since the start. */
  unzippedBytes: number | null;
}

export class CodeStore implements CodeSource {
  readonly #options: CodeStoreOptions;
  readonly #gate: Gate;
  readonly #stored = new Map<string, StoredCode>();
  readonly #uploads = new Map<string, Promise<CodeRef | UserError>>();
  #storedBytes = 0;
  /** Of the zips being checked and written now. */
  #pendingBytes = 0;
  #tmpCount = 0;

  constructor(options: CodeStoreOptions) {
    this.#options = options;
    this.#gate = new Gate(options.limits.unpackConcurrencyMax);
  }

  /** Removes what is not used; of what is used, sees that it is there. What it holds is checked when it is fetched. */
  async open(used: readonly CodeRef[]): Promise<void> {
    await this.#makeFolders();
    const wanted = new Map(used.map((ref) => [ref.sha256, ref]));
    for (const name of await readdir(this.#path('zips'))) {
      if (!wanted.has(name.replace(/\.zip$/, ''))) await rm(this.#path('zips', name), { recursive: true, force: true });
    }
    const checks = [...wanted.values()].map((ref) => this.#gate.run(() => this.#find(ref)));
    await Promise.all(checks);
  }

  errorOf(ref: CodeRef): UserError | null {
    const damage = this.#stored.get(ref.sha256)?.damage;
    if (damage === null) return null;
    return new UserError('InvalidZipFileException', `${damage ?? `code ${ref.sha256} is not stored`}; deploy it again`);
  }

  /** False if it is not stored. If it is, the sweep spares it for another delay. */
  use(ref: CodeRef): boolean {
    const stored = this.#stored.get(ref.sha256);
    if (!stored) return false;
    stored.usedMs = this.#options.clock.wallMs();
    return true;
  }

  async put(zip: Buffer): Promise<CodeRef | UserError> {
    const { zipBytesMax } = this.#options.limits;
    if (zip.length === 0) return invalid('Uploaded file must be a non-empty zip');
    if (zip.length > zipBytesMax) {
      return new UserError(
        'RequestTooLargeException',
        `The zip has ${zip.length} bytes; at most ${zipBytesMax} are allowed`,
      );
    }
    const ref: CodeRef = { sha256: await sha256Of(zip), zipBytes: zip.length };
    const running = this.#uploads.get(ref.sha256);
    if (running) return running;
    const upload = this.#gate.run(() => this.#store(ref, zip)).finally(() => this.#uploads.delete(ref.sha256));
    this.#uploads.set(ref.sha256, upload);
    return upload;
  }

  /** The zip, its hash checked. */
  async read(ref: CodeRef): Promise<Buffer> {
    const zip = await this.#readFile(ref);
    if (zip instanceof UserError) throw new StoreError(zip.message);
    if ((await sha256Of(zip)) !== ref.sha256) throw new StoreError(this.#damaged(ref, WRONG_HASH).message);
    return zip;
  }

  has(sha256: string): boolean {
    return this.#stored.has(sha256);
  }

  async fetch(ref: CodeRef): Promise<Buffer | UserError> {
    return this.errorOf(ref) ?? this.#readFile(ref);
  }

  reject(ref: CodeRef, why: string): UserError {
    return this.#damaged(ref, why);
  }

  async unzippedBytes(ref: CodeRef): Promise<number | UserError> {
    const known = this.#stored.get(ref.sha256)?.unzippedBytes ?? null;
    if (known !== null) return known;
    const zip = await this.fetch(ref);
    if (zip instanceof UserError) return zip;
    const plan = await planZip(zip, this.#options.limits);
    if (plan instanceof ZipRefusal) return this.#damaged(ref, `is not accepted any more: ${plan.message}`);
    const stored = this.#stored.get(ref.sha256);
    const bytes = unzippedBytesOf(plan);
    if (stored) stored.unzippedBytes = bytes;
    return bytes;
  }

  /** Removes code that is not `used` and has not been for the delay. Resolves when it is off the disk. */
  async sweep(used: ReadonlySet<string>): Promise<void> {
    const nowMs = this.#options.clock.wallMs();
    const removed: string[] = [];
    for (const [sha256, stored] of this.#stored) {
      if (used.has(sha256)) stored.usedMs = nowMs;
      else if (nowMs - stored.usedMs >= this.#options.limits.codeSweepDelayMs) removed.push(...this.#remove(stored));
    }
    for (const path of removed) await rm(path, { force: true });
  }

  /** Out of its place without a wait in between, so that an upload of the same zip cannot meet half of it. */
  #remove(stored: StoredCode): string[] {
    const { ref } = stored;
    // It is being uploaded again right now.
    if (this.#uploads.has(ref.sha256)) return [];
    const path = this.#tmpPath();
    moveAway(this.#zipPath(ref), path);
    this.#stored.delete(ref.sha256);
    this.#storedBytes -= ref.zipBytes;
    this.#options.sink?.drop(ref.sha256);
    return [path];
  }

  async #store(ref: CodeRef, zip: Buffer): Promise<CodeRef | UserError> {
    try {
      const whole = await this.#isWhole(ref);
      if (!whole && !this.#hasRoom(ref)) {
        const { codeStorageBytesMax } = this.#options.limits;
        const message = `Code storage limit exceeded (${codeStorageBytesMax} bytes).`;
        return new UserError('CodeStorageExceededException', message);
      }
      this.#pendingBytes += ref.zipBytes;
      return await this.#check(ref, zip, whole).finally(() => (this.#pendingBytes -= ref.zipBytes));
    } catch (error) {
      if (!isSystemError(error)) throw error;
      return new UserError('ServiceException', `Cannot store the code in ${this.#options.folder}: ${error.message}`);
    } finally {
      if (!this.#stored.has(ref.sha256)) this.#options.sink?.drop(ref.sha256);
    }
  }

  /**
   * Is it stored, and still there? Uploading again is how people mend what somebody removed below a running platform.
   * The contents of the zip on the disk are compared when it is read.
   */
  async #isWhole(ref: CodeRef): Promise<boolean> {
    if (this.errorOf(ref) === null) {
      this.use(ref);
      if ((await sizeOf(this.#zipPath(ref))) === ref.zipBytes) return true;
    }
    if (this.#stored.has(ref.sha256)) {
      this.#options.report(`code ${ref.sha256}: it was missing or damaged and is stored again as it was uploaded`);
    }
    return false;
  }

  #hasRoom(ref: CodeRef): boolean {
    const replaced = this.#stored.has(ref.sha256) ? ref.zipBytes : 0;
    const bytes = this.#storedBytes + this.#pendingBytes + ref.zipBytes - replaced;
    return bytes <= this.#options.limits.codeStorageBytesMax;
  }

  async #check(ref: CodeRef, zip: Buffer, whole: boolean): Promise<CodeRef | UserError> {
    const { limits, sink } = this.#options;
    const plan = await planZip(zip, limits);
    if (plan instanceof ZipRefusal) return invalid(plan.message);
    // Also where it is whole: what was unpacked of it may not be.
    const refusal = sink !== null ? await sink.put(ref, plan) : whole ? null : await verify(plan);
    if (refusal !== null) return invalid(refusal.message);
    if (!whole) await this.#place(ref, zip);
    this.#stored.get(ref.sha256)!.unzippedBytes = unzippedBytesOf(plan);
    return ref;
  }

  async #place(ref: CodeRef, zip: Buffer): Promise<void> {
    const file = this.#tmpPath();
    try {
      await writeSynced(file, zip);
      await rename(file, this.#zipPath(ref));
      await syncFolder(this.#path('zips'));
    } finally {
      await rm(file, { force: true });
    }
    if (!this.#stored.has(ref.sha256)) this.#storedBytes += ref.zipBytes;
    this.#stored.set(ref.sha256, stored(ref, this.#options.clock));
  }

  async #find(ref: CodeRef): Promise<void> {
    this.#stored.set(ref.sha256, stored(ref, this.#options.clock));
    this.#storedBytes += ref.zipBytes;
    const bytes = await sizeOf(this.#zipPath(ref));
    if (bytes instanceof Error) this.#damaged(ref, `cannot be read: ${bytes.message}`);
    else if (bytes !== ref.zipBytes) this.#damaged(ref, `has ${bytes} bytes and had ${ref.zipBytes}`);
  }

  async #readFile(ref: CodeRef): Promise<Buffer | UserError> {
    const zip = await readFile(this.#zipPath(ref)).catch((error: Error) => error);
    return zip instanceof Error ? this.#damaged(ref, `cannot be read: ${zip.message}`) : zip;
  }

  #damaged(ref: CodeRef, what: string): UserError {
    const damage = `The stored zip of code ${ref.sha256} ${what}`;
    const known = this.#stored.get(ref.sha256);
    if (known) known.damage = damage;
    this.#options.report(damage);
    return new UserError('InvalidZipFileException', `${damage}; deploy it again`);
  }

  async #makeFolders(): Promise<void> {
    await rm(this.#path('tmp'), { recursive: true, force: true });
    for (const name of ['tmp', 'zips']) {
      await mkdir(this.#path(name), { recursive: true });
      await chmod(this.#path(name), 0o700);
    }
    await syncFolder(this.#options.folder);
  }

  #path(...parts: string[]): string {
    return join(this.#options.folder, ...parts);
  }

  #zipPath(ref: CodeRef): string {
    return this.#path('zips', `${ref.sha256}.zip`);
  }

  #tmpPath(): string {
    return this.#path('tmp', String(this.#tmpCount++));
  }
}

const WRONG_HASH = 'does not have its hash any more';

function stored(ref: CodeRef, clock: Clock): StoredCode {
  return { ref, usedMs: clock.wallMs(), damage: null, unzippedBytes: null };
}

function sizeOf(path: string): Promise<number | Error> {
  return stat(path).then(
    (stats) => stats.size,
    (error: Error) => error,
  );
}

function invalid(message: string): UserError {
  return new UserError('InvalidParameterValueException', message);
}
