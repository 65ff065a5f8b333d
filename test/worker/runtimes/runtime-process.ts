/** A runtime without the rest of the platform: an instance of it, spoken to with the agent's own code. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import type { Duplex, Readable } from 'node:stream';
import type { Invocation } from '../../../src/worker/agent/contract.ts';
import { type Answer, type Hint, Instance } from '../../../src/worker/agent/instance.ts';
import type { Runtime } from '../../../src/worker/runtimes/runtime.ts';
import type { ExitReason, Sandbox } from '../../../src/worker/sandbox/contract.ts';
import { FrameKind } from '../../../src/wire/instance-frame.ts';

export const RESPONSE_BYTES_MAX = 6_291_556;

/** What the agent sets for every function. */
export function environmentOf(code: string, handler: string): Record<string, string> {
  return {
    LAMBDA_TASK_ROOT: code,
    _HANDLER: handler,
    AWS_LAMBDA_FUNCTION_NAME: 'f',
    AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '128',
    PERCH_RESPONSE_BYTES_MAX: String(RESPONSE_BYTES_MAX),
    PERCH_FUNCTION_ARN: 'arn:aws:lambda:us-east-1:000000000000:function:f',
  };
}

export interface Outcome {
  kind: 'response' | 'error' | 'badPayload' | 'initError' | 'exit';
  value: any;
  log: string;
  /** It ends after this answer. */
  last: boolean;
}

export class Conversation {
  /** Null once it is ready, or what it answered instead. */
  readonly ready: Promise<Outcome | null>;
  readonly exit: Promise<ExitReason>;
  readonly sandbox: Sandbox;
  readonly hints: Hint[] = [];
  readonly #instance: Instance;
  #settle: ((outcome: Outcome) => void) | null = null;
  #log = '';

  constructor(sandbox: Sandbox) {
    this.sandbox = sandbox;
    let onReady: (outcome: Outcome | null) => void = () => {};
    let onExit: (reason: ExitReason) => void = () => {};
    this.ready = new Promise((resolve) => (onReady = resolve));
    this.exit = new Promise((resolve) => (onExit = resolve));
    const settle = (outcome: Outcome): void => {
      onReady(outcome);
      this.#settle?.(outcome);
    };
    this.#instance = new Instance(
      { slot: 0, versionIndex: 0, functionName: 'f', startedUs: 0, once: false },
      sandbox,
      {
        ready: () => onReady(null),
        answer: (_, answer) => settle(this.#outcome(answer)),
        log: (_, text) => (this.#log += text),
        hint: (_, hint) => this.hints.push(hint),
        lost: () => {},
        broke: (_, message) => assert.fail(message),
        exited: (_, reason: ExitReason) => {
          settle({ kind: 'exit', value: reason, log: this.#log, last: true });
          onExit(reason);
        },
      },
      { responseBytesMax: RESPONSE_BYTES_MAX, logBytesMax: 256 * 1024 },
    );
  }

  async invoke(event: unknown, more: Partial<Invocation> = {}, raw?: string): Promise<Outcome> {
    await this.ready;
    this.#log = '';
    const answered = new Promise<Outcome>((resolve) => (this.#settle = resolve));
    const payload = Buffer.from(raw ?? JSON.stringify(event));
    const invocation = {
      requestId: randomUUID(),
      clientContext: '',
      traceId: '',
      invokedArn: '',
      payload,
      ...more,
    } as Invocation;
    this.#instance.invoke(invocation, Date.now() + 3000);
    return answered;
  }

  stop(): void {
    this.sandbox.kill();
  }

  #outcome(answer: Answer): Outcome {
    const text = answer.body.toString('utf8');
    const found = Object.entries(FrameKind).find(([, value]) => value === answer.kind);
    const kind = (found?.[0] ?? 'exit') as Outcome['kind'];
    if (kind === 'response' || kind === 'error') assert.equal(answer.sequence, this.#instance.sequence);
    return { kind, value: kind === 'badPayload' ? text : JSON.parse(text), log: this.#log, last: answer.last };
  }
}

/** An instance as a plain process without a sandbox. */
export function startRuntime(
  runtime: Runtime,
  code: string,
  handler: string,
  env: Record<string, string> = {},
): Conversation {
  const args = runtime.args(128).map((argument) => argument.replace('{runtime}', runtime.dir));
  const child = spawn(runtime.interpreter(), args, {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
    env: { ...environmentOf(code, handler), ...env },
  });
  return new Conversation(sandboxOf(child));
}

/** A plain process, spoken to over its descriptors 3 and 4, as a sandbox that does nothing more. */
export function sandboxOf(child: ChildProcess): Sandbox {
  return {
    channel: child.stdio[3] as Duplex,
    answers: child.stdio[4] as Duplex,
    output: [child.stdout as Readable, child.stderr as Readable],
    pin: () => false,
    place: () => false,
    goFirst: () => false,
    background: () => false,
    tasks: () => null,
    freeze: () => {},
    thaw: () => {},
    kill: () => void child.kill('SIGKILL'),
    retire: () => void child.kill('SIGKILL'),
    memoryPeakBytes: () => 0,
    onExit: (listener) => {
      child.on('close', (code, signal) =>
        listener(signal === null ? { kind: 'exit', code: code ?? -1 } : { kind: 'signal', signal }),
      );
    },
  };
}
