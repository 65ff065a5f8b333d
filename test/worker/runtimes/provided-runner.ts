/** A function that brings its own bootstrap, in processes of its own but without a sandbox, as the agent sees it. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Duplex, Readable } from 'node:stream';
import { after } from 'node:test';
import { FrameKind } from '../../../src/wire/instance-frame.ts';
import type { Invocation } from '../../../src/worker/agent/contract.ts';
import { type Answer, type Hint, Instance } from '../../../src/worker/agent/instance.ts';
import { providedRuntime } from '../../../src/worker/runtimes/provided/runtime.ts';
import type { ExitReason } from '../../../src/worker/sandbox/contract.ts';

export const RESPONSE_BYTES_MAX = 6_291_556;
export const FUNCTION_ARN = 'arn:aws:lambda:us-east-1:000000000000:function:f';

const folder = mkdtempSync(path.join(tmpdir(), 'perch-provided-'));
after(() => rmSync(folder, { recursive: true }));

export interface Outcome {
  kind: 'response' | 'error' | 'badPayload' | 'initError' | 'exit';
  /** Parsed where it is JSON, else its text; of an exit the reason. */
  value: any;
  bytes: Buffer;
  log: string;
}

export interface Setup {
  /** The mode of the bootstrap; executable unless told otherwise. */
  readonly mode?: number;
  readonly env?: Record<string, string>;
  readonly layersDir?: string;
  /** Files beside the bootstrap. */
  readonly files?: Record<string, string | Buffer>;
}

export class Runner {
  readonly code: string;
  readonly hints: Hint[] = [];
  readonly ready: Promise<Outcome | null>;
  /** Everything that it logged. */
  log = '';
  exit: ExitReason | null = null;
  readonly #instance: Instance;
  readonly #kill: () => void;
  readonly #child: ChildProcess;
  #settle: ((outcome: Outcome) => void) | null = null;
  #logAt = 0;

  /** `bootstrap`: its text, or null for none. */
  constructor(bootstrap: string | Buffer | null, setup: Setup = {}) {
    this.code = mkdtempSync(path.join(folder, 'code-'));
    if (bootstrap !== null) writeFileSync(path.join(this.code, 'bootstrap'), bootstrap, { mode: setup.mode ?? 0o755 });
    for (const [name, content] of Object.entries(setup.files ?? {})) writeFileSync(path.join(this.code, name), content);
    const args = providedRuntime.args(128).map((argument) =>
      argument
        .replace('{runtime}', providedRuntime.dir)
        .replace('{code}', this.code)
        .replace('{layers}', setup.layersDir ?? ''),
    );
    const child = spawn(providedRuntime.interpreter(), args, {
      cwd: this.code,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
      // A process group of its own, so that what a test leaves behind can be killed.
      detached: true,
      env: {
        PATH: '/usr/local/bin:/usr/bin:/bin:/opt/bin',
        LAMBDA_TASK_ROOT: this.code,
        _HANDLER: 'function.handler',
        AWS_LAMBDA_FUNCTION_NAME: 'f',
        AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '128',
        AWS_LAMBDA_LOG_GROUP_NAME: '/aws/lambda/f',
        AWS_LAMBDA_LOG_STREAM_NAME: '[$LATEST]1',
        PERCH_RESPONSE_BYTES_MAX: String(RESPONSE_BYTES_MAX),
        PERCH_FUNCTION_ARN: FUNCTION_ARN,
        ...setup.env,
      },
    });
    this.#child = child;
    this.#kill = () => {
      try {
        process.kill(-child.pid!, 'SIGKILL');
      } catch {
        // Nobody is left.
      }
    };
    let onReady: (outcome: Outcome | null) => void = () => {};
    this.ready = new Promise((resolve) => (onReady = resolve));
    const settle = (outcome: Outcome): void => {
      onReady(outcome);
      this.#settle?.(outcome);
    };
    const sandbox = {
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
      kill: this.#kill,
      retire: () => {},
      memoryPeakBytes: () => 0,
      onExit: (listener: (reason: ExitReason) => void) => {
        child.on('exit', (exitCode, signal) =>
          // What it sent last is on its way.
          setImmediate(() =>
            listener(signal === null ? { kind: 'exit', code: exitCode ?? -1 } : { kind: 'signal', signal }),
          ),
        );
      },
    };
    const identity = { slot: 0, versionIndex: 0, functionName: 'f', startedUs: 0, once: false };
    this.#instance = new Instance(
      identity,
      sandbox,
      {
        ready: () => onReady(null),
        answer: (_, answer) => settle(this.#outcome(answer)),
        log: (_, text) => (this.log += text),
        hint: (_, hint) => this.hints.push(hint),
        lost: () => {},
        broke: (_, message) => assert.fail(message),
        exited: (_, reason) => {
          this.exit = reason;
          settle({ kind: 'exit', value: reason, bytes: Buffer.alloc(0), log: this.log });
        },
      },
      { responseBytesMax: RESPONSE_BYTES_MAX, logBytesMax: 256 * 1024 },
    );
    this.#tick();
  }

  /** The agent listens again to who wrote much, ten milliseconds later. */
  #tick(): void {
    const ticking = setInterval(() => this.#instance.tick(), 10);
    this.#child.on('exit', () => clearInterval(ticking));
  }

  async invoke(event: unknown, more: Partial<Invocation> = {}): Promise<Outcome> {
    assert.equal(await this.ready, null, `it did not become ready: ${this.log}`);
    this.#logAt = this.log.length;
    const answered = new Promise<Outcome>((resolve) => (this.#settle = resolve));
    const invocation = {
      requestId: randomUUID(),
      clientContext: '',
      traceId: '',
      invokedArn: '',
      payload: Buffer.from(JSON.stringify(event)),
      ...more,
    } as Invocation;
    this.#instance.invoke(invocation, Date.now() + 3000);
    return answered;
  }

  stop(): void {
    this.#kill();
  }

  /** Ends the channel, as the death of the agent would. */
  leave(): void {
    (this.#child.stdio[3] as Duplex).destroy();
  }

  /** How many processes of its group there are. */
  survivorCount(): number {
    const ids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    return ids.filter((id) => groupOf(id) === this.#child.pid).length;
  }

  #outcome(answer: Answer): Outcome {
    const text = answer.body.toString('utf8');
    const kind = Object.entries(FrameKind).find(([, value]) => value === answer.kind)![0] as Outcome['kind'];
    if (kind !== 'initError') assert.equal(answer.sequence, this.#instance.sequence);
    let value: unknown = text;
    try {
      value = JSON.parse(text);
    } catch {
      // Any bytes may be a response.
    }
    return { kind, value, bytes: answer.body, log: this.log.slice(this.#logAt) };
  }
}

/** -1: it is gone, or dead and not reaped. */
function groupOf(id: string): number {
  try {
    const stat = readFileSync(`/proc/${id}/stat`, 'latin1');
    const [state, , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' ? -1 : Number(group);
  } catch {
    return -1;
  }
}
