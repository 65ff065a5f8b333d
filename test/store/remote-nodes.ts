/** A node with a store for tests, over real connections: in this process, or as one of its own that can be killed. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import pino from 'pino';
import { realClock } from '../../src/base/clock.ts';
import type { Identity } from '../../src/cluster/identity/join-file.ts';
import type { Role } from '../../src/cluster/identity/names.ts';
import { nodeAgent } from '../../src/cluster/node/connect.ts';
import { type Listener, openListener } from '../../src/cluster/node/listener.ts';
import { type EmbeddedStore, openEmbeddedStore } from '../../src/store/embedded/embedded-store.ts';
import type { EmbeddedStoreOptions } from '../../src/store/embedded/embedded-store.ts';
import { LogFiles } from '../../src/store/log-files.ts';
import type { StoreNode } from '../../src/store/remote/client.ts';
import { RemoteStore } from '../../src/store/remote/remote-store.ts';
import { StoreService } from '../../src/store/remote/store-service.ts';
import { makeCluster } from '../cluster/identity/cluster.ts';

export const ACCOUNT = '000000000000';
export const SILENT = pino({ level: 'silent' });
const HOST = '127.0.0.1';
const PROCESS = new URL('./fixtures/remote-store-process.ts', import.meta.url).pathname;

export interface Identities {
  readonly storeFile: string;
  readonly store: Identity;
  readonly gateway: Identity;
  readonly worker: Identity;
}

let made: Promise<Identities> | null = null;

/** Made once for a file of tests. */
export function identities(): Promise<Identities> {
  made ??= (async () => {
    const cluster = await makeCluster();
    const store = await cluster.add('store', ['gateway']);
    return {
      storeFile: store.out,
      store: await cluster.identity('store', ['gateway']),
      gateway: await cluster.identity('gateway', ['gateway']),
      worker: await cluster.identity('worker', ['worker']),
    };
  })();
  return made;
}

export interface ServedStore {
  readonly store: EmbeddedStore;
  readonly logs: LogFiles;
  readonly service: StoreService;
  readonly listener: Listener;
  close(): Promise<void>;
}

export interface ServeOptions extends EmbeddedStoreOptions {
  readonly identity: Identity;
  readonly port?: number;
  readonly log?: pino.Logger;
}

/** The store of a folder, with its logs, served at a port. */
export async function serveStore(folder: string, options: ServeOptions): Promise<ServedStore> {
  const { identity, port = 0, log = SILENT, ...storeOptions } = options;
  const report = (): void => {};
  const store = await openEmbeddedStore(join(folder, 'data'), { report, ...storeOptions });
  const logs = new LogFiles(join(folder, 'data', 'logs'), { report });
  const service = new StoreService({ store, logs, accountId: ACCOUNT, clock: realClock, log });
  const listener = await openListener({
    identity,
    roles: ['worker', 'gateway'],
    revoked: () => new Set(),
    host: HOST,
    port,
    clock: realClock,
    log,
    http: (request, response, peer) => service.answer(request, response, peer),
  });
  const close = async (): Promise<void> => {
    service.close();
    await listener.close();
    await store.close();
    await logs.close();
  };
  return { store, logs, service, listener, close };
}

export interface Reached extends StoreNode {
  readonly log: pino.Logger;
  /** Ends its connections. */
  leave(): void;
}

/** How a node of this identity reaches another; whom it dials has to have one of these roles. */
export function reach(identity: Identity, port: number, roles: readonly Role[] = ['gateway']): Reached {
  const agent = nodeAgent({ identity, roles, revoked: () => new Set(), clock: realClock });
  return {
    agent,
    store: { host: HOST, port },
    clock: realClock,
    log: SILENT,
    leave: () => agent.destroy(),
  };
}

/** A remote store that is ready. */
export async function openRemote(context: TestContext | null, port: number): Promise<RemoteStore> {
  const { gateway } = await identities();
  const reached = reach(gateway, port);
  const remote = new RemoteStore(reached);
  const close = remote.close.bind(remote);
  remote.close = async () => {
    await close();
    reached.leave();
  };
  context?.after(() => remote.close());
  await remote.ready();
  return remote;
}

export interface StoreProcess {
  readonly port: number;
  readonly child: ChildProcess;
  /** At once, as a power cut would. */
  kill(): Promise<void>;
}

export async function startStoreProcess(folder: string, port = 0): Promise<StoreProcess> {
  const { storeFile } = await identities();
  const child = spawn(process.execPath, [PROCESS, folder, storeFile, String(port)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string];
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const closed = once(child, 'close');
    child.kill('SIGKILL');
    await closed;
  };
  const started = Number(line);
  assert.ok(started > 0, line);
  return { port: started, child, kill };
}

export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 2000; tries++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.fail(`it did not come to this: ${what}`);
}
