/** What the observer in the kernel knows of a sandbox that it watches. */
import type { Watched } from '../contract.ts';
import type { CpuTime } from '../cpu-time.ts';
import { type Places, Word } from './places.ts';
import type { Traffic } from './traffic.ts';

export interface Subject {
  readonly slot: number;
  readonly place: number;
  readonly cpu: CpuTime;
  /** CPU time when it was read last, µs, and the changes up to which nothing can have been added to it; -1: anything can. */
  cpuUs: number;
  cpuChanges: number;
  /** Of its cgroup in the kernel's map; null where it is found by its processes. */
  readonly key: Uint8Array | null;
  /** That were there when the watch began, where it is found by them. */
  readonly processes: Iterable<number>;
  readonly watched: Watched;
  mayStop: boolean;
  readonly traffic: Traffic;
  /** As it was told last. */
  state: 'awake' | 'asleep' | 'polls';
  toldUs: number;
  changes: number;
  /** The place has a count and moments that do not fit; the next look believes the count. */
  isOdd: boolean;
  /** Nobody wants to be told of it. */
  isResting: boolean;
  /** Changes when it was asked last whether it is still; -1: not since it rests. */
  stillChanges: number;
  /** Inputs and sends when it was said to poll; CPU time and time polled up to which it has been judged. */
  trafficCount: number;
  /** Of which it has been made to go on. */
  stops: number;
  /** Somebody wants it to stay stopped. */
  isHeld: boolean;
  judgedCpuUs: number;
  judgedPolledUs: number;
  /** How long it has to poll before it is said to. */
  polledUs: number;
}

/** CPU time that it has used so far, µs. It is read where a thread of it can run, or could since the last time. */
export function cpuUsOf(subject: Subject, places: Places): number {
  const canRun = places.get(subject.place, Word.runnable) > 0;
  const changes = canRun ? -1 : places.get(subject.place, Word.changes);
  if (canRun || changes !== subject.cpuChanges) subject.cpuUs = subject.cpu.readUs();
  subject.cpuChanges = changes;
  return subject.cpuUs;
}

/** It rests, none of its threads can run, and none could since this was asked last. */
export function isStill(subject: Subject, places: Places): boolean {
  if (!subject.isResting) return false;
  const changes = places.get(subject.place, Word.changes);
  const isUnchanged = subject.stillChanges === -1 || subject.stillChanges === changes;
  subject.stillChanges = changes;
  return isUnchanged && places.get(subject.place, Word.runnable) === 0;
}
