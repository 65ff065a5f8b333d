/**
 * What Perch keeps: functions, their versions, their code, chains of them, and the asynchronous invocations not yet done.
 * One interface; `embedded/` (node:sqlite and files) is the backend of a single machine, `remote/` reaches that of another node.
 *
 * What holds for every backend: when a promise of a writing call resolves, the change is on disk and survives a
 * `kill -9` and a power cut; until then it is as if it had never been asked for. A `UserError` changes nothing.
 * A disk that is full, read-only or broken is a `ServiceException` that names the data folder; calls that cannot answer
 * with a `UserError` reject with a `StoreError`.
 */
import type { UserError } from '../base/errors.ts';
import type { CodeSource } from './code/code-source.ts';

/** The store itself failed (disk, permissions, another platform on the folder): for the operator, not for a client. */
export class StoreError extends Error {
  override name = 'StoreError';
}

export const RUNTIMES = [
  'nodejs24.x',
  'nodejs22.x',
  'nodejs20.x',
  'python3.14',
  'python3.13',
  'python3.12',
  'python3.11',
  'python3.10',
  'python3.9',
  'provided.al2023',
  'provided.al2',
  /** Of Perch's own: a WebAssembly module. */
  'wasm',
] as const;
export type RuntimeName = (typeof RUNTIMES)[number];

/** A version of a layer, as a function uses it. What it holds stays while any version of a function uses it. */
export interface LayerUse {
  readonly layerName: string;
  readonly version: number;
  readonly code: CodeRef;
}

/** What the owner of a function sets. Units last in every name; the Lambda API's names are in the gateway. */
export interface FunctionConfig {
  readonly runtime: RuntimeName;
  readonly handler: string;
  readonly role: string;
  readonly description: string;
  readonly timeoutS: number;
  readonly memoryMb: number;
  readonly ephemeralStorageMb: number;
  readonly architecture: 'x86_64' | 'arm64';
  readonly environment: Readonly<Record<string, string>>;
  readonly tracingMode: 'Active' | 'PassThrough';
  readonly logFormat: 'Text' | 'JSON';
  /** '' where the function asked for none; kept and given back, not acted on. */
  readonly deadLetterTargetArn: string;
  /** Each is laid over the ones before it. */
  readonly layers: readonly LayerUse[];
}

/** Code in the store, named by what it is. */
export interface CodeRef {
  /** SHA-256 of the zip, lower-case hex. */
  readonly sha256: string;
  readonly zipBytes: number;
}

export interface FunctionVersion {
  readonly functionName: string;
  /** '$LATEST', or '1', '2', … for a published, immutable one. */
  readonly version: string;
  readonly config: FunctionConfig;
  readonly code: CodeRef;
  /** Changes with every change of this version; a UUID. */
  readonly revisionId: string;
  readonly lastModifiedMs: number;
}

/** Instances of a published version that its owner wants ready at all times. */
export interface Provisioned {
  readonly count: number;
  readonly lastModifiedMs: number;
}

export type Tags = Readonly<Record<string, string>>;

/** What an operator says of when a function sleeps. Rules or a plug-in, not both. */
export interface FunctionKnowledge {
  /** Whose word counts; null: the platform's own choice. */
  readonly sources: readonly string[] | null;
  /** As they were written; null: none. */
  readonly rules: string | null;
  /** A WebAssembly module in base64; null: none. */
  readonly plugin: string | null;
}

export interface FunctionRecord {
  readonly latest: FunctionVersion;
  readonly createdMs: number;
  readonly tags: Readonly<Record<string, string>>;
  /** Most invocations of it at once, over all versions; null where it shares the cores with all others. */
  readonly reservedConcurrency: number | null;
  /** By version; each of them exists, and their sum is at most the reserved concurrency, if there is one. */
  readonly provisioned: Readonly<Record<string, Provisioned>>;
  /** Of all its versions; absent or null where nothing is said. */
  readonly knowledge?: FunctionKnowledge | null;
  /** When that was said or taken back; later with each time. Absent: it never was. */
  readonly knowledgeMs?: number;
}

/** Immutable, like a published version of a function. */
export interface LayerVersion {
  readonly layerName: string;
  /** 1, 2, …; never used again. */
  readonly version: number;
  readonly code: CodeRef;
  /** What its files have together. */
  readonly unzippedBytes: number;
  readonly description: string;
  readonly licenseInfo: string;
  /** For people and lists; nothing is refused because of them. */
  readonly compatibleRuntimes: readonly string[];
  readonly compatibleArchitectures: readonly string[];
  readonly createdMs: number;
}

export type PublishLayerVersion = Omit<LayerVersion, 'version' | 'unzippedBytes' | 'createdMs'>;

/** Which versions of layers a list shows. */
export type LayerFilter = (version: LayerVersion) => boolean;

/** A version of a function, as a chain names it. */
export interface ChainStep {
  readonly functionName: string;
  /** '$LATEST', or a published one. */
  readonly version: string;
}

/** Functions that run in order, each fed the output of the one before. */
export interface Chain {
  readonly chainName: string;
  /** Each was there when the chain was last changed; it may have been deleted since. */
  readonly steps: readonly ChainStep[];
  readonly createdMs: number;
  readonly lastModifiedMs: number;
}

/** A chain on its way. */
export interface ChainProgress {
  readonly chainName: string;
  /** As they were when it was accepted. */
  readonly steps: readonly ChainStep[];
  /** The step that is next, which takes the payload; 0 is the first. */
  readonly at: number;
}

export interface PutChain {
  readonly chainName: string;
  readonly steps: readonly ChainStep[];
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Pass it as `marker` for the next page; null on the last one. */
  readonly nextMarker: string | null;
}

export interface AsyncInvocation {
  /** The request id that its client was given; a UUID. */
  readonly id: string;
  /** '' where a chain is invoked, and so is the version. */
  readonly functionName: string;
  readonly version: string;
  /** The chain that is invoked; absent for a function. */
  readonly chain?: ChainProgress;
  readonly payload: Buffer;
  readonly clientContext: string;
  readonly acceptedMs: number;
  /** Attempts that ended in a function error. */
  readonly attempts: number;
  /** Not before this moment, epoch milliseconds. */
  readonly dueMs: number;
}

export interface CreateFunction {
  readonly functionName: string;
  readonly config: FunctionConfig;
  readonly code: CodeRef;
  readonly tags: Readonly<Record<string, string>>;
  readonly publish: boolean;
}

export interface UpdateFunction {
  readonly functionName: string;
  /** Absent: unchanged. */
  readonly config?: FunctionConfig;
  readonly code?: CodeRef;
  readonly publish: boolean;
  /** If given and not the latest one: PreconditionFailedException. */
  readonly revisionId?: string;
}

export interface PublishVersion {
  readonly functionName: string;
  readonly description?: string;
  readonly revisionId?: string;
  /** If given and not that of $LATEST's code (hex): InvalidParameterValueException. */
  readonly codeSha256?: string;
}

export interface Store {
  // Code. Content-addressed: the same zip twice is stored once.
  /** Checks the zip (form, sizes, paths, links) and stores it; nothing stays of one that is refused. */
  putCode(zip: Buffer): Promise<CodeRef | UserError>;
  /**
   * Where workers get zips from. Code that no version uses any more stays for LIMITS.codeSweepDelayMs: longer than a
   * request may wait, and long enough between putCode and the call that uses what it gave.
   */
  readonly codeSource: CodeSource;
  /** What the files of the code have together. */
  unzippedBytes(code: CodeRef): Promise<number | UserError>;
  /** InvalidZipFileException where the code was found missing or damaged; ask before the code is run. */
  codeError(code: CodeRef): UserError | null;
  /** The zip as it was uploaded; its hash is checked again. Rejects where it is missing or damaged. */
  readZip(code: CodeRef): Promise<Buffer>;

  // Functions. Reads come from memory and are synchronous: they are on the way of an invocation.
  getFunction(functionName: string): FunctionRecord | null;
  getVersion(functionName: string, version: string): FunctionVersion | null;
  /** In order of names. */
  listFunctions(marker: string | null, max: number): Page<FunctionRecord>;
  /** $LATEST first, then 1, 2, … */
  listVersions(functionName: string, marker: string | null, max: number): Page<FunctionVersion>;
  /** Every version of every function, in order of names and versions. */
  listAllVersions(marker: string | null, max: number): Page<FunctionVersion>;
  /** The version created: $LATEST, or the published one if `publish`. */
  createFunction(request: CreateFunction): Promise<FunctionVersion | UserError>;
  updateFunction(request: UpdateFunction): Promise<FunctionVersion | UserError>;
  /** Publishing what is already published unchanged gives that version again, as Lambda does. */
  publishVersion(request: PublishVersion): Promise<FunctionVersion | UserError>;
  /** The whole function, or one published version. Its queued asynchronous invocations go with it. */
  deleteFunction(functionName: string, version: string | null): Promise<UserError | null>;
  setReservedConcurrency(functionName: string, max: number | null): Promise<UserError | null>;
  /** Of a published version; null: none any more. It goes with its version. */
  setProvisioned(functionName: string, version: string, count: number | null): Promise<UserError | null>;
  /** `decide`: from what they are after all changes before this one, to what they become. */
  setTags(functionName: string, decide: (before: Tags) => Tags | UserError): Promise<UserError | null>;
  /** Null: nothing is said any more. No version changes by it. */
  setKnowledge(functionName: string, knowledge: FunctionKnowledge | null): Promise<UserError | null>;

  // Layers. A version that functions use can be deleted: they keep what it held.
  publishLayerVersion(request: PublishLayerVersion): Promise<LayerVersion | UserError>;
  getLayerVersion(layerName: string, version: number): LayerVersion | null;
  /** The newest first. */
  listLayerVersions(layerName: string, filter: LayerFilter, marker: string | null, max: number): Page<LayerVersion>;
  /** The newest version of each layer that the filter lets through, in order of names. */
  listLayers(filter: LayerFilter, marker: string | null, max: number): Page<LayerVersion>;
  /** Deleting what is not there is no error. */
  deleteLayerVersion(layerName: string, version: number): Promise<UserError | null>;

  // Chains. A name that a function has too is another name.
  getChain(chainName: string): Chain | null;
  /** In order of names. */
  listChains(marker: string | null, max: number): Page<Chain>;
  /** A step that there is not: ResourceNotFoundException, naming it. */
  createChain(request: PutChain): Promise<Chain | UserError>;
  updateChain(request: PutChain): Promise<Chain | UserError>;
  /** Its queued asynchronous invocations go with it. */
  deleteChain(chainName: string): Promise<UserError | null>;

  // Asynchronous invocations. Writes of one turn of the event loop share one transaction.
  /** TooManyRequestsException when the queue is full. */
  enqueue(invocation: AsyncInvocation): Promise<UserError | null>;

  /** Told after each change, with the name of the function; for caches of what a version is. */
  onChange(listener: (functionName: string) => void): void;
  /** The same of layers. */
  onLayerChange(listener: (layerName: string) => void): void;
  /** The same of chains. */
  onChainChange(listener: (chainName: string) => void): void;
  close(): Promise<void>;
}

export interface ChainResume {
  readonly chain: ChainProgress;
  readonly payload: Buffer;
}

/** What was enqueued, for whoever runs it: a part of the store that only its own node has. */
export interface EnqueuedInvocations {
  /** Up to `max` that are due and not handed out yet, oldest first; handed out until done, retried, or restarted. */
  takeDue(nowMs: number, max: number): readonly AsyncInvocation[];
  /** When the next one not handed out is due; null if there is none. */
  nextDueMs(): number | null;
  done(id: string): Promise<void>;
  /** `resume`: of a chain, where it goes on, and with what. */
  retry(id: string, attempts: number, dueMs: number, resume?: ChainResume): Promise<void>;
  asyncQueueLength(): number;
}
