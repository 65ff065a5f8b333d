/**
 * One file and what it imports → the files of a package. esbuild does the work; what we decide:
 *
 * - ES modules and TypeScript become `index.mjs`, CommonJS stays CommonJS and becomes `index.cjs`: a conversion in
 *   either direction changes meanings (top-level await, `this`, the moment a module runs).
 * - Native add-ons (`.node`) are copied beside it. Packages that find their files at run time cannot be bundled;
 *   those named by --external are packed as they are, with what they depend on.
 * - Nothing is minified: the names of error classes and the lines of stack traces are what a user debugs with.
 */
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { BuildFailure, BuildOptions, BuildResult, Message } from 'esbuild';
import { build } from 'esbuild';
import { CliError, EXIT } from '../exit-codes.ts';
import type { PackageFiles } from './archive.ts';
import { addFolder } from './archive.ts';
import { chooseExport, commonJsExports } from './handler.ts';

export interface Bundle {
  readonly files: PackageFiles;
  /** The handler setting of the function, as in index.handler. */
  readonly handler: string;
}

export interface BundleOptions {
  readonly handler?: string;
  readonly external?: readonly string[];
}

type Built = BuildResult<{ metafile: true; write: false }>;

// Bundled CommonJS asks for these three, which an ES module lacks. On the global object, where the names of the
// user's own declarations cannot collide with them.
const COMMONJS_GLOBALS =
  "globalThis.require ??= process.getBuiltinModule('module').createRequire(import.meta.url);" +
  'globalThis.__filename ??= import.meta.filename;globalThis.__dirname ??= import.meta.dirname;';

/** What a layer brings is not there when the code is bundled, and `import` does not look into layers at run time. */
const FROM_LAYER = `; if a layer brings it, load it with require() and deploy its folder with "bundle": false (--no-bundle)`;

/** The runtime brings it. One that is installed, for its types or another of that name, is bundled as any package. */
const RUNTIME_MODULE = 'perch';

export async function bundle(entry: string, options: BundleOptions): Promise<Bundle> {
  let built = await run(entry, 'esm', options);
  const input = built.metafile.inputs[basename(entry)];
  const isCommonJs = input?.format === 'cjs';
  let exports: readonly string[] | null =
    Object.values(built.metafile.outputs).find((file) => file.entryPoint)?.exports ?? [];
  if (isCommonJs) {
    exports = commonJsExports(readFileSync(entry, 'utf8'));
    built = await run(entry, 'cjs', options);
  } else if (needsCommonJsGlobals(built)) {
    built = await run(entry, 'esm', options, COMMONJS_GLOBALS);
  }
  const files: PackageFiles = new Map();
  for (const file of built.outputFiles)
    files.set(basename(file.path), { bytes: Buffer.from(file.contents), executable: false });
  for (const name of options.external ?? []) addPackage(files, name, dirname(entry));
  return { files, handler: `index.${chooseExport(basename(entry), exports, options.handler)}` };
}

async function run(entry: string, format: 'esm' | 'cjs', options: BundleOptions, banner = ''): Promise<Built> {
  const folder = dirname(entry);
  const settings = {
    entryPoints: [entry],
    // Paths in the output are relative to it, so that the same code has the same bytes wherever it lies.
    absWorkingDir: folder,
    outdir: join(folder, 'out'),
    entryNames: 'index',
    assetNames: '[name]-[hash]',
    outExtension: { '.js': format === 'esm' ? '.mjs' : '.cjs' },
    write: false,
    metafile: true,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format,
    banner: { js: banner },
    sourcemap: 'linked',
    sourcesContent: false,
    charset: 'utf8',
    loader: { '.node': 'copy' },
    external: [
      ...(options.external ?? []),
      ...(findPackage(RUNTIME_MODULE, folder) === undefined ? [RUNTIME_MODULE] : []),
    ],
    logLevel: 'silent',
  } as const satisfies BuildOptions;
  try {
    return await build(settings);
  } catch (error) {
    throw failure(entry, error as BuildFailure);
  }
}

function needsCommonJsGlobals(built: Built): boolean {
  return built.outputFiles.some(
    (file) => file.path.endsWith('.mjs') && /\b(__require|__filename|__dirname)\b/.test(file.text),
  );
}

function failure(entry: string, error: BuildFailure): CliError {
  const [first, ...others] = error.errors;
  if (first === undefined) return new CliError(EXIT.internal, `esbuild failed at ${entry}: ${error.message}`);
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
  const missing = /^Could not resolve "([^"./][^"]*)"/.exec(first.text)?.[1];
  const fix =
    missing === undefined ? '' : `; run 'npm install ${missing}' in its folder, or fix the import${FROM_LAYER}`;
  const rest = others.map((each) => `${place(entry, each)}: ${each.text}\n${frame(each)}`);
  return new CliError(EXIT.usage, `${place(entry, first)}: ${first.text}${more}${fix}`, frame(first) + rest.join(''));
}

/** file:line:column, both from 1, as editors and terminals understand it. */
function place(entry: string, { location }: Message): string {
  return location === null ? basename(entry) : `${location.file}:${location.line}:${location.column + 1}`;
}

/** The line of the code with what is wrong in it underlined. */
function frame({ location }: Message): string {
  if (location === null) return '';
  const { line, column, length, lineText } = location;
  const indent = lineText.slice(0, column).replace(/[^\t]/g, ' ');
  const margin = ' '.repeat(String(line).length);
  return `  ${line} │ ${lineText}\n  ${margin} ╵ ${indent}${'^'.repeat(Math.max(1, length))}\n`;
}

/** Packs an installed package as it is, and every package that it depends on, below node_modules. */
function addPackage(files: PackageFiles, name: string, from: string): void {
  if (files.has(`node_modules/${name}/package.json`)) return;
  const folder = findPackage(name, from);
  if (folder === undefined)
    throw new CliError(
      EXIT.usage,
      `package '${name}' is not installed for ${from}; run 'npm install ${name}'${FROM_LAYER}`,
    );
  addFolder(files, folder, `node_modules/${name}/`);
  const { dependencies = {}, optionalDependencies = {} } = JSON.parse(
    readFileSync(join(folder, 'package.json'), 'utf8'),
  ) as {
    dependencies?: Record<string, string>;
    optionalDependencies?: Record<string, string>;
  };
  for (const dependency of Object.keys(dependencies))
    if (!(dependency in optionalDependencies)) addPackage(files, dependency, folder);
  for (const dependency of Object.keys(optionalDependencies)) {
    if (findPackage(dependency, folder) !== undefined) addPackage(files, dependency, folder);
  }
}

function findPackage(name: string, from: string): string | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name);
    if (existsSync(join(candidate, 'package.json'))) return candidate;
    if (dirname(folder) === folder) return undefined;
  }
}
