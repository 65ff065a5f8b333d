/** Which runtimes can run which code. */
import { CliError, EXIT } from '../exit-codes.ts';

export type Family = 'node' | 'python' | 'provided' | 'wasm';

/** What a new function gets where nobody said more. */
export const RUNTIME_DEFAULT: Readonly<Record<Family, string>> = {
  node: 'nodejs24.x',
  python: 'python3.12',
  provided: 'provided.al2023',
  wasm: 'wasm',
};

const PREFIXES: readonly (readonly [string, Family])[] = [
  ['nodejs', 'node'],
  ['python', 'python'],
  ['provided', 'provided'],
  ['wasm', 'wasm'],
];

/** Null for a runtime that Perch does not know; the platform refuses it with the list of those it does. */
export function familyOf(runtime: string): Family | null {
  return PREFIXES.find(([prefix]) => runtime.startsWith(prefix))?.[1] ?? null;
}

/** Throws where the runtime that was asked for cannot run this kind of code. */
export function checkFamily(shown: string, code: Family, runtime: string | undefined): void {
  const asked = runtime === undefined ? null : familyOf(runtime);
  if (asked === null || asked === code) return;
  throw new CliError(
    EXIT.usage,
    `${shown} is code for ${RUNTIME_DEFAULT[code]}, and --runtime (or "runtime") says ${runtime}; leave it out, or name other code`,
  );
}
