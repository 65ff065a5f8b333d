/** A whole platform with functions that attack it, and what of it they are after. */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { descendantProcesses } from '../../src/worker/sandbox/affinity.ts';
import { startTestPlatform, type TestPlatform } from '../lib/platform.ts';
import { makeZip } from '../lib/zip.ts';
import { isRoot, noBubblewrap } from '../worker/sandbox/harness.ts';

/** Loud where the attacks cannot be tried. */
export const skip: string | false =
  noBubblewrap || (isRoot ? false : 'SKIPPED: NEEDS ROOT: attacks on copies and cgroups');

export const SECRET = 'the-secret-of-another-function';

export type Runtime = 'node' | 'python' | 'provided' | 'wasm';
/** `plain`: a process of its own. `copy`: of a zygote, in reuse isolation. `fresh`: of a zygote, one for each invocation. */
export type Place = 'plain' | 'copy' | 'fresh';

export interface Answer {
  readonly error: string | null;
  readonly value: any;
  readonly log: string;
}

const NAMES: Readonly<Record<Runtime, string>> = {
  node: 'nodejs24.x',
  python: 'python3.12',
  provided: 'provided.al2023',
  wasm: 'wasm',
};
const ATTACKERS = path.join(import.meta.dirname, 'attackers');
const TIMEOUT_S = 20;
const MEMORY_MB = 192;

function koffiFile(): Buffer {
  const koffi = createRequire(createRequire(import.meta.url).resolve('koffi'));
  const folder = path.dirname(koffi.resolve(`@koromix/koffi-linux-${process.arch}`));
  return readFileSync(path.join(folder, `linux_${process.arch}`, 'koffi.node'));
}

/** What an attacker's zip holds. */
export function attackerFiles(runtime: Runtime): Record<string, string | Buffer> {
  const file = (name: string): Buffer => readFileSync(path.join(ATTACKERS, name));
  if (runtime === 'node') return { 'attacker.cjs': file('attacker.cjs'), 'koffi.node': koffiFile() };
  if (runtime === 'python') return { 'attacker.py': file('attacker.py') };
  return { 'attacker.py': file('attacker.py'), bootstrap: file('bootstrap') };
}

export class World {
  readonly platform: TestPlatform;

  private constructor(platform: TestPlatform) {
    this.platform = platform;
  }

  static async begin(): Promise<World> {
    return new World(await startTestPlatform());
  }

  async end(): Promise<void> {
    const code = await this.platform.stop();
    assert.equal(code, 0, this.platform.stderr());
  }

  async deploy(
    name: string,
    files: Readonly<Record<string, string | Buffer>>,
    what: {
      runtime: Runtime;
      place: Place;
      handler?: string;
      timeoutS?: number;
      memoryMb?: number;
      variables?: Record<string, string>;
    },
  ): Promise<void> {
    const zip = await makeZip(files);
    const response = await fetch(`${this.platform.url}/2015-03-31/functions`, {
      method: 'POST',
      body: JSON.stringify({
        FunctionName: name,
        Runtime: NAMES[what.runtime],
        Handler: what.handler ?? 'attacker.handler',
        Role: 'arn:aws:iam::000000000000:role/test',
        Timeout: what.timeoutS ?? TIMEOUT_S,
        MemorySize: what.memoryMb ?? MEMORY_MB,
        Code: { ZipFile: zip.toString('base64') },
        Tags: { 'perch:isolation': what.place === 'fresh' ? 'fresh' : 'reuse' },
        // What is read when a process begins keeps a function from being copied.
        Environment: { Variables: { ...what.variables, ...(what.place === 'plain' ? { LC_ALL: 'C' } : {}) } },
      }),
    });
    assert.equal(response.status, 201, await response.text());
  }

  async invoke(name: string, event: unknown = {}): Promise<Answer> {
    const response = await fetch(`${this.platform.url}/2015-03-31/functions/${name}/invocations`, {
      method: 'POST',
      body: JSON.stringify(event),
      headers: { 'X-Amz-Log-Type': 'Tail' },
    });
    const text = await response.text();
    assert.equal(response.status, 200, text);
    return {
      error: response.headers.get('x-amz-function-error'),
      value: JSON.parse(text),
      log: Buffer.from(response.headers.get('x-amz-log-result') ?? '', 'base64').toString(),
    };
  }

  /** What it answered, which is no error. */
  async value(name: string, event: unknown = {}): Promise<any> {
    const { error, value, log } = await this.invoke(name, event);
    assert.equal(error, null, `${JSON.stringify(value)}\n${log}`);
    return value;
  }

  /** Whether it runs in copies of a zygote; null while no zygote has tried to initialise it. */
  async copyable(name: string): Promise<boolean | null> {
    const response = await fetch(`${this.platform.url}/perch/v1/functions/${name}/copies`);
    return ((await response.json()) as { copyable: boolean | null }).copyable;
  }

  async isCopied(name: string): Promise<boolean> {
    return (await this.copyable(name)) === true;
  }

  /** A function whose secret stands in its code, environment, memory and log; the id of its process outside. */
  async addVictim(): Promise<number> {
    const source = `const secret = '${SECRET}'; console.log(secret); require('node:fs').writeFileSync('/tmp/secret', secret);
      exports.handler = async () => secret;`;
    await this.deploy('victim', { 'index.cjs': source }, { runtime: 'node', place: 'plain', handler: 'index.handler', variables: { SECRET } }); // prettier-ignore
    await this.value('victim');
    const isVictim = (id: number): boolean =>
      environmentOf(id).includes(SECRET) && !environmentOf(id).includes('bwrap');
    const found = descendantProcesses(this.platform.pid).filter(isVictim).at(-1);
    assert.ok(found !== undefined, 'the victim was not found');
    return found;
  }
}

function environmentOf(id: number): string {
  try {
    return readFileSync(`/proc/${id}/environ`, 'latin1');
  } catch {
    return '';
  }
}

/** The first file below the folder that holds the text. */
export function fileWith(folder: string, text: string): string {
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (entry.isFile() && readFileSync(file, 'latin1').includes(text)) return file;
  }
  assert.fail(`no file below ${folder} holds ${text}`);
}
