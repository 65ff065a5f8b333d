/** What functions say of themselves, from real sandboxes: processes of their own and copies, in each runtime. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { nodeRuntime } from '../../../src/worker/runtimes/node/runtime.ts';
import { providedRuntime } from '../../../src/worker/runtimes/provided/runtime.ts';
import { pythonRuntimes } from '../../../src/worker/runtimes/python/runtime.ts';
import type { Runtime } from '../../../src/worker/runtimes/runtime.ts';
import { wasmRuntime } from '../../../src/worker/runtimes/wasm/runtime.ts';
import { BubblewrapBackend } from '../../../src/worker/sandbox/bubblewrap/index.ts';
import type { Zygote } from '../../../src/worker/sandbox/contract.ts';
import type { RuntimeName } from '../../../src/store/store.ts';
import { hasMemoryLimit, noBubblewrap, ROOT_ONLY } from '../sandbox/harness.ts';
import { HINTING_BOOTSTRAP, hintingModule } from './hinting-functions.ts';
import { Conversation, environmentOf } from './runtime-process.ts';

const MEMORY_MB = 192;
const pythonRuntime = pythonRuntimes[0]!;
const PYTHON_FINDING = pythonRuntime.check();
const NO_PYTHON = PYTHON_FINDING.ok ? false : `NOT TESTED: ${PYTHON_FINDING.detail}`;
const NO_COPIES = ROOT_ONLY || (hasMemoryLimit ? false : 'NO MEMORY CGROUP: copies need one');

type Files = Readonly<Record<string, string | Buffer>>;

/** It also speaks while it is initialised, which counts for nothing, and changes nothing. */
const NODE: Files = {
  'index.mjs': `import { sleeping, awake } from 'perch';
import { createRequire } from 'node:module';
sleeping('while it is initialised'); awake();
export const handler = async () => {
  sleeping('for a timer');
  await new Promise((resolve) => setTimeout(resolve, 5));
  createRequire(import.meta.url)('perch').awake();
  return 'went on';
};`,
};
const PYTHON: Files = {
  'index.py': `import perch, threading
perch.sleeping('while it is initialised'); perch.awake()
def handler(event, context):
    perch.sleeping('for a thread')
    thread = threading.Thread(target=perch.awake)
    thread.start()
    thread.join()
    return 'went on'
`,
};

interface Case {
  readonly runtime: Runtime;
  readonly name: RuntimeName;
  readonly files: Files;
  readonly handler: string;
  readonly skip: string | false;
}

const CASES: readonly Case[] = [
  { runtime: nodeRuntime, name: 'nodejs24.x', files: NODE, handler: 'index.handler', skip: false },
  { runtime: pythonRuntime, name: 'python3.12', files: PYTHON, handler: 'index.handler', skip: NO_PYTHON },
  { runtime: wasmRuntime, name: 'wasm', files: { 'm.wasm': hintingModule() }, handler: 'm.handle', skip: false },
  { runtime: providedRuntime, name: 'provided.al2023', files: { bootstrap: HINTING_BOOTSTRAP }, handler: 'any', skip: NO_PYTHON }, // prettier-ignore
];

describe('hints from a sandbox', { skip: noBubblewrap }, () => {
  const codeRoot = mkdtempSync('/var/tmp/perch-hints-');
  const backend = new BubblewrapBackend({
    codeRoot,
    runtimesRoot: fileURLToPath(new URL('../../../src/worker/runtimes', import.meta.url)),
    interpreter: process.execPath,
    slotCount: 32,
    log: { warn: () => {} },
  });
  let slotCount = 0;

  before(() => backend.open());
  after(async () => {
    await backend.close();
    rmSync(codeRoot, { recursive: true });
  });

  function folderWith(files: Files): string {
    const folder = mkdtempSync(path.join(codeRoot, 'f-'));
    chmodSync(folder, 0o755);
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
      writeFileSync(path.join(folder, name), content, { mode: 0o755 });
    }
    return folder;
  }

  function environment({ runtime, name, handler }: Case): Record<string, string> {
    return { PATH: '/usr/bin:/bin', ...environmentOf('{code}', handler), ...runtime.env(name), TZ: ':UTC' };
  }

  function start(of: Case): Conversation {
    const { runtime, files } = of;
    return new Conversation(
      backend.start({
        slot: slotCount++,
        codeDir: folderWith(files),
        layersDir: '',
        runtimeDir: runtime.dir.replace(/\/$/, ''),
        interpreter: runtime.interpreter(),
        args: runtime.args(MEMORY_MB),
        env: environment(of),
        memoryMb: MEMORY_MB,
        cpus: [],
        network: 'none',
      }),
    );
  }

  async function zygoteOf(of: Case): Promise<Zygote> {
    const { runtime, files } = of;
    const zygote = backend.startCell({
      slot: slotCount++,
      runtimeDir: runtime.dir.replace(/\/$/, ''),
      interpreter: runtime.interpreter(),
      args: runtime.cellArgs()!,
      env: { PATH: '/usr/bin:/bin', ...runtime.env(of.name) },
      memoryMb: MEMORY_MB,
      cpus: [],
      network: 'own',
    });
    await new Promise<void>((resolve, reject) => {
      zygote.onExit((reason) => reject(new Error(JSON.stringify(reason))));
      zygote.onReport((report) => {
        if (report.kind === 'cell') {
          const env = environment(of);
          zygote.adopt({ codeDir: folderWith(files), layersDir: '', env, memoryMb: MEMORY_MB, network: 'none' });
        } else if (report.kind === 'initialised') resolve();
        else if (report.kind !== 'log') reject(new Error(JSON.stringify(report)));
      });
    });
    return zygote;
  }

  async function expectHints(conversation: Conversation): Promise<void> {
    const outcome = await conversation.invoke({});
    assert.deepEqual([outcome.kind, outcome.value], ['response', 'went on'], JSON.stringify(outcome));
    assert.deepEqual(conversation.hints.splice(0), ['sleeping', 'awake']);
  }

  for (const each of CASES) {
    test(`${each.runtime.label}: a process of its own`, { skip: each.skip }, async () => {
      const conversation = start(each);
      assert.equal(await conversation.ready, null);
      for (let count = 0; count < 3; count++) await expectHints(conversation);
      conversation.stop();
      await conversation.exit;
    });

    if (each.runtime.cellArgs() === null) continue;
    test(`${each.runtime.label}: copies, of one invocation and of many`, { skip: each.skip || NO_COPIES }, async () => {
      const zygote = await zygoteOf(each);
      for (const once of [true, true, false]) {
        const copy = new Conversation(zygote.fork({ slot: slotCount++, memoryMb: MEMORY_MB, once }));
        await expectHints(copy);
        if (!once) {
          await expectHints(copy);
          copy.stop();
        }
        await copy.exit;
      }
      const ended = new Promise((resolve) => zygote.onExit(resolve));
      zygote.kill();
      await ended;
    });
  }
});
