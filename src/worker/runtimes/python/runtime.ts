/**
 * The Python 3 runtimes, on the Python of the machine: boot.py in front of the function's handler. A name that the
 * machine has an interpreter of its own for is served by it, all others by /usr/bin/python3.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { RuntimeName } from '../../../store/store.ts';
import type { Runtime, RuntimeFinding } from '../runtime.ts';

const NAMES = ['python3.14', 'python3.13', 'python3.12', 'python3.11', 'python3.10', 'python3.9'] as const;
/** Distributions leave some of the standard library out of their smallest package. */
const NEEDED = 'import ctypes, decimal, json, logging, signal, socket, traceback, sys; print(sys.version.split()[0])';
const VERSION_MIN = 9;
const PROBE_TIMEOUT_MS = 10_000;

/**
 * -I: neither variables nor the folder of the script decide what the runtime imports; it takes PYTHONPATH up by
 * itself, before the function. -B: code is read-only, and stays as it was published. -X utf8: the locale that Lambda
 * promises is often not installed.
 */
const FLAGS = ['-I', '-B', '-X', 'utf8'];

/** `binFolder` is /usr/bin but in tests. One runtime for each interpreter that is there. */
export function pythonRuntimesOf(binFolder: string): readonly Runtime[] {
  const fallback = `${binFolder}/python3`;
  const isDefault = (name: string): boolean =>
    !existsSync(`${binFolder}/${name}`) || resolved(`${binFolder}/${name}`) === resolved(fallback);
  return [
    pythonRuntime('python', fallback, NAMES.filter(isDefault)),
    ...NAMES.filter((name) => !isDefault(name)).map((name) => pythonRuntime(name, `${binFolder}/${name}`, [name])),
  ];
}

export const pythonRuntimes: readonly Runtime[] = pythonRuntimesOf('/usr/bin');

function pythonRuntime(label: string, interpreter: string, names: readonly RuntimeName[]): Runtime {
  return {
    label,
    names,
    dir: fileURLToPath(new URL('.', import.meta.url)),
    interpreter: () => resolved(interpreter),
    args: () => [...FLAGS, '{runtime}/boot.py'],
    env: (name) => ({
      AWS_EXECUTION_ENV: `AWS_Lambda_${name}`,
      PYTHONPATH: ['{code}', '{layers}/python', ...sitePackages(name, resolved(interpreter))].join(':'),
    }),
    alwaysFresh: false,
    cellArgs: () => [...FLAGS, '{runtime}/cell.py'],
    check: () => check(interpreter),
  };
}

function resolved(file: string): string {
  return existsSync(file) ? realpathSync(file) : file;
}

/** Of the version that a layer was made for, and of the one that runs. */
function sitePackages(name: string, interpreter: string): string[] {
  const running = interpreter.slice(interpreter.lastIndexOf('/') + 1);
  const versions = /^python3\.\d+$/.test(running) ? [running, name] : [name];
  return [...new Set(versions)].map((version) => `{layers}/python/lib/${version}/site-packages`);
}

/** What was found to run is taken to stay: looking takes 20 ms. */
const found = new Map<string, RuntimeFinding>();

function check(interpreter: string): RuntimeFinding {
  const known = found.get(interpreter);
  if (known !== undefined) return known;
  const finding = look(interpreter);
  if (finding.ok) found.set(interpreter, finding);
  return finding;
}

function look(interpreter: string): RuntimeFinding {
  const fix = 'apt-get install python3';
  const file = resolved(interpreter);
  if (!existsSync(file)) return { ok: false, detail: `${interpreter} is not installed`, fix };
  if (!file.startsWith('/usr/')) return { ok: false, detail: `${interpreter} leads to ${file}, outside of /usr`, fix };
  const { status, stdout, stderr } = spawnSync(file, [...FLAGS, '-c', NEEDED], {
    env: {},
    encoding: 'utf8',
    timeout: PROBE_TIMEOUT_MS,
  });
  if (status !== 0) return { ok: false, detail: `${file}: ${lastLine(stderr) || 'it does not run'}`, fix };
  const version = stdout.trim();
  const ok = Number(version.split('.')[1]) >= VERSION_MIN;
  return { ok, detail: `Python ${version} at ${file}`, fix: ok ? '' : 'Python 3.9 or newer is needed' };
}

function lastLine(text: string | null): string {
  return (text ?? '').trim().split('\n').at(-1) ?? '';
}
