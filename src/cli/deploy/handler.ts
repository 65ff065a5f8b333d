/** Which export of a module is the handler, decided before anything is uploaded. */
import { CliError, EXIT } from '../exit-codes.ts';

/** The export that a handler setting names: 'handler', or the part after the file in 'src/index.handler'. */
export function exportOf(handlerSetting: string): string {
  const afterFolders = handlerSetting.slice(handlerSetting.lastIndexOf('/') + 1);
  const dot = afterFolders.indexOf('.');
  return dot === -1 ? afterFolders : afterFolders.slice(dot + 1);
}

/**
 * `wanted` where the caller asks for one, else `handler`, else the default export.
 * `exports` is null where they cannot be known without running the code (some CommonJS).
 */
export function chooseExport(entry: string, exports: readonly string[] | null, wanted: string | undefined): string {
  const name = wanted === undefined ? undefined : exportOf(wanted);
  if (exports === null) return name ?? 'handler';
  if (name !== undefined) {
    if (exports.includes(name.split('.')[0] ?? '')) return name;
    throw new CliError(EXIT.usage, `${entry} has no export '${name}'; ${listed(exports)}`);
  }
  if (exports.includes('handler')) return 'handler';
  if (exports.includes('default')) return 'default';
  throw new CliError(
    EXIT.usage,
    `${entry} exports no handler; ${listed(exports)}. Export a function named 'handler' (or a default one), or name yours with --handler`,
  );
}

function listed(exports: readonly string[]): string {
  return exports.length === 0 ? 'it exports nothing' : `it exports ${exports.map((name) => `'${name}'`).join(', ')}`;
}

/**
 * The names that a CommonJS module assigns to its exports, as far as its text shows them; null where it does
 * something that only running it would tell.
 */
export function commonJsExports(source: string): readonly string[] | null {
  const text = source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  const names = new Set<string>();
  for (const match of text.matchAll(/\bexports\.([A-Za-z_$][\w$]*)\s*=[^=]/g)) names.add(match[1] ?? '');
  const whole = /\bmodule\.exports\s*=\s*([^=][\s\S]*)/.exec(text)?.[1];
  if (whole !== undefined) {
    const literal = /^\{([^{}()]*)\}/.exec(whole)?.[1];
    if (literal === undefined) return null;
    for (const part of literal.split(',')) {
      const key = /^\s*['"]?([A-Za-z_$][\w$]*)['"]?\s*(?::|$)/.exec(part)?.[1];
      if (key !== undefined) names.add(key);
      else if (part.trim() !== '') return null;
    }
  }
  return names.size === 0 ? null : [...names];
}
