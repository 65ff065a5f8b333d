/**
 * The shell of the machine for directed knowledge (machine/directed.ts): finds what the operator of a resident's function says, makes it
 * ready once, and takes what is said anew at once, also for who runs. Where an operator has neither rules nor a plug-in for the function of a
 * chain's step, its sleep plan counts.
 */
import type { FunctionKnowledge } from '../../store/store.ts';
import type { Log } from '../../telemetry/log.ts';
import type { WakerKind } from '../../workflow/sleep-plans.ts';
import { Directed, type Program } from '../machine/directed.ts';
import type { Knowledge } from '../machine/knowledge.ts';
import { EventKind } from '../machine/rules.ts';
import { type OperatorKnowledge, planProgram, readyKnowledge } from './operator-knowledge.ts';

/** What operators say of functions. The store's, where the agent has one. */
export interface KnowledgeDoor {
  /** The same object until it changes. */
  of(functionName: string): FunctionKnowledge | null;
  /** Told with the name of a function of which something else may be said now. */
  onChange(listener: (functionName: string) => void): void;
}

export interface DirectedSeatsOptions {
  readonly seatCount: number;
  /** Those that count where nothing is said of a function. */
  readonly sources: number;
  readonly knowledge: Knowledge;
  /** Null: nothing is said of any function. */
  readonly door: KnowledgeDoor | null;
  readonly log: Log;
}

interface Said {
  readonly said: FunctionKnowledge;
  readonly ready: OperatorKnowledge;
}

const NOTHING: OperatorKnowledge = { sources: null, program: null };

export class DirectedSeats {
  readonly #options: DirectedSeatsOptions;
  readonly #machine: Directed;
  /** By function; those of which something is said, and that have run since. */
  readonly #said = new Map<string, Said>();
  /** By seat: the function of its resident; '' where nobody is. */
  readonly #names: string[];
  /** By seat: what its sleep plan says. */
  readonly #plans: (Program | null)[];

  constructor(options: DirectedSeatsOptions) {
    this.#options = options;
    this.#machine = new Directed(options.seatCount, options.knowledge);
    this.#names = new Array<string>(options.seatCount).fill('');
    this.#plans = new Array<Program | null>(options.seatCount).fill(null);
  }

  /** `changed`: the sources or the program of a seat are others now. */
  follow(nowUs: () => number, changed: () => void): void {
    const { door } = this.#options;
    door?.onChange((functionName) => {
      // Most changes are of functions of which nothing is said.
      if (!this.#said.has(functionName) && door.of(functionName) === null) return;
      const { sources, program } = this.#readyOf(functionName);
      for (const [seat, name] of this.#names.entries()) {
        if (name !== functionName) continue;
        this.#options.knowledge.setSources(seat, sources ?? this.#options.sources, nowUs());
        this.#machine.setProgram(seat, program ?? this.#plans[seat]!, nowUs());
      }
      changed();
    });
  }

  /** `sleepsOn`: of the sleep plan of a chain's step. Answers which sources count for it. */
  began(seat: number, functionName: string, sleepsOn: readonly WakerKind[] = []): number {
    const { sources, program } = this.#readyOf(functionName);
    const plan = planProgram(sleepsOn);
    this.#names[seat] = functionName;
    this.#plans[seat] = plan;
    this.#machine.began(seat, program ?? plan);
    return sources ?? this.#options.sources;
  }

  ended(seat: number): void {
    this.#names[seat] = '';
    this.#machine.ended(seat);
  }

  event(seat: number, kind: EventKind, nowUs: number): void {
    this.#machine.event(seat, kind, nowUs);
  }

  /** It is to be told what the function sends and receives. */
  wantsTraffic(seat: number): boolean {
    return this.#machine.wants(seat, EventKind.sent) || this.#machine.wants(seat, EventKind.received);
  }

  /** It is to be told when the function polls. */
  wantsPolling(seat: number): boolean {
    return this.#machine.wants(seat, EventKind.polling);
  }

  tick(nowUs: number): void {
    this.#machine.tick(nowUs);
  }

  get nextTickUs(): number {
    return this.#machine.nextTickUs;
  }

  #readyOf(functionName: string): OperatorKnowledge {
    const said = this.#options.door?.of(functionName) ?? null;
    const known = this.#said.get(functionName);
    if (said === null) {
      if (known !== undefined) this.#said.delete(functionName);
      return NOTHING;
    }
    if (known?.said === said) return known.ready;
    const { log } = this.#options;
    const ready = readyKnowledge(said, (message) =>
      log.warn({ function: functionName, message }, 'a plug-in trapped, and is asked no more'),
    );
    if (typeof ready === 'string')
      log.warn({ function: functionName, message: ready }, 'what is said of a function cannot be used');
    const usable = typeof ready === 'string' ? NOTHING : ready;
    this.#said.set(functionName, { said, ready: usable });
    return usable;
  }
}
