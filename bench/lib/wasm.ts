/**
 * What a fresh WebAssembly instance for each invocation costs: a module of 1 MB (three quarters code, one quarter data)
 * whose handler does nothing. Inside the process of the runtime: making an instance, and running it from payload to
 * result. From outside, over the sockets that the agent uses: an invocation that meets a waiting instance.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { FRAME_HEADER_BYTES, FrameKind, INVOKE_FIXED_BYTES } from '../../src/wire/instance-frame.ts';
import { wasmRuntime } from '../../src/worker/runtimes/wasm/runtime.ts';
import { I32, I64, op, wasmModule, type Code, type WasmFunction } from '../../test/lib/wasm-module.ts';
import { runFresh } from './fresh.ts';
import { figureOf, quantile, type BenchOptions, type Figure } from './report.ts';
import type { WasmRound, WasmTimes } from './wasm-process.ts';

const MEMORY_MB = 128;
const MODULE_BYTES = 1024 * 1024;
const DATA_BYTES = MODULE_BYTES / 4;
const DATA_AT = 65_536;
const PAGES = 32;
const HANDLER = 'app.handle';
/** Between two invocations at 50 a second. */
const PACE_MS = 20;

/** A function of about 200 bytes, no two alike. */
function filler(index: number): WasmFunction {
  const steps: Code[] = [op.get(0)];
  for (let step = 0; step < 24; step++) steps.push([op.i32((index * 7919 + step * 104_729) & 0xff_ffff), 0x73]);
  return { params: [I32], results: [I32], body: steps };
}

function megabyteModule(): Buffer {
  const noop: WasmFunction[] = [
    { params: [I32], results: [I32], body: op.i32(1024), export: 'alloc' },
    { params: [I32, I32], results: [I64], body: op.packed(1024, 2), export: 'handle' },
  ];
  const data = [{ at: DATA_AT, bytes: Buffer.alloc(DATA_BYTES, 1) }];
  const build = (count: number): Buffer => {
    const fillers = Array.from({ length: count }, (_, index) => filler(index));
    return wasmModule({ memory: { min: PAGES }, functions: [...noop, ...fillers], data });
  };
  const probe = 256;
  const perFiller = (build(2 * probe).length - build(probe).length) / probe;
  return build(Math.round((MODULE_BYTES - DATA_BYTES) / perFiller));
}

/** A process of the runtime, spoken to frame by frame. */
class RuntimeProcess {
  readonly #child: ChildProcess;
  #sequence = 0;
  #answered: () => void = () => {};

  constructor(codeDir: string) {
    const args = wasmRuntime.args(MEMORY_MB).map((argument) => argument.replace('{runtime}', wasmRuntime.dir));
    this.#child = spawn(wasmRuntime.interpreter(), args, {
      stdio: ['ignore', 'ignore', 'inherit', 'pipe', 'pipe'],
      env: {
        LAMBDA_TASK_ROOT: codeDir,
        _HANDLER: HANDLER,
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(MEMORY_MB),
        PERCH_RESPONSE_BYTES_MAX: '6291556',
        PERCH_FUNCTION_ARN: '',
        ...wasmRuntime.env('wasm'),
      },
    });
    (this.#child.stdio[4] as Duplex).on('data', () => this.#answered());
  }

  ready(): Promise<void> {
    return new Promise((resolve) => (this.#answered = resolve));
  }

  /** Microseconds from writing the frame to reading the answer. */
  async invoke(): Promise<number> {
    const frame = Buffer.alloc(FRAME_HEADER_BYTES + INVOKE_FIXED_BYTES + 2, '0');
    frame.fill(0, 0, FRAME_HEADER_BYTES);
    frame.writeUInt32LE(frame.length - FRAME_HEADER_BYTES, 0);
    frame[4] = FrameKind.invoke;
    frame.writeUInt32LE(++this.#sequence, 8);
    frame.write('{}', frame.length - 2);
    const answered = new Promise<void>((resolve) => (this.#answered = resolve));
    const startMs = performance.now();
    (this.#child.stdio[3] as Duplex).write(frame);
    await answered;
    return (performance.now() - startMs) * 1000;
  }

  /** CPU time that its main thread has used, microseconds. */
  cpuUs(): number {
    return Number(readFileSync(`/proc/${this.#child.pid}/schedstat`, 'utf8').split(' ')[0]) / 1000;
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL');
    await once(this.#child, 'close');
  }
}

/** Figures of one round by their names, all in microseconds but the rate. */
async function oneRound(codeDir: string, smoke: boolean): Promise<Map<string, number>> {
  const inside = await runFresh<WasmRound, WasmTimes>(
    new URL('wasm-process.ts', import.meta.url),
    { codeDir, handler: HANDLER, count: smoke ? 20 : 2000 },
    wasmRuntime.args(MEMORY_MB).slice(0, -1),
  );
  const figures = new Map([
    ['wasm: check a module of 1 MB, once for each process', inside.compileUs],
    ['wasm: make a fresh instance, p50', quantile(inside.makeUs, 0.5)],
    ['wasm: make a fresh instance, p99', quantile(inside.makeUs, 0.99)],
    ['wasm: run it, payload to result, p50', quantile(inside.runUs, 0.5)],
    [
      'wasm: make and run it, p50',
      quantile(
        inside.makeUs.map((makeUs, index) => makeUs + inside.runUs[index]!),
        0.5,
      ),
    ],
  ]);
  const runtime = new RuntimeProcess(codeDir);
  await runtime.ready();
  await measureOutside(runtime, smoke, figures);
  await runtime.stop();
  return figures;
}

async function measureOutside(runtime: RuntimeProcess, smoke: boolean, figures: Map<string, number>): Promise<void> {
  const pacedUs: number[] = [];
  for (let index = 0; index < (smoke ? 5 : 150); index++) {
    await sleep(PACE_MS);
    pacedUs.push(await runtime.invoke());
  }
  figures.set('wasm: round trip at 50/s, p50', quantile(pacedUs, 0.5));
  figures.set('wasm: round trip at 50/s, p99', quantile(pacedUs, 0.99));
  const count = smoke ? 20 : 3000;
  const cpuUs = runtime.cpuUs();
  const startMs = performance.now();
  for (let index = 0; index < count; index++) await runtime.invoke();
  figures.set('wasm: one after the other', count / ((performance.now() - startMs) / 1000));
  figures.set('wasm: CPU time of an invocation, one after the other', (runtime.cpuUs() - cpuUs) / count);
}

export async function benchWasm(options: BenchOptions): Promise<readonly Figure[]> {
  const codeDir = mkdtempSync(path.join(tmpdir(), 'perch-bench-wasm-'));
  try {
    writeFileSync(path.join(codeDir, 'app.wasm'), megabyteModule());
    const rounds: Map<string, number>[] = [];
    for (let round = 0; round < (options.smoke ? 1 : 5); round++) rounds.push(await oneRound(codeDir, options.smoke));
    return [...rounds[0]!.keys()].map((name) =>
      figureOf(
        name,
        name.endsWith('one after the other') && !name.includes('CPU') ? '/s' : 'µs',
        rounds.map((figures) => figures.get(name)!),
      ),
    );
  } finally {
    rmSync(codeDir, { recursive: true });
  }
}
