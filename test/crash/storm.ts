/**
 * A storm of deploys and invokes against a platform that is killed (SIGKILL) at a random moment, again and again on the
 * same data folder. After each restart: every acknowledged function is there and answers with its acknowledged code,
 * what was being changed is wholly as before or wholly as after, nothing else is there, and nothing is left over.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startTestPlatform, type TestPlatform } from '../lib/platform.ts';
import { makeZip } from '../lib/zip.ts';

const NAME_COUNT = 12;
const CLIENT_COUNT = 6;
const KILL_AFTER_MS = [20, 1200] as const;
const ABSENT = 0;

export interface StormReport {
  readonly kills: number;
  readonly acknowledged: number;
  readonly inDoubt: number;
  readonly invoked: number;
}

/** What a function may be now: its generation, or absent. Several while a change of it is unanswered. */
type Possible = Set<number>;

interface Change {
  readonly name: string;
  /** The generation that it will have. */
  readonly next: number;
  readonly method: string;
  readonly suffix: string;
}

export class Storm {
  readonly #random: () => number;
  readonly #dataDir = mkdtempSync(path.join(tmpdir(), 'perch-storm-'));
  readonly #possible = new Map<string, Possible>();
  #generation = 0;
  #acknowledged = 0;
  #inDoubt = 0;
  #invoked = 0;
  #kills = 0;
  #killedPid = 0;

  constructor(random: () => number) {
    this.#random = random;
    for (let index = 0; index < NAME_COUNT; index++) this.#possible.set(`storm-${index}`, new Set([ABSENT]));
  }

  async run(kills: number): Promise<StormReport> {
    try {
      for (let round = 0; round < kills; round++) await this.#round();
      const platform = await startTestPlatform({ dataDir: this.#dataDir });
      await this.#check(platform);
      await platform.stop();
      this.#checkFolder();
    } finally {
      rmSync(this.#dataDir, { recursive: true, force: true });
    }
    return { kills: this.#kills, acknowledged: this.#acknowledged, inDoubt: this.#inDoubt, invoked: this.#invoked };
  }

  async #round(): Promise<void> {
    const platform = await startTestPlatform({ dataDir: this.#dataDir });
    if (this.#killedPid !== 0) await nothingRuns(this.#killedPid);
    await this.#check(platform);
    const [least, most] = KILL_AFTER_MS;
    const clients = Array.from({ length: CLIENT_COUNT }, (_, index) => this.#client(platform, index));
    await new Promise((resolve) => setTimeout(resolve, least + this.#random() * (most - least)));
    await platform.stop('SIGKILL');
    this.#kills++;
    await Promise.all(clients);
    await noFunctionRuns(platform.pid);
    this.#killedPid = platform.pid;
  }

  /** Changes and invokes functions of its own until the platform is gone. */
  async #client(platform: TestPlatform, index: number): Promise<void> {
    const names = [...this.#possible.keys()].filter((_, at) => at % CLIENT_COUNT === index);
    for (;;) {
      const name = names[Math.floor(this.#random() * names.length)]!;
      if (!(await this.#operation(platform, name))) return;
    }
  }

  /** False: the platform is gone. */
  async #operation(platform: TestPlatform, name: string): Promise<boolean> {
    const possible = this.#possible.get(name)!;
    assert.equal(possible.size, 1, 'a client changes one thing at a time');
    const [current] = possible as Set<number>;
    const dice = this.#random();
    if (current === ABSENT)
      return this.#change(platform, { name, next: ++this.#generation, method: 'POST', suffix: '' });
    if (dice < 0.2)
      return this.#change(platform, { name, next: ++this.#generation, method: 'PUT', suffix: `/${name}/code` });
    if (dice < 0.3) return this.#change(platform, { name, next: ABSENT, method: 'DELETE', suffix: `/${name}` });
    const answer = await invoke(platform.url, name).catch(() => null);
    if (answer === null) return false;
    assert.equal(answer, current, `${name} answered with another generation than the acknowledged one`);
    this.#invoked++;
    return true;
  }

  async #change(platform: TestPlatform, { name, next, method, suffix }: Change): Promise<boolean> {
    const possible = this.#possible.get(name)!;
    const body = method === 'DELETE' ? null : JSON.stringify(await requestBody(method, name, next));
    possible.add(next);
    let response: Response;
    try {
      response = await fetch(`${platform.url}/2015-03-31/functions${suffix}`, { method, body });
      await response.arrayBuffer();
    } catch {
      this.#inDoubt++;
      return false;
    }
    if (response.status === 503) return this.#forget(possible, next);
    assert.ok(response.ok, `${method} ${suffix}: ${response.status}`);
    possible.clear();
    possible.add(next);
    this.#acknowledged++;
    return true;
  }

  #forget(possible: Possible, next: number): boolean {
    possible.delete(next);
    return false;
  }

  async #check(platform: TestPlatform): Promise<void> {
    const listed = await (await fetch(`${platform.url}/2015-03-31/functions?MaxItems=50`)).json();
    const there = new Set((listed as { Functions: { FunctionName: string }[] }).Functions.map((fn) => fn.FunctionName));
    for (const [name, possible] of this.#possible) {
      const found = there.delete(name) ? await invoke(platform.url, name) : ABSENT;
      assert.ok(possible.has(found), `${name}: found ${found}, possible were ${[...possible].join(', ')}`);
      possible.clear();
      possible.add(found);
    }
    assert.deepEqual([...there], [], 'functions that nobody deployed');
  }

  /** After a clean stop: the code of what there is, and nothing half-written. */
  #checkFolder(): void {
    const present = [...this.#possible.values()].filter((possible) => !possible.has(ABSENT)).length;
    assert.deepEqual(readdirSync(path.join(this.#dataDir, 'tmp')), [], 'half-written uploads');
    const folders = readdirSync(path.join(this.#dataDir, 'code'));
    const zips = readdirSync(path.join(this.#dataDir, 'zips')).map((name) => name.replace(/\.zip$/, ''));
    assert.deepEqual(folders.toSorted(), zips.toSorted());
    assert.equal(folders.length, present, 'code that no function has');
  }
}

async function requestBody(method: string, name: string, generation: number): Promise<Record<string, unknown>> {
  const zip = await makeZip({ 'index.mjs': `export const handler = async () => ${generation};` });
  const ZipFile = zip.toString('base64');
  if (method === 'PUT') return { ZipFile };
  const Role = 'arn:aws:iam::000000000000:role/storm';
  return { FunctionName: name, Runtime: 'nodejs24.x', Handler: 'index.handler', Role, Code: { ZipFile } };
}

/** The generation that the function answers with. */
async function invoke(url: string, name: string): Promise<number> {
  const response = await fetch(`${url}/2015-03-31/functions/${name}/invocations`, { method: 'POST', body: '{}' });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  assert.equal(response.headers.get('x-amz-function-error'), null, text);
  return JSON.parse(text) as number;
}

/**
 * No process that a function could run in outlives the platform for long. A sandbox killed while it is being made may leave
 * bubblewrap's first process waiting for the rest of it, without any code of a function; the next start ends it.
 */
async function noFunctionRuns(pid: number): Promise<void> {
  await eventually(() => survivors(pid).filter((command) => !command.startsWith('/usr/bin/bwrap ')));
}

async function nothingRuns(pid: number): Promise<void> {
  await eventually(() => survivors(pid));
}

async function eventually(left: () => readonly string[]): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (left().length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  assert.fail(`outlived the platform: ${left().join('; ')}`);
}

/** Command lines of the processes in the platform's cgroups, but those that only wait to be reaped. */
function survivors(pid: number): readonly string[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map((entry) => commandIn(`perch-${pid}-`, `/proc/${entry}`))
    .filter((command) => command !== '');
}

function commandIn(cgroup: string, folder: string): string {
  try {
    if (!readFileSync(`${folder}/cgroup`, 'latin1').includes(cgroup)) return '';
    return readFileSync(`${folder}/cmdline`, 'latin1').replaceAll('\0', ' ');
  } catch {
    return ''; // It ended meanwhile.
  }
}
