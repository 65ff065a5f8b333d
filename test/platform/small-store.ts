/** The doors of the small platform to what is stored: functions in a map, logs nowhere, code that comes when a test says so. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { UserError } from '../../src/base/errors.ts';
import type { LogStore } from '../../src/store/logs.ts';
import { type Isolation, ISOLATION_VARIABLE } from '../../src/store/settings.ts';
import type { FunctionConfig, FunctionKnowledge, FunctionVersion, Provisioned } from '../../src/store/store.ts';
import type { CodeFolders, CodeSupply } from '../../src/worker/agent/contract.ts';
import type { KnowledgeDoor } from '../../src/worker/agent/directed-seats.ts';

export const TIMEOUT_S = 3;

/** The part of a store that the way of an invocation asks. */
interface SmallRecord {
  readonly latest: FunctionVersion;
  readonly reservedConcurrency: number | null;
  readonly provisioned: Readonly<Record<string, Provisioned>>;
}

export class SmallStore {
  readonly #functions = new Map<string, SmallRecord>();
  readonly #listeners: ((functionName: string) => void)[] = [];

  put(
    functionName: string,
    memoryMb: number,
    isolation: Isolation = 'reuse',
    environment: Readonly<Record<string, string>> = {},
  ): void {
    const latest: FunctionVersion = {
      functionName,
      version: '$LATEST',
      config: {
        runtime: 'nodejs24.x',
        handler: 'index.handler',
        memoryMb,
        timeoutS: TIMEOUT_S,
        layers: [],
        environment: { [ISOLATION_VARIABLE]: isolation, ...environment },
      } as unknown as FunctionConfig,
      code: { sha256: '', zipBytes: 0 },
      revisionId: randomUUID(),
      lastModifiedMs: 0,
    };
    const known = this.#functions.get(functionName) ?? { reservedConcurrency: null, provisioned: {} };
    this.#functions.set(functionName, { ...known, latest });
    this.#changed(functionName);
  }

  delete(functionName: string): void {
    this.#functions.delete(functionName);
    this.#changed(functionName);
  }

  setConcurrency(functionName: string, reservedConcurrency: number | null): void {
    this.#change(functionName, { reservedConcurrency });
  }

  provision(functionName: string, count: number): void {
    this.#change(functionName, { provisioned: count === 0 ? {} : { $LATEST: { count, lastModifiedMs: 0 } } });
  }

  #change(functionName: string, change: Partial<SmallRecord>): void {
    const known = this.#functions.get(functionName);
    if (known === undefined) return;
    this.#functions.set(functionName, { ...known, ...change });
    this.#changed(functionName);
  }

  #changed(functionName: string): void {
    for (const listener of this.#listeners) listener(functionName);
  }

  names(): string[] {
    return [...this.#functions.keys()];
  }

  listFunctions(): unknown {
    return { items: [...this.#functions.values()], nextMarker: null };
  }

  getFunction(functionName: string): unknown {
    return this.#functions.get(functionName) ?? null;
  }

  getVersion(functionName: string): FunctionVersion | null {
    return this.#functions.get(functionName)?.latest ?? null;
  }

  codeError(): null {
    return null;
  }

  onChange(listener: (functionName: string) => void): void {
    this.#listeners.push(listener);
  }
}

/** What operators say of functions: rules, and whose word counts. */
export class SmallKnowledge implements KnowledgeDoor {
  readonly #said = new Map<string, FunctionKnowledge>();
  readonly #listeners: ((functionName: string) => void)[] = [];

  /** Null: nothing any more. */
  say(functionName: string, said: Partial<FunctionKnowledge> | null): void {
    if (said === null) this.#said.delete(functionName);
    else this.#said.set(functionName, { sources: null, rules: null, plugin: null, ...said });
    for (const listener of this.#listeners) listener(functionName);
  }

  of(functionName: string): FunctionKnowledge | null {
    return this.#said.get(functionName) ?? null;
  }

  onChange(listener: (functionName: string) => void): void {
    this.#listeners.push(listener);
  }
}

export const NO_LOGS: LogStore = {
  append() {},
  tail: async () => '',
  follow: () => () => {},
  delete: async () => {},
  close: async () => {},
};

/** Code is there at once, or late, or never; what was given has to be given back once, and by nobody who still shows it. */
export class SmallCodes implements CodeSupply {
  /** From now on, code comes when it is told to. */
  late = false;
  readonly #waiting: ((folders: CodeFolders | UserError) => void)[] = [];
  readonly #held = new Set<string>();
  readonly #isShown: (codeDir: string) => boolean;
  #count = 0;

  constructor(isShown: (codeDir: string) => boolean) {
    this.#isShown = isShown;
  }

  acquire(): CodeFolders | Promise<CodeFolders | UserError> {
    if (!this.late) return this.#give();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  release({ codeDir }: CodeFolders): void {
    assert.ok(this.#held.delete(codeDir), 'code was released that was not held');
    assert.ok(!this.#isShown(codeDir), 'code was released while a sandbox shows it');
  }

  arrive(index: number): void {
    const [resolve] = this.#waiting.splice(index % Math.max(1, this.#waiting.length), 1);
    resolve?.(this.#give());
  }

  miss(index: number): void {
    const [resolve] = this.#waiting.splice(index % Math.max(1, this.#waiting.length), 1);
    resolve?.(new UserError('ServiceException', 'the code is not there'));
  }

  arriveAll(): void {
    while (this.#waiting.length > 0) this.arrive(0);
  }

  isHeld(codeDir: string): boolean {
    return this.#held.has(codeDir);
  }

  get heldCount(): number {
    return this.#held.size;
  }

  #give(): CodeFolders {
    const codeDir = `/code/${this.#count++}`;
    this.#held.add(codeDir);
    return { codeDir, layersDir: '' };
  }
}
