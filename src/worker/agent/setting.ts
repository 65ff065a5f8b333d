/** What an agent is given: its limits, its doors, and who hears of what it does. */
import type { Account } from '../../base/arn.ts';
import type { Clock } from '../../base/clock.ts';
import type { LogStore } from '../../store/logs.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { Observer, ObserverEvents } from '../observers/contract.ts';
import type { SandboxBackend } from '../sandbox/contract.ts';
import type { CodeSupply } from './contract.ts';
import type { KnowledgeDoor } from './directed-seats.ts';
import type { SharingSetting } from './sharing-setting.ts';
import type { Topology } from './topology.ts';

export interface AgentLimits {
  readonly slotCount: number;
  readonly versionCount: number;
  readonly memoryMb: number;
  readonly initTimeoutMs: number;
  readonly codeTimeoutMs: number;
  readonly responseBytesMax: number;
  readonly logLineBytesMax: number;
  readonly logBytesPerInvocationMax: number;
  readonly logTailBytesMax: number;
  /** Stem cells kept waiting for each runtime that has them, and for each kind of network. */
  readonly cellCount: number;
  /** Functions may have the network of the host; absent: none may, and no cells are kept for them. */
  readonly hostNetworkAllowed?: boolean;
  readonly cellMemoryMb: number;
  readonly copiesAheadMax: number;
}

export interface AgentSetting {
  readonly topology: Topology;
  readonly limits: AgentLimits;
  readonly account: Account;
  /** Absent: every core is its holder's, awake or asleep. */
  readonly sharing?: SharingSetting;
}

export interface AgentDoors {
  /** Open. */
  readonly backend: SandboxBackend;
  readonly codes: CodeSupply;
  readonly clock: Clock;
  readonly logs: LogStore;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Sees who sleeps; absent: nobody does. */
  readonly observe?: (events: ObserverEvents) => Observer;
  /** What operators say of functions; absent: nothing. */
  readonly knowledge?: KnowledgeDoor;
}

/** What the agent tells the scheduler. */
export interface AgentEvents {
  released(core: number, sequence: number, warm: boolean): void;
  /** The scheduler may grant this extra seat from now on; they come after those of the cores. */
  openSeat?(seat: number): void;
  /** No longer; a grant that is on its way is taken. */
  closeSeat?(seat: number): void;
  /** A provisioned instance of the version is ready. */
  warmed(versionIndex: number): void;
  /** Neither an idle instance nor a zygote of the version is left. */
  evicted(versionIndex: number): void;
  /** What had no slot or memory before may have it now. */
  memoryAvailable(): void;
}
