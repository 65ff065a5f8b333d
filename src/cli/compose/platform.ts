/**
 * The platform on one machine, put together: store, scheduler, agent and gateway in one process, each given the doors
 * and the neighbours it needs. The only place that knows them all.
 */
import { hostname } from 'node:os';
import path from 'node:path';
import { realClock } from '../../base/clock.ts';
import { LIMITS } from '../../base/limits.ts';
import { Admission } from '../../gateway/admission.ts';
import type { AsyncRunner } from '../../gateway/async-runner.ts';
import { Dispatcher } from '../../gateway/dispatch.ts';
import { type Gateway, ListenError } from '../../gateway/gateway.ts';
import { workerSharing } from '../../gateway/overview.ts';
import type { CoreView } from '../../gateway/platform.ts';
import { residentOf } from '../../gateway/residents.ts';
import { LocalScheduler, seatSpaceOf } from '../../scheduler/server/local.ts';
import { localView } from '../../scheduler/server/local-view.ts';
import { localMetrics } from '../../scheduler/server/scheduler-metrics.ts';
import { type EmbeddedStore, openEmbeddedStore } from '../../store/embedded/embedded-store.ts';
import { LogFiles } from '../../store/log-files.ts';
import type { LogStore } from '../../store/logs.ts';
import { type Store, StoreError } from '../../store/store.ts';
import { Metrics } from '../../telemetry/metrics.ts';
import type { Agent } from '../../worker/agent/agent.ts';
import { extraSeatCountOf } from '../../worker/agent/sharing-setting.ts';
import type { KnowledgeDoor } from '../../worker/agent/directed-seats.ts';
import type { Topology } from '../../worker/agent/topology.ts';
import type { CodeCache } from '../../worker/code/code-cache.ts';
import { codeCacheMetrics } from '../../worker/code/code-cache-metrics.ts';
import { findRuntime } from '../../worker/runtimes/index.ts';
import type { NetworkPolicy } from '../../worker/sandbox/contract.ts';
import { SANDBOX_UIDS } from '../../worker/sandbox/identity.ts';
import { SandboxError } from '../../worker/sandbox/index.ts';
import { type Closers, startWhole } from './closers.ts';
import { type FaceOptions, makeAsyncRunner, makeChainRunner, makeFace, makePlatform } from './gateway-parts.ts';
import { makeAgent, makeCodeCache, openSandbox, type SandboxParts, type WorkerOptions } from './worker-parts.ts';

export { warningOf } from '../../worker/sandbox/index.ts';

export interface PlatformOptions extends WorkerOptions, FaceOptions {}

export interface RunningPlatform {
  readonly url: string;
  close(): Promise<void>;
}

/** What the machine or the command line lacks, in words for the operator; null for a bug of ours. */
export function operatorMessage(error: unknown): string | null {
  const forOperator = error instanceof StoreError || error instanceof ListenError || error instanceof SandboxError;
  return forOperator ? error.message : null;
}

/** Told to stop while it starts, it closes what it has opened by then, and throws the reason of `stop`. */
export async function startPlatform(options: PlatformOptions, stop: AbortSignal): Promise<RunningPlatform> {
  const { value, close } = await startWhole((closers) => open(options, closers, stop));
  return { url: value, close };
}

async function open(options: PlatformOptions, closers: Closers, stop: AbortSignal): Promise<string> {
  const { topology, log } = options;
  const metrics = new Metrics();
  const { codes, store, logs, backend, precedence } = await openParts(options, closers, stop);
  codeCacheMetrics(codes, metrics);

  const admission = new Admission({ hostNetworkAllowed: options.allowHostNetwork, findRuntime });
  const scheduler = makeScheduler(options, metrics);
  const dispatcher = new Dispatcher(
    {
      seatCount: scheduler.seatCount,
      requestCountMax: requestCountMax(options),
      versionCountMax: LIMITS.functionVersionCountMax,
      epoch: scheduler.machine.epoch,
      memoryMb: options.memoryMb,
    },
    { store, scheduler, clock: realClock, metrics, admission },
  );
  const agent = makeAgent(
    options,
    { account: options, codes, logs, metrics, backend, knowledge: knowledgeDoor(store), precedence },
    {
      released: (core, sequence, warm) => dispatcher.released(core, sequence, warm),
      warmed: (versionIndex) => scheduler.warmed(versionIndex),
      evicted: (versionIndex) => scheduler.evicted(versionIndex),
      memoryAvailable: () => scheduler.memoryAvailable(),
      openSeat: (seat) => void scheduler.openSeat(seat),
      closeSeat: (seat) => void scheduler.closeSeat(seat),
    },
  );
  dispatcher.attach(agent);

  const sinceMs = realClock.wallMs();
  const chains = makeChainRunner(dispatcher, { store, metrics });
  const runner = makeAsyncRunner({ dispatch: dispatcher, chains }, { store, metrics, log });
  const platform = makePlatform({
    store,
    logs,
    admission,
    metrics,
    cores: (after, max) => pageOf(coreViews({ scheduler, dispatcher, agent }, topology), after, max),
    sharing: () => [workerSharing(hostname(), agent.sharingView())],
    coreCount: () => topology.cores.length,
    dispatch: dispatcher,
    chains,
    view: () => localView(scheduler, { sinceMs, memoryMb: options.memoryMb, versionCount: dispatcher.versionCount }),
    enqueued: () => runner.wake(),
    // A slot stays for a lease on each seat.
    capacity: { memoryMb: options.memoryMb, instanceCount: LIMITS.instanceCountMax - scheduler.seatCount },
  });
  const gateway = makeFace(options, platform, {
    refuseUids: options.sandbox === 'bubblewrap' && process.getuid?.() === 0 ? SANDBOX_UIDS : null,
    info: infoOf(options, agent),
  });
  closers.push(() => {
    dispatcher.stop();
    return endInvocations(gateway, runner, agent);
  });
  const { url } = await gateway.listen();
  stop.throwIfAborted();
  agent.start();
  runner.wake();
  return url;
}

interface OpenParts extends SandboxParts {
  readonly codes: CodeCache;
  readonly store: EmbeddedStore;
  readonly logs: LogStore;
}

/** What lies in the data folder, and the sandbox. */
async function openParts(options: PlatformOptions, closers: Closers, stop: AbortSignal): Promise<OpenParts> {
  stop.throwIfAborted();
  const { dataDir, log } = options;
  const report = (message: string): void => log.warn(message);
  const codes = makeCodeCache(options, closers);
  const store = await openEmbeddedStore(dataDir, { report, sink: codes });
  closers.push(() => store.close());
  stop.throwIfAborted();
  await codes.open(store.codeSource);
  stop.throwIfAborted();
  const logs = new LogFiles(path.join(dataDir, 'logs'), { report });
  closers.push(() => logs.close());
  const sandbox = await openSandbox(options, closers, stop);
  return { codes, store, logs, ...sandbox };
}

/** What runs may end and what waits may run, for as long as the grace period lasts; then the rest gets its answers. */
async function endInvocations(gateway: Gateway, runner: AsyncRunner, agent: Agent): Promise<void> {
  runner.stop();
  const answered = gateway.close();
  await agent.finish(LIMITS.shutdownGraceMs);
  runner.abandon();
  await agent.stop();
  await answered;
}

function knowledgeDoor(store: Store): KnowledgeDoor {
  return {
    of: (functionName) => store.getFunction(functionName)?.knowledge ?? null,
    onChange: (listener) => store.onChange(listener),
  };
}

function makeScheduler(options: PlatformOptions, metrics: Metrics): LocalScheduler {
  const { memoryMb } = options;
  const coreCount = options.topology.cores.length;
  const extraSeatCount = extraSeatCountOf(options.sharing, coreCount);
  const limits = {
    // One life of the process is one life of the scheduler: leases of an earlier one died with it.
    epoch: Math.floor(Date.now() / 1000) >>> 0,
    coreCountMax: seatSpaceOf(coreCount, extraSeatCount),
    workerCountMax: 1,
    functionCountMax: LIMITS.functionVersionCountMax,
    versionCountMax: LIMITS.functionVersionCountMax,
    requestCountMax: requestCountMax(options),
    queueMax: LIMITS.requestQueueMax,
    overtakeMax: LIMITS.overtakeMax,
    warmHintMax: LIMITS.warmHintMax,
  };
  const scheduler = new LocalScheduler(limits, { coreCount, memoryMb, extraSeatCount });
  localMetrics(scheduler, metrics);
  return scheduler;
}

/** What waits, and what runs. */
function requestCountMax({ topology, sharing }: PlatformOptions): number {
  const coreCount = topology.cores.length;
  return LIMITS.requestQueueMax + 2 * (coreCount + extraSeatCountOf(sharing, coreCount));
}

interface Parts {
  readonly scheduler: LocalScheduler;
  readonly dispatcher: Dispatcher;
  readonly agent: Agent;
}

function coreViews({ scheduler, dispatcher, agent }: Parts, topology: Topology): CoreView[] {
  const nowUs = realClock.nowUs();
  const residents = new Map(agent.sharingView().residents.map((each) => [each.seat, each]));
  const view = (cpus: readonly number[], core: number): CoreView => {
    const use = dispatcher.seatUse(core);
    const state = scheduler.stateOf(core);
    const resident = residents.get(core);
    return {
      core,
      cpus,
      state: state === 'absent' ? 'withdrawn' : state,
      functionName: use.entry === null ? '' : `${use.entry.fn.functionName}:${use.entry.fn.version}`,
      requestId: use.requestId,
      sinceUs: nowUs - use.sinceUs,
      invocationCount: use.invocationCount,
      isExtra: core >= scheduler.coreCount,
      resident: resident === undefined ? null : residentOf(resident, (seat) => seat),
    };
  };
  const views = topology.cores.map(view);
  // Where those on extra seats run, the agent decides from moment to moment.
  for (let seat = scheduler.coreCount; seat < scheduler.seatCount; seat++)
    if (dispatcher.seatUse(seat).entry !== null) views.push(view([], seat));
  return views;
}

function pageOf(views: readonly CoreView[], after: number, max: number): readonly CoreView[] {
  return views.filter(({ core }) => core > after).slice(0, max);
}

function infoOf(options: PlatformOptions, agent: Agent): Record<string, unknown> {
  const { policy, perCore, sources, observer } = agent.sharingView();
  return {
    version: options.version,
    node: process.version,
    sandbox: options.sandbox,
    hostNetworkAllowed: options.allowHostNetwork,
    sharedNetworks: sharedNetworksOf(options.sandbox),
    cores: options.topology.cores.length,
    memoryMb: options.memoryMb,
    pinned: options.topology.known,
    sharing: { policy, perCore, sources, observer },
  };
}

/** Policies under which a function has the network of the server, since this platform can give it no other. */
function sharedNetworksOf(sandbox: PlatformOptions['sandbox']): readonly NetworkPolicy[] {
  if (sandbox === 'none') return ['none', 'outbound'];
  return process.getuid?.() === 0 ? [] : ['outbound'];
}
