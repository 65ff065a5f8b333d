/** A gateway's parts, put together: what is the same on one machine and in a cluster. For `perch up` and `perch gateway`. */
import { realClock } from '../../base/clock.ts';
import type { UserError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import { AsyncRunner } from '../../gateway/async-runner.ts';
import { createGateway, type Gateway, type GatewayOptions } from '../../gateway/gateway.ts';
import type { Overview } from '../../gateway/overview.ts';
import type { ChainRequest, Dispatch, InvokeRequest, Platform } from '../../gateway/platform.ts';
import type { ClusterView } from '../../scheduler/server/view.ts';
import type { AsyncInvocation, EnqueuedInvocations, Store } from '../../store/store.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { ChainRunner } from '../../workflow/chain-runner.ts';

export interface FaceOptions {
  readonly host: string;
  readonly port: number;
  /** Functions may ask for the network of the host. */
  readonly allowHostNetwork: boolean;
  /** Secret by access key id; empty: loopback only. */
  readonly keys: ReadonlyMap<string, string>;
  readonly region: string;
  readonly accountId: string;
  readonly version: string;
  readonly log: Log;
}

export interface PlatformParts extends Pick<
  Platform,
  'store' | 'logs' | 'admission' | 'cores' | 'coreCount' | 'capacity'
> {
  readonly metrics: Metrics;
  readonly dispatch: Dispatch;
  readonly chains: ChainRunner;
  /** What the scheduler knows; null where it does not answer. */
  readonly view: () => ClusterView | null | Promise<ClusterView | null>;
  /** How workers share their cores. */
  readonly sharing: () => Overview['sharing'] | Promise<Overview['sharing']>;
  /** Something was enqueued. */
  readonly enqueued: () => void;
}

/** At the end: for writing the last answers, before connections are cut. */
const ANSWER_GRACE_MS = 2000;

export function makePlatform(parts: PlatformParts): Platform {
  const { store, logs, admission, cores, coreCount, capacity, metrics, dispatch, chains, enqueued } = parts;
  const enqueue = async (invocation: AsyncInvocation): Promise<UserError | null> => {
    const refusal = await store.enqueue(invocation);
    if (refusal === null) enqueued();
    return refusal;
  };
  return {
    store,
    logs,
    admission,
    cores,
    coreCount,
    capacity,
    provisionedState: (fn) => dispatch.provisionedState(fn),
    copyState: (fn) => dispatch.copyState(fn),
    overview: async () => {
      const [cluster, sharing] = await Promise.all([parts.view(), parts.sharing()]);
      return { cluster, functions: dispatch.uses(), sharing };
    },
    metrics: () => metrics.text(),
    invoke: (request, done) => dispatch.invoke(request, done),
    invokeAsync: (request) => enqueue(enqueuedOf(request)),
    invokeChain: (request, done) => chains.run(request, done),
    invokeChainAsync: (request) => enqueue(enqueuedChain(request)),
  };
}

function enqueuedOf(request: InvokeRequest): AsyncInvocation {
  const { functionName, version } = request.fn;
  return { ...enqueuedNow(request), functionName, version };
}

function enqueuedChain(request: ChainRequest): AsyncInvocation {
  return { ...enqueuedNow(request), functionName: '', version: '', chain: request.chain };
}

function enqueuedNow({
  requestId,
  payload,
  clientContext,
}: InvokeRequest | ChainRequest): Omit<AsyncInvocation, 'functionName' | 'version'> {
  const nowMs = realClock.wallMs();
  return { id: requestId, payload, clientContext, acceptedMs: nowMs, attempts: 0, dueMs: nowMs };
}

export function makeChainRunner(dispatch: Dispatch, doors: { store: Store; metrics: Metrics }): ChainRunner {
  return new ChainRunner({ ...doors, dispatch, clock: realClock });
}

export function makeFace(
  options: FaceOptions,
  platform: Platform,
  more: Pick<GatewayOptions, 'refuseUids' | 'info'>,
): Gateway {
  const { host, port, keys, region, accountId, log } = options;
  const shutdownGraceMs = LIMITS.shutdownGraceMs + ANSWER_GRACE_MS;
  return createGateway({ platform, host, port, keys, region, accountId, log, shutdownGraceMs, ...more });
}

export function makeAsyncRunner(
  { dispatch, chains }: Pick<PlatformParts, 'dispatch' | 'chains'>,
  doors: { store: Store & EnqueuedInvocations; metrics: Metrics; log: Log },
): AsyncRunner {
  return new AsyncRunner(
    {
      ...doors,
      clock: realClock,
      invoke: (request, done) => void dispatch.invoke(request, done),
      invokeChain: (request, done) => void chains.run(request, done),
    },
    {
      retryMax: LIMITS.asyncRetryMax,
      retryDelaysMs: LIMITS.asyncRetryDelaysMs,
      ageMaxMs: LIMITS.asyncAgeMaxMs,
      refusedDelayMinMs: LIMITS.asyncRefusedDelayMinMs,
      refusedDelayMaxMs: LIMITS.asyncRefusedDelayMaxMs,
      concurrencyMax: LIMITS.asyncConcurrencyMax,
    },
  );
}
