/** The operator's rules: what their language takes and refuses, and what comes of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Belief, Knowledge, KNOWLEDGE_LIMITS, Source } from '../../../src/worker/machine/knowledge.ts';
import { Directed, PluginAnswer } from '../../../src/worker/machine/directed.ts';
import {
  defaultHow,
  EventKind,
  parseRules,
  printRules,
  type Rule,
  RULE_EVENTS,
  RULE_TEXT_LENGTH_MAX,
  type RuleCause,
  type RuleFault,
  RuleTable,
} from '../../../src/worker/machine/rules.ts';

const SEAT_COUNT = 3;
/** For one seat, in words: what was told, and when. */
function start(text: string): { directed: Directed; told: string[] } {
  const told: string[] = [];
  const names = ['awake', 'blocked', 'polls'] as const;
  const directed = new Directed(SEAT_COUNT, {
    directed: (seat, belief, nowUs) => told.push(`${nowUs}: ${seat} ${names[belief]}`),
  });
  directed.began(0, new RuleTable(rulesOf(text)));
  return { directed, told };
}

function rulesOf(text: string): readonly Rule[] {
  const rules = parseRules(text);
  assert.ok(isRules(rules), JSON.stringify(rules));
  return rules;
}

function isRules(value: readonly Rule[] | RuleFault): value is readonly Rule[] {
  return Array.isArray(value);
}

test('rules as they are written', () => {
  const text = `# for a function that asks and waits
    after sent sleep until received or 50ms   # or so

    while polling sleep until 20ms
    after started  sleep until input\r
    after woken wake # not\u2028more\r
    # the end\r`;
  assert.equal(
    printRules(rulesOf(text)),
    'after sent sleep until received or 50ms\nwhile polling sleep until 20ms\nafter started sleep until input\nafter woken wake\n',
  );
  assert.deepEqual(rulesOf('# nothing\n\n'), []);
});

test('what is wrong is said with its line, and what would be right', () => {
  const cases: readonly (readonly [string, number, RegExp])[] = [
    ['when sent sleep', 1, /begins with 'after' or 'while', not with 'when'/],
    ['\n\nafter lunch sleep until input', 3, /after 'after' comes one of started, .*polling, not 'lunch'/],
    ['while sent sleep', 1, /after 'while' comes one of blocked, polling, not 'sent'/],
    ['after timer wake', 1, /not 'timer'/],
    ['after sent', 1, /comes 'sleep' or 'wake', not the end of the line/],
    ['while polling wake', 1, /comes 'sleep', not 'wake'/],
    ['after sent sleep', 1, /comes 'until'.*like 'until received or 50ms'; not the end of the line/],
    ['after sent sleep until', 1, /is one of .*input, or a time .* not the end of the line/],
    ['after sent sleep until soon', 1, /like 50ms; not 'soon'/],
    ['after sent sleep until 0ms', 1, /not '0ms'/],
    ['after sent sleep until 50us', 1, /not '50us'/],
    ['after sent sleep until 901s', 1, /from 100us to 900s.*not '901s'/],
    ['after sent sleep until 1ms or 2ms', 1, /'2ms' is a second time/],
    ['after sent sleep until received or received', 1, /'received' stands there twice/],
    ['after sent sleep until received 50ms', 1, /between two causes stands 'or', not '50ms'/],
    ['after sent wake now', 1, /the line ends; there is 'now'/],
    ['after polling wake\nwhile polling sleep', 2, /'polling' has a rule already, on line 1/],
    ['x'.repeat(100), 1, /not with 'x{40}…'/],
    ['#'.repeat(RULE_TEXT_LENGTH_MAX + 1), 1, /4097 characters; 4096 are the most/],
  ];
  for (const [text, line, message] of cases) {
    const fault = parseRules(text);
    assert.ok(!isRules(fault), text);
    assert.equal(fault.line, line, text);
    assert.match(fault.message, message);
  }
});

test('asleep until what the rule says, or its limit; awake before is awake', () => {
  const { directed, told } = start('after sent sleep until received or 5ms');
  directed.event(0, EventKind.started, 0);
  directed.event(0, EventKind.sent, 10);
  assert.equal(directed.nextTickUs, 5010);
  directed.event(0, EventKind.woken, 20);
  directed.event(0, EventKind.received, 30);
  directed.event(0, EventKind.sent, 40);
  directed.event(0, EventKind.sent, 4000);
  directed.tick(5039);
  directed.tick(5040);
  assert.deepEqual(told, ['10: 0 polls', '30: 0 awake', '40: 0 polls', '5040: 0 awake']);
});

test('a state that ends wakes; another rule takes over with its own limit', () => {
  const { directed, told } = start('while blocked sleep\nafter sent sleep until 2ms\nafter started wake');
  directed.event(0, EventKind.blocked, 0);
  directed.event(0, EventKind.woken, 1);
  directed.event(0, EventKind.blocked, 2);
  directed.event(0, EventKind.sent, 3);
  directed.event(0, EventKind.woken, 4);
  directed.tick(2003);
  directed.event(0, EventKind.sent, 3000);
  directed.event(0, EventKind.started, 3001);
  assert.equal(directed.beliefOf(0), Belief.awake);
  directed.tick(10_000);
  const expected = ['0: 0 blocked', '1: 0 awake', '2: 0 blocked', '3: 0 polls', '2003: 0 awake'];
  assert.deepEqual(told, [...expected, '3000: 0 polls', '3001: 0 awake']);
});

test('a change of the program wakes who slept by the old one', () => {
  const { directed, told } = start('after sent sleep until received');
  directed.event(0, EventKind.sent, 1);
  directed.setProgram(0, null, 2);
  directed.event(0, EventKind.sent, 3);
  directed.ended(0);
  directed.setProgram(0, new RuleTable(rulesOf('after sent sleep until 1s')), 4);
  assert.deepEqual(told, ['1: 0 polls', '2: 0 awake']);
});

test('who is blocked when the rules change is blocked for the new ones, until it wakes or another begins', () => {
  const { directed, told } = start('');
  const rules = new RuleTable(rulesOf('while blocked sleep'));
  directed.event(0, EventKind.blocked, 1);
  directed.setProgram(0, rules, 2);
  directed.event(0, EventKind.woken, 3);
  directed.setProgram(0, rules, 4);
  directed.event(0, EventKind.blocked, 5);
  directed.began(0, null);
  directed.setProgram(0, rules, 6);
  assert.deepEqual(told, ['2: 0 blocked', '3: 0 awake', '5: 0 blocked']);
});

test('a plug-in is asked at each event, and when its time is over; it remembers for each resident', () => {
  const asked: string[] = [];
  const { directed, told } = start('');
  const plugin = {
    on(kind: EventKind, nowMsLow: number, state: number): number {
      asked.push(`${kind} at ${nowMsLow} with ${state}`);
      if (kind === EventKind.sent) return PluginAnswer.blocked | (7 << 2) | ((state + 0x8001) << 16);
      return kind === EventKind.timer ? PluginAnswer.awake : (state << 16) | PluginAnswer.asItWas;
    },
  };
  directed.began(0, plugin);
  directed.began(1, plugin);
  directed.event(0, EventKind.sent, 2 ** 31 * 1000);
  directed.event(1, EventKind.received, 3000);
  directed.event(0, EventKind.polling, 4000);
  assert.deepEqual(asked.splice(0), [`1 at ${-(2 ** 31)} with 0`, '2 at 3 with 0', `5 at 4 with ${0x8001}`]);
  directed.event(1, EventKind.sent, 5000);
  directed.tick(11_999);
  directed.tick(12_000);
  assert.deepEqual(asked, ['1 at 5 with 0', `6 at 12 with ${0x8001}`]);
  assert.deepEqual(told, [`${2 ** 31 * 1000}: 0 blocked`, '5000: 1 blocked', '12000: 1 awake']);
});

const cause = fc.constantFrom<RuleCause>(...RULE_EVENTS, 'input');
const limit = fc.oneof(
  fc.integer({ min: 100, max: 5000 }),
  fc.integer({ min: 1, max: 900 }).map((s) => s * 1_000_000),
  fc.integer({ min: 1, max: 5000 }).map((ms) => ms * 1000),
);

function anyRule(event: (typeof RULE_EVENTS)[number]): fc.Arbitrary<Rule> {
  const isState = event === 'blocked' || event === 'polling';
  const sleep = fc
    .record({
      when: isState ? fc.constantFrom('after' as const, 'while' as const) : fc.constant('after' as const),
      event: fc.constant(event),
      verb: fc.constant('sleep' as const),
      how: fc.constantFrom('blocked' as const, 'polling' as const),
      until: fc.uniqueArray(cause),
      limitUs: fc.option(limit),
    })
    .map((rule) =>
      rule.when === 'while' || rule.until.length > 0 ? rule : { ...rule, limitUs: rule.limitUs ?? 5000 },
    );
  return fc.oneof({ weight: 4, arbitrary: sleep }, fc.constant({ when: 'after', event, verb: 'wake' } as const));
}

const anyRules = fc
  .uniqueArray(fc.constantFrom(...RULE_EVENTS))
  .chain((events) => fc.tuple(...events.map(anyRule)) as unknown as fc.Arbitrary<Rule[]>);

/** JSON, since fast-check makes objects without prototypes. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

test('what is printed is what is read', () => {
  fc.assert(
    fc.property(anyRules, (rules) => {
      assert.deepEqual(plain(parseRules(printRules(rules))), plain(rules));
    }),
    { numRuns: 500 },
  );
});

test('no text makes the parser fail', () => {
  const word = fc.constantFrom('after', 'while', 'sleep', 'until', 'or', 'wake', '1ms', '\n', '#', '', ...RULE_EVENTS);
  const text = fc.oneof(
    fc.string({ size: 'max', maxLength: 300 }),
    fc.array(word).map((words) => words.join(' ')),
  );
  fc.assert(
    fc.property(text, (each) => {
      const rules = parseRules(each);
      if (isRules(rules)) assert.ok(rules.length <= RULE_EVENTS.length);
      else assert.ok(rules.line >= 1 && rules.message.endsWith('.'), rules.message);
    }),
    { numRuns: 1000 },
  );
});

interface Step {
  readonly seat: number;
  readonly afterUs: number;
  readonly kind: EventKind | 'tick';
}

const anyStep: fc.Arbitrary<Step> = fc.record({
  seat: fc.nat(SEAT_COUNT - 1),
  afterUs: fc.oneof(fc.nat(300), fc.nat(3_000_000)),
  kind: fc.oneof(fc.integer({ min: 0, max: 5 }) as fc.Arbitrary<EventKind>, fc.constant('tick' as const)),
});

/** What the rules say, as plainly as it can be said, for one seat. */
class Model {
  readonly #rules: readonly Rule[];
  sleep: { readonly rule: Rule & { verb: 'sleep' }; readonly sinceUs: number } | null = null;

  constructor(rules: readonly Rule[]) {
    this.#rules = rules;
  }

  event(kind: EventKind, nowUs: number): void {
    const name = RULE_EVENTS[kind as 0]!;
    const rule = this.#rules.find(({ event }) => event === name);
    const isEnded = this.sleep !== null && this.#ends(this.sleep.rule, name);
    const isOwn = this.sleep !== null && this.sleep.rule === rule;
    if (isEnded) this.sleep = null;
    if (rule?.verb === 'wake') this.sleep = null;
    else if (rule !== undefined && (!isOwn || isEnded)) this.sleep = { rule, sinceUs: nowUs };
  }

  tick(nowUs: number): void {
    if (this.sleep !== null && nowUs - this.sleep.sinceUs >= (this.sleep.rule.limitUs ?? Infinity)) this.sleep = null;
  }

  #ends(rule: Rule & { verb: 'sleep' }, event: (typeof RULE_EVENTS)[number]): boolean {
    const input = event === 'received' || event === 'woken';
    if (rule.until.includes(event) || (input && rule.until.includes('input'))) return true;
    if (rule.when === 'after') return false;
    return rule.event === 'blocked' ? event === 'woken' : input || event === 'sent';
  }
}

test('who sleeps is who the rules say, never longer than they say, and the same for the same events', () => {
  let sleeps = 0;
  fc.assert(
    fc.property(anyRules, fc.array(anyStep, { size: 'max', maxLength: 60 }), (rules, steps) => {
      const logs = [0, 1].map(() => {
        const told: string[] = [];
        const directed = new Directed(SEAT_COUNT, { directed: (...each) => told.push(each.join(' ')) });
        const models = Array.from({ length: SEAT_COUNT }, () => new Model(rules));
        for (let seat = 0; seat < SEAT_COUNT; seat++) directed.began(seat, new RuleTable(rules));
        let nowUs = 0;
        for (const { seat, afterUs, kind } of steps) {
          const untilUs = nowUs + afterUs;
          // It is ticked when it asks for it.
          while (directed.nextTickUs <= untilUs) {
            nowUs = directed.nextTickUs;
            directed.tick(nowUs);
            for (const model of models) model.tick(nowUs);
          }
          nowUs = untilUs;
          if (kind === 'tick') directed.tick(nowUs);
          else {
            directed.event(seat, kind, nowUs);
            models[seat]!.event(kind, nowUs);
          }
          for (const [index, { sleep }] of models.entries()) {
            const how = sleep === null ? 'awake' : sleep.rule.how === 'blocked' ? 'blocked' : 'polls';
            assert.equal(directed.beliefOf(index), Belief[how]);
            if (sleep !== null) sleeps++;
            assert.ok(sleep === null || nowUs - sleep.sinceUs < (sleep.rule.limitUs ?? Infinity));
          }
        }
        return told;
      });
      assert.deepEqual(logs[0], logs[1]);
    }),
    { numRuns: 500 },
  );
  assert.ok(sleeps > 1000, `only ${sleeps} moments of sleep were looked at`);
});

test('without rules nothing is said, and knowledge with the source switched off says nothing', () => {
  fc.assert(
    fc.property(fc.boolean(), anyRules, fc.array(anyStep, { size: 'max', maxLength: 40 }), (isOff, rules, steps) => {
      let count = 0;
      const knowledge = new Knowledge(
        { ...KNOWLEDGE_LIMITS, seatCount: SEAT_COUNT },
        { slept: () => count++, woke: () => count++ },
      );
      const directed = new Directed(SEAT_COUNT, knowledge);
      let nowUs = 0;
      for (let seat = 0; seat < SEAT_COUNT; seat++) {
        knowledge.began(seat, isOff ? Source.learning : Source.directed);
        directed.began(seat, isOff ? new RuleTable(rules) : seat === 0 ? new RuleTable([]) : null);
      }
      for (const { seat, afterUs, kind } of steps) {
        nowUs += afterUs;
        directed.tick(nowUs);
        if (kind !== 'tick') directed.event(seat, kind, nowUs);
      }
      assert.equal(count, 0);
    }),
  );
});

test('default of how a resident sleeps', () => {
  assert.deepEqual(RULE_EVENTS.map(defaultHow), ['polling', 'polling', 'polling', 'blocked', 'polling', 'polling']);
});
