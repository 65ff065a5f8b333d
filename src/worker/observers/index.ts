/** Chooses the observer: `auto` is eBPF where it loads, else sampling. */
import type { Clock } from '../../base/clock.ts';
import type { Observer, ObserverEvents, ObserverKind } from './contract.ts';
import { openEbpf } from './ebpf/index.ts';
import { SamplingObserver } from './sampling.ts';

export type ObserverName = Exclude<ObserverKind, 'none'>;

export interface ObserverOptions {
  readonly clock: Clock;
  /** Sandboxes that are watched at once, at most. */
  readonly watchedMax: number;
  /** Between two looks; each observer has its own where it is not given. */
  readonly intervalMs?: number;
}

export interface OpenedObserver {
  readonly observer: Observer;
  /** Why it is not eBPF; '' where it is, or nobody asked. */
  readonly reason: string;
}

/** Why there is none, where `ebpf` was asked for and cannot be. */
export function openObserver(
  name: ObserverName,
  events: ObserverEvents,
  options: ObserverOptions,
): OpenedObserver | string {
  if (name !== 'sampling') {
    const opened = openEbpf(events, options);
    if (typeof opened !== 'string') return { observer: opened, reason: '' };
    if (name === 'ebpf') return opened;
    return { observer: new SamplingObserver(events, options), reason: opened };
  }
  return { observer: new SamplingObserver(events, options), reason: '' };
}
