/**
 * One zygote in its sandbox, driven as the agent drives it but by nobody else, in a process of its own: makes copies one
 * after the other, gives each its one invocation, and prints what each step took, in microseconds, as JSON. The
 * platform's own metrics of the same steps are histograms, too coarse to tell a median by.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Invocation } from '../../src/worker/agent/contract.ts';
import { cellEnvironment } from '../../src/worker/agent/environment.ts';
import { Instance } from '../../src/worker/agent/instance.ts';
import { nodeRuntime } from '../../src/worker/runtimes/node/runtime.ts';
import { pythonRuntimes } from '../../src/worker/runtimes/python/runtime.ts';
import type { SandboxBackend, Zygote } from '../../src/worker/sandbox/contract.ts';
import { createBackend } from '../../src/worker/sandbox/index.ts';

export interface CopiesInput {
  readonly language: 'node' | 'python';
  readonly file: string;
  readonly source: string;
  readonly count: number;
}

export interface CopiesTimes {
  readonly readyUs: readonly number[];
  readonly answerUs: readonly number[];
  readonly exitUs: readonly number[];
}

const MEMORY_MB = 128;
const RESPONSE_BYTES_MAX = 6_291_556;
const LIMITS = { responseBytesMax: RESPONSE_BYTES_MAX, logBytesMax: 256 * 1024 };
const ACCOUNT = { region: 'us-east-1', accountId: '000000000000' };
const SLOT_COUNT = 16;
const INVOCATION = {
  requestId: '00000000-0000-4000-8000-000000000000',
  clientContext: '',
  traceId: '',
  invokedArn: '',
  payload: Buffer.from('{}'),
} as Invocation;

function zygoteOf(backend: SandboxBackend, codeDir: string, language: CopiesInput['language']): Promise<Zygote> {
  const runtime = language === 'node' ? nodeRuntime : pythonRuntimes[0]!;
  const common = cellEnvironment(runtime, ACCOUNT);
  const zygote = backend.startCell({
    slot: 0,
    runtimeDir: runtime.dir,
    interpreter: runtime.interpreter(),
    args: runtime.cellArgs()!,
    env: common,
    memoryMb: MEMORY_MB,
    cpus: [],
    network: 'own',
  });
  const env = {
    ...common,
    _HANDLER: 'index.handler',
    AWS_LAMBDA_FUNCTION_NAME: 'f',
    AWS_LAMBDA_FUNCTION_VERSION: '1',
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(MEMORY_MB),
    PERCH_FUNCTION_ARN: '',
    PERCH_RESPONSE_BYTES_MAX: String(RESPONSE_BYTES_MAX),
  };
  return new Promise((resolve, reject) => {
    zygote.onReport((report) => {
      if (report.kind === 'cell')
        zygote.adopt({ codeDir, layersDir: '', env, memoryMb: MEMORY_MB, network: 'outbound' });
      else if (report.kind === 'initialised') resolve(zygote);
      else if (report.kind !== 'log') reject(new Error(`the zygote reported ${JSON.stringify(report)}`));
    });
    zygote.onExit((reason) => reject(new Error(`the zygote ended: ${JSON.stringify(reason)}`)));
  });
}

interface Step {
  readonly ready: Promise<void>;
  readonly answered: Promise<void>;
  readonly exited: Promise<void>;
  readonly instance: Instance;
}

function copyOf(zygote: Zygote, slot: number): Step {
  const settle: Record<'ready' | 'answered' | 'exited', () => void> = {
    ready: () => {},
    answered: () => {},
    exited: () => {},
  };
  const event = (name: keyof typeof settle): Promise<void> => new Promise((resolve) => (settle[name] = resolve));
  const [ready, answered, exited] = [event('ready'), event('answered'), event('exited')];
  const instance = new Instance(
    { slot, versionIndex: 0, functionName: 'f', startedUs: 0, once: true },
    zygote.fork({ slot, memoryMb: MEMORY_MB, once: true }),
    {
      ready: () => settle.ready(),
      answer: () => settle.answered(),
      log: () => {},
      lost: () => {},
      broke: (_, message) => {
        throw new Error(message);
      },
      exited: () => settle.exited(),
    },
    LIMITS,
  );
  return { ready, answered, exited, instance };
}

async function measure(zygote: Zygote, count: number): Promise<CopiesTimes> {
  const times = { readyUs: [] as number[], answerUs: [] as number[], exitUs: [] as number[] };
  for (let index = 0; index < count; index++) {
    const startMs = performance.now();
    const { ready, answered, exited, instance } = copyOf(zygote, 1 + (index % (SLOT_COUNT - 1)));
    await ready;
    const readyMs = performance.now();
    instance.invoke(INVOCATION, Date.now() + 3000);
    await answered;
    const answeredMs = performance.now();
    instance.retire();
    await exited;
    times.readyUs.push((readyMs - startMs) * 1000);
    times.answerUs.push((answeredMs - readyMs) * 1000);
    times.exitUs.push((performance.now() - answeredMs) * 1000);
  }
  return times;
}

async function run({ language, file, source, count }: CopiesInput): Promise<CopiesTimes> {
  const folder = mkdtempSync(path.join(tmpdir(), 'perch-bench-copies-'));
  chmodSync(folder, 0o755);
  const codeDir = path.join(folder, 'code', 'f');
  mkdirSync(codeDir, { recursive: true });
  writeFileSync(path.join(codeDir, file), source);
  const backend = createBackend('bubblewrap', {
    codeRoot: path.join(folder, 'code'),
    runtimesRoot: fileURLToPath(new URL('../../src/worker/runtimes', import.meta.url)),
    interpreter: process.execPath,
    slotCount: SLOT_COUNT,
    log: { warn: (text) => console.error(text) },
  });
  await backend.open();
  try {
    const zygote = await zygoteOf(backend, codeDir, language);
    const times = await measure(zygote, count);
    const gone = new Promise<void>((resolve) => zygote.onExit(() => resolve()));
    zygote.kill();
    await gone;
    return times;
  } finally {
    await backend.close();
    rmSync(folder, { recursive: true });
  }
}

console.log(JSON.stringify(await run(JSON.parse(process.argv[2]!) as CopiesInput)));
