/** What the sandbox tests share: folders, specs, and a way to run JavaScript inside an instance. */
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { FRAME_HEADER_BYTES, FrameKind, INVOKE_FIXED_BYTES } from '../../../src/wire/instance-frame.ts';
import { descendantProcesses } from '../../../src/worker/sandbox/affinity.ts';
import { checkMachine } from '../../../src/worker/sandbox/bubblewrap/check.ts';
import { isTree } from '../../../src/worker/sandbox/cgroup/cgroup.ts';
import { openCgroups } from '../../../src/worker/sandbox/cgroup/open.ts';
import type { ExitReason, Sandbox, SandboxSpec } from '../../../src/worker/sandbox/contract.ts';

const FIXTURES = fileURLToPath(new URL('./fixtures', import.meta.url));

export const isRoot = process.platform === 'linux' && process.getuid?.() === 0;
export const ROOT_ONLY = isRoot ? false : 'NEEDS ROOT: run the tests as root to check this';

export interface Folders {
  readonly base: string;
  readonly codeRoot: string;
  readonly runtimesRoot: string;
}

/** A data folder like the platform's, closed to others as a root-owned one would be. */
export function makeFolders(): Folders {
  const base = mkdtempSync(path.join(os.tmpdir(), 'perch-test-'));
  const codeRoot = path.join(base, 'data', 'code');
  const runtimesRoot = path.join(base, 'runtimes');
  for (const name of ['mine', 'other']) {
    mkdirSync(path.join(codeRoot, name), { recursive: true });
    writeFileSync(path.join(codeRoot, name, 'index.js'), `// code of ${name}\n`);
  }
  writeFileSync(path.join(base, 'data', 'perch.db'), 'secret of the platform');
  mkdirSync(path.join(runtimesRoot, 'echo'), { recursive: true });
  copyFileSync(path.join(FIXTURES, 'echo.mjs'), path.join(runtimesRoot, 'echo', 'echo.mjs'));
  chmodSync(base, 0o700);
  return { base, codeRoot, runtimesRoot };
}

export function removeFolders(folders: Folders): void {
  rmSync(folders.base, { recursive: true, force: true });
}

export function specFor(folders: Folders, more: Partial<SandboxSpec> = {}): SandboxSpec {
  return {
    slot: 0,
    codeDir: path.join(folders.codeRoot, 'mine'),
    layersDir: '',
    runtimeDir: path.join(folders.runtimesRoot, 'echo'),
    interpreter: process.execPath,
    args: ['{runtime}/echo.mjs'],
    env: { GREETING: 'hello' },
    memoryMb: 256,
    cpus: [],
    network: 'host',
    ...more,
  };
}

/** Waits for what will come, however long a busy machine takes. */
export async function until(isThere: () => boolean): Promise<void> {
  while (!isThere()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** CPU time of everything that the process has started and that lives, in the ticks of the kernel. */
export function cpuTicksBelow(processId: number): number {
  return descendantProcesses(processId)
    .slice(1)
    .reduce((sum, id) => sum + cpuTicks(id), 0);
}

function cpuTicks(processId: number): number {
  try {
    const stat = readFileSync(`/proc/${processId}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return Number(fields[11]) + Number(fields[12]);
  } catch {
    return 0;
  }
}

interface Answer {
  readonly ok: boolean;
  readonly value: unknown;
}

/** Talks to the echo instance over its channel, or to a function that does the same with what `encode` makes of the code. */
export class Talker {
  readonly sandbox: Sandbox;
  readonly exit: Promise<ExitReason>;
  readonly ready: Promise<void>;
  output = '';
  exits = 0;
  readonly #encode: (code: string) => string;
  readonly #waiting = new Map<number, (answer: Answer | undefined) => void>();
  #received = Buffer.alloc(0);
  #sequence = 1;
  #markReady: () => void = () => {};

  constructor(sandbox: Sandbox, encode: (code: string) => string = (code) => code) {
    this.sandbox = sandbox;
    this.#encode = encode;
    for (const stream of sandbox.output) stream.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    sandbox.channel.on('error', () => {});
    sandbox.answers.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.exit = new Promise((resolve) =>
      sandbox.onExit((reason) => {
        this.exits++;
        for (const answer of this.#waiting.values()) answer(undefined);
        resolve(reason);
      }),
    );
    const ready = new Promise<void>((resolve) => (this.#markReady = resolve));
    this.ready = Promise.race([
      ready,
      this.exit.then((reason) => {
        throw new Error(`the instance ended before it was ready: ${JSON.stringify(reason)}\n${this.output}`);
      }),
    ]);
    this.ready.catch(() => {});
  }

  /** Runs the body of an async function inside and gives its result; an exception comes as one. */
  async run(code: string): Promise<unknown> {
    await this.ready;
    const answer = await this.#ask(code);
    if (answer === undefined) throw new Error(`the instance ended: ${JSON.stringify(await this.exit)}\n${this.output}`);
    if (!answer.ok) throw new Error(JSON.stringify(answer.value));
    return answer.value;
  }

  /** Runs code that ends the instance, and gives the reason. */
  async runToDeath(code: string): Promise<ExitReason> {
    await this.ready;
    void this.#ask(code);
    return this.exit;
  }

  #ask(code: string): Promise<Answer | undefined> {
    const sequence = this.#sequence++;
    const body = Buffer.concat([Buffer.alloc(INVOKE_FIXED_BYTES), Buffer.from(this.#encode(code))]);
    const header = Buffer.alloc(FRAME_HEADER_BYTES);
    header.writeUInt32LE(body.length, 0);
    header.writeUInt8(FrameKind.invoke, 4);
    header.writeUInt32LE(sequence, 8);
    // The fake answers before its write returns.
    const answer = new Promise<Answer | undefined>((resolve) => this.#waiting.set(sequence, resolve));
    this.sandbox.channel.write(Buffer.concat([header, body]));
    return answer;
  }

  #receive(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    while (this.#received.length >= FRAME_HEADER_BYTES) {
      const bytes = this.#received.readUInt32LE(0);
      if (this.#received.length < FRAME_HEADER_BYTES + bytes) return;
      const kind = this.#received.readUInt8(4);
      const sequence = this.#received.readUInt32LE(8);
      const body = this.#received.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + bytes).toString();
      this.#received = this.#received.subarray(FRAME_HEADER_BYTES + bytes);
      if (kind === FrameKind.made) continue;
      if (kind === FrameKind.log) {
        this.output += body;
        continue;
      }
      if (kind === FrameKind.ready) this.#markReady();
      else this.#waiting.get(sequence)?.({ ok: kind === FrameKind.response, value: JSON.parse(body) });
      this.#waiting.delete(sequence);
    }
  }
}

const machine = await openCgroups({ processCountMax: 1, log: () => {} });
if (isTree(machine)) machine.close();

/** Whether instances that this user starts can be limited in memory. */
export const hasMemoryLimit = isTree(machine) && machine.memory;

/** Whether instances that this user starts can be frozen. */
export const hasFreezer = isTree(machine) && machine.freezer;

const missing = (await checkMachine()).filter((finding) => finding.required && !finding.ok);

/** Why bubblewrap cannot be tested here, or false. */
export const noBubblewrap: string | false =
  missing.length > 0 && `NO BUBBLEWRAP: ${missing.map((finding) => `${finding.topic}: ${finding.detail}`).join('; ')}`;
