/**
 * A gateway of a cluster, put together: the HTTP face and the asynchronous runner as with `perch up`, a store of its own or
 * that of another gateway, and in the place of scheduler and agent the connections to them.
 */
import type { Agent } from 'node:https';
import path from 'node:path';
import type { TLSSocket } from 'node:tls';
import { realClock } from '../../base/clock.ts';
import { LIMITS } from '../../base/limits.ts';
import type { Identity } from '../../cluster/identity/join-file.ts';
import type { Role } from '../../cluster/identity/names.ts';
import { type Address, addressText, connectNode, Dialled, getJson, nodeAgent } from '../../cluster/node/connect.ts';
import { type Listener, openListener } from '../../cluster/node/listener.ts';
import { Admission } from '../../gateway/admission.ts';
import type { AsyncRunner } from '../../gateway/async-runner.ts';
import { ClusterDispatcher } from '../../gateway/cluster/cluster-dispatcher.ts';
import type { Gateway } from '../../gateway/gateway.ts';
import type { ClusterView } from '../../scheduler/server/view.ts';
import { openEmbeddedStore } from '../../store/embedded/embedded-store.ts';
import { LogFiles } from '../../store/log-files.ts';
import type { LogStore } from '../../store/logs.ts';
import { RemoteLogs } from '../../store/remote/remote-logs.ts';
import { RemoteStore } from '../../store/remote/remote-store.ts';
import { StoreService } from '../../store/remote/store-service.ts';
import type { EnqueuedInvocations, Store } from '../../store/store.ts';
import { Metrics } from '../../telemetry/metrics.ts';
import { knowsRuntime } from '../../worker/runtimes/index.ts';
import { type Closers, startWhole, unlessStopped } from './closers.ts';
import { type FaceOptions, makeAsyncRunner, makeChainRunner, makeFace, makePlatform } from './gateway-parts.ts';

export interface GatewayNodeOptions extends FaceOptions {
  readonly identity: Identity;
  readonly revoked: () => ReadonlySet<string>;
  readonly scheduler: Address;
  /** Where the store is; null: here. */
  readonly store: Address | null;
  /** Where other nodes reach this one, if it has the store. */
  readonly listen: Address;
  readonly dataDir: string;
}

export interface RunningGatewayNode {
  readonly url: string;
  /** Where other nodes reach the store; 0 where it is not here. */
  readonly clusterPort: number;
  /** Closes the connections of nodes whose certificates were taken back. */
  dismiss(revoked: ReadonlySet<string>): void;
  close(): Promise<void>;
}

/** What is kept, and who serves it to other nodes; the queue only where the store is here. */
interface Kept {
  readonly store: Store;
  readonly logs: LogStore;
  readonly queue: (Store & EnqueuedInvocations) | null;
}

/** What this machine has no part in is not bounded by it. */
const NO_BOUND = 2 ** 31 - 1;
const STORE = '/store/';

/** Told to stop while it starts, it closes what it has opened by then, and throws the reason of `stop`. */
export async function startGatewayNode(options: GatewayNodeOptions, stop: AbortSignal): Promise<RunningGatewayNode> {
  const { value, close } = await startWhole((closers) => open(options, closers, stop));
  return { ...value, close };
}

async function open(
  options: GatewayNodeOptions,
  closers: Closers,
  stop: AbortSignal,
): Promise<Omit<RunningGatewayNode, 'close'>> {
  stop.throwIfAborted();
  const { identity, accountId, log } = options;
  const metrics = new Metrics();
  const dialled = new Dialled();
  const { store, logs, queue } = await openKept(options, { closers, stop, metrics, dialled });
  stop.throwIfAborted();
  // What its runtime needs, the worker has or has not.
  const found = { ok: true, detail: '', fix: '' };
  const admission = new Admission({
    hostNetworkAllowed: options.allowHostNetwork,
    findRuntime: (name) => (knowsRuntime(name) ? found : null),
  });
  const workerAgent = agentFor(options, 'worker', dialled);
  closers.push(async () => workerAgent.destroy());
  const dispatch = new ClusterDispatcher(
    { name: identity.name, accountId, scheduler: addressText(options.scheduler), hasStore: queue !== null },
    {
      store,
      clock: realClock,
      metrics,
      admission,
      log,
      random: Math.random,
      ...dialsOf(options, { dialled, workerAgent }),
    },
  );
  const schedulerAgent = agentFor(options, 'scheduler', dialled);
  closers.push(async () => schedulerAgent.destroy());
  const chains = makeChainRunner(dispatch, { store, metrics });
  const runner = queue === null ? null : makeAsyncRunner({ dispatch, chains }, { store: queue, metrics, log });
  const platform = makePlatform({
    store,
    logs,
    admission,
    metrics,
    dispatch,
    chains,
    view: () => getJson<ClusterView>(schedulerAgent, { ...options.scheduler, path: '/perch/v1/cluster' }),
    cores: (after, max) => dispatch.coreViews(after, max),
    sharing: () => dispatch.sharing(),
    coreCount: () => dispatch.coreCount,
    capacity: { memoryMb: NO_BOUND, instanceCount: NO_BOUND },
    enqueued: () => runner?.wake(),
  });
  const info = { version: options.version, node: process.version, cluster: identity.cluster, name: identity.name };
  const gateway = makeFace(options, platform, {
    info: { ...info, hostNetworkAllowed: options.allowHostNetwork },
  });
  const port =
    runner === null ? null : await openClusterPort(options, { store, logs, queue, metrics }, () => runner.wake());
  if (port !== null) closers.push(() => port.close());
  closers.push(() => {
    dispatch.stop();
    return endInvocations(gateway, runner, dispatch);
  });
  dispatch.start();
  const { url } = await gateway.listen();
  stop.throwIfAborted();
  runner?.wake();
  const dismiss = (revoked: ReadonlySet<string>): void => {
    port?.listener.dismiss(revoked);
    dialled.dismiss(revoked);
  };
  return { url, clusterPort: port?.listener.port ?? 0, dismiss };
}

/** What runs may end and what waits may run, for as long as the grace period lasts; then the rest gets its answers. */
async function endInvocations(
  gateway: Gateway,
  runner: AsyncRunner | null,
  dispatch: ClusterDispatcher,
): Promise<void> {
  runner?.stop();
  const answered = gateway.close();
  await dispatch.finish(LIMITS.shutdownGraceMs);
  runner?.abandon();
  dispatch.close();
  await answered;
}

interface Around {
  readonly closers: Closers;
  readonly stop: AbortSignal;
  readonly metrics: Metrics;
  readonly dialled: Dialled;
}

async function openKept(options: GatewayNodeOptions, around: Around): Promise<Kept> {
  const { dataDir, log } = options;
  const { closers } = around;
  if (options.store !== null) return openRemote(options, options.store, around);
  const report = (message: string): void => log.warn(message);
  const store = await openEmbeddedStore(dataDir, { report });
  closers.push(() => store.close());
  const logs = new LogFiles(path.join(dataDir, 'logs'), { report });
  closers.push(() => logs.close());
  return { store, logs, queue: store };
}

/** Resolves once all functions are known: before that, there would be none for whoever asks. */
async function openRemote(
  options: GatewayNodeOptions,
  address: Address,
  { closers, stop, metrics, dialled }: Around,
): Promise<Kept> {
  const agent = agentFor(options, 'gateway', dialled);
  closers.push(async () => agent.destroy());
  const remote = { agent, store: address, clock: realClock, log: options.log, metrics };
  const store = new RemoteStore(remote);
  closers.push(() => store.close());
  const logs = new RemoteLogs(remote);
  closers.push(() => logs.close());
  await unlessStopped(stop, store.ready());
  return { store, logs, queue: null };
}

/** Where the store is here: for the other nodes. */
async function openClusterPort(
  { identity, revoked, listen, log, accountId }: GatewayNodeOptions,
  { store, logs, metrics }: Kept & { metrics: Metrics },
  enqueued: () => void,
): Promise<{ listener: Listener; close(): Promise<void> }> {
  const service = new StoreService({ store, logs, accountId, clock: realClock, log, metrics, enqueued });
  const listener = await openListener({
    identity,
    roles: ['gateway', 'worker', 'scheduler'],
    revoked,
    host: listen.host,
    port: listen.port,
    clock: realClock,
    log,
    http: (request, response, peer) => {
      const { method, url = '' } = request;
      if (url.startsWith(STORE)) service.answer(request, response, peer);
      else if (method === 'GET' && url === '/metrics') response.end(metrics.text());
      else response.writeHead(404).end();
    },
  }).catch(async (error: unknown) => {
    await service.close();
    throw error;
  });
  const close = async (): Promise<void> => {
    await service.close();
    await listener.close();
  };
  return { listener, close };
}

function agentFor({ identity, revoked }: GatewayNodeOptions, role: Role, dialled: Dialled): Agent {
  return nodeAgent({ identity, roles: [role], revoked, clock: realClock, dialled });
}

function dialsOf(
  { identity, revoked, scheduler }: GatewayNodeOptions,
  { dialled, workerAgent }: { readonly dialled: Dialled; readonly workerAgent: Agent },
): {
  dialScheduler: () => TLSSocket;
  dialWorker: (name: string, address: Address) => TLSSocket;
  askWorker: (address: Address, path: string, timeoutMs?: number) => Promise<unknown>;
} {
  const common = { identity, revoked, clock: realClock, dialled };
  return {
    dialScheduler: () => connectNode({ ...common, roles: ['scheduler'] }, scheduler, 'frames'),
    dialWorker: (name, address) => connectNode({ ...common, roles: ['worker'], name }, address, 'frames'),
    askWorker: (address, path, timeoutMs) => getJson(workerAgent, { ...address, path }, timeoutMs),
  };
}
