/**
 * The repository lints itself: what no linter knows about this house. Reads the files that git would commit, so that
 * a broken rule is found before the commit that breaks it.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { API_ERRORS, FUNCTION_ERRORS } from '../src/base/errors.ts';
import { EXIT } from '../src/cli/exit-codes.ts';
import { METRICS } from '../src/telemetry/metrics.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const BLOB_BYTES_MAX = 256 * 1024;

const files = listFiles();
const sources = files.filter((file) => /^src\/.*\.ts$/.test(file));

function expectNone(found: readonly string[]): void {
  assert.ok(found.length === 0, `\n  ${found.join('\n  ')}`);
}

function listFiles(): readonly string[] {
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const listed = existsSync(join(root, '.git'))
    ? execFileSync('git', args, { cwd: root, encoding: 'utf8' }).split('\0').filter(Boolean)
    : readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => !/^(node_modules|dist)\//.test(file));
  return listed.filter((file) => existsSync(join(root, file)) && statSync(join(root, file)).isFile()).sort();
}

function read(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

/** Relative imports of a source file, as paths from the root; type imports count as well. */
function importsOf(file: string): readonly string[] {
  const text = read(file);
  const specifiers = [...text.matchAll(/\b(?:from|import)\s*\(?\s*['"](\.[^'"]+)['"]/g)].map((match) => match[1] ?? '');
  return specifiers.map((specifier) => normalize(join(dirname(file), specifier)));
}

/** base ← wire ← machines ← shells ← cli. */
function layerOf(file: string): number {
  if (file.startsWith('src/base/')) return 0;
  if (file.startsWith('src/wire/')) return 1;
  if (file.includes('/machine/')) return 2;
  return file.startsWith('src/cli/') ? 4 : 3;
}

function roomOf(file: string): string {
  return file.split('/')[1] ?? '';
}

test('imports run downward, and machines belong to their rooms', () => {
  const broken: string[] = [];
  for (const file of sources) {
    for (const target of importsOf(file)) {
      if (!target.startsWith('src/')) broken.push(`${file} imports ${target}, which lies outside src/`);
      else if (layerOf(target) > layerOf(file)) broken.push(`${file} imports ${target}, which lies above it`);
      else if (target.includes('/machine/') && roomOf(target) !== roomOf(file) && roomOf(file) !== 'sim') {
        broken.push(`${file} reaches into the machine of another room: ${target}`);
      }
    }
  }
  expectNone(broken);
});

test('machines, base and wire are synchronous', () => {
  const broken = sources
    .filter((file) => layerOf(file) <= 2)
    .filter((file) => /\basync\b|\bawait\b|\bnew Promise\b|\bPromise\./.test(withoutComments(read(file))));
  expectNone(broken);
});

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1');
}

test('no source file is dead: something that starts by itself imports each', () => {
  const starts = files.filter((file) => file === 'src/cli/main.ts' || /^(bench|scripts)\/.*\.ts$/.test(file));
  const alive = new Set<string>(starts);
  for (const file of alive) {
    if (!/\.[cm]?[jt]s$/.test(file)) continue;
    // Threads and files that are started by their address; some leave the ending to how they run themselves.
    const urls = [...read(file).matchAll(/new URL\(\s*['"`](\.[^'"`$]+)/g)].map((match) => match[1] ?? '');
    const started = urls.flatMap((url) => [url, `${url}.ts`]).map((url) => normalize(join(dirname(file), url)));
    for (const target of [...importsOf(file), ...started]) if (existsSync(join(root, target))) alive.add(target);
  }
  // The simulated twin of a door is there for tests.
  const excused = /\/fake\/|\.d\.ts$/;
  expectNone(sources.filter((file) => !excused.test(file) && !alive.has(file)));
});

test('no large blobs', () => {
  const large = files.filter((file) => statSync(join(root, file)).size > BLOB_BYTES_MAX);
  expectNone(large);
});

test('relative links in documents lead somewhere', () => {
  const broken: string[] = [];
  for (const file of files.filter((name) => name.endsWith('.md'))) {
    const text = read(file)
      .replace(/```[\s\S]*?```/g, '')
      .replace(/`[^`\n]*`/g, '');
    for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [path = '', anchor] = target.split('#');
      const linked = path === '' ? file : normalize(join(dirname(file), path));
      if (!existsSync(join(root, linked))) broken.push(`${file}: ${target}`);
      else if (anchor !== undefined && linked.endsWith('.md') && !anchorsOf(linked).has(anchor))
        broken.push(`${file}: ${target}`);
    }
  }
  expectNone(broken);
});

/** The anchors that headings get, as GitHub makes them. */
function anchorsOf(file: string): ReadonlySet<string> {
  const headings = [...read(file).matchAll(/^#{1,6} (.*)$/gm)].map((match) => match[1] ?? '');
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replace(/\s/g, '-'),
    ),
  );
}

test('every error code is documented', () => {
  const text = read('docs/ERRORS.md');
  const missing = [...Object.keys(API_ERRORS), ...Object.keys(FUNCTION_ERRORS)].filter(
    (code) => !text.includes(`\`${code}\``),
  );
  expectNone(missing);
});

test('every metric is documented', () => {
  const text = read('docs/METRICS.md');
  expectNone(Object.keys(METRICS).filter((name) => !text.includes(`\`${name}\``)));
});

test('every exit code is documented', () => {
  const text = read('docs/CLI.md');
  expectNone(
    Object.values(EXIT)
      .filter((code) => !text.includes(`| ${code} |`))
      .map(String),
  );
});

test('every limit is used', () => {
  const names = [...read('src/base/limits.ts').matchAll(/^ {2}([a-zA-Z]+):/gm)].map((match) => match[1] ?? '');
  const text = sources
    .filter((file) => file !== 'src/base/limits.ts')
    .map(read)
    .join('\n');
  expectNone(names.filter((name) => !new RegExp(`\\b${name}\\b`).test(text)));
});

test('the lock file names no hosts, and nothing names the machine it was built on', () => {
  assert.ok(!/"resolved": "https?:/.test(read('package-lock.json')));
  // Spelled in parts, so that this file is not its own finding.
  const forbidden = new RegExp(
    [`/${'work'}/(?:main|shared)`, `/${'root'}/\\.`, `registry\\.${'npmjs'}`, `/tmp/${'prompts'}`].join('|'),
  );
  const found = files
    .filter((file) => !/\.(png|zip|ico|woff2?)$/.test(file))
    .filter((file) => forbidden.test(read(file)));
  expectNone(found);
});

test('folders of one kind have a README with the same headings', () => {
  const KINDS = ['src/worker/sandbox', 'src/worker/runtimes', 'src/store'];
  const HEADINGS = ['What it is', 'When to use it', 'What it costs', 'Production ready?'];
  const OWN_PARTS = new Set(['src/worker/sandbox/cgroup', 'src/worker/sandbox/seccomp', 'src/store/code']);
  const folders = new Set<string>();
  for (const file of sources) {
    const kind = KINDS.find((each) => file.startsWith(each + '/'));
    const name = kind === undefined ? undefined : file.slice(kind.length + 1).split('/');
    if (kind !== undefined && name !== undefined && name.length > 1) folders.add(`${kind}/${name[0]}`);
  }
  const broken: string[] = [];
  for (const folder of folders) {
    if (OWN_PARTS.has(folder)) continue;
    const readme = `${folder}/README.md`;
    if (!existsSync(join(root, readme))) broken.push(`${readme} is missing`);
    else
      for (const heading of HEADINGS)
        if (!read(readme).includes(`## ${heading}`)) broken.push(`${readme} lacks "## ${heading}"`);
  }
  expectNone(broken);
});

test('the changelog is in the form of Keep a Changelog', () => {
  const text = read('CHANGELOG.md');
  const titles = [...text.matchAll(/^## (.*)$/gm)].map((match) => match[1] ?? '');
  assert.ok(titles.length > 0, 'CHANGELOG.md has no "## " section');
  for (const title of titles) assert.match(title, /^\[(Unreleased|\d+\.\d+\.\d+)\]( - \d{4}-\d{2}-\d{2})?$/);
  const kinds = [...text.matchAll(/^### (.*)$/gm)].map((match) => match[1] ?? '');
  for (const kind of kinds) assert.match(kind, /^(Added|Changed|Deprecated|Removed|Fixed|Security)$/);
});
