/**
 * All functions, in memory twice: as they are on disk, which is what readers see, and as the calls still on their way
 * to the disk have decided, which is what the next call decides on. The two share everything that does not differ.
 */
import { UserError } from '../../base/errors.ts';
import { codeOf, versionNumber, versionsOf } from '../functions.ts';
import type { FunctionState, PublishedAs } from '../functions.ts';
import { StoreError } from '../store.ts';
import type { CodeRef, FunctionConfig, FunctionRecord, FunctionVersion } from '../store.ts';
import type { Database } from './database.ts';
import type { Statement } from './schema.ts';

/** A call's decision about one function. */
export interface Decision<T> {
  readonly functionName: string;
  /** null: it goes. */
  readonly state: FunctionState | null;
  readonly result: T;
  /** Also in this transaction; told which queue rows they touched. */
  readonly more?: readonly Statement[];
  readonly onTouched?: (sequences: readonly number[]) => void;
}

/** What the column `body` of a function holds; $LATEST is among its versions. */
type FunctionBody = Omit<FunctionRecord, 'latest'> & { readonly publishedAs: PublishedAs | null };

export class FunctionTable {
  readonly #database: Database;
  readonly #onChange: (functionName: string) => void;
  readonly #onDisk = new Map<string, FunctionState>();
  readonly #decided = new Map<string, FunctionState>();
  readonly #lastNumbers = new Map<string, number>();
  #names: string[] | null = null;

  constructor(database: Database, onChange: (functionName: string) => void) {
    this.#database = database;
    this.#onChange = onChange;
    for (const [name, state] of loadStates(database)) {
      this.#onDisk.set(name, state);
      this.#decided.set(name, state);
    }
    for (const row of database.reader.prepare('SELECT * FROM last_numbers').iterate()) {
      this.#lastNumbers.set(String(row['function_name']), Number(row['number']));
    }
  }

  get(functionName: string): FunctionState | undefined {
    return this.#onDisk.get(functionName);
  }

  decided(functionName: string): FunctionState | undefined {
    return this.#decided.get(functionName);
  }

  lastNumber(functionName: string): number {
    return this.#lastNumbers.get(functionName) ?? 0;
  }

  /** In order. */
  names(): readonly string[] {
    this.#names ??= [...this.#onDisk.keys()].toSorted();
    return this.#names;
  }

  /** All code that a version uses, or used until a change that is not on disk yet. */
  usedCode(): CodeRef[] {
    const used: CodeRef[] = [];
    for (const states of [this.#onDisk, this.#decided]) {
      for (const state of states.values()) for (const version of versionsOf(state)) used.push(...codeOf(version));
    }
    return used;
  }

  change<T>(decision: Decision<T>): Promise<T | UserError> {
    const { functionName, state } = decision;
    const statements = difference(functionName, this.#decided.get(functionName), state);
    for (const statement of statements) this.#noteNumber(statement);
    put(this.#decided, functionName, state);
    return new Promise((resolve) => {
      this.#database.write({
        statements: [...statements, ...(decision.more ?? [])],
        done: (sequences) => {
          if (this.#onDisk.has(functionName) !== (state !== null)) this.#names = null;
          put(this.#onDisk, functionName, state);
          decision.onTouched?.(sequences.slice(statements.length).flat());
          this.#onChange(functionName);
          resolve(decision.result);
        },
        failed: (message) => {
          // All that was decided since fails too, so what is on disk is what the next call has to decide on.
          put(this.#decided, functionName, this.#onDisk.get(functionName) ?? null);
          resolve(new UserError('ServiceException', message));
        },
      });
    });
  }

  /** Taken even if the transaction fails: a gap in the numbers does no harm. */
  #noteNumber(statement: Statement): void {
    if (statement.name === 'putLastNumber')
      this.#lastNumbers.set(String(statement.values[0]), Number(statement.values[1]));
  }
}

function put(states: Map<string, FunctionState>, functionName: string, state: FunctionState | null): void {
  if (state) states.set(functionName, state);
  else states.delete(functionName);
}

/** The statements that lead from one state of a function to another. */
function difference(name: string, before: FunctionState | undefined, after: FunctionState | null): Statement[] {
  if (before === after) return [];
  const statements: Statement[] = [];
  const kept = new Map((after ? versionsOf(after) : []).map((version) => [version.version, version]));
  const had = new Map((before ? versionsOf(before) : []).map((version) => [version.version, version]));
  if (!after) statements.push({ name: 'deleteFunction', values: [name] });
  else statements.push({ name: 'putFunction', values: [name, JSON.stringify(bodyOf(after))] });
  for (const version of had.keys()) {
    if (!kept.has(version)) statements.push({ name: 'deleteVersion', values: [name, versionNumber(version)] });
  }
  for (const [version, value] of kept) {
    if (had.get(version) === value) continue;
    const number = versionNumber(version);
    statements.push({ name: 'putVersion', values: [name, number, JSON.stringify(value)] });
    if (number > 0) statements.push({ name: 'putLastNumber', values: [name, number] });
  }
  return statements;
}

function bodyOf(state: FunctionState): FunctionBody {
  const { createdMs, tags, reservedConcurrency, provisioned, knowledge, knowledgeMs } = state.record;
  const said = { ...(knowledge ? { knowledge } : {}), ...(knowledgeMs === undefined ? {} : { knowledgeMs }) };
  return { createdMs, tags, reservedConcurrency, provisioned, ...said, publishedAs: state.publishedAs };
}

function loadStates(database: Database): Map<string, FunctionState> {
  const versions = new Map<string, FunctionVersion[]>();
  const rows = database.reader.prepare('SELECT function_name, body FROM versions ORDER BY function_name, number');
  for (const row of rows.iterate()) {
    const name = String(row['function_name']);
    const version = withDefaults(JSON.parse(String(row['body'])) as FunctionVersion);
    const list = versions.get(name);
    if (list) list.push(version);
    else versions.set(name, [version]);
  }
  const states = new Map<string, FunctionState>();
  for (const row of database.reader.prepare('SELECT name, body FROM functions').iterate()) {
    const name = String(row['name']);
    const { publishedAs, ...body } = JSON.parse(String(row['body'])) as FunctionBody;
    const [latest, ...published] = versions.get(name) ?? [];
    if (!latest) throw new StoreError(`The database has no $LATEST of function ${name}.`);
    // Functions that were stored before there was any have none.
    const record: FunctionRecord = { latest, ...body, provisioned: body.provisioned ?? {} };
    states.set(name, {
      record,
      published: new Map(published.map((version) => [version.version, version])),
      publishedAs: publishedAs && withDefaults(publishedAs),
    });
  }
  return states;
}

/** Settings that came later than some records, each with what it was before there was a choice. */
const LATER_SETTINGS: Partial<FunctionConfig> = { layers: [] };

function withDefaults<T extends { readonly config: FunctionConfig }>(record: T): T {
  return { ...record, config: { ...LATER_SETTINGS, ...record.config } };
}
