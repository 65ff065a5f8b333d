/** Cells of the Python runtime under bubblewrap, for tests: real zygotes, real copies. */
import assert from 'node:assert/strict';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { pythonRuntimes } from '../../../src/worker/runtimes/python/runtime.ts';
import { BubblewrapBackend } from '../../../src/worker/sandbox/bubblewrap/index.ts';
import type { Zygote, ZygoteReport } from '../../../src/worker/sandbox/contract.ts';
import { hasMemoryLimit, noBubblewrap, ROOT_ONLY } from '../sandbox/harness.ts';
import { Conversation, environmentOf } from './runtime-process.ts';

export const [runtime] = pythonRuntimes;
assert.ok(runtime !== undefined);
const finding = runtime.check();
export const skip = !finding.ok
  ? `NOT TESTED: ${finding.detail}`
  : noBubblewrap || ROOT_ONLY || (hasMemoryLimit ? false : 'NO MEMORY CGROUP: copies need one');

const SLOTS = 64;
const ZYGOTE_MB = 256;
const COPY_MB = 128;
const RUNTIMES = fileURLToPath(new URL('../../../src/worker/runtimes', import.meta.url));

const codeRoot = mkdtempSync('/var/tmp/perch-python-');
const backend = new BubblewrapBackend({
  codeRoot,
  runtimesRoot: RUNTIMES,
  interpreter: process.execPath,
  slotCount: SLOTS,
  log: { warn: () => {} },
});

before(async () => {
  if (skip === false) await backend.open();
});
after(async () => {
  for (const cell of cells) cell.zygote.kill();
  await Promise.all([...cells].map((cell) => cell.exit));
  if (skip === false) await backend.close();
  rmSync(codeRoot, { recursive: true });
});

export type Files = Record<string, string>;

function folderWith(files: Files): string {
  const folder = mkdtempSync(path.join(codeRoot, 'f-'));
  chmodSync(folder, 0o755);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), text);
  }
  return folder;
}

/** Of layers that are there: their folder. */
function layersFolder(layers: Files | string): string {
  if (typeof layers === 'string') return layers;
  return Object.keys(layers).length === 0 ? '' : folderWith(layers);
}

/** A layer with the packages of a folder; without their own tests. */
export function layerWith(folder: string, names: readonly string[]): string {
  const layer = folderWith({});
  for (const name of names.filter((each) => existsSync(path.join(folder, each)))) {
    const filter = (file: string): boolean => !/\/(tests|__pycache__)$/.test(file);
    cpSync(path.join(folder, name), path.join(layer, 'python', name), { recursive: true, filter });
  }
  return layer;
}

const freeSlots = Array.from({ length: SLOTS }, (_, slot) => slot);

/** Whoever is started in it gives it back at its end. */
function takeSlot(): number {
  const slot = freeSlots.shift();
  assert.ok(slot !== undefined);
  return slot;
}

const cells = new Set<Cell>();

/** A cell, and the function that it becomes the zygote of. */
export class Cell {
  readonly zygote: Zygote;
  readonly exit: Promise<unknown>;
  log = '';
  output = '';
  readonly #reports: ZygoteReport[] = [];
  #wake: () => void = () => {};

  constructor() {
    const { interpreter, cellArgs, dir } = runtime!;
    const slot = takeSlot();
    this.zygote = backend.startCell({
      slot,
      runtimeDir: dir.replace(/\/$/, ''),
      interpreter: interpreter(),
      args: cellArgs() ?? [],
      env: { PATH: '/usr/bin' },
      memoryMb: ZYGOTE_MB,
      cpus: [],
      network: 'own',
    });
    for (const stream of this.zygote.output) stream.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    this.exit = new Promise((resolve) => this.zygote.onExit(resolve));
    this.zygote.onExit(() => freeSlots.push(slot));
    cells.add(this);
    this.zygote.onReport((report) => {
      if (report.kind === 'log') this.log += report.text;
      else this.#reports.push(report);
      this.#wake();
    });
  }

  async report(): Promise<ZygoteReport | null> {
    const gone = this.exit.then(() => null);
    for (;;) {
      const found = this.#reports.shift();
      if (found !== undefined) return found;
      const more = new Promise<true>((resolve) => (this.#wake = () => resolve(true)));
      if ((await Promise.race([more, gone])) === null) return this.#reports.shift() ?? null;
    }
  }

  /** What it says of the function. */
  async adopt(
    files: Files | string,
    env: Record<string, string> = {},
    layers: Files | string = {},
  ): Promise<ZygoteReport | null> {
    assert.deepEqual(await this.report(), { kind: 'cell' }, this.output);
    this.zygote.adopt({
      codeDir: folderWith(typeof files === 'string' ? { 'index.py': files } : files),
      layersDir: layersFolder(layers),
      env: { ...environmentOf('{code}', 'index.handler'), ...runtime!.env('python3.11'), TZ: ':UTC', ...env },
      memoryMb: ZYGOTE_MB,
      network: 'none',
    });
    return this.report();
  }

  copy(once = true): Conversation {
    const slot = takeSlot();
    const sandbox = this.zygote.fork({ slot, memoryMb: COPY_MB, once });
    sandbox.onExit(() => freeSlots.push(slot));
    return new Conversation(sandbox);
  }

  async stop(): Promise<void> {
    this.zygote.kill();
    await this.exit;
  }
}

export async function zygoteOf(
  files: Files | string,
  env: Record<string, string> = {},
  layers: Files = {},
): Promise<Cell> {
  const cell = new Cell();
  assert.deepEqual(await cell.adopt(files, env, layers), { kind: 'initialised' }, cell.output + cell.log);
  return cell;
}

export async function valueOf(cell: Cell, event: unknown = {}): Promise<any> {
  const copy = cell.copy();
  const outcome = await copy.invoke(event);
  assert.equal(outcome.kind, 'response', JSON.stringify(outcome));
  await copy.exit;
  return outcome.value;
}
