/**
 * The tables, and every statement that changes them. The number of migrations is the format version of a data
 * folder (`PRAGMA user_version`); a folder that is newer than this list is refused. Never edit a migration that was
 * released: add one.
 */
export const MIGRATIONS: readonly string[] = [
  `CREATE TABLE functions (
     name TEXT PRIMARY KEY,
     body TEXT NOT NULL            -- JSON: all of it that is not in its versions
   ) STRICT;
   CREATE TABLE versions (
     function_name TEXT NOT NULL,
     number INTEGER NOT NULL,      -- 0 is $LATEST
     body TEXT NOT NULL,           -- JSON
     PRIMARY KEY (function_name, number)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE last_numbers (     -- outlives the function: version numbers are never reused
     function_name TEXT PRIMARY KEY,
     number INTEGER NOT NULL
   ) STRICT;
   CREATE TABLE async_queue (
     sequence INTEGER PRIMARY KEY,
     id TEXT NOT NULL,
     function_name TEXT NOT NULL,
     version TEXT NOT NULL,
     payload BLOB NOT NULL,
     client_context TEXT NOT NULL,
     accepted_ms REAL NOT NULL,
     attempts INTEGER NOT NULL,
     due_ms REAL NOT NULL
   ) STRICT;
   CREATE INDEX async_queue_function ON async_queue (function_name, version);`,
  `CREATE TABLE layer_versions (
     layer_name TEXT NOT NULL,
     number INTEGER NOT NULL,
     body TEXT NOT NULL,           -- JSON
     PRIMARY KEY (layer_name, number)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE last_layer_numbers ( -- outlives the layer: version numbers are never reused
     layer_name TEXT PRIMARY KEY,
     number INTEGER NOT NULL
   ) STRICT;`,
  `CREATE TABLE chains (
     name TEXT PRIMARY KEY,
     body TEXT NOT NULL            -- JSON
   ) STRICT;
   ALTER TABLE async_queue ADD COLUMN chain_name TEXT NOT NULL DEFAULT ''; -- '': a function is invoked
   ALTER TABLE async_queue ADD COLUMN chain TEXT NOT NULL DEFAULT '';      -- JSON: its steps, and which is next
   CREATE INDEX async_queue_chain ON async_queue (chain_name) WHERE chain_name <> '';`,
];

export const STATEMENTS = {
  putFunction: 'INSERT OR REPLACE INTO functions (name, body) VALUES (?, ?)',
  deleteFunction: 'DELETE FROM functions WHERE name = ?',
  putVersion: 'INSERT OR REPLACE INTO versions (function_name, number, body) VALUES (?, ?, ?)',
  deleteVersion: 'DELETE FROM versions WHERE function_name = ? AND number = ?',
  putLastNumber: 'INSERT OR REPLACE INTO last_numbers (function_name, number) VALUES (?, ?)',
  putLayerVersion: 'INSERT OR REPLACE INTO layer_versions (layer_name, number, body) VALUES (?, ?, ?)',
  deleteLayerVersion: 'DELETE FROM layer_versions WHERE layer_name = ? AND number = ?',
  putLastLayerNumber: 'INSERT OR REPLACE INTO last_layer_numbers (layer_name, number) VALUES (?, ?)',
  putChain: 'INSERT OR REPLACE INTO chains (name, body) VALUES (?, ?)',
  deleteChain: 'DELETE FROM chains WHERE name = ?',
  enqueue:
    'INSERT INTO async_queue (sequence, id, function_name, version, chain_name, chain, payload, client_context, accepted_ms, attempts, due_ms) ' +
    'VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
  dequeue: 'DELETE FROM async_queue WHERE sequence = ? RETURNING sequence',
  retry: 'UPDATE async_queue SET attempts = ?, due_ms = ? WHERE sequence = ? RETURNING sequence',
  resume:
    'UPDATE async_queue SET attempts = ?, due_ms = ?, chain = ?, payload = ? WHERE sequence = ? RETURNING sequence',
  dequeueFunction: 'DELETE FROM async_queue WHERE function_name = ? RETURNING sequence',
  // As the index has it, which leaves out the rows of functions.
  dequeueChain: "DELETE FROM async_queue WHERE chain_name = ? AND chain_name <> '' RETURNING sequence",
  dequeueVersion: 'DELETE FROM async_queue WHERE function_name = ? AND version = ? RETURNING sequence',
} as const;

export type StatementName = keyof typeof STATEMENTS;
export type StatementValue = string | number | Uint8Array;

export interface Statement {
  readonly name: StatementName;
  readonly values: readonly StatementValue[];
}

/** What the thread that writes is started with, is told, and says. */
export interface DatabaseThreadData {
  readonly folder: string;
  /** 4 KiB each; 0: as many as the disk holds. */
  readonly pageCountMax: number;
}

export type DatabaseRequest =
  | { readonly kind: 'commit'; readonly statements: readonly Statement[] }
  | { readonly kind: 'close' };

/** Exactly one for each request, in their order; the first one of all answers the start. */
export type DatabaseReply =
  | { readonly kind: 'opened' }
  | { readonly kind: 'refused'; readonly message: string }
  /** For each statement the sequences of the queue rows that it touched, where it returns them. */
  | { readonly kind: 'committed'; readonly sequences: readonly (readonly number[])[] }
  /** Nothing of it was done. `broken`: the disk cannot be trusted any more, write nothing else to it. */
  | { readonly kind: 'failed'; readonly message: string; readonly broken: boolean }
  | { readonly kind: 'closed' };
