/** How a worker shares its cores, and where everybody is now: for people, worked out when somebody asks. */
import type { Observer } from '../observers/contract.ts';
import type { BusyCores } from './busy-cores.ts';
import {
  isOrdered,
  type SharingPolicy,
  type SharingSetting,
  SOURCE_NAMES,
  type SourceName,
} from './sharing-setting.ts';

/**
 * `running`: the core is for it, if only while somebody before it sleeps. `waiting`: it wants a core, and others go before it; in the background
 * it has what they leave. `frozen`: it polls, and is stopped but for moments. `kept`: its invocation has ended, and the core is given back
 * when who borrows it has ended.
 */
export type ResidentState = 'running' | 'waiting' | 'asleep' | 'frozen' | 'kept';

/** What is in force, which may be less than what was asked for. */
export interface SharingInForce {
  readonly policy: SharingPolicy;
  /** How many invocations are admitted for each core. */
  readonly perCore: number;
  /** Whose word counts on who sleeps where nothing is said of the function. None where that is asked of nobody. */
  readonly sources: readonly SourceName[];
  /** What sees who sleeps. */
  readonly observer: Observer['name'] | 'none';
}

/** Where the one on a seat is. Cores and seats as the agent numbers them. */
export interface Place {
  readonly state: ResidentState;
  /** -1: none of its own, any longer. */
  readonly core: number;
  /** The seat of who is in the foreground there, perhaps its own; -1: nobody. */
  readonly foreground: number;
}

/** Of a lease of several cores there is one for each. */
export interface ResidentView extends Place {
  readonly seat: number;
  /** 'name:version'. */
  readonly functionName: string;
  readonly requestId: string;
  /** How long ago its invocation was granted the seat, µs. */
  readonly sinceUs: number;
  /** It is the one in the foreground. */
  readonly isAhead: boolean;
}

export interface SharingView extends SharingInForce {
  /** In order of their seats. None where nobody goes before anybody: it is not asked there who sleeps. */
  readonly residents: readonly ResidentView[];
}

export function sharingInForce(sharing: SharingSetting, observer: SharingInForce['observer']): SharingInForce {
  const { policy, perCore, sources = SOURCE_NAMES } = sharing;
  return { policy, perCore, sources: isOrdered(sharing) ? sources : [], observer };
}

interface Sharing {
  readonly seatCount: number;
  readonly inForce: SharingInForce;
  /** Of the seat that a lease is named by; null: nothing is known of it. */
  placeOf(seat: number): Place | null;
}

export function sharingViewOf(sharing: Sharing, busy: BusyCores, nowUs: number): SharingView {
  const residents: ResidentView[] = [];
  for (let seat = 0; seat < sharing.seatCount; seat++) {
    const running = busy.at(seat);
    const lead = running?.lease.core ?? seat;
    const place = sharing.placeOf(lead);
    if (running === null || place === null) continue;
    const { fn, requestId } = running.invocation;
    const own = lead === seat ? place : { ...place, core: seat };
    const isAhead = place.foreground === lead;
    const sinceUs = nowUs - running.grantedUs;
    residents.push({ seat, ...own, functionName: `${fn.functionName}:${fn.version}`, requestId, sinceUs, isAhead });
  }
  return { ...sharing.inForce, residents };
}

export type ResidentCounts = Readonly<Record<ResidentState, number>>;

export function countResidents(places: Iterable<Pick<Place, 'state'>>): ResidentCounts {
  const counts: Record<ResidentState, number> = { running: 0, waiting: 0, asleep: 0, frozen: 0, kept: 0 };
  for (const { state } of places) counts[state]++;
  return counts;
}
