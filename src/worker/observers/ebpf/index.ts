/**
 * Sees sleep and wake where they happen: programs in the kernel (sleep.bpf.c) keep a table with a place for each watched
 * sandbox, which this reads as shared memory at every tick. Needs root, a kernel with BTF (5.18), libbpf, and the object,
 * which `scripts/bpf.sh` compiles with clang; nothing is compiled at run time.
 *
 * What is told are moments of the kernel, to the microsecond; they are told at the next tick. Of several sleeps between two
 * ticks only the last is told, and one that began and ended between two only if it lasted longer than a tick.
 *
 * A place, as 32-bit words: [runnable threads, changes, slept ns (2), woke ns (2), number of the watch, inputs, sends,
 * both when it asked in vain last, polled ns (2), of that without a break (2), stops, stop after ns].
 *
 *     awake ──stopped, after POLLED_US of polling without a break──▶ polls ──input, or it sends──▶ awake
 *                                                               ──CPU time that it did not poll in──▶ awake, polls only
 *                                                                 after twice as long a run, until there is input
 *
 * Who may be stopped is stopped in the kernel by a signal, and goes on when those have heard of it who may freeze it.
 *
 * A poller is likely to be frozen, and to be thawed for a moment now and then. So threads that stop and run again mean
 * nothing while it polls; what it does in those moments is judged when it is off its CPU, since the kernel has counted all
 * of its CPU time only then.
 *
 * Budget: a tick looks at two words for each watched sandbox in which nothing happened, and allocates nothing. `npm run
 * bench -- sleep` says what a tick costs.
 */
import { existsSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { assert } from '../../../base/assert.ts';
import type { Clock } from '../../../base/clock.ts';
import { LIMITS } from '../../../base/limits.ts';
import type { Finding } from '../../sandbox/contract.ts';
import type { Observer, ObserverEvents, Watched } from '../contract.ts';
import { type CpuTime, openCpuTime } from '../cpu-time.ts';
import { openProc, type Proc } from '../proc.ts';
import { runnableThreads } from '../threads.ts';
import { BpfObject, libbpfMissing, type OptionalProgram } from './libbpf.ts';

const INTERVAL_MS = 1;
const OBJECT_FILE = fileURLToPath(new URL('./sleep.bpf.o', import.meta.url));
const PROGRAMS = ['on_switch', 'on_wakeup', 'on_wakeup_new', 'on_fork', 'on_exit', 'on_exec'] as const;
/** Without it nobody would see what a poller waits for. */
const INPUT: OptionalProgram = { name: 'on_input', target: 'sk_data_ready' };
const POLLING: readonly OptionalProgram[] = [
  { name: 'on_answer', target: 'sys_exit' },
  { name: 'on_send', target: 'sock_send_length' },
];
const PLACE_WORDS = 16;
/** So long it polls before it is stopped; the longest that it has to after it was said to and did something else. */
const POLLED_US = 100;
const POLLED_US_MAX = 1_000_000;
/** CPU time of a poller that is judged at once. To freeze and thaw all threads of a process takes some hundred. */
const JUDGED_US = 1000;
const PLACE_BYTES = PLACE_WORDS * 4;
/** A place that was left rests while this many others are taken, until what was under way in it is over. */
const PLACES_RESTING = 64;
/** No sandbox may take the room of another: so many threads it can have, and a few that start it. */
const THREADS_PER_SANDBOX = LIMITS.processesPerInstanceMax + 32;
/** About 20 MB of the kernel's memory. */
const THREADS_MAX = 1 << 18;
const US_PER_WORD_OF_NS = 2 ** 32 / 1000;

export interface EbpfOptions {
  readonly clock: Clock;
  /** Sandboxes that are watched at once, at most. */
  readonly watchedMax: number;
  readonly intervalMs?: number;
}

/** '' where this machine can, as far as is known without trying; else what is missing. */
export function ebpfMissing(): string {
  if (process.platform !== 'linux' || !existsSync('/sys/kernel/btf/vmlinux')) return 'the kernel has no BTF';
  if (process.getuid?.() !== 0) return 'it needs root';
  const library = libbpfMissing();
  if (library !== '') return library;
  return existsSync(OBJECT_FILE)
    ? ''
    : 'sleep.bpf.o has not been compiled: run scripts/bpf.sh, with clang and libbpf-dev';
}

/** What `perch doctor` says: whether sleep and wake are seen in the kernel, or by looking. */
export function ebpfFinding(): Finding & { readonly required: boolean } {
  const missing = ebpfMissing();
  const found = { topic: 'eBPF', required: false };
  if (missing === '') return { ...found, ok: true, detail: 'sleep and wake are seen in the kernel', fix: '' };
  const fix =
    'Optional: run as root on Linux 5.18 or later with CONFIG_DEBUG_INFO_BTF; apt-get install libbpf1, ' +
    'and to compile the program clang and libbpf-dev, then sh scripts/bpf.sh.';
  return { ...found, ok: false, detail: `sleep and wake are seen by looking at /proc: ${missing}`, fix };
}

/** Or why it cannot be. */
export function openEbpf(events: ObserverEvents, options: EbpfOptions): Observer | string {
  const missing = ebpfMissing();
  if (missing !== '') return missing;
  const placeCount = options.watchedMax + PLACES_RESTING;
  const threads = Math.min(THREADS_MAX, options.watchedMax * THREADS_PER_SANDBOX);
  const sizes = { cgroups: options.watchedMax, processes: threads, threads, places: placeCount };
  const input = BpfObject.known([INPUT]);
  const optional = input.length === 0 ? [] : [...input, ...BpfObject.known(POLLING)];
  const object = BpfObject.load(OBJECT_FILE, sizes, optional);
  if (typeof object === 'string') return object;
  const shared = object.share('places', placeCount * PLACE_BYTES);
  const failure = typeof shared === 'string' ? shared : object.attach([...PROGRAMS, ...optional]);
  const seen = { ...options, seesInput: input.length > 0 };
  if (typeof shared !== 'string' && failure === '') return new EbpfObserver(events, seen, object, shared);
  object.close();
  return failure;
}

interface Subject {
  readonly slot: number;
  readonly place: number;
  readonly cpu: CpuTime;
  /** Keys in the kernel's maps: of its cgroup, or of its processes. */
  readonly map: 'cgroups' | 'processes';
  readonly keys: readonly Uint8Array[];
  readonly watched: Watched;
  mayStop: boolean;
  /** Somebody wants to hear what it sends and receives. */
  tellsTraffic: boolean;
  /** As it was told last. */
  state: 'awake' | 'asleep' | 'polls';
  toldUs: number;
  changes: number;
  /** The place has a count and moments that do not fit; the next look believes the count. */
  isOdd: boolean;
  /** Nobody wants to be told of it. */
  isResting: boolean;
  /** Inputs and sends when it was said to poll; CPU time and time polled up to which it has been judged. */
  traffic: number;
  /** Of which it has been made to go on. */
  stops: number;
  judgedCpuUs: number;
  judgedPolledUs: number;
  /** How long it has to poll before it is said to. */
  polledUs: number;
}

class EbpfObserver implements Observer {
  readonly seesInput: boolean;
  readonly #events: ObserverEvents;
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #object: BpfObject;
  readonly #proc: Proc = openProc();
  readonly #words: Uint32Array;
  /** The kernel's clock is CLOCK_MONOTONIC; this turns its moments into those of the clock. */
  readonly #offsetUs: number;
  readonly #free: number[];
  readonly #subjects = new Map<number, Subject>();
  #watchCount = 0;
  /** Of those, how many do not rest. */
  #activeCount = 0;
  #stop: (() => void) | null = null;
  #isClosed = false;

  // oxlint-disable-next-line max-params -- made in one place
  constructor(
    events: ObserverEvents,
    options: EbpfOptions & { readonly seesInput: boolean },
    object: BpfObject,
    shared: ArrayBuffer,
  ) {
    this.seesInput = options.seesInput;
    this.#events = events;
    this.#clock = options.clock;
    this.#intervalMs = options.intervalMs ?? INTERVAL_MS;
    this.#object = object;
    this.#words = new Uint32Array(shared);
    this.#offsetUs = options.clock.nowUs() - Number(process.hrtime.bigint() / 1000n);
    this.#free = Array.from({ length: options.watchedMax + PLACES_RESTING }, (_, place) => place);
  }

  watch(slot: number, watched: Watched, mayStop = false): void {
    const known = this.#subjects.get(slot);
    assert(
      !this.#isClosed && (known === undefined || known.isResting),
      `slot ${slot} cannot be watched, or is already`,
    );
    if (known === undefined) this.#begin(slot, watched, mayStop);
    else this.#resume(known, mayStop);
    this.#activeCount++;
    this.#stop ??= this.#clock.every(this.#intervalMs, () => this.#look());
  }

  permitStop(slot: number, mayStop: boolean): void {
    const subject = this.#subjects.get(slot);
    if (subject === undefined || subject.isResting || subject.mayStop === mayStop) return;
    subject.mayStop = mayStop;
    if (mayStop) {
      // It is stopped at its next call in vain if it polls for long already.
      this.#words[subject.place * PLACE_WORDS + 15] = subject.polledUs * 1000;
      return;
    }
    this.#letBe(subject);
    if (subject.state === 'polls') this.#takeForAwake(subject, this.#clock.nowUs());
  }

  /** The programs go on: to watch it again costs nothing. */
  rest(slot: number): void {
    const subject = this.#subjects.get(slot);
    if (subject === undefined || subject.isResting) return;
    subject.isResting = true;
    this.#letBe(subject);
    this.#leave();
  }

  tellTraffic(slot: number, isTold: boolean): void {
    const subject = this.#subjects.get(slot);
    if (subject === undefined || subject.isResting) return;
    subject.tellsTraffic = isTold;
  }

  unwatch(slot: number): void {
    const subject = this.#subjects.get(slot);
    if (subject === undefined) return;
    this.#subjects.delete(slot);
    this.#letBe(subject);
    for (const key of subject.keys) this.#object.remove(subject.map, key);
    this.#words[subject.place * PLACE_WORDS + 6] = 0;
    this.#free.push(subject.place);
    subject.cpu.close();
    if (!subject.isResting) this.#leave();
  }

  cpuUs(slot: number): number {
    return this.#subjects.get(slot)?.cpu.readUs() ?? 0;
  }

  close(): void {
    if (this.#isClosed) return;
    for (const slot of this.#subjects.keys()) this.unwatch(slot);
    this.#isClosed = true;
    this.#object.close();
  }

  #begin(slot: number, watched: Watched, mayStop: boolean): void {
    const place = this.#free.shift();
    assert(place !== undefined, 'more sandboxes are watched than there is room for');
    // Wraps around after four billion, and is never 0, which is nobody's.
    this.#watchCount = (this.#watchCount % 0xffff_ffff) + 1;
    const at = place * PLACE_WORDS;
    this.#words.fill(0, at, at + PLACE_WORDS);
    this.#words[at + 6] = this.#watchCount;
    const value = words(place, this.#watchCount);
    const { cgroup } = watched;
    const map = cgroup === null ? 'processes' : 'cgroups';
    const keys = cgroup === null ? watched.processIds().map((id) => words(id)) : [cgroupKey(cgroup)];
    for (const key of keys) this.#object.update(map, key, value);
    // Those that run already make no event until they stop.
    for (const id of runnableThreads(this.#proc, watched)) {
      this.#object.run('seed', words(id, place, this.#watchCount));
    }
    const cpu = openCpuTime(this.#proc, watched);
    const told = { state: 'awake', toldUs: this.#clock.nowUs(), changes: -1, isOdd: false, isResting: false } as const;
    this.#words[at + 15] = mayStop ? POLLED_US * 1000 : 0;
    const polling = {
      watched,
      mayStop,
      tellsTraffic: false,
      traffic: 0,
      stops: 0,
      judgedCpuUs: 0,
      judgedPolledUs: 0,
      polledUs: POLLED_US,
    };
    this.#subjects.set(slot, { slot, place, cpu, map, keys, ...told, ...polling });
  }

  #resume(subject: Subject, mayStop: boolean): void {
    subject.mayStop = mayStop;
    subject.isResting = false;
    this.#goOn(subject);
    subject.polledUs = POLLED_US;
    this.#takeForAwake(subject, this.#clock.nowUs());
  }

  #leave(): void {
    if (--this.#activeCount > 0) return;
    this.#stop?.();
    this.#stop = null;
  }

  #look(): void {
    for (const subject of this.#subjects.values()) {
      if (subject.isResting) continue;
      if (subject.state === 'polls') {
        this.#lookAtPoller(subject);
        continue;
      }
      const at = subject.place * PLACE_WORDS;
      const changes = this.#words[at + 1] as number;
      // That it was stopped is no sleep.
      if (this.#words[at + 14] !== subject.stops) this.#beginsToPoll(subject);
      else if (changes !== subject.changes || subject.isOdd) this.#lookAt(subject, changes);
    }
  }

  #beginsToPoll(subject: Subject): void {
    if (subject.state === 'asleep') this.#tell(subject, 'awake', this.#clock.nowUs());
    if (!this.#isHeard(subject)) return;
    const at = subject.place * PLACE_WORDS;
    subject.traffic = this.#words[at + 9]!;
    subject.changes = this.#words[at + 1]!;
    // It was counted up to the last tick of the kernel; what is missing was polled too, and is counted in its favour.
    this.#judge(subject);
    this.#tell(subject, 'polls', this.#clock.nowUs());
    this.#goOn(subject);
  }

  /** It has polled up to now. */
  #judge(subject: Subject): void {
    subject.judgedCpuUs = subject.cpu.readUs();
    subject.judgedPolledUs = this.#polledUs(subject);
  }

  #lookAtPoller(subject: Subject): void {
    const nowUs = this.#clock.nowUs();
    if (this.#trafficOf(subject) !== subject.traffic) {
      subject.polledUs = POLLED_US;
      return this.#wakesPoller(subject, nowUs);
    }
    if (this.#doesMore(subject)) {
      subject.polledUs = Math.min(subject.polledUs * 2, POLLED_US_MAX);
      return this.#wakesPoller(subject, nowUs);
    }
    if (this.#words[subject.place * PLACE_WORDS + 14] === subject.stops) return;
    this.#judge(subject);
    this.#tell(subject, 'polls', nowUs);
    this.#goOn(subject);
  }

  /** Of what it has used since it was judged, less than half was polling. One that was stopped again has polled. */
  #doesMore(subject: Subject): boolean {
    const at = subject.place * PLACE_WORDS;
    const changes = this.#words[at + 1] as number;
    const isStopped = this.#words[at + 14] !== subject.stops;
    if (isStopped || changes === subject.changes || this.#words[at] !== 0) return false;
    subject.changes = changes;
    const usedUs = subject.cpu.readUs() - subject.judgedCpuUs;
    if (usedUs < JUDGED_US) return false;
    const polledUs = this.#polledUs(subject) - subject.judgedPolledUs;
    subject.judgedCpuUs += usedUs;
    subject.judgedPolledUs += polledUs;
    return polledUs * 2 < usedUs;
  }

  /** Takes back that it was stopped. */
  #goOn(subject: Subject): void {
    const stops = this.#words[subject.place * PLACE_WORDS + 14]!;
    if (stops === subject.stops) return;
    subject.stops = stops;
    for (const id of subject.watched.processIds()) {
      try {
        process.kill(id, 'SIGCONT');
      } catch {
        // It has ended meanwhile.
      }
    }
  }

  /** From now on it is not stopped. */
  #letBe(subject: Subject): void {
    this.#words[subject.place * PLACE_WORDS + 15] = 0;
    this.#goOn(subject);
  }

  #wakesPoller(subject: Subject, nowUs: number): void {
    this.#takeForAwake(subject, nowUs);
    this.#events.woke(subject.slot, subject.toldUs);
    this.#goOn(subject);
  }

  /** The next look sees how it is. What it polled so far is over. */
  #takeForAwake(subject: Subject, nowUs: number): void {
    subject.state = 'awake';
    subject.toldUs = Math.max(subject.toldUs, nowUs);
    subject.changes = -1;
    subject.isOdd = false;
    const at = subject.place * PLACE_WORDS;
    this.#words.fill(0, at + 12, at + 14);
    this.#words[at + 15] = subject.mayStop ? subject.polledUs * 1000 : 0;
  }

  #lookAt(subject: Subject, changes: number): void {
    const at = subject.place * PLACE_WORDS;
    const isAsleep = this.#words[at] === 0;
    const sleptUs = this.#momentUs(at + 2);
    const wokeUs = this.#momentUs(at + 4);
    subject.changes = changes;
    // Who changes the count writes its moment a little later.
    const fits = isAsleep ? sleptUs > wokeUs : wokeUs > sleptUs;
    if (!fits && !subject.isOdd) {
      subject.isOdd = true;
      return;
    }
    subject.isOdd = false;
    if (isAsleep) this.#tellAsleep(subject, fits ? sleptUs : subject.toldUs, wokeUs);
    else this.#tellAwake(subject, fits ? wokeUs : subject.toldUs, sleptUs);
  }

  #tellAsleep(subject: Subject, sleptUs: number, wokeUs: number): void {
    const wasAsleep = subject.state === 'asleep';
    if (wasAsleep && sleptUs <= subject.toldUs) return;
    if (wasAsleep) this.#tell(subject, 'awake', wokeUs);
    this.#tell(subject, 'asleep', sleptUs);
  }

  #tellAwake(subject: Subject, wokeUs: number, sleptUs: number): void {
    if (subject.state === 'asleep') return this.#tell(subject, 'awake', wokeUs);
    // It is over already: worth telling only where somebody could have made use of it.
    if (sleptUs < subject.toldUs || wokeUs - sleptUs < this.#intervalMs * 1000) return;
    this.#tell(subject, 'asleep', sleptUs);
    this.#tell(subject, 'awake', wokeUs);
  }

  #tell(subject: Subject, state: Subject['state'], atUs: number): void {
    subject.state = state;
    subject.toldUs = Math.max(atUs, subject.toldUs);
    if (!this.#isHeard(subject)) return;
    if (state === 'asleep') this.#events.slept(subject.slot, subject.toldUs);
    else if (state === 'polls') this.#events.polls(subject.slot, subject.toldUs);
    else this.#events.woke(subject.slot, subject.toldUs);
  }

  /** Whoever hears may have unwatched it meanwhile. */
  #isHeard(subject: Subject): boolean {
    return this.#subjects.get(subject.slot) === subject && !subject.isResting;
  }

  #trafficOf({ place }: Subject): number {
    const at = place * PLACE_WORDS;
    return (this.#words[at + 7]! + this.#words[at + 8]!) >>> 0;
  }

  #polledUs({ place }: Subject): number {
    const at = place * PLACE_WORDS + 10;
    return this.#words[at + 1]! * US_PER_WORD_OF_NS + this.#words[at]! / 1000;
  }

  /** Beyond 2⁵³ ns, after 104 days, it is right to two nanoseconds instead of to one. */
  #momentUs(at: number): number {
    const low = this.#words[at] as number;
    const high = this.#words[at + 1] as number;
    return high * US_PER_WORD_OF_NS + low / 1000 + this.#offsetUs;
  }
}

function words(...values: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

/** The kernel names a cgroup by the inode of its folder. */
function cgroupKey(folder: string): Uint8Array {
  return new Uint8Array(BigUint64Array.of(statSync(folder, { bigint: true }).ino).buffer);
}
