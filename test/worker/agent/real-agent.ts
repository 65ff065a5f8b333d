/** An agent with real sandboxes and no scheduler: the test grants the leases. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DEFAULT_ACCOUNT } from '../../../src/base/arn.ts';
import { makeAgent, makeBackend, type SandboxKind, type WorkerOptions } from '../../../src/cli/compose/worker-parts.ts';
import { defaultConfig } from '../../../src/gateway/lambda/config.ts';
import { CORES_VARIABLE, type Isolation } from '../../../src/store/settings.ts';
import type { FunctionVersion, RuntimeName } from '../../../src/store/store.ts';
import { createLog } from '../../../src/telemetry/log.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import type { Agent } from '../../../src/worker/agent/agent.ts';
import type { CodeFolders, InvocationResult } from '../../../src/worker/agent/contract.ts';
import type { Topology } from '../../../src/worker/agent/topology.ts';
import type { SandboxBackend } from '../../../src/worker/sandbox/contract.ts';
import { NO_LOGS } from '../../platform/small-store.ts';
import { until } from '../sandbox/harness.ts';

export interface Deployed {
  readonly runtime: RuntimeName;
  readonly handler: string;
  readonly files: Readonly<Record<string, string>>;
  readonly isolation?: Isolation;
}

export interface Released {
  readonly core: number;
  readonly sequence: number;
  readonly warm: boolean;
}

export class RealAgent {
  agent!: Agent;
  readonly released: Released[] = [];
  readonly #dataDir = mkdtempSync(path.join(tmpdir(), 'perch-agent-'));
  readonly #options: WorkerOptions;
  readonly #backend: SandboxBackend;
  readonly #functions: FunctionVersion[] = [];
  #sequence = 0;

  constructor(topology: Topology, sandbox: SandboxKind) {
    const log = createLog('error');
    const sharing = { policy: 'dedicated', perCore: 1 } as const;
    const limits = { memoryMb: 2048, codeCacheMb: 64, sharing, observer: 'none' } as const;
    this.#options = { dataDir: this.#dataDir, topology, sandbox, ...limits, allowHostNetwork: false, log };
    mkdirSync(path.join(this.#dataDir, 'code'));
    this.#backend = makeBackend(this.#options);
  }

  async open(): Promise<void> {
    await this.#backend.open();
    const codes = {
      acquire: (fn: FunctionVersion): CodeFolders => ({ codeDir: this.#folderOf(fn.functionName), layersDir: '' }),
      release: () => {},
    };
    const needs = { account: DEFAULT_ACCOUNT, codes, logs: NO_LOGS, metrics: new Metrics(), backend: this.#backend };
    this.agent = makeAgent(this.#options, needs, {
      released: (core, sequence, warm) => void this.released.push({ core, sequence, warm }),
      warmed: () => {},
      evicted: () => {},
      memoryAvailable: () => {},
    });
    this.agent.start();
  }

  async close(): Promise<void> {
    await this.agent.stop();
    await this.#backend.close();
    rmSync(this.#dataDir, { recursive: true });
  }

  /** Answers the index of its version. Where it can be copied there is a cell for it. */
  async deploy({ runtime, handler, files, isolation = 'reuse' }: Deployed): Promise<number> {
    const versionIndex = this.#functions.length;
    const functionName = `f${versionIndex}`;
    mkdirSync(this.#folderOf(functionName));
    for (const [name, text] of Object.entries(files))
      writeFileSync(path.join(this.#folderOf(functionName), name), text, { mode: 0o755 });
    const environment = { [CORES_VARIABLE]: '2' };
    const config = { ...defaultConfig(), runtime, handler, memoryMb: 256, timeoutS: 60, environment };
    const code = { sha256: '', zipBytes: 0 };
    const fn = { functionName, version: '$LATEST', config, code, revisionId: randomUUID(), lastModifiedMs: 0 };
    this.#functions.push(fn);
    this.agent.setVersion({ versionIndex, fn, isolation });
    if (this.agent.copyReasons(fn, isolation).length === 0)
      await until(() => this.agent.copyState(versionIndex).lacks === '');
    return versionIndex;
  }

  /** Its result, and not before it is released. */
  async invoke(versionIndex: number, cores: { readonly core: number; readonly mask?: number }, event: unknown) {
    const sequence = ++this.#sequence;
    const fn = this.#functions[versionIndex]!;
    const result = await new Promise<InvocationResult>((done) =>
      this.agent.assign(
        { epoch: 1, sequence, ...cores },
        {
          requestId: randomUUID(),
          versionIndex,
          fn,
          payload: Buffer.from(JSON.stringify(event)),
          clientContext: '',
          traceId: '',
          invokedArn: '',
          tail: false,
          queuedAt: -1,
          acceptedUs: 0,
          done,
        },
      ),
    );
    assert.equal(result.kind, 'response', 'payload' in result ? result.payload.toString() : JSON.stringify(result));
    assert.ok(result.kind === 'response');
    await until(() => this.released.some((each) => each.sequence === sequence));
    this.agent.checkInvariants();
    const { record } = result;
    return { answer: JSON.parse(result.payload.toString()) as unknown, record, sequence };
  }

  #folderOf(functionName: string): string {
    return path.join(this.#dataDir, 'code', functionName);
  }
}
