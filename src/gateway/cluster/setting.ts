/** What a gateway's parts in a cluster share. */
import type { Duplex } from 'node:stream';
import type { Clock } from '../../base/clock.ts';
import type { Address } from '../../cluster/node/connect.ts';
import type { Store } from '../../store/store.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { Admission } from '../admission.ts';

export interface GatewayNodeSetting {
  /** Of this node. */
  readonly name: string;
  readonly accountId: string;
  /** HOST:PORT, for the log. */
  readonly scheduler: string;
  /** It has the store: what is provisioned is its to say. */
  readonly hasStore: boolean;
}

export interface GatewayNodeDoors {
  readonly store: Store;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly admission: Admission;
  readonly log: Log;
  /** 0 <= x < 1. */
  readonly random: () => number;
  readonly dialScheduler: () => Duplex;
  /** To the worker of this name, and to nobody else. */
  readonly dialWorker: (name: string, address: Address) => Duplex;
  /** What it answers at this path; null where it does not, or not in time. */
  readonly askWorker: (address: Address, path: string, timeoutMs?: number) => Promise<unknown>;
}

/** Of this node's HELLO. */
export interface Self {
  readonly name: string;
  /** Chosen at random when the node starts. */
  readonly life: number;
}
