/** Of one that is stopped for polling, or was: whether it is, and whether it has polled. */
import { type Places, Word } from './places.ts';
import type { Subject } from './subject.ts';

/** CPU time of a poller that is judged at once. To freeze and thaw all threads of a process takes some hundred. */
const JUDGED_US = 1000;

/** And has not been made to go on since. */
export function wasStopped({ place, stops }: Subject, places: Places): boolean {
  return places.get(place, Word.stops) !== stops;
}

/** Takes back that it was stopped. */
export function goOn(subject: Subject, places: Places): void {
  subject.stops = places.get(subject.place, Word.stops);
  for (const id of subject.watched.processIds()) {
    try {
      process.kill(id, 'SIGCONT');
    } catch {
      // It has ended meanwhile.
    }
  }
}

/** It has polled up to now. */
export function judge(subject: Subject, places: Places): void {
  subject.judgedCpuUs = subject.cpu.readUs();
  subject.judgedPolledUs = places.durationUs(subject.place, Word.polledNs);
}

/** Of what it has used since it was judged, less than half was polling. One that was stopped again has polled. */
export function doesMore(subject: Subject, places: Places): boolean {
  const changes = places.get(subject.place, Word.changes);
  if (wasStopped(subject, places) || changes === subject.changes || places.get(subject.place, Word.runnable) !== 0)
    return false;
  subject.changes = changes;
  const usedUs = subject.cpu.readUs() - subject.judgedCpuUs;
  if (usedUs < JUDGED_US) return false;
  const polledUs = places.durationUs(subject.place, Word.polledNs) - subject.judgedPolledUs;
  subject.judgedCpuUs += usedUs;
  subject.judgedPolledUs += polledUs;
  return polledUs * 2 < usedUs;
}
