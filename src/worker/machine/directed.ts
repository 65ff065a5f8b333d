/**
 * Directed knowledge: what the rules of an operator, or a plug-in of theirs, make of the events of each resident.
 *
 * - Without a program a seat is awake, and events do nothing.
 * - By a rule a resident sleeps until one of the rule's causes, or its limit. The event of the rule that has put it to sleep does not
 *   begin that again: reports may come twice, and must not make the sleep longer than the rule says.
 * - A plug-in is asked at each event, and when a time is over that it asked for; its answer is a number (see `PluginAnswer`).
 *
 * A tick and an event are constant work for each seat, and nothing is allocated.
 */
import { assert } from '../../base/assert.ts';
import { Belief } from './knowledge.ts';
import { EventKind, RuleAction, RuleTable } from './rules.ts';

/**
 * What a plug-in makes of an event.
 *
 *     31            16 15           2 1  0
 *     state             timer ms      decision
 *
 * `decision`: 0 as it was, 1 awake, 2 asleep and may use CPU time, 3 asleep and its threads are blocked. `timer`: it is asked again after
 * so long, with the event `timer`; 0: it is not, whatever it asked for before. `state`: what it gets at the next event of this resident.
 */
export const PluginAnswer = { asItWas: 0, awake: 1, polls: 2, blocked: 3 } as const;
const TIMER_MASK = 0x3fff;

/** Bounded in time, and never throws. */
export interface Plugin {
  on(kind: EventKind, nowMsLow: number, state: number): number;
}

export type Program = RuleTable | Plugin;

/** Knowledge is one. */
export interface DirectedUser {
  directed(seat: number, belief: Belief, nowUs: number): void;
}

const NOBODY = -1;

export class Directed {
  readonly #user: DirectedUser;
  readonly #programs: (Program | null)[];
  readonly #beliefs: Uint8Array;
  /** By seat: the event whose rule it sleeps by; `NOBODY` where it does not. */
  readonly #sleptAt: Int8Array;
  readonly #states: Uint16Array;
  /** By seat: the state that it was last seen in: `blocked`, `polling`, or `woken` from either. */
  readonly #seen: Uint8Array;
  /** By seat: when the limit of its sleep, or the time that its plug-in asked for, is over. */
  readonly #dueUs: Float64Array;
  #nextTickUs = Infinity;

  constructor(seatCount: number, user: DirectedUser) {
    this.#user = user;
    this.#programs = new Array<Program | null>(seatCount).fill(null);
    this.#beliefs = new Uint8Array(seatCount);
    this.#sleptAt = new Int8Array(seatCount).fill(NOBODY);
    this.#states = new Uint16Array(seatCount);
    this.#seen = new Uint8Array(seatCount).fill(EventKind.woken);
    this.#dueUs = new Float64Array(seatCount).fill(Infinity);
  }

  /** No later than this it wants a tick; perhaps there is nothing to do then. */
  get nextTickUs(): number {
    return this.#nextTickUs;
  }

  beliefOf(seat: number): Belief {
    return this.#beliefs[seat] as Belief;
  }

  /** Its program does something at that event. A plug-in may at any. */
  wants(seat: number, kind: EventKind): boolean {
    const program = this.#programs[seat] ?? null;
    if (program instanceof RuleTable) return (program.wanted & (1 << kind)) !== 0;
    return program !== null;
  }

  /** After the user's own: it is awake. Null: nothing is known of its function. */
  began(seat: number, program: Program | null): void {
    assert(seat < this.#programs.length, `no such seat: ${seat}`);
    this.#clear(seat, program);
    this.#seen[seat] = EventKind.woken;
  }

  /** Events of the seat do nothing from now on, and nothing is said of it. */
  ended(seat: number): void {
    this.#clear(seat, null);
  }

  /** Another program counts from now on: whoever slept by the old one is awake, and whoever is blocked or polls is so for the new one. */
  setProgram(seat: number, program: Program | null, nowUs: number): void {
    const wasAsleep = this.#beliefs[seat] !== Belief.awake;
    this.#clear(seat, program);
    if (wasAsleep) this.#user.directed(seat, Belief.awake, nowUs);
    const seen = this.#seen[seat] as EventKind;
    if (seen !== EventKind.woken) this.event(seat, seen, nowUs);
  }

  /** `timer` comes from `tick`, and from nobody else. */
  event(seat: number, kind: EventKind, nowUs: number): void {
    if (kind === EventKind.blocked || kind === EventKind.polling || kind === EventKind.woken) this.#seen[seat] = kind;
    const program = this.#programs[seat];
    if (program === null || program === undefined) return;
    if (program instanceof RuleTable) this.#byRules(program, seat, kind, nowUs);
    else this.#byPlugin(program, seat, kind, nowUs);
  }

  tick(nowUs: number): void {
    if (nowUs < this.#nextTickUs) return;
    this.#nextTickUs = Infinity;
    for (let seat = 0; seat < this.#programs.length; seat++) {
      if (this.#dueUs[seat]! <= nowUs) this.#timeIsOver(seat, nowUs);
      this.#nextTickUs = Math.min(this.#nextTickUs, this.#dueUs[seat]!);
    }
  }

  #clear(seat: number, program: Program | null): void {
    this.#programs[seat] = program;
    this.#beliefs[seat] = Belief.awake;
    this.#sleptAt[seat] = NOBODY;
    this.#states[seat] = 0;
    this.#dueUs[seat] = Infinity;
  }

  #timeIsOver(seat: number, nowUs: number): void {
    this.#dueUs[seat] = Infinity;
    const program = this.#programs[seat]!;
    if (program instanceof RuleTable) this.#awake(seat, nowUs);
    else this.#byPlugin(program, seat, EventKind.timer, nowUs);
  }

  #byRules(table: RuleTable, seat: number, kind: EventKind, nowUs: number): void {
    const sleptAt = this.#sleptAt[seat]!;
    const isEnded = sleptAt !== NOBODY && (table.causes[sleptAt]! & (1 << kind)) !== 0;
    const action = table.actions[kind];
    if (action === RuleAction.sleep) {
      if (sleptAt === kind && !isEnded) return;
      this.#sleptAt[seat] = kind;
      this.#setDue(seat, nowUs + table.limitsUs[kind]!);
      this.#tell(seat, table.beliefs[kind] as Belief, nowUs);
    } else if (isEnded || action === RuleAction.wake) {
      this.#awake(seat, nowUs);
    }
  }

  #awake(seat: number, nowUs: number): void {
    this.#sleptAt[seat] = NOBODY;
    this.#dueUs[seat] = Infinity;
    this.#tell(seat, Belief.awake, nowUs);
  }

  #byPlugin(plugin: Plugin, seat: number, kind: EventKind, nowUs: number): void {
    const answer = plugin.on(kind, Math.floor(nowUs / 1000) | 0, this.#states[seat]!);
    const decision = answer & 3;
    const timerMs = (answer >> 2) & TIMER_MASK;
    this.#states[seat] = answer >>> 16;
    this.#setDue(seat, timerMs === 0 ? Infinity : nowUs + timerMs * 1000);
    if (decision === PluginAnswer.asItWas) return;
    const asleep = decision === PluginAnswer.blocked ? Belief.blocked : Belief.polls;
    this.#tell(seat, decision === PluginAnswer.awake ? Belief.awake : asleep, nowUs);
  }

  #setDue(seat: number, dueUs: number): void {
    this.#dueUs[seat] = dueUs;
    this.#nextTickUs = Math.min(this.#nextTickUs, dueUs);
  }

  #tell(seat: number, belief: Belief, nowUs: number): void {
    if (this.#beliefs[seat] === belief) return;
    this.#beliefs[seat] = belief;
    this.#user.directed(seat, belief, nowUs);
  }
}
