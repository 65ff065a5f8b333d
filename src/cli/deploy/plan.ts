/** What a `perch deploy` is to do: one plan a function, from the command line or from perch.json. */
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { CORES_VARIABLE, ISOLATION_VARIABLE, NETWORK_VARIABLE, SHARING_VARIABLE } from '../../store/settings.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import type { ConfigurationChange } from '../lambda-api.ts';
import type { LayerSource } from './layers.ts';
import { pythonEntryOf } from './python.ts';
import { type Family, checkFamily, familyOf } from './runtime-family.ts';

export type Source =
  | { readonly kind: 'bundle'; readonly entry: string }
  | { readonly kind: 'folder'; readonly path: string }
  /** `entry` is the file of the folder that was named, or that is the only one it can be. */
  | { readonly kind: 'python'; readonly path: string; readonly entry?: string }
  /** A folder with a bootstrap, or the bootstrap itself. */
  | { readonly kind: 'provided'; readonly path: string }
  | { readonly kind: 'wasm'; readonly path: string }
  | { readonly kind: 'zip'; readonly path: string };

export interface Plan {
  readonly name: string;
  readonly source: Source;
  readonly handler?: string;
  readonly external: readonly string[];
  /** What it says about the function's settings; what it does not mention keeps its value at an update. */
  readonly settings: Omit<ConfigurationChange, 'Handler'>;
  /** Environment variables that are Perch's settings; they leave all others as they are. */
  readonly perchVariables?: Readonly<Record<string, string>>;
  /** Undefined leaves them. */
  readonly layers?: readonly LayerSource[];
  /** Reserved concurrency; null lifts it; undefined leaves it. */
  readonly concurrency?: number | null;
  /** Provisioned concurrency of the version that this publishes; null: of none; undefined leaves it. */
  readonly provisioned?: number | null;
}

/** Isolation, network, cores and sharing, as the platform wants them. */
export function perchVariables(asked: {
  isolation?: string | undefined;
  network?: string | undefined;
  cores?: number | undefined;
  sharing?: string | undefined;
}): Record<string, string> {
  return {
    ...(asked.isolation !== undefined && { [ISOLATION_VARIABLE]: asked.isolation }),
    ...(asked.network !== undefined && { [NETWORK_VARIABLE]: asked.network }),
    ...(asked.cores !== undefined && { [CORES_VARIABLE]: String(asked.cores) }),
    ...(asked.sharing !== undefined && { [SHARING_VARIABLE]: asked.sharing }),
  };
}

export const MANIFEST = 'perch.json';

const SOURCE_FILE = /\.(ts|mts|cts|js|mjs|cjs)$/;
const INDEX_SOURCES = ['index.ts', 'index.mts', 'index.cts'];
const INDEX_FILES = ['index.js', 'index.mjs', 'index.cjs'];
const BOOTSTRAP = 'bootstrap';

export interface SourceOptions {
  /** Pack a folder as it is. */
  readonly asIs: boolean;
  readonly runtime: string | undefined;
}

/** What lies at a path: something to bundle, to pack as it is, or to upload. */
export function sourceAt(path: string, options: SourceOptions): Source {
  const absolute = resolve(path);
  const stat = statSync(absolute, { throwIfNoEntry: false });
  if (stat === undefined) throw new CliError(EXIT.usage, `${path} does not exist; give a file or a folder to deploy`);
  const source = stat.isDirectory() ? sourceInFolder(absolute, path, options) : sourceOfFile(absolute, path);
  const family = familyOfSource(source);
  if (family !== null) checkFamily(path, family, options.runtime);
  return source;
}

/** Null where the package does not tell. */
export function familyOfSource(source: Source): Family | null {
  if (source.kind === 'zip') return null;
  return source.kind === 'bundle' || source.kind === 'folder' ? 'node' : source.kind;
}

function sourceOfFile(absolute: string, shown: string): Source {
  if (basename(absolute) === BOOTSTRAP) return { kind: 'provided', path: absolute };
  if (SOURCE_FILE.test(absolute)) return { kind: 'bundle', entry: absolute };
  switch (extname(absolute)) {
    case '.zip':
      return { kind: 'zip', path: absolute };
    case '.py':
      return { kind: 'python', path: dirname(absolute), entry: basename(absolute) };
    case '.wasm':
      return { kind: 'wasm', path: absolute };
    default:
      throw new CliError(
        EXIT.usage,
        `${shown} is none of .ts, .mts, .cts, .js, .mjs, .cjs, .py, .wasm, .zip and bootstrap, which are what can be deployed`,
      );
  }
}

/** By the runtime that was asked for; else Node where there is anything of it, and then whatever else there is one of. */
function sourceInFolder(folder: string, shown: string, { asIs, runtime }: SourceOptions): Source {
  const family = runtime === undefined ? null : familyOf(runtime);
  if (family === null || family === 'node') {
    const isNode = family === 'node' || readdirSync(folder).some((name) => SOURCE_FILE.test(name));
    if (asIs && (isNode || otherSource(folder) === undefined)) return { kind: 'folder', path: folder };
    const entry = asIs ? undefined : nodeEntryOf(folder);
    if (entry !== undefined) return { kind: 'bundle', entry };
  }
  const source = otherSource(folder, family);
  if (source !== undefined) return source;
  throw new CliError(EXIT.usage, nothingIn(shown, family));
}

/** Of the family, or of any but Node. */
function otherSource(folder: string, family: Family | null = null): Source | undefined {
  const names = readdirSync(folder);
  const isAsked = (each: Family): boolean => family === null || family === each;
  if (isAsked('provided') && names.includes(BOOTSTRAP)) return { kind: 'provided', path: folder };
  const entry = isAsked('python') ? pythonEntryOf(folder) : undefined;
  if (entry !== undefined) return { kind: 'python', path: folder, entry };
  if (family === 'python') return { kind: 'python', path: folder };
  const modules = isAsked('wasm') ? names.filter((name) => name.endsWith('.wasm')) : [];
  return modules.length === 1 ? { kind: 'wasm', path: join(folder, modules[0]!) } : undefined;
}

function nothingIn(shown: string, family: Family | null): string {
  if (family === 'provided') return `${shown} has no file named ${BOOTSTRAP}, which is what a provided runtime starts`;
  if (family === 'wasm') return `${shown} does not have exactly one .wasm file; name the file to deploy`;
  const node = `no main in a package.json and no index file (${[...INDEX_SOURCES, ...INDEX_FILES].join(', ')})`;
  const others = family === 'node' ? '' : `, nor is there a ${BOOTSTRAP}, a single .py or a single .wasm file`;
  return `${shown} has no ${MANIFEST}, ${node}${others}; name the file to deploy`;
}

function nodeEntryOf(folder: string): string | undefined {
  const index = (names: readonly string[]): string | undefined =>
    names.map((name) => join(folder, name)).find((file) => existsSync(file));
  // A source comes before what was built from it: main often names an output that is older than the code.
  return index(INDEX_SOURCES) ?? mainOf(folder) ?? index(INDEX_FILES);
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

const NAMELESS = new Set(['index', 'lambda_function', BOOTSTRAP]);

/** The name that a function gets where nobody gave it one: its file's, or its folder's where that says nothing. */
export function nameOf(path: string): string {
  const absolute = resolve(path);
  const own = basename(absolute).replace(/\.(zip|py|wasm|[mc]?[jt]s)$/, '');
  const name = NAMELESS.has(own) ? basename(dirname(absolute)) : own;
  return name.replace(/[^A-Za-z0-9_-]+/g, '-').slice(0, 64);
}
