/** A WebAssembly function in a process of its own but without a sandbox, as the agent sees it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { FrameKind } from '../../../src/wire/instance-frame.ts';
import type { Invocation } from '../../../src/worker/agent/contract.ts';
import { type Answer, type Hint, Instance } from '../../../src/worker/agent/instance.ts';
import { wasmRuntime } from '../../../src/worker/runtimes/wasm/runtime.ts';
import { sandboxOf } from './runtime-process.ts';

export const RESPONSE_BYTES_MAX = 100_000;
export const FUNCTION_ARN = 'arn:aws:lambda:us-east-1:000000000000:function:f';

const folder = mkdtempSync(path.join(tmpdir(), 'perch-wasm-'));
after(() => rmSync(folder, { recursive: true }));

export interface Outcome {
  readonly kind: 'response' | 'error' | 'badPayload' | 'initError' | 'exit';
  readonly value: any;
  readonly text: string;
  readonly log: string;
}

export interface Setup {
  readonly memoryMb?: number;
  readonly env?: Record<string, string>;
}

export class WasmRunner {
  readonly ready: Promise<Outcome | null>;
  readonly pid: number;
  readonly hints: Hint[] = [];
  log = '';
  readonly #instance: Instance;
  readonly #kill: () => void;
  #settle: ((outcome: Outcome) => void) | null = null;

  constructor(files: Record<string, Uint8Array | string>, handler: string, setup: Setup = {}) {
    const codeDir = mkdtempSync(path.join(folder, 'code-'));
    for (const [file, bytes] of Object.entries(files)) {
      mkdirSync(path.dirname(path.join(codeDir, file)), { recursive: true });
      writeFileSync(path.join(codeDir, file), bytes);
    }
    const memoryMb = setup.memoryMb ?? 128;
    const args = wasmRuntime.args(memoryMb).map((argument) => argument.replace('{runtime}', wasmRuntime.dir));
    const child = spawn(wasmRuntime.interpreter(), args, {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
      env: {
        LAMBDA_TASK_ROOT: codeDir,
        _HANDLER: handler,
        AWS_LAMBDA_FUNCTION_NAME: 'f',
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(memoryMb),
        PERCH_RESPONSE_BYTES_MAX: String(RESPONSE_BYTES_MAX),
        PERCH_FUNCTION_ARN: FUNCTION_ARN,
        ...wasmRuntime.env('wasm'),
        ...setup.env,
      },
    });
    this.pid = child.pid!;
    this.#kill = () => child.kill('SIGKILL');
    let onReady: (outcome: Outcome | null) => void = () => {};
    this.ready = new Promise((resolve) => (onReady = resolve));
    const settle = (outcome: Outcome): void => {
      onReady(outcome);
      this.#settle?.(outcome);
    };
    this.#instance = new Instance(
      { slot: 0, versionIndex: 0, functionName: 'f', startedUs: 0, once: false },
      sandboxOf(child),
      {
        ready: () => onReady(null),
        answer: (_, answer) => settle(this.#outcome(answer)),
        log: (_, text) => (this.log += text),
        hint: (_, hint) => this.hints.push(hint),
        lost: () => {},
        broke: (_, message) => assert.fail(message),
        exited: (_, reason) => settle({ kind: 'exit', value: reason, text: '', log: this.log }),
      },
      { responseBytesMax: RESPONSE_BYTES_MAX, logBytesMax: 256 * 1024 },
    );
  }

  /** `event`: anything for JSON, or the payload itself as bytes. */
  async invoke(event: unknown = {}, more: Partial<Invocation> = {}): Promise<Outcome> {
    const initial = await this.ready;
    if (initial !== null) return initial;
    this.log = '';
    const answered = new Promise<Outcome>((resolve) => (this.#settle = resolve));
    const invocation = {
      requestId: randomUUID(),
      clientContext: '',
      traceId: '',
      invokedArn: '',
      payload: Buffer.isBuffer(event) ? event : Buffer.from(JSON.stringify(event)),
      ...more,
    } as Invocation;
    this.#instance.invoke(invocation, Date.now() + 3000);
    return answered;
  }

  stop(): void {
    this.#kill();
  }

  #outcome(answer: Answer): Outcome {
    const text = answer.body.toString('utf8');
    const kind = Object.entries(FrameKind).find(([, value]) => value === answer.kind)![0] as Outcome['kind'];
    if (kind !== 'initError') assert.equal(answer.sequence, this.#instance.sequence);
    return { kind, value: kind === 'badPayload' ? text : JSON.parse(text), text, log: this.log };
  }
}

/** One invocation of a process of its own; its failed initialisation, if it fails. */
export async function once(
  files: Record<string, Uint8Array | string>,
  handler: string,
  event: unknown = {},
  setup: Setup = {},
): Promise<Outcome> {
  const runner = new WasmRunner(files, handler, setup);
  try {
    return await runner.invoke(event);
  } finally {
    runner.stop();
  }
}
