/** Checks and fills in what a spec passes on to the instance. */
import type { SandboxSpec } from './contract.ts';

export interface Filled {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** Puts the folders, as the instance sees them, in the place of {runtime}, {code} and {layers}. */
export function fillPlaceholders(
  spec: Pick<SandboxSpec, 'args' | 'env'>,
  folders: { runtime: string; code: string; layers: string },
): Filled {
  const fill = (text: string): string =>
    text
      .replaceAll('{runtime}', folders.runtime)
      .replaceAll('{code}', folders.code)
      .replaceAll('{layers}', folders.layers);
  return {
    args: spec.args.map(fill),
    env: Object.fromEntries(Object.entries(spec.env).map(([name, value]) => [name, fill(value)])),
  };
}

/**
 * Why the spec cannot be started, or ''. A NUL would end a string early, and where arguments are handed on as
 * NUL-separated text it would start a new argument.
 */
export function specFault(spec: SandboxSpec): string {
  for (const [name, value] of Object.entries(spec.env)) {
    if (name === '' || name.includes('=') || name.includes('\0')) {
      return `the environment variable name ${JSON.stringify(name)} is empty, or holds "=" or a NUL`;
    }
    if (value.includes('\0')) return `the value of the environment variable ${name} holds a NUL`;
  }
  for (const text of [spec.codeDir, spec.layersDir, spec.runtimeDir, spec.interpreter, ...spec.args]) {
    if (text.includes('\0')) return `${JSON.stringify(text)} holds a NUL`;
  }
  return '';
}
