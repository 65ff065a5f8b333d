import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import type { Bundle, BundleOptions } from '../../../src/cli/deploy/bundle.ts';
import { bundle } from '../../../src/cli/deploy/bundle.ts';
import { CliError, EXIT } from '../../../src/cli/exit-codes.ts';

const root = mkdtempSync(join(tmpdir(), 'perch-bundle-'));
after(() => rmSync(root, { recursive: true }));
let projects = 0;

function project(files: Readonly<Record<string, string>>): string {
  const folder = join(root, String(projects++));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

/** Bundles, lays the package out, and calls the handler in a fresh process. */
async function call(entry: string, options: BundleOptions = {}): Promise<unknown> {
  const { files, handler } = await bundle(entry, options);
  const folder = join(root, `out-${projects++}`);
  for (const [path, file] of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), file.bytes);
  }
  const code = [...files.keys()].find((path) => /^index\.[mc]js$/.test(path)) ?? '';
  const name = JSON.stringify(handler.slice(handler.indexOf('.') + 1));
  const script = `const m = await import(${JSON.stringify(join(folder, code))}); console.log(JSON.stringify(await (m[${name}] ?? m.default[${name}])({})))`;
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr);
  return JSON.parse(run.stdout);
}

function names(result: Bundle): string[] {
  return [...result.files.keys()].sort();
}

async function refusalOf(entry: string, options: BundleOptions = {}): Promise<CliError> {
  const error = await bundle(entry, options).catch((reason: unknown) => reason);
  assert.ok(error instanceof CliError);
  assert.equal(error.exitCode, EXIT.usage);
  return error;
}

test('TypeScript with imports becomes one ES module and its source map', async () => {
  const folder = project({
    'main.ts':
      "import { twice } from './lib/twice.ts';\nexport const handler = async (): Promise<number> => twice(21);\n",
    'lib/twice.ts': 'export const twice = (n: number): number => n * 2;\n',
  });
  const result = await bundle(join(folder, 'main.ts'), {});
  assert.deepEqual(names(result), ['index.mjs', 'index.mjs.map']);
  assert.equal(result.handler, 'index.handler');
  assert.equal(await call(join(folder, 'main.ts')), 42);
});

test('the same code in two places has the same bytes', async () => {
  const files = { 'main.ts': "import { a } from './a.ts'; export default () => a;", 'a.ts': 'export const a = 1;' };
  const [one, two] = [
    await bundle(join(project(files), 'main.ts'), {}),
    await bundle(join(project(files), 'main.ts'), {}),
  ];
  assert.deepEqual(one, two);
  assert.equal(one.handler, 'index.default');
});

test('top-level await and bundled CommonJS that wants require and __dirname', async () => {
  const folder = project({
    'main.mjs':
      "import old from 'old';\nconst ready = await Promise.resolve('ready');\nconst __dirname = 'mine';\nexport const handler = async () => [ready, old(), __dirname];",
    'node_modules/old/package.json': '{"name":"old","main":"index.js"}',
    'node_modules/old/index.js': "const path = require('path'); module.exports = () => path.basename(__filename);",
  });
  assert.deepEqual(await call(join(folder, 'main.mjs')), ['ready', 'index.mjs', 'mine']);
});

test('CommonJS stays CommonJS', async () => {
  const folder = project({
    'main.js': "const { n } = require('./n'); exports.handler = async () => [n, typeof __dirname];",
    'n.js': 'exports.n = 7;',
  });
  const result = await bundle(join(folder, 'main.js'), {});
  assert.deepEqual(names(result), ['index.cjs', 'index.cjs.map']);
  assert.deepEqual(await call(join(folder, 'main.js')), [7, 'string']);
});

test('a syntax error names file, line and column, with the code', async () => {
  const folder = project({ 'main.ts': 'export const handler = 1;\nlet x = ;\n' });
  const error = await refusalOf(join(folder, 'main.ts'));
  assert.match(error.message, /^main\.ts:2:9: Unexpected ";"$/);
  assert.match(error.details, /let x = ;/);
});

test('a package that is not installed is named with the way to install it', async () => {
  const folder = project({ 'main.ts': "import 'no-such-package'; export const handler = 1;" });
  const { message } = await refusalOf(join(folder, 'main.ts'));
  assert.match(message, /npm install no-such-package/);
  assert.match(message, /layer.*"bundle": false/);
});

test('a module without a handler lists what it exports', async () => {
  const folder = project({ 'main.ts': 'export const run = 1; export const stop = 2;' });
  assert.match((await refusalOf(join(folder, 'main.ts'))).message, /'run', 'stop'/);
  assert.equal((await bundle(join(folder, 'main.ts'), { handler: 'run' })).handler, 'index.run');
  assert.match((await refusalOf(join(folder, 'main.ts'), { handler: 'index.walk' })).message, /no export 'walk'/);
});

test('what a layer brings can be required at run time, past the bundler', async () => {
  const code = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";
  const folder = project({ 'main.ts': `${code} export const handler = () => require('no-such-package');` });
  assert.match((await bundle(join(folder, 'main.ts'), {})).files.get('index.mjs')!.bytes.toString(), /no-such-package/);
});

test('an external package is packed as it is, with what it depends on', async () => {
  const folder = project({
    'main.ts': "import outer from 'outer'; export const handler = async () => outer;",
    'node_modules/outer/package.json':
      '{"name":"outer","main":"i.js","dependencies":{"inner":"1"},"optionalDependencies":{"gone":"1"}}',
    'node_modules/outer/i.js': "module.exports = require('inner') + 1;",
    'node_modules/inner/package.json': '{"name":"inner","main":"i.js"}',
    'node_modules/inner/i.js': 'module.exports = 1;',
  });
  const options = { external: ['outer'] };
  const result = await bundle(join(folder, 'main.ts'), options);
  assert.ok(names(result).includes('node_modules/inner/i.js'));
  assert.equal(await call(join(folder, 'main.ts'), options), 2);
  assert.match(
    (await refusalOf(join(folder, 'main.ts'), { external: ['nowhere'] })).message,
    /'nowhere' is not installed.*layer.*"bundle": false/,
  );
});

test('the module of the runtime is left to the runtime, unless there is a package of that name', async () => {
  const says = "import { sleeping } from 'perch'; export const handler = async () => sleeping();";
  const folder = project({ 'main.ts': says, 'main.cjs': "exports.handler = async () => require('perch').sleeping();" });
  const codeOf = async (name: string, file: string): Promise<string> =>
    (await bundle(join(folder, name), {})).files.get(file)!.bytes.toString();
  assert.match(await codeOf('main.ts', 'index.mjs'), /from "perch"/);
  assert.match(await codeOf('main.cjs', 'index.cjs'), /require\("perch"\)/);
  const installed = project({
    'main.ts': says,
    'node_modules/perch/package.json': '{"name":"perch","main":"i.js"}',
    'node_modules/perch/i.js': "exports.sleeping = () => 'installed';",
  });
  assert.equal(await call(join(installed, 'main.ts')), 'installed');
});

test('a native add-on is copied beside the code', async () => {
  const folder = project({ 'main.cjs': "exports.handler = async () => typeof require('./addon.node');" });
  writeFileSync(join(folder, 'addon.node'), 'not really an add-on');
  const result = await bundle(join(folder, 'main.cjs'), {});
  assert.ok(
    names(result).some((name) => /^addon-.*\.node$/.test(name)),
    names(result).join(),
  );
});
