/** What copies of an initialised Python function draw: each for itself what came by chance, all the same what was chosen. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Cell, skip, valueOf, zygoteOf } from './python-cell.ts';

const COPIES = 6;

/** How many different values each name had in some copies. */
async function distinct(cell: Cell): Promise<Record<string, number>> {
  const seen = new Map<string, Set<string>>();
  for (let index = 0; index < COPIES; index++) {
    for (const [name, drawn] of Object.entries(await valueOf(cell))) {
      seen.set(name, (seen.get(name) ?? new Set()).add(JSON.stringify(drawn)));
    }
  }
  return Object.fromEntries([...seen].map(([name, values]) => [name, values.size]));
}

test('the shared generator that was given a seed keeps its stream', { skip }, async () => {
  const seeded: [string, unknown[]][] = [
    ['random.seed(1234)', [0.9664535356921388, 0.4407325991753527]],
    ['seed(1234)', [0.9664535356921388, 0.4407325991753527]],
    [
      'random.seed(99); random.seed("1234".encode()); random.random(); random.seed(1234)',
      [0.9664535356921388, 0.4407325991753527],
    ],
    ['random.setstate(random.Random(1234).getstate())', [0.9664535356921388, 0.4407325991753527]],
  ];
  for (const [code, expected] of seeded) {
    const cell = await zygoteOf(
      `import random\nfrom random import seed\n${code}\ndef handler(e, c): return [random.random(), random.random()]`,
    );
    for (let index = 0; index < 2; index++) assert.deepEqual(await valueOf(cell), expected, code);
    await cell.stop();
  }
});

test('a seed that came by chance or from the clock is no choice', { skip }, async () => {
  const cell = await zygoteOf(`
import copy, os, pickle, random, secrets, time
state = random.getstate(); random.seed(5); random.random(); random.setstate(state)
by = {"none": random.Random(None), "clock": random.Random(time.time()), "seconds": random.Random(int(time.time())),
  "nanoseconds": random.Random(time.time_ns()), "bytes": random.Random(os.urandom(16)), "array": random.Random(bytearray(os.urandom(16))),
  "bits": random.Random(secrets.randbits(128)), "little": random.Random(int.from_bytes(os.urandom(8), "little")) }
by["copied"] = copy.deepcopy(by["none"]); by["pickled"] = pickle.loads(pickle.dumps(by["bits"]))
by["again"] = random.Random(5); by["again"].seed()
chosen = {"chosen": random.Random(5), "text": random.Random("seed"), "huge": random.Random(10**400), "infinite": random.Random(float("inf")),
  "year": random.Random(2026), "pickled": pickle.loads(pickle.dumps(random.Random(7)))}
class Odd(random.Random):
    __hash__ = None
by["odd"] = Odd()
class Keeper:
    bytes = os.urandom
by["attribute"] = random.Random(Keeper().bytes(16))
def handler(event, context):
    return {"shared": random.random(), **{name: each.random() for name, each in by.items()},
      **{"kept " + name: each.random() for name, each in chosen.items()}, "plain": type(os.urandom).__name__ + random.seed.__func__.__module__}`);
  for (const [name, count] of Object.entries(await distinct(cell))) {
    assert.equal(count, name.startsWith('kept') || name === 'plain' ? 1 : COPIES, name);
  }
  assert.equal((await valueOf(cell)).plain, 'builtin_function_or_methodrandom');
  await cell.stop();
});
