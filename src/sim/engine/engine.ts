/**
 * Virtual time: what has been put off until a time happens at that time, and nothing else ever does. Deterministic: events of one
 * time happen in the order of their lanes, then of the queue.
 *
 * Times are microseconds since the start, 64-bit floats: at a day of virtual time the next one is 15 ps away.
 */
import { assert } from '../../base/assert.ts';
import { Calendar, type Foresight } from './calendar.ts';
import { Lane } from './lane.ts';
import { TraceHash } from './trace-hash.ts';

/** What the two numbers mean is between who puts an event in and who takes it. */
export type Handler = (a: number, b: number) => void;

const KIND_COUNT_MAX = 256;
const LANE_CAPACITY_LOG2 = 10;

export class Engine {
  nowUs = 0;
  eventCount = 0;
  readonly hash: TraceHash = new TraceHash();
  readonly #handlers: Handler[] = [];
  readonly #foresights: (Foresight | undefined)[] = [];
  readonly #queue = new Calendar(this.#foresights);
  readonly #lanes: Lane[] = [];

  /** The kind of the events that go to this handler. `foresight` is told of them shortly before. */
  kind(handler: Handler, foresight?: Foresight): number {
    assert(this.#handlers.length < KIND_COUNT_MAX, `there may be ${KIND_COUNT_MAX} kinds of events`);
    this.#foresights.push(foresight);
    return this.#handlers.push(handler) - 1;
  }

  /** For events of which each is at the same time as the one before it or later. A handful at most: all are looked at each time. */
  lane(): Lane {
    const lane = new Lane(LANE_CAPACITY_LOG2);
    this.#lanes.push(lane);
    return lane;
  }

  at(timeUs: number, kind: number, a = 0, b = 0): void {
    assert(timeUs >= this.nowUs, 'an event lies in the past');
    this.#queue.push(timeUs, kind, a, b);
  }

  after(delayUs: number, kind: number, a = 0, b = 0): void {
    this.at(this.nowUs + delayUs, kind, a, b);
  }

  /** How many are still to come. */
  get pendingCount(): number {
    return this.#lanes.reduce((sum, lane) => sum + lane.count, this.#queue.size);
  }

  /** The next event happens; false: there is none until then. */
  step(untilUs: number): boolean {
    const lanes = this.#lanes;
    const queue = this.#queue;
    let lane: Lane | null = null;
    let timeUs = queue.headUs;
    for (let i = lanes.length - 1; i >= 0; i--) {
      const headUs = lanes[i]!.headUs;
      if (headUs > timeUs) continue;
      timeUs = headUs;
      lane = lanes[i]!;
    }
    if (timeUs > untilUs || timeUs === Infinity) return false;
    // Two ways and not one: each knows whom it asks.
    if (lane === null) {
      const { headKind, headA, headB } = queue;
      queue.pop();
      this.#happen(timeUs, headKind, headA, headB);
    } else {
      const { headKind, headA, headB } = lane;
      lane.pop();
      this.#happen(timeUs, headKind, headA, headB);
    }
    return true;
  }

  #happen(timeUs: number, kind: number, a: number, b: number): void {
    this.nowUs = timeUs;
    this.eventCount++;
    this.hash.add(timeUs, kind, a, b);
    this.#handlers[kind]!(a, b);
  }

  /** Until then, or until nothing is to come; time stands there afterwards, where it is finite. */
  run(untilUs: number): void {
    while (this.step(untilUs));
    if (untilUs !== Infinity) this.nowUs = Math.max(this.nowUs, untilUs);
  }
}
