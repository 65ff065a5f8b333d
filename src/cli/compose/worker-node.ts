/**
 * A worker of a cluster, put together: agent, code cache and sandbox as with `perch up`, and in the place of store, gateway and
 * scheduler the connections to them.
 */
import { hostname } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_ACCOUNT } from '../../base/arn.ts';
import { realClock } from '../../base/clock.ts';
import { LIMITS } from '../../base/limits.ts';
import type { Identity } from '../../cluster/identity/join-file.ts';
import { type Address, addressText, connectNode, Dialled, nodeAgent } from '../../cluster/node/connect.ts';
import { openListener } from '../../cluster/node/listener.ts';
import { Admission } from '../../gateway/admission.ts';
import type { LogStore } from '../../store/logs.ts';
import type { StoreNode } from '../../store/remote/client.ts';
import { RemoteCodeSource } from '../../store/remote/remote-code-source.ts';
import { RemoteLogs } from '../../store/remote/remote-logs.ts';
import type { FunctionVersion } from '../../store/store.ts';
import { Metrics } from '../../telemetry/metrics.ts';
import type { Agent } from '../../worker/agent/agent.ts';
import { extraSeatCountOf } from '../../worker/agent/sharing-setting.ts';
import type { CodeCache } from '../../worker/code/code-cache.ts';
import { codeCacheMetrics } from '../../worker/code/code-cache-metrics.ts';
import { ZipShelf } from '../../worker/code/zip-shelf.ts';
import { describe } from '../../worker/node/describe.ts';
import { WorkerHttp } from '../../worker/node/http.ts';
import { localAddressTowards } from '../../worker/node/local-address.ts';
import { KnowledgeBook } from '../../worker/node/knowledge-book.ts';
import type { Described } from '../../worker/node/ports.ts';
import { describeFromStore } from '../../worker/node/version-source.ts';
import { WorkerNode } from '../../worker/node/worker-node.ts';
import { WorkerServer } from '../../worker/node/worker-server.ts';
import { findRuntime } from '../../worker/runtimes/index.ts';
import { UnstartedWhy } from '../../wire/cluster/small-frames.ts';
import { type Closers, startWhole, unlessStopped } from './closers.ts';
import { makeAgent, makeCodeCache, openSandbox, type SandboxParts, type WorkerOptions } from './worker-parts.ts';

export interface WorkerNodeOptions extends WorkerOptions {
  readonly identity: Identity;
  readonly revoked: () => ReadonlySet<string>;
  readonly scheduler: Address;
  /** The gateway that has the store. */
  readonly store: Address;
  readonly listen: Address;
  /** Where gateways reach it; null: to be found out. */
  readonly advertise: string | null;
  readonly region: string;
}

export interface RunningWorkerNode {
  /** Where gateways reach it. */
  address(): Address;
  /** Resolves when the scheduler has welcomed it for the first time. */
  readonly joined: Promise<void>;
  /** Closes the connections of nodes whose certificates were taken back. */
  dismiss(revoked: ReadonlySet<string>): void;
  /** Gives its cores back, and resolves when nothing runs any more, or `graceMs` are over. */
  drain(graceMs: number): Promise<void>;
  close(): Promise<void>;
}

const MB = 1024 * 1024;
const TICK_MS = 1000;
const ANY: readonly string[] = ['0.0.0.0', '::'];
/** What was granted and not yet assigned when the cores were withdrawn is on its way for less. */
const DRAIN_MIN_MS = 1000;
/** For the last results to be sent. */
const SEND_GRACE_MS = LIMITS.linkSilenceMs;

/** Told to stop while it starts, it closes what it has opened by then, and throws the reason of `stop`. */
export async function startWorkerNode(options: WorkerNodeOptions, stop: AbortSignal): Promise<RunningWorkerNode> {
  const { value, close } = await startWhole((closers) => open(options, { closers, stop }));
  return { ...value, close };
}

interface Start {
  readonly closers: Closers;
  readonly stop: AbortSignal;
}

async function open(options: WorkerNodeOptions, { closers, stop }: Start): Promise<Omit<RunningWorkerNode, 'close'>> {
  const { log, identity, revoked } = options;
  const metrics = new Metrics();
  const parts = await openParts(options, { closers, stop }, metrics);
  const describes = describer(options, parts.source);
  const made = makeNode(options, { ...parts, metrics, describes });
  const { node, agent } = made;

  let host = options.advertise ?? options.listen.host;
  const findHost = async (): Promise<void> => void (host = await advertisedHost(options));
  let port = options.listen.port;
  const { dialled } = parts;
  const dialling = { identity, roles: ['scheduler'] as const, revoked, clock: realClock, dialled };
  const joined = Promise.withResolvers<void>();
  const server = new WorkerServer(
    {
      name: identity.name,
      scheduler: addressText(options.scheduler),
      memoryMb: options.memoryMb,
      advertised: () => ({ host, port }),
      joined: () => joined.resolve(),
      waits: () => void findHost(),
    },
    {
      ...made,
      clock: realClock,
      log,
      connect: () => connectNode(dialling, options.scheduler, 'frames'),
      describe: describes,
      refused: nodeMetrics(node, metrics),
    },
  );
  metrics.read('perch_worker_gateways', () => server.gatewayCount);
  const http = makeHttp(metrics, parts.shelf, { node, agent });
  const listener = await openListener({
    identity,
    roles: ['gateway', 'worker', 'scheduler'],
    revoked,
    host: options.listen.host,
    port: options.listen.port,
    clock: realClock,
    log,
    frames: (socket, peer) => server.accept(socket, peer),
    http: (request, response, peer) => http.answer(request, response, peer.roles),
  });
  port = listener.port;
  const stopTicking = realClock.every(TICK_MS, () => node.tick());
  closers.push(async () => {
    stopTicking();
    node.stop();
    await agent.stop();
    await server.close(SEND_GRACE_MS);
    await listener.close();
  });
  await unlessStopped(stop, findHost());
  agent.start();
  server.start();
  return {
    address: () => ({ host, port }),
    joined: joined.promise,
    dismiss: (fingerprints) => {
      listener.dismiss(fingerprints);
      dialled.dismiss(fingerprints);
    },
    drain: async (graceMs) => {
      node.withdraw();
      await sleep(Math.min(DRAIN_MIN_MS, graceMs));
      await agent.finish(Math.max(0, graceMs - DRAIN_MIN_MS));
    },
  };
}

function makeHttp(metrics: Metrics, shelf: ZipShelf, { node, agent }: { node: WorkerNode; agent: Agent }): WorkerHttp {
  return new WorkerHttp({
    metrics: () => metrics.text(),
    shelf,
    copyState: (key) => {
      const own = node.versions.find(key);
      return own === null || own.described.refusal !== null ? null : agent.copyState(own.number);
    },
    sharing: () => agent.sharingView(),
    clock: realClock,
  });
}

type Describe = (key: string, body: Buffer) => Described | null;

interface Parts extends SandboxParts {
  readonly codes: CodeCache;
  readonly logs: LogStore;
  readonly store: StoreNode;
  readonly dialled: Dialled;
}

interface Sources {
  readonly shelf: ZipShelf;
  readonly source: RemoteCodeSource;
}

/** What lies in the data folder, the ways to the store and to other workers, and the sandbox. */
async function openParts(
  options: WorkerNodeOptions,
  { closers, stop }: Start,
  metrics: Metrics,
): Promise<Parts & Sources> {
  stop.throwIfAborted();
  const { identity, revoked, log, store: address } = options;
  const clock = realClock;
  const dialled = new Dialled();
  const storeAgent = nodeAgent({ identity, roles: ['gateway'], revoked, clock, dialled });
  const peerAgent = nodeAgent({ identity, roles: ['worker'], revoked, clock, dialled });
  closers.push(async () => [storeAgent, peerAgent].forEach((each) => each.destroy()));
  const store: StoreNode = { agent: storeAgent, store: address, clock };
  const report = (message: string): void => log.warn(message);
  const folder = path.join(path.resolve(options.dataDir), 'zips');
  const shelf = new ZipShelf({ folder, bytesMax: options.codeCacheMb * MB, report });
  closers.push(() => shelf.close());
  const source = new RemoteCodeSource({ ...store, log, metrics, peerAgent, shelf });
  const codes = makeCodeCache(options, closers);
  await codes.open(source);
  stop.throwIfAborted();
  codeCacheMetrics(codes, metrics);
  const logs = new RemoteLogs({ ...store, log, metrics });
  closers.push(() => logs.close());
  const sandbox = await openSandbox(options, closers, stop);
  return { shelf, source, codes, logs, ...sandbox, store, dialled };
}

/** Reads what a gateway or the store says of a version. */
function describer(options: WorkerNodeOptions, source: RemoteCodeSource): Describe {
  const admission = new Admission({ hostNetworkAllowed: options.allowHostNetwork, findRuntime });
  const setting = {
    accountId: DEFAULT_ACCOUNT.accountId,
    refuse: (fn: FunctionVersion) => admission.refuseVersion(fn),
    peers: ({ code, config }: FunctionVersion, peers: readonly string[]) => {
      for (const { sha256 } of [code, ...config.layers.map((layer) => layer.code)]) source.notePeers(sha256, peers);
    },
  };
  return (key, body) => describe(key, body, setting);
}

/** The agent and the machine before it, each of which tells the other something. */
function makeNode(
  options: WorkerNodeOptions,
  parts: Parts & { metrics: Metrics; describes: Describe },
): { node: WorkerNode; agent: Agent; knowledge: KnowledgeBook } {
  const { store, describes } = parts;
  const knowledge = new KnowledgeBook();
  const coreCount = options.topology.cores.length;
  const extraSeatCount = extraSeatCountOf(options.sharing, coreCount);
  const node: WorkerNode = new WorkerNode(
    { coreCount, extraSeatCount, versionCountMax: LIMITS.functionVersionCountMax },
    {
      setVersion: (number, { fn, isolation }) => {
        knowledge.use(number, fn.functionName);
        agent.setVersion({ versionIndex: number, fn, isolation });
      },
      dropVersion: (number) => {
        agent.dropVersion(number);
        knowledge.unuse(number);
      },
      provision: (number, count) => agent.provision(number, count),
      want: (number, count) => agent.want(number, count),
      provisionedState: (number) => agent.provisionedState(number),
    },
    {
      describe: (key) => void describeFromStore(store, key, describes).then((answer) => node.described(key, answer)),
    },
  );
  const account = { ...DEFAULT_ACCOUNT, region: options.region };
  const agent: Agent = makeAgent(
    options,
    { ...parts, account, knowledge },
    {
      released: (core, sequence, warm) => node.released(core, sequence, warm),
      warmed: (number) => node.warmed(number),
      evicted: (number) => node.evicted(number),
      memoryAvailable: () => node.memoryAvailable(),
      openSeat: (seat) => node.setOpen(seat, true),
      closeSeat: (seat) => node.setOpen(seat, false),
    },
  );
  return { node, agent, knowledge };
}

const REFUSED: Readonly<Record<UnstartedWhy, string>> = {
  [UnstartedWhy.noMemory]: 'memory',
  [UnstartedWhy.staleLease]: 'lease',
  [UnstartedWhy.stopping]: 'stopping',
  // These are the gateway's own.
  [UnstartedWhy.unreachable]: '',
  [UnstartedWhy.cancelled]: '',
};

/** Answers how one that is refused is counted. */
function nodeMetrics(node: WorkerNode, metrics: Metrics): (why: UnstartedWhy) => void {
  metrics.read('perch_cores', () => {
    const { count, busyCount, isWithdrawn } = node.cores;
    const rest = count - busyCount;
    return { idle: isWithdrawn ? 0 : rest, leased: busyCount, withdrawn: isWithdrawn ? rest : 0 };
  });
  metrics.read('perch_worker_joined', () => (node.isJoined ? 1 : 0));
  return (why) => metrics.counter('perch_worker_refused_total', REFUSED[why]).add();
}

/** As the operator says, or as the machine is seen from the scheduler; and one of its certificate's, if that has any. */
async function advertisedHost({ advertise, listen, scheduler, identity }: WorkerNodeOptions): Promise<string> {
  if (advertise !== null) return advertise;
  const isAny = ANY.includes(listen.host);
  const host = isAny ? await localAddressTowards(scheduler.host, scheduler.port) : listen.host;
  return host !== '' && identity.answersAt(host) ? host : (identity.addresses[0] ?? hostname());
}
