/** `perch scheduler` as a real process, and nodes that speak frames with it over mutual TLS. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { realClock } from '../../src/base/clock.ts';
import type { Identity } from '../../src/cluster/identity/join-file.ts';
import { clientOptions } from '../../src/cluster/identity/tls.ts';
import { nodeAgent } from '../../src/cluster/node/connect.ts';
import { LINK_LIMITS } from '../../src/cluster/link/limits.ts';
import { type Closing, FrameLink } from '../../src/cluster/link/link.ts';
import { ClusterKind, type CloseReason, reasonName, Role } from '../../src/wire/cluster-frame.ts';
import { type Direction, SchedulerToGateway, SchedulerToWorker } from '../../src/wire/cluster/directions.ts';
import { DropVersionFrame, HelloFrame, NameVersionFrame } from '../../src/wire/cluster/large-frames.ts';
import { CountFrame, GrantFrame, LeaseFrame, RequestFrame } from '../../src/wire/cluster/small-frames.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const WAIT_MS = 10_000;

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

export async function stopScheduler({ child }: SchedulerProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
  return child.exitCode;
}

/** Frames that came, as plain values, oldest first. */
export type Heard = { readonly kind: string } & Readonly<Record<string, unknown>>;

const NAMES = new Map<number, string>(Object.entries(ClusterKind).map(([name, kind]) => [kind, name]));

/** A node of the test: it says what it is told to say, and keeps what it hears. */
export class TestNode {
  readonly heard: Heard[] = [];
  welcome: HelloFrame | null = null;
  closing: Closing | null = null;
  readonly link: FrameLink;

  /** `to`: the scheduler's port here, or its address. */
  constructor(
    identity: Identity,
    to: number | { readonly host: string; readonly port: number },
    hello: Partial<HelloFrame> & { readonly role: Role },
  ) {
    const address = typeof to === 'number' ? { host: '127.0.0.1', port: to } : to;
    const socket: TLSSocket = connect({ ...clientOptions(identity), ...address });
    const said = Object.assign(new HelloFrame(ClusterKind.hello), { name: identity.name, life: 1, ...hello });
    const keep = (frame: object & { kind?: number }): void =>
      void this.heard.push({ ...frame, kind: NAMES.get(frame.kind!) ?? '' });
    // Whatever comes is kept.
    const all = new Proxy({}, { get: () => keep }) as never;
    const direction: Direction = hello.role === Role.gateway ? new SchedulerToGateway(all) : new SchedulerToWorker(all);
    this.link = new FrameLink(
      socket,
      { hello: said, dialled: Role.scheduler, limits: LINK_LIMITS, clock: realClock },
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

  /** The oldest frame of this kind that was not taken yet. */
  async hear(kind: keyof typeof ClusterKind): Promise<Heard> {
    await until(() => this.heard.some((frame) => frame.kind === kind) || this.closing !== null);
    const at = this.heard.findIndex((frame) => frame.kind === kind);
    assert.ok(at >= 0, `no ${kind} came; closed: ${this.closedBy()}`);
    return this.heard.splice(at, 1)[0]!;
  }

  async ended(): Promise<string> {
    await until(() => this.closing !== null);
    return this.closedBy();
  }

  closedBy(): string {
    return this.closing === null ? 'not' : reasonName(this.closing.reason as CloseReason);
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

export async function until(condition: () => boolean): Promise<void> {
  for (const endMs = Date.now() + WAIT_MS; !condition() && Date.now() < endMs;) await sleep(2);
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
