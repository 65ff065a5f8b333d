/** What the fuzzer itself knows of each invocation: what its client was told, and how often it ran. It is told to nobody. */
import { assert } from '../../base/assert.ts';
import type { Arrival, Outcome } from './case.ts';

export type End = 'result' | 'lost' | 'withdrawn' | 'gateway died' | `refused: ${string}`;

const ID_DIGITS = 12;
const ID_PREFIX = '00000000-0000-0000-0000-';

export class Invocation {
  /** A UUID, as on the wire. */
  readonly id: string;
  readonly key: string;
  readonly gateway: string;
  readonly phasesUs: readonly number[];
  readonly outcome: Outcome;
  readonly followers: number;
  /** Its client has left while it ran or might: it may end without a word. */
  isUnwanted = false;
  end: End | null = null;
  runCount = 0;

  constructor(
    number: number,
    key: string,
    gateway: string,
    arrival: Pick<Arrival, 'phasesUs' | 'outcome' | 'followers'>,
  ) {
    this.id = ID_PREFIX + String(number).padStart(ID_DIGITS, '0');
    this.key = key;
    this.gateway = gateway;
    this.phasesUs = arrival.phasesUs;
    this.outcome = arrival.outcome;
    this.followers = arrival.followers;
  }

  /** Its client is told. */
  ends(end: End): void {
    assert(this.end === null, `exactly one result: ${this.name} has two, ${this.end} and ${end}`);
    if (end === 'result') assert(this.runCount === 1, `exactly one result: ${this.name} has one, and did not run`);
    if (end === 'withdrawn' || end.startsWith('refused'))
      assert(this.runCount === 0, `exactly one result: ${this.name} is ${end}, and ran`);
    this.end = end;
  }

  /** A worker begins with it. */
  runs(): void {
    this.runCount++;
    assert(this.runCount === 1, `at most once: ${this.name} runs twice`);
    const isOver = this.end !== null && (this.end === 'withdrawn' || this.end.startsWith('refused'));
    assert(!isOver, `at most once: ${this.name} was ${this.end}, and runs`);
  }

  get name(): string {
    return `invocation ${Number(this.id.slice(ID_PREFIX.length))}`;
  }
}
