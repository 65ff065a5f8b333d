/**
 * Sees sleep and wake where they happen. Needs root, a kernel with BTF (5.18), libbpf, and the object, which `scripts/bpf.sh` compiles with
 * clang; nothing is compiled at run time.
 */
import type { Clock } from '../../../base/clock.ts';
import { LIMITS } from '../../../base/limits.ts';
import type { Observer, ObserverEvents } from '../contract.ts';
import { BpfObject, type OptionalProgram } from './libbpf.ts';
import { ebpfMissing, OBJECT_FILE } from './missing.ts';
import { EbpfObserver } from './observer.ts';
import { PLACE_BYTES } from './places.ts';

const PROGRAMS = ['on_switch', 'on_wakeup', 'on_wakeup_new', 'on_fork', 'on_exit', 'on_exec'] as const;
/** Without it nobody would see what a poller waits for. */
const INPUT: OptionalProgram = { name: 'on_input', target: 'sk_data_ready' };
const SENDING: OptionalProgram = { name: 'on_send', target: 'sock_send_length' };
const POLLING: OptionalProgram = { name: 'on_answer', target: 'sys_exit' };
/** A place that was left rests while this many others are taken, until what was under way in it is over. */
const PLACES_RESTING = 64;
/** No sandbox may take the room of another: so many threads it can have, and a few that start it. */
const THREADS_PER_SANDBOX = LIMITS.processesPerInstanceMax + 32;
/** About 20 MB of the kernel's memory. */
const THREADS_MAX = 1 << 18;

export interface EbpfOptions {
  readonly clock: Clock;
  /** Sandboxes that are watched at once, at most. */
  readonly watchedMax: number;
}

/** Or why it cannot be. */
export function openEbpf(events: ObserverEvents, { clock, watchedMax }: EbpfOptions): Observer | string {
  const missing = ebpfMissing();
  if (missing !== '') return missing;
  const placeCount = watchedMax + PLACES_RESTING;
  const threads = Math.min(THREADS_MAX, watchedMax * THREADS_PER_SANDBOX);
  const sizes = { cgroups: watchedMax, processes: threads, threads, places: placeCount };
  const seesInput = BpfObject.known([INPUT]).length > 0;
  const optional = seesInput ? BpfObject.known([INPUT, SENDING, POLLING]) : [];
  const object = BpfObject.load(OBJECT_FILE, sizes, optional);
  if (typeof object === 'string') return object;
  const shared = object.share('places', placeCount, PLACE_BYTES);
  if (typeof shared === 'string') return closed(object, shared);
  const polling = optional.includes(POLLING.name) ? POLLING.name : '';
  const observer = new EbpfObserver(events, clock, { object, shared, placeCount, seesInput, polling });
  const failure = object.hear('bell', observer.bell) || object.attach([...PROGRAMS, ...optional]);
  // That it can be attached is known now.
  object.detach(POLLING.name);
  return failure === '' ? observer : closed(observer, failure);
}

function closed(what: { close(): void }, why: string): string {
  what.close();
  return why;
}
