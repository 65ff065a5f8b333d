/**
 * Code on disk, named by the SHA-256 of its zip:
 *
 *   zips/<sha256>.zip   as it was uploaded; when it is there, the code is stored
 *   code/<sha256>/      unpacked; can be made again from the zip
 *   tmp/                half-written; emptied at start
 *
 * Everything is written under tmp/, synced, and renamed into place: first the folder, then the zip. So a crash leaves
 * either a whole code or what the next start removes.
 */
import { chmod, mkdir, readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { UserError } from '../../base/errors.ts';
import { StoreError } from '../store.ts';
import type { CodeRef } from '../store.ts';
import { Gate } from './gate.ts';
import { isSystemError, moveAway, sha256Of, syncFolder, writeSynced } from './files.ts';
import { isUnpacked, unpack } from './unpack.ts';
import { ZipRefusal, planZip } from './zip-plan.ts';
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
}

interface StoredCode {
  readonly ref: CodeRef;
  /** When it was last uploaded, or seen to be used by a version. */
  usedMs: number;
  damage: string | null;
}

export class CodeStore {
  readonly #options: CodeStoreOptions;
  readonly #gate: Gate;
  readonly #stored = new Map<string, StoredCode>();
  readonly #uploads = new Map<string, Promise<CodeRef | UserError>>();
  #storedBytes = 0;
  /** Of the zips being unpacked now. */
  #pendingBytes = 0;
  #tmpCount = 0;

  constructor(options: CodeStoreOptions) {
    this.#options = options;
    this.#gate = new Gate(options.limits.unpackConcurrencyMax);
  }

  /** Removes what no version uses, checks what one does; the first by name, the second by hash. */
  async open(used: readonly CodeRef[]): Promise<void> {
    await this.#makeFolders();
    const wanted = new Set(used.map((ref) => ref.sha256));
    for (const name of await readdir(this.#path('zips'))) {
      if (!wanted.has(name.replace(/\.zip$/, ''))) await rm(this.#path('zips', name), { recursive: true, force: true });
    }
    for (const name of await readdir(this.#path('code'))) {
      if (!wanted.has(name)) await rm(this.#path('code', name), { recursive: true, force: true });
    }
    const distinct = new Map(used.map((ref) => [ref.sha256, ref]));
    await Promise.all([...distinct.values()].map((ref) => this.#gate.run(() => this.#check(ref))));
  }

  folderOf(ref: CodeRef): string {
    return this.#path('code', ref.sha256);
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
    const upload = this.#gate
      .run(async () => ((await this.#isWhole(ref, zip)) ? ref : this.#store(ref, zip)))
      .finally(() => this.#uploads.delete(ref.sha256));
    this.#uploads.set(ref.sha256, upload);
    return upload;
  }

  async read(ref: CodeRef): Promise<Buffer> {
    const zip = await readFile(this.#zipPath(ref)).catch((error: Error) => error);
    if (zip instanceof Error) throw this.#damaged(ref, `cannot be read: ${zip.message}`);
    if ((await sha256Of(zip)) !== ref.sha256) throw this.#damaged(ref, 'does not have its hash any more');
    return zip;
  }

  /** Removes code that is not `used` and has not been for the delay. Resolves when it is off the disk. */
  async sweep(used: ReadonlySet<string>): Promise<void> {
    const nowMs = this.#options.clock.wallMs();
    const removed: string[] = [];
    for (const [sha256, stored] of this.#stored) {
      if (used.has(sha256)) stored.usedMs = nowMs;
      else if (nowMs - stored.usedMs >= this.#options.limits.codeSweepDelayMs) removed.push(...this.#remove(stored));
    }
    for (const path of removed) await rm(path, { recursive: true, force: true });
  }

  /** Out of its place without a wait in between, so that an upload of the same zip cannot meet half of it. */
  #remove(stored: StoredCode): string[] {
    const { ref } = stored;
    // Damaged code that is being uploaded again right now.
    if (this.#uploads.has(ref.sha256)) return [];
    const paths = [this.#tmpPath(), this.#tmpPath()] as const;
    // The zip first: without it the folder counts as half-written.
    moveAway(this.#zipPath(ref), paths[0]);
    moveAway(this.folderOf(ref), paths[1]);
    this.#stored.delete(ref.sha256);
    this.#storedBytes -= ref.zipBytes;
    return [...paths];
  }

  /**
   * Is it stored, and still all there? Uploading again is how people mend what somebody removed below a running
   * platform. The contents of the zip on the disk are compared when it is read, and at the start.
   */
  async #isWhole(ref: CodeRef, zip: Buffer): Promise<boolean> {
    if (this.errorOf(ref) !== null) return false;
    this.use(ref);
    const stats = await stat(this.#zipPath(ref)).catch(() => null);
    if (stats?.size === ref.zipBytes) {
      const plan = await planZip(zip, this.#options.limits);
      if (plan instanceof ZipRefusal || (await isUnpacked(plan, this.folderOf(ref)))) return true;
    }
    this.#options.report(`code ${ref.sha256}: it was missing or damaged and is stored again as it was uploaded`);
    return false;
  }

  async #store(ref: CodeRef, zip: Buffer): Promise<CodeRef | UserError> {
    const { codeStorageBytesMax } = this.#options.limits;
    const replaced = this.#stored.has(ref.sha256) ? ref.zipBytes : 0;
    if (this.#storedBytes + this.#pendingBytes + ref.zipBytes - replaced > codeStorageBytesMax) {
      return new UserError(
        'CodeStorageExceededException',
        `Code storage limit exceeded (${codeStorageBytesMax} bytes).`,
      );
    }
    const folder = this.#tmpPath();
    const file = this.#tmpPath();
    this.#pendingBytes += ref.zipBytes;
    try {
      const plan = await planZip(zip, this.#options.limits);
      if (plan instanceof ZipRefusal) return invalid(plan.message);
      const refusal = await unpack(plan, folder);
      if (refusal) return invalid(refusal.message);
      await writeSynced(file, zip);
      await this.#place(ref, folder, file);
      return ref;
    } catch (error) {
      if (!isSystemError(error)) throw error;
      return new UserError('ServiceException', `Cannot store the code in ${this.#options.folder}: ${error.message}`);
    } finally {
      this.#pendingBytes -= ref.zipBytes;
      await rm(folder, { recursive: true, force: true });
      await rm(file, { force: true });
    }
  }

  async #place(ref: CodeRef, folder: string, file: string): Promise<void> {
    await this.#replaceFolder(ref, folder);
    await rename(file, this.#zipPath(ref));
    await syncFolder(this.#path('zips'));
    if (!this.#stored.has(ref.sha256)) this.#storedBytes += ref.zipBytes;
    this.#stored.set(ref.sha256, { ref, usedMs: this.#options.clock.wallMs(), damage: null });
  }

  async #replaceFolder(ref: CodeRef, folder: string): Promise<void> {
    const old = this.#tmpPath();
    moveAway(this.folderOf(ref), old);
    await rename(folder, this.folderOf(ref));
    await syncFolder(this.#path('code'));
    await rm(old, { recursive: true, force: true });
  }

  /** At start: is what a version uses whole? An unpacked folder that is not is made again from its zip. */
  async #check(ref: CodeRef): Promise<void> {
    const stored: StoredCode = { ref, usedMs: this.#options.clock.wallMs(), damage: null };
    this.#stored.set(ref.sha256, stored);
    this.#storedBytes += ref.zipBytes;
    const zip = await this.read(ref).catch((error: unknown) => {
      if (error instanceof StoreError) return null;
      throw error;
    });
    if (zip === null) return;
    const plan = await planZip(zip, this.#options.limits);
    if (plan instanceof ZipRefusal) return void this.#damaged(ref, `is not accepted any more: ${plan.message}`);
    if (await isUnpacked(plan, this.folderOf(ref))) return;
    const folder = this.#tmpPath();
    try {
      const refusal = await unpack(plan, folder);
      if (refusal) return void this.#damaged(ref, `cannot be unpacked: ${refusal.message}`);
      await this.#replaceFolder(ref, folder);
      this.#options.report(`code ${ref.sha256}: its folder was missing or damaged and was unpacked again`);
    } catch (error) {
      if (!isSystemError(error)) throw error;
      this.#damaged(ref, `cannot be unpacked: ${error.message}`);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  #damaged(ref: CodeRef, what: string): StoreError {
    const damage = `The stored zip of code ${ref.sha256} ${what}`;
    const stored = this.#stored.get(ref.sha256);
    if (stored) stored.damage = damage;
    this.#options.report(damage);
    return new StoreError(damage);
  }

  async #makeFolders(): Promise<void> {
    await rm(this.#path('tmp'), { recursive: true, force: true });
    for (const [name, mode] of [
      ['tmp', 0o700],
      ['zips', 0o700],
      ['code', 0o755],
    ] as const) {
      await mkdir(this.#path(name), { recursive: true });
      await chmod(this.#path(name), mode);
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

function invalid(message: string): UserError {
  return new UserError('InvalidParameterValueException', message);
}
