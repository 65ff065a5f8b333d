/** A worker's parts, put together: the code cache, the sandbox backend and the agent. For `perch up` and `perch worker`. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Account } from '../../base/arn.ts';
import { realClock } from '../../base/clock.ts';
import { LIMITS } from '../../base/limits.ts';
import { prepareDataFolder } from '../../store/data-folder.ts';
import { lockFolder } from '../../store/embedded/lock.ts';
import type { LogStore } from '../../store/logs.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { Agent } from '../../worker/agent/agent.ts';
import type { CodeSupply } from '../../worker/agent/contract.ts';
import type { KnowledgeDoor } from '../../worker/agent/directed-seats.ts';
import { isOrdered, type SharingSetting } from '../../worker/agent/sharing-setting.ts';
import type { AgentEvents } from '../../worker/agent/setting.ts';
import type { Topology } from '../../worker/agent/topology.ts';
import type { Observer, ObserverEvents } from '../../worker/observers/contract.ts';
import { type ObserverName, openObserver } from '../../worker/observers/index.ts';
import { CodeCache } from '../../worker/code/code-cache.ts';
import type { SandboxBackend } from '../../worker/sandbox/contract.ts';
import { goBeforeFunctions, type Precedence } from '../../worker/sandbox/priority.ts';
import { backgroundFinding } from '../../worker/sandbox/background.ts';
import { regroupSessions, ungroupSessions } from '../../worker/sandbox/sessions.ts';
import { createBackend, SandboxError } from '../../worker/sandbox/index.ts';
import type { Closers } from './closers.ts';

export type SandboxKind = 'bubblewrap' | 'none';

export interface WorkerOptions {
  readonly dataDir: string;
  readonly topology: Topology;
  readonly sandbox: SandboxKind;
  /** What all instances may use together, MB. */
  readonly memoryMb: number;
  /** Disk for unpacked code, MB. */
  readonly codeCacheMb: number;
  readonly sharing: SharingSetting;
  readonly observer: ObserverName | 'none';
  /** Functions may have the network of the host. */
  readonly allowHostNetwork: boolean;
  readonly log: Log;
}

export interface AgentNeeds {
  readonly account: Account;
  readonly codes: CodeSupply;
  readonly logs: LogStore;
  readonly metrics: Metrics;
  readonly backend: SandboxBackend;
  /** How the platform goes before functions; absent: it was not asked to. */
  readonly precedence?: Precedence;
  /** Absent: nothing is said of any function. */
  readonly knowledge?: KnowledgeDoor;
}

const MB = 1024 * 1024;
const SESSIONS_TEXT =
  'kernel.sched_autogroup_enabled is 0 for the whole machine while cores are lent here; it was 1, and is again when the last platform ends';

/** Not open yet. The data folder is this worker's until it is closed. */
export function makeCodeCache(options: WorkerOptions, closers: Closers): CodeCache {
  const folder = path.resolve(options.dataDir);
  const limits = { ...LIMITS, codeCacheBytesMax: options.codeCacheMb * MB };
  const report = (message: string): void => options.log.warn(message);
  prepareDataFolder(folder);
  const lock = lockFolder(folder, 'worker');
  closers.push(async () => lock.release());
  const cache = new CodeCache({ folder, limits, clock: realClock, report });
  closers.push(() => cache.close());
  return cache;
}

/** What functions run in, and how they and the platform share cores. */
export interface SandboxParts {
  readonly backend: SandboxBackend;
  readonly precedence: Precedence;
}

export async function openSandbox(options: WorkerOptions, closers: Closers, stop: AbortSignal): Promise<SandboxParts> {
  const backend = makeBackend(options);
  await backend.open();
  closers.push(() => backend.close());
  stop.throwIfAborted();
  return { backend, precedence: prepareSharing(options, closers) };
}

/** Not open yet. */
export function makeBackend(options: WorkerOptions): SandboxBackend {
  return createBackend(options.sandbox, {
    codeRoot: path.join(path.resolve(options.dataDir), 'code'),
    runtimesRoot: fileURLToPath(new URL('../../worker/runtimes', import.meta.url)),
    interpreter: process.execPath,
    slotCount: LIMITS.instanceCountMax,
    log: options.log,
  });
}

/** Before anything is started that is to be put behind others, or before them. Who shares no cores only puts back what one that was killed has left. */
function prepareSharing({ sharing, log }: WorkerOptions, closers: Closers): Precedence {
  const precedence = sharing.policy === 'dedicated' ? 'none' : goBeforeFunctions();
  if (!isOrdered(sharing)) {
    regroupSessions();
    return precedence;
  }
  const sessions = ungroupSessions();
  closers.push(async () => sessions.release());
  if (sessions.isNew) log.info(SESSIONS_TEXT);
  if (!sessions.isDone || !backgroundFinding().ok)
    log.warn("who has a core of its own is disturbed by others: 'perch doctor' says why");
  return precedence;
}

/** Says in the log how cores are shared, with the observer that was found. */
export function makeAgent(options: WorkerOptions, needs: AgentNeeds, events: AgentEvents): Agent {
  const limits = {
    slotCount: LIMITS.instanceCountMax,
    versionCount: LIMITS.functionVersionCountMax,
    memoryMb: options.memoryMb,
    initTimeoutMs: LIMITS.initTimeoutMs,
    codeTimeoutMs: LIMITS.codeTimeoutMs,
    responseBytesMax: LIMITS.responseBytesMax,
    logLineBytesMax: LIMITS.logLineBytesMax,
    logBytesPerInvocationMax: LIMITS.logBytesPerInvocationMax,
    logTailBytesMax: LIMITS.logTailBytesMax,
    cellCount: LIMITS.stemCellCount,
    cellMemoryMb: LIMITS.stemCellMemoryMb,
    copiesAheadMax: LIMITS.copiesAheadMax,
    hostNetworkAllowed: options.allowHostNetwork,
  };
  const { topology, sharing, observer, log } = options;
  const setting = { topology, limits, account: needs.account, sharing };
  const doors = { ...needs, clock: realClock, log };
  const watching = observer === 'none' ? {} : { observe: (heard: ObserverEvents) => observe(observer, heard, log) };
  const agent = new Agent(setting, { ...doors, ...watching }, events);
  const inForce = { ...agent.sharingView(), residents: undefined, precedence: needs.precedence };
  log.info(inForce, 'how cores are shared, and whose word counts on who sleeps');
  return agent;
}

/** Throws where `ebpf` is asked for and cannot be. */
function observe(name: ObserverName, heard: ObserverEvents, log: Log): Observer {
  const opened = openObserver(name, heard, { clock: realClock, watchedMax: LIMITS.instanceCountMax });
  if (typeof opened === 'string') throw new SandboxError(`sleep and wake cannot be seen by eBPF: ${opened}`);
  if (opened.reason !== '')
    log.info({ reason: opened.reason }, 'who sleeps is seen by sampling, every few milliseconds');
  return opened.observer;
}
