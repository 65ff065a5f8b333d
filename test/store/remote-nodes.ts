/** A node with a store for tests, over real connections: in this process, or as one of its own that can be killed. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { type Clock, realClock } from '../../src/base/clock.ts';
import type { Identity } from '../../src/cluster/identity/join-file.ts';
import type { Role } from '../../src/cluster/identity/names.ts';
import { nodeAgent } from '../../src/cluster/node/connect.ts';
import type { StoreNode } from '../../src/store/remote/client.ts';
import { RemoteStore } from '../../src/store/remote/remote-store.ts';
import type { Log } from '../../src/telemetry/log.ts';
import { HOST, SILENT } from './served-store.ts';
import { makeCluster } from '../cluster/identity/cluster.ts';

const PROCESS = new URL('./fixtures/remote-store-process.ts', import.meta.url).pathname;

export interface Identities {
  readonly storeFile: string;
  readonly store: Identity;
  readonly gateway: Identity;
  readonly worker: Identity;
}

const cluster = await makeCluster();
const { out: storeFile } = await cluster.add('store', ['gateway']);

/** Made once for a file of tests. */
export const IDENTITIES: Identities = {
  storeFile,
  store: await cluster.identity('store', ['gateway']),
  gateway: await cluster.identity('gateway', ['gateway']),
  worker: await cluster.identity('worker', ['worker']),
};

export interface Reached extends StoreNode {
  readonly log: Log;
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
export async function openRemote(
  context: TestContext | null,
  port: number,
  clock: Clock = realClock,
): Promise<RemoteStore> {
  const reached = reach(IDENTITIES.gateway, port);
  const remote = new RemoteStore({ ...reached, clock });
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
  const child = spawn(process.execPath, [PROCESS, folder, storeFile, String(port)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await Promise.race([
    once(createInterface({ input: child.stdout! }), 'line'),
    once(child, 'exit').then(() => ['it ended at once']),
  ])) as [string];
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
