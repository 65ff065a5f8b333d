/**
 * The store of another node. All that is read comes from a replica in memory, kept by a stream of changes; what changes something is a
 * call to the store's node, answered once the replica has it. While that node is away, reads go on with what is known and changes are refused.
 */
import { UserError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { CodeSource } from '../code/code-source.ts';
import { Outstanding } from '../outstanding.ts';
import { StoreReads } from '../reads.ts';
import { StoreError } from '../store.ts';
import type {
  AsyncInvocation,
  Chain,
  CodeRef,
  CreateFunction,
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
import type { JsonMethod, Method } from './call-arguments.ts';
import { addressText } from '../../cluster/node/connect.ts';
import { Again, openLines, type StoreNode } from './client.ts';
import { EnqueueLine } from './enqueue-line.ts';
import { PATHS, type StreamLine, type TagsAnswer, userError } from './protocol.ts';
import { RemoteCodeSource } from './remote-code-source.ts';
import { Replica } from './replica.ts';
import { StoreCalls } from './store-calls.ts';

export interface RemoteStoreOptions extends StoreNode {
  readonly log: Log;
  readonly metrics?: Metrics;
}

/** Whoever waits for a change to come back in the stream. */
interface Waiter {
  readonly life: string;
  readonly at: number;
  readonly resolve: () => void;
}

/** Tags that others change all the time are tried so often. */
const TAG_TRIES = 16;

export class RemoteStore extends StoreReads implements Store {
  readonly #options: RemoteStoreOptions;
  readonly #replica: Replica;
  protected override readonly functions: Replica['functions'];
  protected override readonly layers: Replica['layers'];
  protected override readonly chains: Replica['chains'];
  readonly #calls: StoreCalls;
  readonly #enqueueLine: EnqueueLine;
  readonly #codes: RemoteCodeSource;
  readonly #again: Again;
  /** Changes of one function or layer are asked for one after the other, as they were here. */
  readonly #turns = new Map<string, Promise<unknown>>();
  /** What has to end before it is closed. */
  readonly #running = new Outstanding();
  readonly #waiters = new Set<Waiter>();
  /** The life whose stream is whole; null while there is none. */
  #life: string | null = null;
  #at = 0;
  #why = 'the connection is being made';
  #stopStream: () => void = () => {};
  #closed = false;
  #becomeReady: () => void = () => {};
  readonly #ready: Promise<void>;

  constructor(options: RemoteStoreOptions) {
    super();
    this.#options = options;
    this.#replica = new Replica({
      functionChanged: (name) => this.functionChanged(name),
      layerChanged: (name) => this.layerChanged(name),
      chainChanged: (name) => this.chainChanged(name),
      reached: (life, at) => this.#reached(life, at),
    });
    this.functions = this.#replica.functions;
    this.layers = this.#replica.layers;
    this.chains = this.#replica.chains;
    this.#calls = new StoreCalls(options, { life: () => this.#life, why: () => this.#why });
    this.#enqueueLine = new EnqueueLine((body) => this.#ask('enqueue', body), options.clock);
    this.#codes = new RemoteCodeSource(options);
    this.#again = new Again(options.clock);
    this.#ready = new Promise((resolve) => (this.#becomeReady = resolve));
    options.metrics?.read('perch_store_connected', () => (this.#life === null ? 0 : 1));
    this.#open();
  }

  /** Resolves when all functions are known for the first time. */
  ready(): Promise<void> {
    return this.#ready;
  }

  // Code

  async putCode(zip: Buffer): Promise<CodeRef | UserError> {
    if (this.#closed) return shuttingDown();
    // The store would say so too, after the whole way.
    if (zip.length <= LIMITS.zipBytesMax)
      return (await this.#running.track(this.#ask('putCode', zip))) as CodeRef | UserError;
    const message = `The zip has ${zip.length} bytes; at most ${LIMITS.zipBytesMax} are allowed`;
    return new UserError('RequestTooLargeException', message);
  }

  get codeSource(): CodeSource {
    return this.#codes;
  }

  async unzippedBytes(code: CodeRef): Promise<number | UserError> {
    if (this.#closed) return shuttingDown();
    return (await this.#running.track(this.#ask('unzippedBytes', json(code)))) as number | UserError;
  }

  /** What the store has told of it: it looks when somebody fetches it. */
  codeError(code: CodeRef): UserError | null {
    const damage = this.#replica.damageOf(code.sha256);
    return damage === null ? null : new UserError('InvalidZipFileException', damage);
  }

  async readZip(code: CodeRef): Promise<Buffer> {
    const zip = await this.#codes.fetch(code);
    if (zip instanceof UserError) throw new StoreError(zip.message);
    return zip;
  }

  // Functions

  createFunction(request: CreateFunction): Promise<FunctionVersion | UserError> {
    return this.#change(request.functionName, 'createFunction', request);
  }

  updateFunction(request: UpdateFunction): Promise<FunctionVersion | UserError> {
    return this.#change(request.functionName, 'updateFunction', request);
  }

  publishVersion(request: PublishVersion): Promise<FunctionVersion | UserError> {
    return this.#change(request.functionName, 'publishVersion', request);
  }

  deleteFunction(functionName: string, version: string | null): Promise<UserError | null> {
    return this.#change(functionName, 'deleteFunction', functionName, version);
  }

  setReservedConcurrency(functionName: string, max: number | null): Promise<UserError | null> {
    return this.#change(functionName, 'setReservedConcurrency', functionName, max);
  }

  setProvisioned(functionName: string, version: string, count: number | null): Promise<UserError | null> {
    return this.#change(functionName, 'setProvisioned', functionName, version, count);
  }

  setTags(functionName: string, decide: (before: Tags) => Tags | UserError): Promise<UserError | null> {
    return this.#inTurn(`function ${functionName}`, () => this.#setTags(functionName, decide));
  }

  setKnowledge(functionName: string, knowledge: FunctionKnowledge | null): Promise<UserError | null> {
    return this.#change(functionName, 'setKnowledge', functionName, knowledge);
  }

  // Layers

  publishLayerVersion(request: PublishLayerVersion): Promise<LayerVersion | UserError> {
    return this.#inTurn(`layer ${request.layerName}`, () => this.#ask('publishLayerVersion', json(request))) as never;
  }

  deleteLayerVersion(layerName: string, version: number): Promise<UserError | null> {
    return this.#inTurn(`layer ${layerName}`, () => this.#ask('deleteLayerVersion', json(layerName, version))) as never;
  }

  // Chains

  createChain(request: PutChain): Promise<Chain | UserError> {
    return this.#inTurn(`chain ${request.chainName}`, () => this.#ask('createChain', json(request))) as never;
  }

  updateChain(request: PutChain): Promise<Chain | UserError> {
    return this.#inTurn(`chain ${request.chainName}`, () => this.#ask('updateChain', json(request))) as never;
  }

  deleteChain(chainName: string): Promise<UserError | null> {
    return this.#inTurn(`chain ${chainName}`, () => this.#ask('deleteChain', json(chainName))) as never;
  }

  // Asynchronous invocations

  enqueue(invocation: AsyncInvocation): Promise<UserError | null> {
    if (this.#closed) return Promise.resolve(shuttingDown());
    return this.#running.track(this.#enqueueLine.enqueue(invocation));
  }

  /** Waits for what was asked for; what is asked for from now on is refused. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#again.stop();
    await this.#running.ended();
    this.#stopStream();
    this.#life = null;
    for (const waiter of this.#waiters) waiter.resolve();
  }

  // --- changes ----------------------------------------------------------------------------------------------

  async #change<T>(functionName: string, method: JsonMethod, ...args: readonly unknown[]): Promise<T> {
    return (await this.#inTurn(`function ${functionName}`, () => this.#ask(method, json(...args)))) as T;
  }

  #inTurn<T>(name: string, work: () => Promise<T | UserError>): Promise<T | UserError> {
    if (this.#closed) return Promise.resolve(shuttingDown());
    // One that throws does not keep back those after it.
    const before = this.#turns.get(name) ?? Promise.resolve();
    const turn = before.then(work, work);
    this.#turns.set(name, turn);
    const end = (): void => {
      if (this.#turns.get(name) === turn) this.#turns.delete(name);
    };
    void turn.then(end, end);
    return this.#running.track(turn);
  }

  /** The result, or the error; once the replica has what it changed. */
  async #ask(method: Method, body: Buffer): Promise<unknown> {
    const answer = await this.#calls.call(method, body);
    if (answer instanceof UserError) return answer;
    await this.#seen(answer.life, answer.at);
    return answer.error === undefined ? answer.result : userError(answer.error);
  }

  async #setTags(functionName: string, decide: (before: Tags) => Tags | UserError): Promise<UserError | null> {
    let before: Tags | null = this.getFunction(functionName)?.tags ?? null;
    for (let tries = 0; tries < TAG_TRIES; tries++) {
      // Where it is not known here, the store says whether it is there, and what its tags are.
      const after = before === null ? {} : decide(before);
      if (after instanceof UserError) return after;
      const answer = await this.#ask('setTags', json(functionName, before, after));
      if (answer instanceof UserError) return answer;
      const { conflict } = answer as TagsAnswer;
      if (conflict === undefined) return null;
      before = conflict;
    }
    const message = `The tags of ${functionName} are being changed by others all the time; try again.`;
    return new UserError('ResourceConflictException', message);
  }

  /** The change was made; that this node hears of it late must not keep its answer back for ever. */
  #seen(life: string, at: number): Promise<void> {
    if (this.#has(life, at)) return Promise.resolve();
    return new Promise((resolve) => {
      let stopWaiting = (): void => {};
      const end = (): void => {
        stopWaiting();
        this.#waiters.delete(waiter);
        resolve();
      };
      const waiter: Waiter = { life, at, resolve: end };
      stopWaiting = this.#options.clock.every(LIMITS.storeSeenMs, end);
      this.#waiters.add(waiter);
    });
  }

  #reached(life: string, at: number): void {
    this.#life = life;
    this.#at = at;
    for (const waiter of this.#waiters) if (this.#has(waiter.life, waiter.at)) waiter.resolve();
  }

  /** A change was asked of the life that was heard then, so another one that is heard now came after it, and has it from the disk. */
  #has(life: string, at: number): boolean {
    return this.#life === life ? this.#at >= at : this.#life !== null;
  }

  // --- the stream -------------------------------------------------------------------------------------------

  #open(): void {
    const stream = this.#replica.begin();
    let stop = (): void => {};
    const ended = (why: string): void => {
      stop();
      this.#lost(why);
    };
    stop = openLines(this.#options, PATHS.functions, {
      line: (value) => {
        const wrong = stream.take(value as StreamLine);
        if (wrong !== null) ended(wrong);
        else if (stream.whole && (value as StreamLine).whole !== undefined) this.#opened();
      },
      ended,
    });
    this.#stopStream = stop;
  }

  #opened(): void {
    const count = this.functions.names().length;
    this.#options.log.info({ store: addressText(this.#options.store), functionCount: count }, 'the store is connected');
    this.#again.succeeded();
    this.#becomeReady();
  }

  /** Told in the log when it was there before, or why has changed: not at each attempt. */
  #lost(why: string): void {
    if (this.#closed) return;
    if (this.#life !== null || this.#why !== why) {
      this.#options.log.warn({ store: addressText(this.#options.store), why }, 'the store is not connected');
    }
    this.#life = null;
    this.#why = why;
    this.#again.later(() => this.#open());
  }
}

function json(...args: readonly unknown[]): Buffer {
  return Buffer.from(JSON.stringify(args));
}

function shuttingDown(): UserError {
  return new UserError('ServiceUnavailableException', 'The platform is shutting down.');
}
