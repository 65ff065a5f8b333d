/**
 * The observer in the kernel: programs there (sleep.bpf.c) keep a table with a place for each watched sandbox, which this reads as shared
 * memory: at every tick while things happen, and when it is rung for where nothing has for a while (looks.ts).
 *
 * What is told are moments of the kernel, to the microsecond; they are told at the next look. Of several sleeps between two looks only the
 * last is told, and one that began and ended between two only if it lasted longer than a tick.
 *
 *     awake ──stopped, after POLLED_US of polling without a break──▶ polls ──input, or it sends──▶ awake
 *                                                               ──CPU time that it did not poll in──▶ awake, polls only
 *                                                                 after twice as long a run, until there is input
 *
 * Who may be stopped is stopped in the kernel by a signal, and goes on when those have heard of it who may freeze it. They hear first what it
 * has said before: a hint that was on its way when it was stopped is as good as one that was there.
 *
 * A poller is likely to be frozen, and to be thawed for a moment now and then. So threads that stop and run again mean
 * nothing while it polls; what it does in those moments is judged when it is off its CPU, since the kernel has counted all
 * of its CPU time only then.
 *
 * Budget: a look at a sandbox in which nothing happened is a few words of memory, and allocates nothing. `npm run bench -- sleep` says what it
 * costs, and how late it is told.
 */
import { assert } from '../../../base/assert.ts';
import type { Clock } from '../../../base/clock.ts';
import type { Observer, ObserverEvents, Watched } from '../contract.ts';
import { openCpuTime } from '../cpu-time.ts';
import { openProc, type Proc } from '../proc.ts';
import { hasEnded, runnableThreads } from '../threads.ts';
import type { BellListener } from './bell.ts';
import { cgroupKey, words } from './keys.ts';
import type { BpfObject } from './libbpf.ts';
import { Looks } from './looks.ts';
import { Places, RingsFor, Word } from './places.ts';
import { doesMore, goOn, judge, wasStopped } from './polling.ts';
import { cpuUsOf, isStill, type Subject } from './subject.ts';
import { Traffic } from './traffic.ts';

const POLLING_KEPT_US = 1_000_000;
/** So long it polls before it is stopped; the longest that it has to after it was said to and did something else. */
const POLLED_US = 100;
/** The same where input has ended its last wait: it was no mistake. */
const POLLED_AGAIN_US = 10;
const POLLED_US_MAX = 1_000_000;
/** Whoever slept for less, and is awake again, is not said to have: nobody could have made use of it. */
const SHORT_SLEEP_US = 1000;

export interface Loaded {
  readonly object: BpfObject;
  /** The table of places. */
  readonly shared: ArrayBuffer;
  readonly placeCount: number;
  readonly seesInput: boolean;
  /**
   * The program that sees who asks in vain; '' where there is none. It is attached only while somebody may be stopped, and so long after
   * that: all system calls of the machine are slower meanwhile.
   */
  readonly polling: string;
}

export class EbpfObserver implements Observer {
  readonly name = 'ebpf';
  readonly seesInput: boolean;
  readonly #polling: string;
  readonly #events: ObserverEvents;
  readonly #clock: Clock;
  readonly #object: BpfObject;
  readonly #proc: Proc = openProc();
  readonly #places: Places;
  readonly #looks: Looks;
  readonly #free: number[];
  readonly #subjects = new Map<number, Subject>();
  #watchCount = 0;
  /** Of those, how many do not rest. */
  #activeCount = 0;
  #isPollingAttached = false;
  /** When somebody might be stopped last. */
  #mayStopUs = 0;
  /** Somebody was stopped, and that is told in this turn of the event loop, when its channel has been read. */
  #lateLook: NodeJS.Immediate | null = null;
  #isClosed = false;

  constructor(events: ObserverEvents, clock: Clock, loaded: Loaded) {
    this.seesInput = loaded.seesInput;
    this.#polling = loaded.polling;
    this.#events = events;
    this.#clock = clock;
    this.#object = loaded.object;
    this.#places = new Places(loaded.shared, clock);
    this.#looks = new Looks(clock, {
      look: (isTurnOver) => this.#look(isTurnOver),
      listen: (isListening) => this.#listen(isListening),
    });
    this.#free = Array.from({ length: loaded.placeCount }, (_, place) => place);
  }

  /** What is to hear the bell that the programs ring. */
  get bell(): BellListener {
    return this.#looks;
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
    if (mayStop) this.#attachPolling();
    this.#looks.begin();
  }

  permitStop(slot: number, mayStop: boolean): void {
    const subject = this.#subjects.get(slot);
    if (subject === undefined || subject.isResting || subject.mayStop === mayStop) return;
    subject.mayStop = mayStop;
    if (mayStop) {
      this.#attachPolling();
      // It is stopped at its next call in vain if it polls for long already.
      this.#places.set(subject.place, Word.stopAfterNs, subject.polledUs * 1000);
      return;
    }
    this.#letBe(subject);
    if (subject.state === 'polls') this.#takeForAwake(subject, this.#clock.nowUs());
    this.#looks.begin();
  }

  /** The programs go on: to watch it again costs nothing. */
  rest(slot: number): void {
    const subject = this.#subjects.get(slot);
    if (subject === undefined || subject.isResting) return;
    subject.isResting = true;
    subject.stillChanges = -1;
    this.#setTraffic(subject, false);
    this.#letBe(subject);
    this.#places.ringFor(subject.place, RingsFor.nothing);
    this.#activeCount--;
  }

  isStill(slot: number): boolean {
    const subject = this.#subjects.get(slot);
    return subject !== undefined && isStill(subject, this.#places);
  }

  tellTraffic(slot: number, isTold: boolean): void {
    const subject = this.#subjects.get(slot);
    if (subject === undefined || subject.isResting || subject.traffic.isTold === isTold) return;
    this.#setTraffic(subject, isTold);
  }

  unwatch(slot: number): void {
    const subject = this.#subjects.get(slot);
    if (subject === undefined) return;
    this.#subjects.delete(slot);
    this.#setTraffic(subject, false);
    this.#letBe(subject);
    if (subject.key !== null) this.#object.remove('cgroups', subject.key);
    for (const id of subject.processes) this.#object.remove('processes', words(id));
    // What those have begotten was added in the kernel, which forgets it when it ends.
    if (subject.key === null)
      for (const id of subject.watched.processIds()) this.#object.remove('processes', words(id));
    this.#places.set(subject.place, Word.number, 0);
    this.#free.push(subject.place);
    subject.cpu.close();
    if (!subject.isResting) this.#activeCount--;
  }

  cpuUs(slot: number): number {
    const subject = this.#subjects.get(slot);
    return subject === undefined ? 0 : cpuUsOf(subject, this.#places);
  }

  close(): void {
    if (this.#isClosed) return;
    for (const slot of this.#subjects.keys()) this.unwatch(slot);
    this.#isClosed = true;
    this.#isPollingAttached = false;
    if (this.#lateLook !== null) clearImmediate(this.#lateLook);
    this.#looks.end();
    this.#object.close();
  }

  #begin(slot: number, watched: Watched, mayStop: boolean): void {
    const place = this.#free.shift();
    assert(place !== undefined, 'more sandboxes are watched than there is room for');
    // Wraps around after four billion, and is never 0, which is nobody's.
    this.#watchCount = (this.#watchCount % 0xffff_ffff) + 1;
    this.#places.clear(place, this.#watchCount);
    const value = words(place, this.#watchCount);
    const { cgroup } = watched;
    const key = cgroup === null ? null : cgroupKey(cgroup);
    const processes = key === null ? this.#addProcesses(watched, value) : [];
    if (key !== null) this.#object.update('cgroups', key, value);
    // Those that run already make no event until they stop.
    for (const id of runnableThreads(this.#proc, watched)) {
      const seed = words(id, place, this.#watchCount);
      this.#object.run('seed', seed);
      if (hasEnded(this.#proc, id)) this.#object.run('unseed', seed);
    }
    const cpu = openCpuTime(this.#proc, watched);
    const told = {
      state: 'awake',
      toldUs: this.#clock.nowUs(),
      changes: -1,
      cpuUs: 0,
      cpuChanges: -1,
      isOdd: false,
      isResting: false,
      stillChanges: -1,
    } as const;
    this.#places.set(place, Word.stopAfterNs, mayStop ? POLLED_US * 1000 : 0);
    const polling = {
      watched,
      mayStop,
      trafficCount: 0,
      stops: 0,
      isHeld: false,
      judgedCpuUs: 0,
      judgedPolledUs: 0,
      polledUs: POLLED_US,
    };
    const traffic = new Traffic(slot, this.#events);
    this.#subjects.set(slot, { slot, place, cpu, key, processes, traffic, ...told, ...polling });
  }

  /** Children of those that are known are added in the kernel. What was begotten while we looked is seen by looking again. */
  #addProcesses(watched: Watched, value: Uint8Array): Iterable<number> {
    const known = new Set<number>();
    for (let count = -1; count < known.size;) {
      count = known.size;
      for (const id of watched.processIds()) {
        if (known.has(id)) continue;
        known.add(id);
        this.#object.update('processes', words(id), value);
      }
    }
    return known;
  }

  #resume(subject: Subject, mayStop: boolean): void {
    subject.mayStop = mayStop;
    subject.isResting = false;
    this.#release(subject);
    subject.polledUs = Math.min(subject.polledUs, POLLED_US);
    this.#takeForAwake(subject, this.#clock.nowUs());
  }

  #attachPolling(): void {
    if (this.#isPollingAttached || this.#polling === '') return;
    this.#isPollingAttached = this.#object.attach([this.#polling]) === '';
    this.#mayStopUs = this.#clock.nowUs();
  }

  /** What each of them rings for, of what is not seen yet. */
  #listen(isListening: boolean): void {
    for (const { state, isHeld, isResting, traffic, place } of this.#subjects.values()) {
      if (isResting) continue;
      const isPoller = state === 'polls';
      const changes = isPoller && isHeld ? RingsFor.nothing : RingsFor.changes;
      const others = isPoller || traffic.isTold ? RingsFor.traffic : RingsFor.nothing;
      this.#places.ringFor(place, isListening ? changes | others : RingsFor.nothing);
    }
  }

  #look(isTurnOver: boolean): boolean {
    let isNews = false;
    let mayStop = false;
    for (const subject of this.#subjects.values()) {
      if (subject.isResting) continue;
      mayStop ||= subject.mayStop;
      if (this.#lookAt(subject, isTurnOver)) isNews = true;
      // A change that is not told yet may be older.
      if (!subject.isOdd && this.#tellTraffic(subject, Infinity)) isNews = true;
    }
    if (this.#isPollingAttached) this.#keepPolling(mayStop);
    else if (this.#activeCount === 0) this.#looks.end();
    return isNews;
  }

  #keepPolling(mayStop: boolean): void {
    const nowUs = this.#clock.nowUs();
    if (mayStop) this.#mayStopUs = nowUs;
    if (nowUs < this.#mayStopUs + POLLING_KEPT_US) return;
    this.#object.detach(this.#polling);
    this.#isPollingAttached = false;
  }

  #lookAt(subject: Subject, isTurnOver: boolean): boolean {
    if (subject.state === 'polls') return this.#lookAtPoller(subject);
    const changes = this.#places.get(subject.place, Word.changes);
    const isStopped = wasStopped(subject, this.#places);
    if (changes === subject.changes && !subject.isOdd && !isStopped) return false;
    // That it was stopped is no sleep.
    if (!isStopped) this.#lookAtChange(subject, changes);
    else if (isTurnOver) this.#beginsToPoll(subject);
    else this.#lateLook ??= setImmediate(() => this.#lookAtStopped());
    return true;
  }

  /** What they said before that is in their channels by now, and has been read since the look: who hears of the stop knows of it. */
  #lookAtStopped(): void {
    this.#lateLook = null;
    for (const subject of this.#subjects.values()) {
      if (!subject.isResting && subject.state !== 'polls' && wasStopped(subject, this.#places))
        this.#beginsToPoll(subject);
    }
  }

  #beginsToPoll(subject: Subject): void {
    if (subject.state === 'asleep') this.#tell(subject, 'awake', this.#clock.nowUs());
    if (!this.#isHeard(subject)) return;
    subject.trafficCount = this.#places.get(subject.place, Word.seen);
    subject.changes = this.#places.get(subject.place, Word.changes);
    // It was counted up to the last tick of the kernel; what is missing was polled too, and is counted in its favour.
    judge(subject, this.#places);
    this.#tell(subject, 'polls', this.#clock.nowUs());
    this.#goOn(subject);
  }

  #setTraffic(subject: Subject, isTold: boolean): void {
    subject.traffic.set(isTold, this.#clock.nowUs());
    this.#places.set(subject.place, Word.notesTraffic, isTold ? 1 : 0);
    if (isTold) this.#looks.begin();
  }

  /** True: there was something to tell, or is. */
  #tellTraffic({ traffic, place }: Subject, untilUs: number): boolean {
    if (!traffic.isTold) return false;
    const sentUs = this.#places.momentUs(place, Word.sentNs);
    const receivedUs = this.#places.momentUs(place, Word.receivedNs);
    return traffic.tell(sentUs, receivedUs, untilUs, this.#clock.nowUs());
  }

  #lookAtPoller(subject: Subject): boolean {
    const nowUs = this.#clock.nowUs();
    if (this.#places.traffic(subject.place) !== subject.trafficCount) {
      subject.polledUs = POLLED_AGAIN_US;
      this.#wakesPoller(subject, nowUs);
      return true;
    }
    if (doesMore(subject, this.#places)) {
      subject.polledUs = Math.min(subject.polledUs * 2, POLLED_US_MAX);
      this.#wakesPoller(subject, nowUs);
      return true;
    }
    if (subject.isHeld || !wasStopped(subject, this.#places)) return false;
    judge(subject, this.#places);
    this.#tell(subject, 'polls', nowUs);
    this.#goOn(subject);
    return true;
  }

  hold(slot: number): boolean {
    const subject = this.#subjects.get(slot);
    if (subject === undefined || subject.state !== 'polls') return false;
    subject.isHeld = wasStopped(subject, this.#places);
    return subject.isHeld;
  }

  letGo(slot: number): void {
    const subject = this.#subjects.get(slot);
    if (subject === undefined) return;
    this.#release(subject);
    this.#looks.begin();
  }

  #release(subject: Subject): void {
    subject.isHeld = false;
    this.#goOn(subject);
  }

  /** Takes back that it was stopped, unless somebody wants it to stay so. */
  #goOn(subject: Subject): void {
    if (!subject.isHeld && wasStopped(subject, this.#places)) goOn(subject, this.#places);
  }

  /** From now on it is not stopped. */
  #letBe(subject: Subject): void {
    this.#places.set(subject.place, Word.stopAfterNs, 0);
    this.#release(subject);
  }

  #wakesPoller(subject: Subject, nowUs: number): void {
    this.#takeForAwake(subject, nowUs);
    this.#tellTraffic(subject, subject.toldUs);
    if (!this.#isHeard(subject)) return;
    this.#events.woke(subject.slot, subject.toldUs);
    this.#release(subject);
  }

  /** The next look sees how it is. What it polled so far is over. */
  #takeForAwake(subject: Subject, nowUs: number): void {
    subject.state = 'awake';
    subject.toldUs = Math.max(subject.toldUs, nowUs);
    subject.changes = -1;
    subject.isOdd = false;
    this.#places.endRun(subject.place);
    this.#places.set(subject.place, Word.stopAfterNs, subject.mayStop ? subject.polledUs * 1000 : 0);
  }

  #lookAtChange(subject: Subject, changes: number): void {
    const isAsleep = this.#places.get(subject.place, Word.runnable) === 0;
    const sleptUs = this.#places.momentUs(subject.place, Word.sleptNs);
    const wokeUs = this.#places.momentUs(subject.place, Word.wokeNs);
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
    if (sleptUs < subject.toldUs || wokeUs - sleptUs < SHORT_SLEEP_US) return;
    this.#tell(subject, 'asleep', sleptUs);
    this.#tell(subject, 'awake', wokeUs);
  }

  #tell(subject: Subject, state: Subject['state'], atUs: number): void {
    subject.state = state;
    subject.toldUs = Math.max(atUs, subject.toldUs);
    this.#tellTraffic(subject, subject.toldUs);
    if (!this.#isHeard(subject)) return;
    if (state === 'asleep') this.#events.slept(subject.slot, subject.toldUs);
    else if (state === 'polls') this.#events.polls(subject.slot, subject.toldUs);
    else this.#events.woke(subject.slot, subject.toldUs);
  }

  /** Whoever hears may have unwatched it meanwhile. */
  #isHeard(subject: Subject): boolean {
    return this.#subjects.get(subject.slot) === subject && !subject.isResting;
  }
}
