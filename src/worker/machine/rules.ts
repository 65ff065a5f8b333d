/**
 * Rules by which an operator says when a function sleeps, and what wakes it: one a line, each for one event.
 *
 *     rules  = { [ rule ] [ "#" comment ] newline }
 *     rule   = "after" event "sleep" [ how ] "until" cause { "or" cause }
 *            | "while" state "sleep" [ how ] [ "until" cause { "or" cause } ]
 *            | "after" event "wake"
 *     event  = "started" | "sent" | "received" | "blocked" | "woken" | "polling"
 *     state  = "blocked" | "polling"
 *     how    = "blocked" | "polling"
 *     cause  = event | "input" | duration
 *     duration = number ( "us" | "ms" | "s" )
 *
 * `while` is `after`, and ends with the state too: `blocked` with `woken`, `polling` with whatever shows progress. `input` is
 * `received` or `woken`. `how` says whether its threads wait in the kernel, or may use CPU time; where it is not given they may,
 * unless the rule is for `blocked`. An event has one rule at most, so there are no more rules than events, and their order means nothing.
 *
 * What is parsed here is a list of rules; `compile` makes a table of it, in which an event is an index.
 */
import { Belief } from './knowledge.ts';

/** What is observed of a resident. The numbers are those that plug-ins get. */
export const EventKind = { started: 0, sent: 1, received: 2, blocked: 3, woken: 4, polling: 5, timer: 6 } as const;
export type EventKind = (typeof EventKind)[keyof typeof EventKind];

/** Those that rules may name: `timer` is a duration there. */
export const RULE_EVENTS = ['started', 'sent', 'received', 'blocked', 'woken', 'polling'] as const;
export type RuleEvent = (typeof RULE_EVENTS)[number];
export type RuleCause = RuleEvent | 'input';
export type RuleState = 'blocked' | 'polling';

export interface SleepRule {
  readonly when: 'after' | 'while';
  readonly event: RuleEvent;
  readonly verb: 'sleep';
  readonly how: RuleState;
  /** In the order in which they are written, each once. */
  readonly until: readonly RuleCause[];
  /** Awake after so long, whatever happens; null: until one of the causes. */
  readonly limitUs: number | null;
}

export interface WakeRule {
  readonly when: 'after';
  readonly event: RuleEvent;
  readonly verb: 'wake';
}

export type Rule = SleepRule | WakeRule;

/** What is wrong with a text of rules; the message names it, and what would be right. */
export interface RuleFault {
  /** The first is 1. */
  readonly line: number;
  readonly message: string;
}

export const RULE_TEXT_LENGTH_MAX = 4096;
const DURATION_US_MIN = 100;
const DURATION_US_MAX = 900_000_000;
const SHOWN_LENGTH_MAX = 40;
/** The largest first. */
const UNITS = [
  ['s', 1_000_000],
  ['ms', 1000],
  ['us', 1],
] as const;
const STATES: readonly string[] = ['blocked', 'polling'] satisfies RuleState[];
const CAUSES: readonly string[] = [...RULE_EVENTS, 'input'];
/** What ends a state, besides what the rule says. */
const STATE_ENDS: Readonly<Record<RuleState, readonly RuleEvent[]>> = {
  blocked: ['woken'],
  polling: ['sent', 'received', 'woken'],
};

/** The words of one line that are still to be read. */
class Words {
  readonly #words: readonly string[];
  #at = 0;

  constructor(text: string) {
    this.#words = text.split(/\s+/).filter((word) => word !== '');
  }

  get isEmpty(): boolean {
    return this.#at >= this.#words.length;
  }

  /** The word that is next, where it is one of these. */
  take(words: readonly string[]): string | null {
    const word = this.#words[this.#at];
    if (word === undefined || !words.includes(word)) return null;
    this.#at++;
    return word;
  }

  next(): string {
    return this.#words[this.#at++] ?? '';
  }

  /** For messages: what is next. */
  get shown(): string {
    const word = this.#words[this.#at];
    if (word === undefined) return 'the end of the line';
    return `'${word.length > SHOWN_LENGTH_MAX ? `${word.slice(0, SHOWN_LENGTH_MAX)}…` : word}'`;
  }
}

/** A text of rules as what it says, or what is wrong with it. */
export function parseRules(text: string): readonly Rule[] | RuleFault {
  if (text.length > RULE_TEXT_LENGTH_MAX) {
    const message = `the rules have ${text.length} characters; ${RULE_TEXT_LENGTH_MAX} are the most.`;
    return { line: 1, message };
  }
  const rules: Rule[] = [];
  const lines = new Map<RuleEvent, number>();
  for (const [index, content] of text.split('\n').entries()) {
    const line = index + 1;
    const words = new Words(content.replace(/#.*$/s, ''));
    if (words.isEmpty) continue;
    const rule = parseRule(words);
    if (typeof rule === 'string') return { line, message: rule };
    const before = lines.get(rule.event);
    if (before !== undefined) {
      return { line, message: `'${rule.event}' has a rule already, on line ${before}; an event has one at most.` };
    }
    lines.set(rule.event, line);
    rules.push(rule);
  }
  return rules;
}

/** The rules as `parseRules` reads them; one a line. */
export function printRules(rules: readonly Rule[]): string {
  return rules.map((rule) => `${printRule(rule)}\n`).join('');
}

export function defaultHow(event: RuleEvent): RuleState {
  return event === 'blocked' ? 'blocked' : 'polling';
}

/** A rule, or what is wrong. */
function parseRule(words: Words): Rule | string {
  const when = words.take(['after', 'while']) as SleepRule['when'] | null;
  if (when === null) return `a rule begins with 'after' or 'while', not with ${words.shown}.`;
  const known = when === 'after' ? RULE_EVENTS : STATES;
  const event = words.take(known) as RuleEvent | null;
  if (event === null) return `after '${when}' comes one of ${known.join(', ')}, not ${words.shown}.`;
  if (when === 'after' && words.take(['wake']) !== null) {
    return words.isEmpty ? { when, event, verb: 'wake' } : `after 'wake' the line ends; there is ${words.shown}.`;
  }
  if (words.take(['sleep']) === null) {
    const verbs = when === 'after' ? `'sleep' or 'wake'` : `'sleep'`;
    return `after '${when} ${event}' comes ${verbs}, not ${words.shown}.`;
  }
  const how = (words.take(STATES) ?? defaultHow(event)) as RuleState;
  if (words.isEmpty && when === 'while') return { when, event, verb: 'sleep', how, until: [], limitUs: null };
  if (words.take(['until']) === null) {
    return `after 'sleep' comes 'until', and what wakes it, like 'until received or 50ms'; not ${words.shown}.`;
  }
  const causes = parseCauses(words);
  return typeof causes === 'string' ? causes : { when, event, verb: 'sleep', how, ...causes };
}

function parseCauses(words: Words): Pick<SleepRule, 'until' | 'limitUs'> | string {
  const until: RuleCause[] = [];
  let limitUs: number | null = null;
  do {
    const { shown } = words;
    const cause = words.take(CAUSES) as RuleCause | null;
    if (cause !== null) {
      if (until.includes(cause)) return `${shown} stands there twice.`;
      until.push(cause);
      continue;
    }
    const us = durationUs(words.next());
    if (us === null) {
      return `what wakes it is one of ${CAUSES.join(', ')}, or a time from 100us to 900s, like 50ms; not ${shown}.`;
    }
    if (limitUs !== null) return `${shown} is a second time; the shorter one of them is enough.`;
    limitUs = us;
  } while (words.take(['or']) !== null);
  return words.isEmpty ? { until, limitUs } : `between two causes stands 'or', not ${words.shown}.`;
}

function durationUs(word: string): number | null {
  const [, digits = '', name] = /^([1-9][0-9]{0,8})(us|ms|s)$/.exec(word) ?? [];
  const unit = UNITS.find(([each]) => each === name);
  if (unit === undefined) return null;
  const us = Number(digits) * unit[1];
  return us >= DURATION_US_MIN && us <= DURATION_US_MAX ? us : null;
}

function printRule(rule: Rule): string {
  const head = `${rule.when} ${rule.event} ${rule.verb}`;
  if (rule.verb === 'wake') return head;
  const how = rule.how === defaultHow(rule.event) ? '' : ` ${rule.how}`;
  const causes = rule.limitUs === null ? rule.until : [...rule.until, printDuration(rule.limitUs)];
  return `${head}${how}${causes.length === 0 ? '' : ` until ${causes.join(' or ')}`}`;
}

function printDuration(us: number): string {
  const [name, size] = UNITS.find(([, each]) => us % each === 0)!;
  return `${us / size}${name}`;
}

/** What the rule of an event does. */
export const RuleAction = { none: 0, sleep: 1, wake: 2 } as const;
export type RuleAction = (typeof RuleAction)[keyof typeof RuleAction];

/** Rules, by the number of their event. */
export class RuleTable {
  readonly actions: Uint8Array = new Uint8Array(RULE_EVENTS.length);
  readonly beliefs: Uint8Array = new Uint8Array(RULE_EVENTS.length);
  /** Bit k: the event of number k ends the sleep. */
  readonly causes: Uint8Array = new Uint8Array(RULE_EVENTS.length);
  readonly limitsUs: Float64Array = new Float64Array(RULE_EVENTS.length).fill(Infinity);
  /** Bit k: a rule names the event of number k. That `while` ends with others is told with `woken`. */
  readonly wanted: number;

  constructor(rules: readonly Rule[]) {
    let wanted = 0;
    for (const rule of rules) {
      const kind = EventKind[rule.event];
      wanted |= 1 << kind;
      if (rule.verb === 'sleep') for (const cause of rule.until) wanted |= maskOf(cause);
      this.actions[kind] = rule.verb === 'wake' ? RuleAction.wake : RuleAction.sleep;
      if (rule.verb === 'wake') continue;
      this.beliefs[kind] = rule.how === 'blocked' ? Belief.blocked : Belief.polls;
      this.limitsUs[kind] = rule.limitUs ?? Infinity;
      const ends = rule.when === 'while' ? STATE_ENDS[rule.event as RuleState] : [];
      for (const cause of [...rule.until, ...ends]) this.causes[kind]! |= maskOf(cause);
    }
    this.wanted = wanted;
  }
}

function maskOf(cause: RuleCause): number {
  if (cause === 'input') return (1 << EventKind.received) | (1 << EventKind.woken);
  return 1 << EventKind[cause];
}
