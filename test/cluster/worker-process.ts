/** `perch worker` as a real process, and gateways of the test that speak frames with it. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { connect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { DEFAULT_ACCOUNT } from '../../src/base/arn.ts';
import { realClock } from '../../src/base/clock.ts';
import { UserError } from '../../src/base/errors.ts';
import type { Identity } from '../../src/cluster/identity/join-file.ts';
import { clientOptions } from '../../src/cluster/identity/tls.ts';
import { LINK_LIMITS } from '../../src/cluster/link/limits.ts';
import { type Closing, FrameLink } from '../../src/cluster/link/link.ts';
import { encodeVersion } from '../../src/cluster/version-body.ts';
import { functionKey, versionKey } from '../../src/cluster/version-key.ts';
import type { Isolation } from '../../src/store/settings.ts';
import type { FunctionConfig, FunctionVersion, Store } from '../../src/store/store.ts';
import { ClusterKind, reasonName, Role } from '../../src/wire/cluster-frame.ts';
import { AssignFrame, type ResultFrame, ResultKind, SetVersionFrame } from '../../src/wire/cluster/body-frames.ts';
import { WorkerToGateway } from '../../src/wire/cluster/directions.ts';
import { HelloFrame } from '../../src/wire/cluster/large-frames.ts';
import { makeZip } from '../lib/zip.ts';
import { until } from './scheduler-process.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

export interface WorkerProcess {
  readonly child: ChildProcess;
  readonly data: string;
  readonly stderr: () => string;
  /** What its ready line says; waits for that. */
  ready(): Promise<{ name: string; host: string; port: number; pid: number }>;
}

/** As root functions run without a sandbox here: what is tested is what goes over the wire. */
export function startWorker(
  joinFile: string,
  options: {
    readonly scheduler: number;
    readonly store: number;
    readonly data: string;
    readonly args?: readonly string[];
  },
): WorkerProcess {
  const { scheduler, store, data, args = [] } = options;
  const nodes = ['--scheduler', `127.0.0.1:${scheduler}`, '--store', `127.0.0.1:${store}`];
  const fixed = ['--join', joinFile, ...nodes, '--listen', '127.0.0.1:0', '--json'];
  const more = ['--data', data, '--sandbox', 'none', '--log-level', 'info', '--cores', '0-1', '--memory', '2048'];
  const child = spawn(process.execPath, [MAIN, 'worker', ...fixed, ...more, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const first = Promise.race([once(createInterface({ input: child.stdout }), 'line'), once(child, 'exit')]);
  return {
    child,
    data,
    stderr: () => errors,
    async ready() {
      const [line] = (await first) as unknown[];
      assert.ok(typeof line === 'string', `the worker did not start: ${errors}`);
      return JSON.parse(line) as { name: string; host: string; port: number; pid: number };
    },
  };
}

export async function stopWorker({ child }: { child: ChildProcess }): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
  return child.exitCode;
}

export interface TestVersion {
  readonly fn: FunctionVersion;
  readonly isolation: Isolation;
  readonly key: string;
  readonly functionKey: string;
}

/** A function in a store. */
export async function versionIn(
  store: Store,
  files: Readonly<Record<string, string>>,
  more: Partial<FunctionConfig> & { name?: string; isolation?: Isolation } = {},
): Promise<TestVersion> {
  const { name = 'hello', isolation = 'reuse', ...config } = more;
  const code = await store.putCode(await makeZip(files));
  assert.ok(!(code instanceof UserError), JSON.stringify(code));
  const fn = await store.createFunction({
    functionName: name,
    config: { ...CONFIG, ...config },
    code,
    tags: {},
    publish: false,
  });
  assert.ok(!(fn instanceof UserError), JSON.stringify(fn));
  return testVersion(fn, isolation);
}

export function testVersion(fn: FunctionVersion, isolation: Isolation = 'reuse'): TestVersion {
  const { accountId } = DEFAULT_ACCOUNT;
  return {
    fn,
    isolation,
    key: versionKey(accountId, fn, isolation),
    functionKey: functionKey(accountId, fn.functionName),
  };
}

const CONFIG: FunctionConfig = {
  runtime: 'nodejs24.x',
  handler: 'index.handler',
  role: '',
  description: '',
  timeoutS: 10,
  memoryMb: 128,
  ephemeralStorageMb: 512,
  architecture: 'x86_64',
  environment: {},
  tracingMode: 'PassThrough',
  logFormat: 'Text',
  deadLetterTargetArn: '',
  layers: [],
};

const RESULT_NAMES = new Map(Object.entries(ResultKind).map(([name, kind]) => [kind, name]));

export type TestResult = Omit<ResultFrame, 'result' | 'payload'> & {
  readonly result: string;
  readonly payload: string;
};

/** A gateway's connection to a worker. */
export class WorkerGateway {
  readonly results: TestResult[] = [];
  welcome: HelloFrame | null = null;
  closing: Closing | null = null;
  readonly link: FrameLink;

  constructor(identity: Identity, port: number, hello: Partial<HelloFrame> = {}) {
    const socket = connect({ ...clientOptions(identity), host: '127.0.0.1', port });
    const said = Object.assign(new HelloFrame(ClusterKind.hello), {
      role: Role.gateway,
      name: identity.name,
      life: 1,
      ...hello,
    });
    const direction = new WorkerToGateway({ result: (frame) => void this.results.push(plain(frame)) });
    this.link = new FrameLink(
      socket,
      { hello: said, dialled: Role.worker, limits: LINK_LIMITS, clock: realClock },
      {
        greeted: (peer) => {
          this.welcome = Object.assign(new HelloFrame(ClusterKind.welcome), peer);
          return direction;
        },
        opened: () => {},
        closed: (closing) => (this.closing = closing),
      },
    );
  }

  async opened(): Promise<this> {
    await until(() => this.link.isOpen || this.closing !== null);
    assert.ok(this.link.isOpen, `closed: ${this.closedBy()}`);
    return this;
  }

  async ended(): Promise<string> {
    await until(() => this.closing !== null);
    return this.closedBy();
  }

  closedBy(): string {
    return this.closing === null ? 'not' : reasonName(this.closing.reason);
  }

  set(index: number, epoch: number, version: TestVersion, peers: readonly string[] = []): void {
    const { key, fn, isolation } = version;
    const payload = encodeVersion({ fn, isolation, peers });
    this.link.sendBody(Object.assign(new SetVersionFrame(), { version: index, epoch, key, payload }));
  }

  assign(fields: Partial<AssignFrame> & { core: number; sequence: number; epoch: number }, event: unknown = {}): void {
    const payload = Buffer.isBuffer(event) ? event : Buffer.from(JSON.stringify(event));
    const more = { requestId: randomUUID(), timeoutMs: 10_000, invokedArn: 'arn', payload };
    this.link.sendBody(Object.assign(new AssignFrame(), more, fields));
  }

  /** That of the request, once it has come. */
  async result(request: number): Promise<TestResult> {
    await until(() => this.results.some((each) => each.request === request) || this.closing !== null);
    const at = this.results.findIndex((each) => each.request === request);
    assert.ok(at >= 0, `no result of ${request} came; closed: ${this.closedBy()}`);
    return this.results.splice(at, 1)[0]!;
  }
}

function plain(frame: ResultFrame): TestResult {
  const more = { result: RESULT_NAMES.get(frame.result)!, payload: frame.payload.toString() };
  return Object.assign({}, frame, more) as unknown as TestResult;
}
