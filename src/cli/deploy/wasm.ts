/** The handler of a WebAssembly module, decided before anything is uploaded. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { CliError, EXIT } from '../exit-codes.ts';
import type { PackageFiles } from './archive.ts';
import { exportOf } from './handler.ts';

interface WebAssemblyModules {
  new (bytes: Uint8Array): object;
  exports(module: object): readonly { readonly name: string; readonly kind: string }[];
}

/** Declared here: TypeScript knows it as a part of browsers only. */
const { Module } = (globalThis as unknown as { WebAssembly: { Module: WebAssemblyModules } }).WebAssembly;

/** The name that the module gets in its package: a handler setting has no room for any other dot. */
const MODULE = 'index.wasm';
const HANDLER = 'handle';

export function packWasm(path: string, wanted: string | undefined): { files: PackageFiles; handler: string } {
  const bytes = readFileSync(path);
  const handler = wasmHandler(basename(path), bytes, wanted);
  return { files: new Map([[MODULE, { bytes, executable: false }]]), handler };
}

/** `index.wasm` for a WASI command, else `index.EXPORT`. */
function wasmHandler(shown: string, bytes: Buffer, wanted: string | undefined): string {
  const exports = functionsOf(shown, bytes);
  const name = wanted === undefined || wanted.endsWith('.wasm') ? undefined : exportOf(wanted);
  const there =
    exports.length === 0 ? 'it exports no function' : `it exports ${exports.map((each) => `'${each}'`).join(', ')}`;
  if (name !== undefined) {
    if (exports.includes(name)) return `index.${name}`;
    throw new CliError(EXIT.usage, `${shown} has no export '${name}'; ${there}`);
  }
  if (exports.includes('_start')) return MODULE;
  if (exports.includes(HANDLER) && wanted === undefined) return `index.${HANDLER}`;
  throw new CliError(
    EXIT.usage,
    `${shown} is neither a WASI command (it would export '_start') nor has it an export '${HANDLER}'; ${there}. Name yours with --handler`,
  );
}

function functionsOf(shown: string, bytes: Buffer): readonly string[] {
  try {
    return Module.exports(new Module(bytes)).flatMap(({ name, kind }) => (kind === 'function' ? [name] : []));
  } catch (error) {
    const why = (error as Error).message.replace(/^WebAssembly\.Module\(\): /, '');
    throw new CliError(EXIT.usage, `${shown} is no WebAssembly module: ${why}`);
  }
}
