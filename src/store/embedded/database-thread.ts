/**
 * The thread that writes the database, so that the event loop that serves requests never waits for a disk.
 * It does one request after the other: each commit is one transaction, on disk (fsync) when the reply is sent.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { StatementSync } from 'node:sqlite';
import { assert, unreachable } from '../../base/assert.ts';
import { StoreError } from '../store.ts';
import { isSqliteError, lockFolder } from './lock.ts';
import type { FolderLock } from './lock.ts';
import { MIGRATIONS, STATEMENTS } from './schema.ts';
import type { DatabaseReply, DatabaseRequest, DatabaseThreadData, Statement, StatementName } from './schema.ts';

const SQLITE_IOERR = 10;
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

const port = parentPort;
assert(port !== null, 'database-thread.ts runs as a worker thread');
const { folder, pageCountMax } = workerData as DatabaseThreadData;

let lock: FolderLock | null = null;
let database: DatabaseSync | null = null;
const prepared = new Map<StatementName, StatementSync>();

function open(): DatabaseReply {
  try {
    lock = lockFolder(folder);
    database = new DatabaseSync(join(folder, 'perch.db'));
    // WAL: a commit is one append and one fsync. FULL: that fsync is there, and so the change survives a power cut.
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 1000');
    if (pageCountMax > 0) database.exec(`PRAGMA max_page_count = ${pageCountMax}`);
    migrate(database);
    for (const [name, sql] of Object.entries(STATEMENTS)) prepared.set(name as StatementName, database.prepare(sql));
    return { kind: 'opened' };
  } catch (error) {
    close();
    if (error instanceof StoreError) return { kind: 'refused', message: error.message };
    if (!isSqliteError(error)) throw error;
    return { kind: 'refused', message: `Cannot open the database in ${folder}: ${explain(error)}.` };
  }
}

function migrate(target: DatabaseSync): void {
  const row = target.prepare('PRAGMA user_version').get();
  const version = Number(row?.['user_version']);
  if (version > MIGRATIONS.length) {
    throw new StoreError(
      `The data folder ${folder} was written by a newer Perch (format ${version}; this one knows up to ${MIGRATIONS.length}). ` +
        'Use that version, or another folder with --data.',
    );
  }
  for (let index = version; index < MIGRATIONS.length; index++) {
    target.exec(`BEGIN; ${MIGRATIONS[index]!} PRAGMA user_version = ${index + 1}; COMMIT`);
  }
}

function commit(target: DatabaseSync, statements: readonly Statement[]): DatabaseReply {
  try {
    target.exec('BEGIN IMMEDIATE');
    const sequences = statements.map(run);
    target.exec('COMMIT');
    return { kind: 'committed', sequences };
  } catch (error) {
    if (!isSqliteError(error)) throw error;
    if (target.isTransaction) target.exec('ROLLBACK');
    // After a failed write or fsync nobody knows what is on disk; what was refused might reappear at the next start.
    const broken = [SQLITE_IOERR, SQLITE_CORRUPT, SQLITE_NOTADB].includes(error.errcode & 0xff);
    return { kind: 'failed', message: explain(error), broken };
  }
}

function run(statement: Statement): number[] {
  const query = prepared.get(statement.name);
  assert(query !== undefined, `unknown statement ${statement.name}`);
  return query.all(...statement.values).map((row) => Number(row['sequence']));
}

function explain(error: Error): string {
  return `SQLite says: ${error.message}`;
}

function close(): void {
  prepared.clear();
  database?.close();
  database = null;
  lock?.release();
  lock = null;
}

function answer(request: DatabaseRequest): DatabaseReply {
  switch (request.kind) {
    case 'commit':
      assert(database !== null, 'the database is open');
      return commit(database, request.statements);
    case 'close':
      close();
      return { kind: 'closed' };
    default:
      return unreachable(request);
  }
}

port.postMessage(open());
port.on('message', (request: DatabaseRequest) => {
  const reply = answer(request);
  port.postMessage(reply);
  if (reply.kind === 'closed') port.close();
});
