/** Runs bin/perch as people and scripts do: a process of its own, its output and its exit code. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after } from 'node:test';

export const REPOSITORY = path.resolve(import.meta.dirname, '../..');
export const PERCH = path.join(REPOSITORY, 'bin/perch');

export interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly cwd?: string;
  readonly program?: string;
}

export async function perch(args: readonly string[], options: RunOptions = {}): Promise<Run> {
  const child = spawn(options.program ?? PERCH, args, {
    cwd: options.cwd ?? REPOSITORY,
    env: { ...process.env, ...options.env },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  // A program that ends without reading its stdin is none of our business.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.stdin ?? '');
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

/** A folder with these files, removed after the tests of the file. */
export function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'perch-cli-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(folder, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  return folder;
}

/** '' where functions can run in a sandbox here, else why these tests are skipped. */
export async function whyNoSandbox(): Promise<string> {
  const { code, stdout } = await perch(['doctor', '--json']);
  if (code === 0) return '';
  const { findings } = JSON.parse(stdout) as {
    findings: { ok: boolean; required: boolean; topic: string; fix: string }[];
  };
  const missing = findings.filter((finding) => finding.required && !finding.ok);
  return `no sandbox here: ${missing.map(({ topic, fix }) => `${topic} (${fix})`).join('; ')}`;
}
