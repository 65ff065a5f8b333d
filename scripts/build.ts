/**
 * src/ → dist/, file by file: types stripped, specifiers from .ts to .js, everything else copied. No bundle, so that
 * the packed product has the folders and the stack traces of its source. `npm run package` runs it; npm's own prepack
 * would not, since our .npmrc turns install scripts off.
 */
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transform } from 'esbuild';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const source = join(root, 'src');
const target = join(root, 'dist');

/** Quoted relative paths to .ts files: imports, dynamic imports, new URL(…, import.meta.url). */
const SPECIFIER = /(["'`])(\.{1,2}\/[^"'`\n]*)\.ts\1/g;

rmSync(target, { recursive: true, force: true });
for (const path of readdirSync(source, { recursive: true, encoding: 'utf8' })) {
  if (path.endsWith('.d.ts') || path.endsWith('.md')) continue;
  if (path.endsWith('.ts')) {
    const { code } = await transform(readFileSync(join(source, path), 'utf8'), {
      loader: 'ts',
      format: 'esm',
      target: 'node24',
      sourcefile: path,
    });
    const file = join(target, path.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, code.replace(SPECIFIER, '$1$2.js$1'));
  } else if (/\.[a-z]+$/.test(path)) {
    cpSync(join(source, path), join(target, path));
  }
}
