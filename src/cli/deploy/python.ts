/**
 * The handler of a function in Python, decided before anything is uploaded. Python is not bundled: the folder is packed
 * as it is, with what was installed into it (`pip install --target FOLDER …`).
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { CliError, EXIT } from '../exit-codes.ts';

const HANDLERS = ['handler', 'lambda_handler'];
/** Where a folder has several files, the one that these name; the second is Lambda's own default. */
const ENTRIES = ['index.py', 'lambda_function.py', 'main.py', 'app.py'];

/** The file of a folder that holds the handler, as far as the folder itself tells; undefined where it does not. */
export function pythonEntryOf(folder: string): string | undefined {
  const files = readdirSync(folder).filter((name) => name.endsWith('.py') && !name.startsWith('__'));
  return ENTRIES.find((name) => files.includes(name)) ?? (files.length === 1 ? files[0] : undefined);
}

/** The handler setting, as in app.handler. `entry` is undefined where only `wanted` can name the file. */
export function pythonHandler(folder: string, entry: string | undefined, wanted: string | undefined): string {
  const dot = wanted?.lastIndexOf('.') ?? -1;
  const file = wanted !== undefined && dot > 0 ? `${wanted.slice(0, dot).replaceAll('.', '/')}.py` : entry;
  if (file === undefined) {
    throw new CliError(
      EXIT.usage,
      `${folder} does not tell which of its files has the handler; name it with --handler, as in app.handler`,
    );
  }
  const path = join(folder, file);
  if (!existsSync(path)) {
    const isPackage = existsSync(join(folder, file.replace(/\.py$/, ''), '__init__.py'));
    if (isPackage && wanted !== undefined) return wanted;
    throw new CliError(EXIT.usage, `${folder} has no ${file} for the handler '${wanted}'; name yours with --handler`);
  }
  const name = chooseName(path, wanted?.slice(dot + 1));
  return wanted !== undefined && dot > 0 ? wanted : `${file.replace(/\.py$/, '')}.${name}`;
}

function chooseName(path: string, wanted: string | undefined): string {
  const names = pythonNames(readFileSync(path, 'utf8'));
  if (names === null) return wanted ?? HANDLERS[0]!;
  const name = wanted ?? HANDLERS.find((each) => names.includes(each));
  if (name !== undefined && names.includes(name)) return name;
  const there = names.length === 0 ? 'it defines nothing' : `it defines ${names.map((each) => `'${each}'`).join(', ')}`;
  throw new CliError(
    EXIT.usage,
    wanted === undefined
      ? `${basename(path)} has no handler; ${there}. Define a function named 'handler' or 'lambda_handler', or name yours with --handler`
      : `${basename(path)} has no '${wanted}'; ${there}`,
  );
}

/** The names that a module defines at its top level, as far as its text shows them; null where it imports everything. */
export function pythonNames(source: string): readonly string[] | null {
  if (/^from\s+\S+\s+import\s+(\*|\()/m.test(source)) return null;
  const names = new Set<string>();
  for (const [, name] of source.matchAll(/^(?:async\s+)?(?:def|class)\s+(\w+)/gm)) names.add(name ?? '');
  for (const [, name] of source.matchAll(/^(\w+)\s*(?::[^=\n]+)?=[^=]/gm)) names.add(name ?? '');
  for (const [, list] of source.matchAll(/^from\s+\S+\s+import\s+([\w ,]+)/gm)) {
    for (const part of list?.split(',') ?? []) {
      const name = part
        .trim()
        .split(/\s+as\s+/)
        .at(-1);
      if (name !== undefined && name !== '') names.add(name);
    }
  }
  return [...names];
}
