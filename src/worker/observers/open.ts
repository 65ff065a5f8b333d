/** The observer that this machine can have. */
import type { Clock } from '../../base/clock.ts';
import type { Observer, ObserverEvents, ObserverKind } from './contract.ts';
import { openEbpf } from './ebpf/index.ts';
import { SamplingObserver } from './sampling.ts';

export interface ObserverSetting {
  readonly clock: Clock;
  /** Sandboxes that are watched at once, at most. */
  readonly watchedMax: number;
  /** Hears which one it is, and why not another. */
  readonly report: (message: string) => void;
}

/** `auto`: in the kernel where that can be, else by sampling. Throws where `ebpf` is asked for and cannot be. */
export function openObserver(
  kind: Exclude<ObserverKind, 'none'>,
  events: ObserverEvents,
  { clock, watchedMax, report }: ObserverSetting,
): Observer {
  if (kind === 'sampling') return new SamplingObserver(events, { clock });
  const opened = openEbpf(events, { clock, watchedMax });
  if (typeof opened !== 'string') return opened;
  if (kind === 'ebpf') throw new Error(`sleep and wake cannot be seen by eBPF: ${opened}`);
  report(`who sleeps is seen by sampling, every few milliseconds: ${opened}`);
  return new SamplingObserver(events, { clock });
}
