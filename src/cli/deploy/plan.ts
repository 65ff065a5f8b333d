/** What a `perch deploy` is to do: one plan a function, from the command line or from perch.json. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { CliError, EXIT } from '../exit-codes.ts';
import type { ConfigurationChange } from '../lambda-api.ts';

export type Source =
  | { readonly kind: 'bundle'; readonly entry: string }
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'zip'; readonly path: string };

export interface Plan {
  readonly name: string;
  readonly source: Source;
  readonly handler?: string;
  readonly external: readonly string[];
  /** What it says about the function's settings; what it does not mention keeps its value at an update. */
  readonly settings: Omit<ConfigurationChange, 'Handler'>;
  /** Reserved concurrency; null lifts it; undefined leaves it. */
  readonly concurrency?: number | null;
}

export const MANIFEST = 'perch.json';

const SOURCE_FILE = /\.(ts|mts|cts|js|mjs|cjs)$/;
const INDEX_SOURCES = ['index.ts', 'index.mts', 'index.cts'];
const INDEX_FILES = ['index.js', 'index.mjs', 'index.cjs'];

/** What lies at a path: something to bundle, to pack as it is, or to upload. */
export function sourceAt(path: string, asIs: boolean): Source {
  const absolute = resolve(path);
  const stat = statSync(absolute, { throwIfNoEntry: false });
  if (stat === undefined) throw new CliError(EXIT.usage, `${path} does not exist; give a file or a folder to deploy`);
  if (stat.isDirectory())
    return asIs ? { kind: 'folder', path: absolute } : { kind: 'bundle', entry: entryOf(absolute, path) };
  if (extname(path) === '.zip') return { kind: 'zip', path: absolute };
  if (SOURCE_FILE.test(path)) return { kind: 'bundle', entry: absolute };
  throw new CliError(
    EXIT.usage,
    `${path} is none of .ts, .mts, .cts, .js, .mjs, .cjs and .zip, which are what can be deployed`,
  );
}

function entryOf(folder: string, shown: string): string {
  const index = (names: readonly string[]): string | undefined =>
    names.map((name) => join(folder, name)).find((file) => existsSync(file));
  // A source comes before what was built from it: main often names an output that is older than the code.
  const entry = index(INDEX_SOURCES) ?? mainOf(folder) ?? index(INDEX_FILES);
  if (entry !== undefined) return entry;
  throw new CliError(
    EXIT.usage,
    `${shown} has no ${MANIFEST}, no main in a package.json and no index file (${[...INDEX_SOURCES, ...INDEX_FILES].join(', ')}); name the file to deploy`,
  );
}

function mainOf(folder: string): string | undefined {
  try {
    const { main } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { main?: unknown };
    if (typeof main !== 'string' || !SOURCE_FILE.test(main)) return undefined;
    return existsSync(join(folder, main)) ? join(folder, main) : undefined;
  } catch {
    return undefined; // no package.json, or none that is of use; esbuild will say what is wrong with the code itself
  }
}

/** The name that a function gets where nobody gave it one: its file's, or its folder's where that is just "index". */
export function nameOf(path: string): string {
  const absolute = resolve(path);
  const own = basename(absolute).replace(/\.(zip|[mc]?[jt]s)$/, '');
  const name = own === 'index' ? basename(dirname(absolute)) : own;
  return name.replace(/[^A-Za-z0-9_-]+/g, '-').slice(0, 64);
}
