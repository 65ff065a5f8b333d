/** What the observer in the kernel knows of a sandbox that it watches. */
import type { Watched } from '../contract.ts';
import type { CpuTime } from '../cpu-time.ts';
import { type Places, Word } from './places.ts';
import type { Traffic } from './traffic.ts';

export interface Subject {
  readonly slot: number;
  readonly place: number;
  readonly cpu: CpuTime;
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

/** It rests, none of its threads can run, and none could since this was asked last. */
export function isStill(subject: Subject, places: Places): boolean {
  if (!subject.isResting) return false;
  const changes = places.get(subject.place, Word.changes);
  const isUnchanged = subject.stillChanges === -1 || subject.stillChanges === changes;
  subject.stillChanges = changes;
  return isUnchanged && places.get(subject.place, Word.runnable) === 0;
}
