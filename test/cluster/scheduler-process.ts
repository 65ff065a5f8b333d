/** `perch scheduler` as a real process, and nodes that speak frames with it over mutual TLS. */
import { DiallingNode, until } from './dialling-node.ts';
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { realClock } from '../../src/base/clock.ts';
import type { Identity } from '../../src/cluster/identity/join-file.ts';
import { type Address, nodeAgent } from '../../src/cluster/node/connect.ts';
import { ClusterKind, Role } from '../../src/wire/cluster-frame.ts';
import { type Direction, SchedulerToGateway, SchedulerToWorker } from '../../src/wire/cluster/directions.ts';
import { DropVersionFrame, type HelloFrame, NameVersionFrame } from '../../src/wire/cluster/large-frames.ts';
import { CountFrame, GrantFrame, LeaseFrame, RequestFrame } from '../../src/wire/cluster/small-frames.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

export interface SchedulerProcess {
  readonly port: number;
  readonly epoch: number;
  readonly child: ChildProcess;
  readonly stderr: () => string;
}

export async function startScheduler(joinFile: string, args: readonly string[] = []): Promise<SchedulerProcess> {
  const child = spawn(
    process.execPath,
    [MAIN, 'scheduler', '--join', joinFile, '--listen', '127.0.0.1:0', '--json', '--log-level', 'info', ...args],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const lines = createInterface({ input: child.stdout });
  const first = (await Promise.race([once(lines, 'line'), once(child, 'exit')])) as unknown[];
  assert.ok(typeof first[0] === 'string', `the scheduler did not start: ${errors}`);
  const { port, epoch } = JSON.parse(first[0]) as { port: number; epoch: number };
  return { port, epoch, child, stderr: () => errors };
}

/** Frames that came, as plain values, oldest first. */
export type Heard = { readonly kind: string } & Readonly<Record<string, unknown>>;

const NAMES = new Map<number, string>(Object.entries(ClusterKind).map(([name, kind]) => [kind, name]));

/** A node that keeps all that the scheduler tells it. */
export class TestNode extends DiallingNode {
  readonly heard: Heard[] = [];
  readonly #role: Role;

  /** `to`: the scheduler's port here, or its address. */
  constructor(identity: Identity, to: number | Address, hello: Partial<HelloFrame> & { readonly role: Role }) {
    const address = typeof to === 'number' ? { host: '127.0.0.1', port: to } : to;
    super(identity, { ...address, role: Role.scheduler }, hello);
    this.#role = hello.role;
  }

  protected override hears(): Direction {
    const keep = (frame: object & { kind?: number }): void =>
      void this.heard.push({ ...frame, kind: NAMES.get(frame.kind!) ?? '' });
    // Whatever comes is kept.
    const all = new Proxy({}, { get: () => keep }) as never;
    return this.#role === Role.gateway ? new SchedulerToGateway(all) : new SchedulerToWorker(all);
  }

  /** The oldest frame of this kind that was not taken yet. */
  async hear(kind: keyof typeof ClusterKind): Promise<Heard> {
    await until(() => this.heard.some((frame) => frame.kind === kind) || this.closing !== null);
    const at = this.heard.findIndex((frame) => frame.kind === kind);
    assert.ok(at >= 0, `no ${kind} came; closed: ${this.closedBy()}`);
    return this.heard.splice(at, 1)[0]!;
  }

  name(handle: number, key: string, memoryMb: number): void {
    const frame = Object.assign(new NameVersionFrame(), { handle, memoryMb, key: hex(key), functionKey: hex('f') });
    this.link.send(frame);
  }

  say(kind: 'request' | 'cancel', fields: Partial<RequestFrame>): void {
    this.link.send(Object.assign(new RequestFrame(ClusterKind[kind]), { ...fields, kind: ClusterKind[kind] }));
  }

  lease(kind: 'release' | 'noMemory' | 'held' | 'fenced', fields: Partial<LeaseFrame>): void {
    this.link.send(Object.assign(new LeaseFrame(ClusterKind[kind]), { ...fields, kind: ClusterKind[kind] }));
  }

  unstarted(fields: Partial<GrantFrame>): void {
    this.link.send(Object.assign(new GrantFrame(ClusterKind.unstarted), { ...fields, kind: ClusterKind.unstarted }));
  }

  drop(version: number, key: string, epoch: number): void {
    this.link.send(Object.assign(new DropVersionFrame(), { version, key: hex(key), epoch }));
  }

  count(
    kind: 'announce' | 'provision' | 'provisioned' | 'warmed' | 'evicted' | 'memoryAvailable',
    fields: Partial<CountFrame>,
  ): void {
    this.link.send(Object.assign(new CountFrame(ClusterKind[kind]), { ...fields, kind: ClusterKind[kind] }));
  }

  /** That was all it runs. */
  announce(fields: Partial<CountFrame> = {}): void {
    this.count('announce', { flag: 1, first: this.welcome!.firstCore, ...fields });
  }
}

export function hex(text: string): string {
  return Buffer.from(text.padEnd(16, '.')).toString('hex');
}

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
}

/** What the scheduler answers over HTTP to this node. */
export async function getFrom(identity: Identity, port: number, path: string, method = 'GET'): Promise<HttpAnswer> {
  const agent = nodeAgent({ identity, roles: ['scheduler'], revoked: () => new Set(), clock: realClock });
  const sent = request({ host: '127.0.0.1', port, path, method, agent }).end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response) text += String(chunk);
  agent.destroy();
  return { status: response.statusCode ?? 0, text };
}
