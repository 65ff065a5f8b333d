/**
 * The code that a worker has unpacked, under a budget of disk: functions and layers, one folder a zip, shared read-only
 * by all instances. The zips are the truth; all of this can be made again from them, and is, when it is asked for.
 *
 * - One fetch, one check of the hash and one unpacking, however many ask at once.
 * - What somebody counts on stays. Of the rest the keep rule says what goes when room is needed.
 * - A folder is made under `unpacking/` and renamed into place, so a kill leaves nothing that is taken for whole.
 *
 * An entry is `loading` → there → gone; it has `userCount` users at any time, of which loading counts none.
 * What was rejected: overlay mounts for layers (they need privileges that `perch up` as an ordinary user has not),
 * and copies of layers for each function (common libraries would take their size again for each).
 */
import { renameSync } from 'node:fs';
import { chmod, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { assert } from '../../base/assert.ts';
import type { Clock } from '../../base/clock.ts';
import { UserError } from '../../base/errors.ts';
import type { CodeSink, CodeSource } from '../../store/code/code-source.ts';
import { isSystemError, sha256Of } from '../../store/code/files.ts';
import { Gate } from '../../store/code/gate.ts';
import { isUnpacked, unpack, verify } from '../../store/code/unpack.ts';
import { planZip, ZipRefusal } from '../../store/code/zip-plan.ts';
import type { ZipLimits, ZipPlan } from '../../store/code/zip-plan.ts';
import type { CodeRef, FunctionVersion } from '../../store/store.ts';
import { DiskBudget } from './disk-budget.ts';
import { bootId, diskBytes, newEntry, readDescription, viewKey, writeDescription } from './entry.ts';
import type { Entry } from './entry.ts';
import { GreedyDual, victim } from '../machine/keep-alive.ts';
import type { KeepAlive } from '../machine/keep-alive.ts';
import { planMerge, writeMerge } from './merge.ts';

const MB = 1024 * 1024;
const UNPACKING = 'unpacking';

export interface CodeCacheLimits extends ZipLimits {
  readonly codeCacheBytesMax: number;
  readonly codeCacheEntryCountMax: number;
  readonly unpackConcurrencyMax: number;
}

export interface CodeCacheOptions {
  /** `code/` in it holds the entries: the code root of the sandbox. */
  readonly folder: string;
  readonly limits: CodeCacheLimits;
  readonly clock: Clock;
  /** For the operator: what was found damaged. */
  readonly report: (message: string) => void;
  /** What goes first; items and groups are entries. Default: greedy-dual. */
  readonly rule?: KeepAlive;
}

/** What an instance of a function is shown. Valid until it is released. */
export interface CodeFolders {
  readonly codeDir: string;
  /** '' where the function has no layers. */
  readonly layersDir: string;
}

export interface CodeCacheCounts {
  /** Acquired without a wait. */
  hitCount: number;
  /** Acquired after a wait, or not at all. */
  missCount: number;
  /** Zips unpacked, at their upload or since. */
  unpackCount: number;
  /** Folders thrown out to make room. */
  evictedCount: number;
}

class Lease implements CodeFolders {
  readonly codeDir: string;
  readonly layersDir: string;
  readonly entries: readonly Entry[];
  released = false;

  constructor(code: Entry, layers: Entry | null) {
    this.codeDir = code.files;
    this.layersDir = layers?.files ?? '';
    this.entries = layers === null ? [code] : [code, layers];
    for (const entry of this.entries) entry.userCount++;
  }
}

export class CodeCache implements CodeSink {
  readonly #options: CodeCacheOptions;
  readonly #root: string;
  readonly #rule: KeepAlive;
  readonly #budget: DiskBudget;
  readonly #gate: Gate;
  readonly #boot = bootId();
  readonly #entries = new Map<string, Entry>();
  /** By their `item`. */
  readonly #items: (Entry | null)[];
  readonly #freeItems: number[];
  readonly counts: CodeCacheCounts = { hitCount: 0, missCount: 0, unpackCount: 0, evictedCount: 0 };
  #source: CodeSource | null = null;
  #tmpCount = 0;

  constructor(options: CodeCacheOptions) {
    this.#options = options;
    this.#root = join(options.folder, 'code');
    const { codeCacheBytesMax, codeCacheEntryCountMax, unpackConcurrencyMax } = options.limits;
    this.#rule = options.rule ?? new GreedyDual(codeCacheEntryCountMax);
    this.#budget = new DiskBudget(codeCacheBytesMax, () => this.#evictOne());
    this.#gate = new Gate(unpackConcurrencyMax);
    this.#items = Array.from({ length: codeCacheEntryCountMax }, () => null);
    this.#freeItems = Array.from(this.#items.keys()).toReversed();
  }

  /** Disk that the entries take, and those on their way in or out. */
  get bytes(): number {
    return this.#budget.bytes;
  }

  get entryCount(): number {
    return this.#entries.size;
  }

  /** Takes over what an earlier life left whole, and removes the rest. Before the first `acquire`. */
  async open(source: CodeSource): Promise<void> {
    this.#source = source;
    await this.#makeFolders();
    // Merged lists have longer names; they come after the zips that they link to.
    const names = (await readdir(this.#root)).toSorted((a, b) => a.length - b.length);
    for (const name of names) await this.#adopt(name, source);
  }

  /**
   * The folders that an instance of this version needs: at once if they are there, else when they are. Whoever gets them
   * gives them back with `release`, also where nobody wants them any more by then.
   */
  acquire(fn: FunctionVersion): CodeFolders | Promise<CodeFolders | UserError> {
    const layers = fn.config.layers.map((layer) => layer.code);
    const code = this.#entryOf(fn.code);
    const view = layers.length === 0 ? null : this.#viewOf(layers);
    const lease = new Lease(code, view);
    if (code.loading !== null || (view !== null && view.loading !== null)) return this.#wait(lease);
    this.counts.hitCount++;
    for (const entry of lease.entries) this.#used(entry);
    return lease;
  }

  release(folders: CodeFolders): void {
    assert(folders instanceof Lease && !folders.released, 'folders that were not acquired, or are released again');
    folders.released = true;
    for (const entry of folders.entries) this.#letGo(entry);
  }

  async put(code: CodeRef, plan: ZipPlan): Promise<ZipRefusal | null> {
    for (let known = this.#entries.get(code.sha256); known; known = this.#entries.get(code.sha256)) {
      const { loading } = known;
      if (loading === null) return this.#mend(known, plan);
      await loading;
    }
    const entry = newEntry(this.#root, code.sha256);
    let refusal: ZipRefusal | null = null;
    await this.#load(entry, async () => {
      const result = await this.#unpack(entry, plan, 0);
      if (result === null) return null;
      // Kept as a zip alone where there is no room; checked all the same.
      refusal = result === 'full' ? await verify(plan) : result;
      return result === 'full' ? this.#full() : new UserError('InvalidZipFileException', result.message);
    });
    return refusal;
  }

  drop(sha256: string): void {
    const entry = this.#entries.get(sha256);
    if (entry !== undefined) this.#doom(entry);
  }

  /** Nothing is asked of it any more; resolves when it has stopped writing. */
  async close(): Promise<void> {
    for (;;) {
      const loading = [...this.#entries.values()].map((entry) => entry.loading).filter((each) => each !== null);
      if (loading.length === 0) break;
      await Promise.all(loading);
    }
    await this.#budget.settled();
  }

  /** For tests. */
  checkInvariants(): void {
    let bytes = 0;
    for (const entry of this.#entries.values()) {
      if (entry.loading === null) bytes += entry.bytes;
      assert(entry.userCount >= 0, `${entry.key} has fewer users than none`);
      assert(!entry.doomed || !this.#mayGo(entry), `${entry.key} is doomed, unused and still there`);
      for (const part of entry.parts) {
        assert(this.#entries.get(part)?.views.has(entry.key) === true, `${entry.key} links to ${part}, which is gone`);
      }
    }
    assert(bytes <= this.#budget.bytes, `${bytes} bytes are there and ${this.#budget.bytes} are counted`);
    assert(this.#budget.bytes <= this.#budget.bytesMax, `${this.#budget.bytes} bytes are more than the budget`);
  }

  async #wait(lease: Lease): Promise<CodeFolders | UserError> {
    this.counts.missCount++;
    const waits = lease.entries.map((entry) => entry.loading);
    const failed = await firstFailure(waits);
    if (failed !== null) {
      this.release(lease);
      return failed;
    }
    // What was loaded for it counts as used once by that.
    for (const [index, entry] of lease.entries.entries()) if (waits[index] === null) this.#used(entry);
    return lease;
  }

  #used(entry: Entry): void {
    this.#touch(entry);
    for (const key of entry.parts) this.#touch(this.#entries.get(key)!);
  }

  #touch(entry: Entry): void {
    this.#rule.touch(entry.item, entry.item, (entry.costUs * MB) / entry.bytes, this.#options.clock.nowUs());
  }

  #letGo(entry: Entry): void {
    entry.userCount--;
    assert(entry.userCount >= 0, `${entry.key} has fewer users than none`);
    this.#goIfDoomed(entry);
    for (const key of entry.parts) {
      const part = this.#entries.get(key);
      if (part !== undefined) this.#goIfDoomed(part);
    }
  }

  // --- from zips to folders ---------------------------------------------------------------------------------

  #entryOf(code: CodeRef): Entry {
    const known = this.#entries.get(code.sha256);
    if (known !== undefined) return known;
    const entry = newEntry(this.#root, code.sha256);
    void this.#load(entry, () => this.#gate.run(() => this.#fetch(entry, code)));
    return entry;
  }

  /** One layer is shown as it lies there. */
  #viewOf(layers: readonly CodeRef[]): Entry {
    if (layers.length === 1) return this.#entryOf(layers[0]!);
    const key = viewKey(layers);
    const known = this.#entries.get(key);
    if (known !== undefined) return known;
    const entry = newEntry(this.#root, key);
    void this.#load(entry, () => this.#merge(entry, layers));
    return entry;
  }

  /** An error of the file system is an answer; all others are bugs. */
  #load(entry: Entry, work: () => Promise<UserError | null>): Promise<UserError | null> {
    this.#entries.set(entry.key, entry);
    entry.loading = work()
      .catch((error: unknown) => {
        if (!isSystemError(error)) throw error;
        return new UserError('ServiceException', `Cannot unpack code into ${this.#options.folder}: ${error.message}`);
      })
      .then((failed) => {
        entry.loading = null;
        if (failed === null) this.#enlist(entry);
        else this.#entries.delete(entry.key);
        this.#goIfDoomed(entry);
        return failed;
      });
    return entry.loading;
  }

  /** From now on it can go by the rule. */
  #enlist(entry: Entry): void {
    const item = this.#freeItems.pop();
    assert(item !== undefined, 'an entry takes so much of the budget that there is an item for each');
    entry.item = item;
    this.#items[item] = entry;
    this.#rule.began(item);
    this.#used(entry);
  }

  async #fetch(entry: Entry, code: CodeRef): Promise<UserError | null> {
    const source = this.#source;
    assert(source !== null, 'the code cache is open');
    const startUs = this.#options.clock.nowUs();
    const zip = await source.fetch(code);
    if (zip instanceof UserError) return zip;
    if ((await sha256Of(zip)) !== code.sha256) return source.reject(code, 'does not have its hash any more');
    const plan = await planZip(zip, this.#options.limits);
    if (plan instanceof ZipRefusal) return source.reject(code, `is not accepted any more: ${plan.message}`);
    const result = await this.#unpack(entry, plan, this.#options.clock.nowUs() - startUs);
    if (result === 'full') return this.#full();
    return result === null ? null : source.reject(code, `cannot be unpacked: ${result.message}`);
  }

  async #unpack(entry: Entry, plan: ZipPlan, fetchUs: number): Promise<ZipRefusal | 'full' | null> {
    const { directories, files, links } = plan;
    // The target of a link takes a block of its own where it is not short.
    const sizes = [...files.map((file) => file.entry.uncompressedSize), ...links.map((link) => link.target.length)];
    const count = directories.length + files.length + links.length;
    const bytes = diskBytes(directories.length + 2, count, sizes);
    if (!(await this.#budget.take(this.#atLeast(bytes)))) return 'full';
    const startUs = this.#options.clock.nowUs();
    let refusal: ZipRefusal | null = null;
    await this.#make(entry, bytes, async (folder) => {
      refusal = await unpack(plan, folder);
      return refusal === null ? { costUs: fetchUs + this.#options.clock.nowUs() - startUs, parts: [] } : null;
    });
    if (refusal === null) this.counts.unpackCount++;
    return refusal;
  }

  /** So the budget bounds the number of entries too. */
  #atLeast(bytes: number): number {
    return Math.max(bytes, Math.ceil(this.#budget.bytesMax / this.#items.length));
  }

  async #merge(entry: Entry, layers: readonly CodeRef[]): Promise<UserError | null> {
    const parts = layers.map((layer) => this.#entryOf(layer));
    for (const part of parts) part.userCount++;
    try {
      const failed = await firstFailure(parts.map((part) => part.loading));
      if (failed !== null) return failed;
      const startUs = this.#options.clock.nowUs();
      const plan = await planMerge(parts.map((part) => part.files));
      const bytes = diskBytes(plan.folders.length + 2, plan.folders.length + plan.files.length, []);
      if (!(await this.#budget.take(this.#atLeast(bytes)))) return this.#full();
      await this.#make(entry, bytes, async (folder) => {
        await writeMerge(plan, folder);
        const keys = [...new Set(parts.map((part) => part.key))];
        return { costUs: this.#options.clock.nowUs() - startUs, parts: keys };
      });
      for (const part of parts) part.views.add(entry.key);
      return null;
    } finally {
      for (const part of parts) this.#letGo(part);
    }
  }

  /** Has `write` fill a folder and puts it into its place; or removes it, where that answers null or anything throws. */
  async #make(
    entry: Entry,
    bytes: number,
    write: (folder: string) => Promise<{ costUs: number; parts: readonly string[] } | null>,
  ): Promise<void> {
    const folder = this.#tmpPath();
    let placed = false;
    try {
      await mkdir(folder);
      await chmod(folder, 0o755);
      const written = await write(join(folder, 'files'));
      if (written === null) return;
      await writeDescription(folder, { boot: this.#boot, key: entry.key, bytes, ...written });
      // Where it is mended, what was there before makes room in the same breath.
      void this.#budget.leave(entry.bytes, this.#discard(entry.key));
      entry.bytes = 0;
      renameSync(folder, join(this.#root, entry.key));
      placed = true;
      Object.assign(entry, { bytes: this.#atLeast(bytes), ...written });
    } finally {
      if (!placed) await this.#budget.leave(this.#atLeast(bytes), this.#remove(folder));
    }
  }

  /** The same zip is uploaded again: that is how people mend what somebody changed below a running platform. */
  async #mend(entry: Entry, plan: ZipPlan): Promise<ZipRefusal | null> {
    entry.doomed = false;
    entry.userCount++;
    let mended = true;
    try {
      if (await isUnpacked(plan, entry.files)) return null;
      mended = false;
      this.#options.report(`code ${entry.key}: its folder was missing or damaged and was unpacked again`);
      // They share its files.
      for (const key of entry.views) this.#doom(this.#entries.get(key)!);
      const result = await this.#unpack(entry, plan, 0);
      mended = result === null;
      return result === 'full' ? await verify(plan) : result;
    } finally {
      if (!mended) this.#doom(entry);
      this.#letGo(entry);
    }
  }

  // --- away -------------------------------------------------------------------------------------------------

  #mayGo(entry: Entry): boolean {
    if (entry.loading !== null || entry.userCount > 0) return false;
    for (const key of entry.views) {
      const view = this.#entries.get(key)!;
      if (view.loading !== null || view.userCount > 0) return false;
    }
    return true;
  }

  #evictOne(): Promise<void> | null {
    const item = victim(this.#rule, this.#items.length, (each) => {
      const entry = this.#items[each] ?? null;
      return entry !== null && this.#mayGo(entry);
    });
    if (item < 0) return null;
    this.counts.evictedCount++;
    this.#rule.evicted(item);
    return this.#evict(this.#items[item]!);
  }

  /** With it go the merged lists that link into it: its disk would not be free before. */
  async #evict(entry: Entry): Promise<void> {
    const views = [...entry.views].map((key) => this.#evict(this.#entries.get(key)!));
    this.#entries.delete(entry.key);
    this.#items[entry.item] = null;
    this.#freeItems.push(entry.item);
    for (const key of entry.parts) this.#entries.get(key)?.views.delete(entry.key);
    await Promise.all([...views, this.#budget.leave(entry.bytes, this.#discard(entry.key))]);
  }

  #doom(entry: Entry): void {
    entry.doomed = true;
    for (const key of entry.views) this.#doom(this.#entries.get(key)!);
    this.#goIfDoomed(entry);
  }

  #goIfDoomed(entry: Entry): void {
    if (entry.doomed && this.#entries.get(entry.key) === entry && this.#mayGo(entry)) void this.#evict(entry);
  }

  #discard(key: string): Promise<void> {
    const folder = this.#tmpPath();
    try {
      renameSync(join(this.#root, key), folder);
    } catch (error) {
      if (isSystemError(error) && error.code === 'ENOENT') return Promise.resolve();
      throw error;
    }
    return this.#remove(folder);
  }

  async #remove(folder: string): Promise<void> {
    await rm(folder, { recursive: true, force: true }).catch((error: Error) =>
      this.#options.report(`cannot remove ${folder}: ${error.message}`),
    );
  }

  // --- the start --------------------------------------------------------------------------------------------

  async #makeFolders(): Promise<void> {
    const { folder } = this.#options;
    await rm(join(folder, UNPACKING), { recursive: true, force: true });
    for (const [name, mode] of [
      [UNPACKING, 0o700],
      ['code', 0o755],
    ] as const) {
      await mkdir(join(folder, name), { recursive: true });
      await chmod(join(folder, name), mode);
    }
  }

  async #adopt(name: string, source: CodeSource): Promise<void> {
    const found = await readDescription(this.#root, name, this.#boot);
    const whole = found !== null && found.parts.every((part) => this.#entries.has(part));
    const bytes = this.#atLeast(found?.bytes ?? 0);
    const fits = this.#budget.bytes + bytes <= this.#budget.bytesMax;
    if (!whole || !fits || (found.parts.length === 0 && !source.has(name))) {
      void this.#budget.leave(0, this.#discard(name));
      return;
    }
    const entry = { ...newEntry(this.#root, name), bytes, costUs: found.costUs, parts: found.parts };
    this.#entries.set(name, entry);
    for (const part of found.parts) this.#entries.get(part)!.views.add(name);
    this.#budget.add(bytes);
    this.#enlist(entry);
  }

  #full(): UserError {
    const mb = Math.floor(this.#budget.bytesMax / MB);
    return new UserError(
      'TooManyRequestsException',
      `The unpacked code in use leaves no room for more: the code cache of the worker holds ${mb} MB.`,
    );
  }

  #tmpPath(): string {
    return join(this.#options.folder, UNPACKING, String(this.#tmpCount++));
  }
}

/** When all have ended; null stands for what was there. */
async function firstFailure(loads: readonly (Promise<UserError | null> | null)[]): Promise<UserError | null> {
  let failed: UserError | null = null;
  for (const load of loads) {
    const result = load === null ? null : await load;
    failed ??= result;
  }
  return failed;
}
