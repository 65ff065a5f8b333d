/** `perch worker` as a real process, and gateways of the test that speak frames with it. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { DEFAULT_ACCOUNT } from '../../src/base/arn.ts';
import { UserError } from '../../src/base/errors.ts';
import type { Identity } from '../../src/cluster/identity/join-file.ts';
import { encodeVersion } from '../../src/cluster/version-body.ts';
import { functionKey, versionKey } from '../../src/cluster/version-key.ts';
import type { Isolation } from '../../src/store/settings.ts';
import type { FunctionConfig, FunctionVersion, Store } from '../../src/store/store.ts';
import { Role } from '../../src/wire/cluster-frame.ts';
import { AssignFrame, type ResultFrame, ResultKind, SetVersionFrame } from '../../src/wire/cluster/body-frames.ts';
import { type Direction, WorkerToGateway } from '../../src/wire/cluster/directions.ts';
import type { HelloFrame } from '../../src/wire/cluster/large-frames.ts';
import { makeZip } from '../lib/zip.ts';
import { DiallingNode, until } from './dialling-node.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

export interface WorkerProcess {
  readonly child: ChildProcess;
  readonly data: string;
  readonly stderr: () => string;
  /** What its ready line says; waits for that. */
  ready(): Promise<{ name: string; host: string; port: number; pid: number }>;
}

/**
 * As root functions run without a sandbox here: what is tested is what goes over the wire. Unless `args` say otherwise, a core is held by
 * who sleeps too.
 */
export function startWorker(
  joinFile: string,
  options: {
    readonly scheduler: number;
    readonly store: number;
    readonly data: string;
    readonly args?: readonly string[];
    /** Told to stop, it lets what runs end, for a second at least; otherwise that is ended at once, as no test waits for. */
    readonly drains?: boolean;
  },
): WorkerProcess {
  const { scheduler, store, data, args = [], drains = false } = options;
  const nodes = ['--scheduler', `127.0.0.1:${scheduler}`, '--store', `127.0.0.1:${store}`];
  const fixed = ['--join', joinFile, ...nodes, '--listen', '127.0.0.1:0', '--json'];
  const more = ['--data', data, '--sandbox', 'none', '--log-level', 'info', '--cores', '0-1', '--memory', '2048'];
  const sharing = args.includes('--sharing') ? [] : ['--sharing', 'dedicated'];
  const drain = drains ? [] : ['--drain', '0'];
  const child = spawn(process.execPath, [MAIN, 'worker', ...fixed, ...more, ...sharing, ...drain, ...args], {
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
export class WorkerGateway extends DiallingNode {
  readonly results: TestResult[] = [];

  constructor(identity: Identity, port: number, hello: Partial<HelloFrame> = {}) {
    super(identity, { host: '127.0.0.1', port, role: Role.worker }, { role: Role.gateway, ...hello });
  }

  protected override hears(): Direction {
    return new WorkerToGateway({ result: (frame) => void this.results.push(plain(frame)) });
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
