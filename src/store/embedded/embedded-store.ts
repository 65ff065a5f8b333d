/** The store of a single machine: node:sqlite and files in one folder. See README.md beside this file. */
import { randomUUID } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { realClock } from '../../base/clock.ts';
import type { Clock } from '../../base/clock.ts';
import { UserError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import type { CodeSink, CodeSource } from '../code/code-source.ts';
import { CodeStore } from '../code/code-store.ts';
import type { CodeLimits } from '../code/code-store.ts';
import { chainNotFound, createChain, stepNotFound, updateChain } from '../chains.ts';
import {
  codeOf,
  createFunction,
  deleteVersion,
  notFound,
  publishVersion,
  setProvisioned,
  setReservedConcurrency,
  setKnowledge,
  setTags,
  updateFunction,
  versionOf,
  versionsOf,
} from '../functions.ts';
import type { Change, Fresh, FunctionState } from '../functions.ts';
import { cannotUse, prepareDataFolder } from '../data-folder.ts';
import { Outstanding } from '../outstanding.ts';
import { StoreReads } from '../reads.ts';
import { StoreError } from '../store.ts';
import type {
  AsyncInvocation,
  Chain,
  ChainResume,
  ChainStep,
  CodeRef,
  CreateFunction,
  EnqueuedInvocations,
  FunctionConfig,
  FunctionKnowledge,
  FunctionVersion,
  LayerVersion,
  PublishLayerVersion,
  PublishVersion,
  PutChain,
  Store,
  Tags,
  UpdateFunction,
} from '../store.ts';
import { AsyncQueue } from './async-queue.ts';
import { ChainTable } from './chain-table.ts';
import { Database } from './database.ts';
import { FunctionTable } from './function-table.ts';
import type { Decision } from './function-table.ts';
import { LayerTable } from './layer-table.ts';

export interface EmbeddedStoreLimits extends CodeLimits {
  readonly asyncQueueMax: number;
  readonly asyncMemoryBytesMax: number;
  readonly commitBytesMax: number;
  /** Of the database, 4 KiB each; 0: as many as the disk holds. */
  readonly databasePageCountMax: number;
}

export interface EmbeddedStoreOptions {
  readonly limits?: Partial<EmbeddedStoreLimits>;
  readonly clock?: Clock;
  /** What the operator should know: damaged code, and what was mended. Default: to stderr. */
  readonly report?: (message: string) => void;
  /** The code cache of a worker on this machine: it is given each zip at its upload. */
  readonly sink?: CodeSink;
}

/**
 * Opens a data folder, or makes it. Rejects with a StoreError, whose message is for the operator, where that cannot be
 * done or another platform has it open.
 */
export async function openEmbeddedStore(folder: string, options: EmbeddedStoreOptions = {}): Promise<EmbeddedStore> {
  const path = resolve(folder);
  const limits: EmbeddedStoreLimits = { ...LIMITS, databasePageCountMax: 0, ...options.limits };
  const clock = options.clock ?? realClock;
  const report = options.report ?? ((message: string) => void process.stderr.write(`perch: ${message}\n`));
  try {
    prepareFolder(path);
  } catch (error) {
    throw error instanceof StoreError ? error : cannotUse(path, error);
  }
  const database = await Database.open({ folder: path, pageCountMax: limits.databasePageCountMax });
  try {
    const codes = new CodeStore({ folder: path, limits, clock, report, sink: options.sink ?? null });
    return await EmbeddedStore.open({ path, limits, clock, report, database, codes });
  } catch (error) {
    await database.close();
    if (!(error instanceof Error) || !('syscall' in error)) throw error;
    throw new StoreError(`Cannot use the data folder ${path}: ${messageOf(error)}.`);
  }
}

interface Parts {
  readonly path: string;
  readonly limits: EmbeddedStoreLimits;
  readonly clock: Clock;
  readonly report: (message: string) => void;
  readonly database: Database;
  readonly codes: CodeStore;
}

export class EmbeddedStore extends StoreReads implements Store, EnqueuedInvocations {
  readonly #parts: Parts;
  protected override readonly functions: FunctionTable;
  protected override readonly layers: LayerTable;
  protected override readonly chains: ChainTable;
  readonly #queue: AsyncQueue;
  #sweepTimer: NodeJS.Timeout | undefined;
  /** What takes several steps and has to end before the lock is given up. */
  readonly #running = new Outstanding();
  #closed = false;

  private constructor(parts: Parts) {
    const { database, limits } = parts;
    super();
    this.#parts = parts;
    this.functions = new FunctionTable(database, (functionName) => this.functionChanged(functionName));
    this.layers = new LayerTable(database, (layerName) => this.layerChanged(layerName));
    this.chains = new ChainTable(database, (chainName) => this.chainChanged(chainName));
    this.#queue = new AsyncQueue(database, {
      countMax: limits.asyncQueueMax,
      memoryBytesMax: limits.asyncMemoryBytesMax,
      commitBytesMax: limits.commitBytesMax,
    });
  }

  static async open(parts: Parts): Promise<EmbeddedStore> {
    const store = new EmbeddedStore(parts);
    await parts.codes.open(store.#usedCode());
    const everyMs = Math.max(1000, parts.limits.codeSweepDelayMs / 4);
    store.#sweepTimer = setInterval(() => void store.sweep(), everyMs).unref();
    return store;
  }

  // Code

  putCode(zip: Buffer): Promise<CodeRef | UserError> {
    if (this.#closed) return Promise.resolve(shuttingDown());
    return this.#running.track(this.#parts.codes.put(zip));
  }

  codeError(code: CodeRef): UserError | null {
    return this.#parts.codes.errorOf(code);
  }

  get codeSource(): CodeSource {
    return this.#parts.codes;
  }

  unzippedBytes(code: CodeRef): Promise<number | UserError> {
    return this.#running.track(this.#parts.codes.unzippedBytes(code));
  }

  readZip(code: CodeRef): Promise<Buffer> {
    return this.#running.track(this.#parts.codes.read(code));
  }

  /** Removes code that no version has used for the delay. By itself every now and then; tests ask for it. */
  async sweep(): Promise<void> {
    if (this.#closed) return;
    try {
      await this.#running.track(this.#parts.codes.sweep(new Set(this.#usedCode().map((code) => code.sha256))));
    } catch (error) {
      this.#parts.report(`cannot remove old code from ${this.#parts.path}: ${messageOf(error)}`);
    }
  }

  // Functions

  createFunction(request: CreateFunction): Promise<FunctionVersion | UserError> {
    return this.#change(request, (before, fresh) => createFunction(before, request, fresh));
  }

  updateFunction(request: UpdateFunction): Promise<FunctionVersion | UserError> {
    return this.#change(request, (before, fresh) => updateFunction(before, request, fresh));
  }

  publishVersion(request: PublishVersion): Promise<FunctionVersion | UserError> {
    const { functionName } = request;
    return this.#change({ functionName }, (before, fresh) => publishVersion(before, request, fresh));
  }

  deleteFunction(functionName: string, version: string | null): Promise<UserError | null> {
    if (this.#closed) return Promise.resolve(shuttingDown());
    const before = this.functions.decided(functionName);
    const state = version === null ? null : deleteVersion(before, functionName, version);
    if (state instanceof UserError) return Promise.resolve(state);
    if (!before) return Promise.resolve(notFound(functionName));
    // The delay of the sweep begins with the last use, which is now.
    for (const used of versionsOf(this.functions.get(functionName) ?? before)) this.#use(used);
    this.#use(before.record.latest);
    const onTouched = (sequences: readonly number[]): void => this.#queue.removed(sequences);
    const more =
      version === null
        ? ({ name: 'dequeueFunction', values: [functionName] } as const)
        : ({ name: 'dequeueVersion', values: [functionName, version] } as const);
    return this.functions.change({ functionName, state, result: null, more: [more], onTouched });
  }

  setReservedConcurrency(functionName: string, max: number | null): Promise<UserError | null> {
    return this.#changeState(functionName, (before) => setReservedConcurrency(before, functionName, max));
  }

  setProvisioned(functionName: string, version: string, count: number | null): Promise<UserError | null> {
    const nowMs = this.#parts.clock.wallMs();
    return this.#changeState(functionName, (before) => setProvisioned(before, { functionName, version, count }, nowMs));
  }

  setTags(functionName: string, decide: (before: Tags) => Tags | UserError): Promise<UserError | null> {
    return this.#changeState(functionName, (before) => setTags(before, functionName, decide));
  }

  setKnowledge(functionName: string, knowledge: FunctionKnowledge | null): Promise<UserError | null> {
    const nowMs = this.#parts.clock.wallMs();
    return this.#changeState(functionName, (before) => setKnowledge(before, { functionName, knowledge }, nowMs));
  }

  // Layers

  async publishLayerVersion(request: PublishLayerVersion): Promise<LayerVersion | UserError> {
    const unzippedBytes = await this.unzippedBytes(request.code);
    if (this.#closed) return shuttingDown();
    if (unzippedBytes instanceof UserError) return unzippedBytes;
    if (!this.#parts.codes.use(request.code)) return notStored(request.code);
    const createdMs = this.#parts.clock.wallMs();
    return this.#explained(await this.layers.publish({ ...request, unzippedBytes, createdMs }));
  }

  async deleteLayerVersion(layerName: string, version: number): Promise<UserError | null> {
    if (this.#closed) return shuttingDown();
    const before = this.layers.get(layerName, version);
    if (before === null) return null;
    this.#parts.codes.use(before.code);
    return this.#explained(await this.layers.delete(layerName, version));
  }

  // Chains

  createChain(request: PutChain): Promise<Chain | UserError> {
    return this.#putChain(request, createChain);
  }

  updateChain(request: PutChain): Promise<Chain | UserError> {
    return this.#putChain(request, updateChain);
  }

  async deleteChain(chainName: string): Promise<UserError | null> {
    if (this.#closed) return shuttingDown();
    if (!this.chains.decided(chainName)) return chainNotFound(chainName);
    const onTouched = (sequences: readonly number[]): void => this.#queue.removed(sequences);
    return this.#explained(await this.chains.change({ chainName, chain: null, result: null, onTouched }));
  }

  // Asynchronous invocations

  enqueue(invocation: AsyncInvocation): Promise<UserError | null> {
    if (this.#closed) return Promise.resolve(shuttingDown());
    const { functionName, version, chain } = invocation;
    const enqueue = (): Promise<UserError | null> =>
      this.#queue.enqueue(invocation).then((error) => this.#explained(error));
    if (chain !== undefined)
      return this.chains.decided(chain.chainName) ? enqueue() : Promise.resolve(chainNotFound(chain.chainName));
    const state = this.functions.decided(functionName);
    if (!state) return Promise.resolve(notFound(functionName));
    if (!versionOf(state, version)) return Promise.resolve(notFound(functionName, version));
    return enqueue();
  }

  takeDue(nowMs: number, max: number): readonly AsyncInvocation[] {
    return this.#closed ? [] : this.#queue.takeDue(nowMs, max);
  }

  nextDueMs(): number | null {
    return this.#queue.nextDueMs;
  }

  done(id: string): Promise<void> {
    return this.#closed ? Promise.reject(closedError()) : this.#queue.done(id);
  }

  retry(id: string, attempts: number, dueMs: number, resume?: ChainResume): Promise<void> {
    return this.#closed ? Promise.reject(closedError()) : this.#queue.retry(id, attempts, dueMs, resume);
  }

  asyncQueueLength(): number {
    return this.#queue.length;
  }

  /** Waits for what was asked for; what is asked for from now on is refused. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#sweepTimer);
    await this.#running.ended();
    await this.#parts.database.close();
  }

  async #change(
    { functionName, code, config }: { functionName: string; code?: CodeRef; config?: FunctionConfig },
    decide: (before: FunctionState | undefined, fresh: Fresh) => Change | UserError,
  ): Promise<FunctionVersion | UserError> {
    if (this.#closed) return shuttingDown();
    const before = this.functions.decided(functionName);
    const change = decide(before, {
      nowMs: this.#parts.clock.wallMs(),
      revisionIds: [randomUUID(), randomUUID()],
      lastNumber: this.functions.lastNumber(functionName),
    });
    if (change instanceof UserError) return change;
    const layers = config?.layers.map((layer) => layer.code) ?? [];
    const lost = [...(code ? [code] : []), ...layers].find((each) => !this.#parts.codes.use(each));
    if (lost) return notStored(lost);
    // An update may end the use of the code before; the delay of the sweep begins now.
    if (before) this.#use(before.record.latest);
    return this.#write({ functionName, ...change });
  }

  async #putChain(request: PutChain, decide: typeof createChain): Promise<Chain | UserError> {
    if (this.#closed) return shuttingDown();
    const { chainName } = request;
    const chain = decide(this.chains.decided(chainName), request, this.#parts.clock.wallMs());
    if (chain instanceof UserError) return chain;
    const missing = chain.steps.findIndex((step) => !this.#hasVersion(step));
    if (missing >= 0) return stepNotFound(chain, missing);
    return this.#explained(await this.chains.change({ chainName, chain, result: chain }));
  }

  #hasVersion({ functionName, version }: ChainStep): boolean {
    const state = this.functions.decided(functionName);
    return state !== undefined && versionOf(state, version) !== null;
  }

  /** The delay of the sweep begins anew for all that it needs. */
  #use(version: FunctionVersion): void {
    for (const code of codeOf(version)) this.#parts.codes.use(code);
  }

  #usedCode(): CodeRef[] {
    return [...this.functions.usedCode(), ...Array.from(this.layers.all(), (layer) => layer.code)];
  }

  async #changeState(
    functionName: string,
    decide: (before: FunctionState | undefined) => FunctionState | UserError,
  ): Promise<UserError | null> {
    if (this.#closed) return shuttingDown();
    const state = decide(this.functions.decided(functionName));
    return state instanceof UserError ? state : this.#write({ functionName, state, result: null });
  }

  async #write<T>(decision: Decision<T>): Promise<T | UserError> {
    return this.#explained(await this.functions.change(decision));
  }

  #explained<T>(result: T): T | UserError {
    if (!(result instanceof UserError) || result.code !== 'ServiceException') return result;
    return new UserError('ServiceException', `Cannot write to the data folder ${this.#parts.path}: ${result.message}`);
  }
}

function prepareFolder(folder: string): void {
  prepareDataFolder(folder);
  // SQLite gives its journals the mode of the file they belong to.
  for (const name of ['lock', 'perch.db']) makeEmpty(join(folder, name));
}

/** A file that is there must not even be opened: closing it would drop the locks that this process holds on it. */
function makeEmpty(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || error.code !== 'EEXIST') throw error;
  }
}

function shuttingDown(): UserError {
  return new UserError('ServiceUnavailableException', 'The platform is shutting down.');
}

function notStored(code: CodeRef): UserError {
  return new UserError('InvalidParameterValueException', `Code ${code.sha256} is not stored; upload it again.`);
}

function closedError(): StoreError {
  return new StoreError('The store is closed.');
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
