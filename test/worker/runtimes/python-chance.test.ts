/** What copies of an initialised Python function draw: each for itself what came by chance, all the same what was chosen. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { type Cell, layerWith, runtime, skip, valueOf, zygoteOf } from './python-cell.ts';

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
  "nanoseconds": random.Random(time.time_ns()), "bytes": random.Random(os.urandom(16)), "array": random.Random(bytearray(os.urandom(16))), "long": random.Random(os.urandom(2500)),
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

test('the log says where initialisation drew what all copies have', { skip }, async () => {
  const line = 'what it made of them is the same in all instances copied from it\n';
  const cases: [string, string][] = [
    [
      'import uuid\nwho = uuid.uuid4()',
      `[WARN] initialisation drew from os.urandom, secrets or uuid4 (index.py line 2): ${line}`,
    ],
    [
      'import multiprocessing, os, packed, random, secrets\npool = os.urandom(50_000_000)\nfor _ in range(20_000): secrets.randbelow(10)\nrandom.seed(secrets.randbits(64))',
      `[WARN] initialisation drew from os.urandom, secrets or uuid4 (index.py line 2, index.py line 3, packed.py line 2): ${line}`,
    ],
    [
      'import multiprocessing, random, secrets, ssl, tempfile, uuid\nrandom.seed(secrets.randbits(64)); random.SystemRandom(); random.random()',
      '',
    ],
  ];
  for (const [code, expected] of cases) {
    const files = {
      'index.py': `${code}\ndef handler(e, c): pass`,
      'packed.py': 'import secrets\nkey = secrets.token_hex()',
    };
    const cell = await zygoteOf(files);
    assert.equal(cell.log, expected);
    assert.equal(await valueOf(cell), null);
    await cell.stop();
  }
  const json = await zygoteOf('import secrets\nkey = secrets.token_hex()\ndef handler(e, c): pass', {
    AWS_LAMBDA_LOG_FORMAT: 'JSON',
  });
  const { level, message } = JSON.parse(json.log);
  assert.deepEqual(
    [level, message],
    ['WARN', `initialisation drew from os.urandom, secrets or uuid4 (index.py line 2): ${line.trim()}`],
  );
  await json.stop();
});

/** Where numpy is for the Python of the runtime: '' if it is a package of the system, null if there is none. */
function numpyFolder(): string | null {
  const look =
    'import sys; print("%d.%d" % sys.version_info[:2])\nimport numpy, os; print(os.path.dirname(os.path.dirname(numpy.__file__)))';
  const found = (program: string, args: string[]): string[] =>
    spawnSync(program, [...args, '-c', look], { encoding: 'utf8' })
      .stdout?.trim()
      .split('\n') ?? [];
  const own = found(runtime!.interpreter(), ['-I']);
  if (own.length === 2) return '';
  // A numpy folder of one's own, or another Python's of the same version.
  if (process.env['PERCH_TEST_NUMPY'] !== undefined) return process.env['PERCH_TEST_NUMPY'];
  const other = found('python3', []);
  return other.length === 2 && other[0] === own[0] ? other[1]! : null;
}

const numpy = skip === false ? numpyFolder() : null;
const skipNumpy =
  skip || (numpy === null ? 'NOT TESTED: no numpy for this Python (apt-get install python3-numpy)' : false);
const numpyLayer = numpy === null || numpy === '' ? {} : layerWith(numpy, ['numpy', 'numpy.libs']);

test("numpy's generators that were seeded by chance differ between copies", { skip: skipNumpy }, async () => {
  const cell = await zygoteOf(
    `
import secrets, sys
import numpy as np
np.random.rand(); np.random.randn(3)
G = np.random.Generator
L = np.random.RandomState(); normal = np.random.RandomState(); normal.randn(); long = np.random.RandomState(); long.rand(3_000_000)
again = np.random.RandomState(5); again.seed(); late = np.random.RandomState(5); late.seed(None); late.rand(5000)
root = np.random.SeedSequence(); children = [np.random.default_rng(s) for s in root.spawn(2)]
by = {"default": np.random.default_rng(), "chosen entropy": np.random.default_rng(secrets.randbits(128)), "child": children[0], "second child": children[1],
  "reused": np.random.default_rng(root.entropy), "jumped": G(np.random.PCG64().jumped())}
for name in ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"):
    kind = getattr(np.random, name)
    by[name] = G(kind()); by[name].random(); by[name].integers(5, dtype=np.uint32)
    by["fresh " + name] = G(kind())
fixed = {name: G(getattr(np.random, name)(7)) for name in ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")}
fixed["key"] = G(np.random.Philox(key=5)); fixed["sequence"] = np.random.default_rng(np.random.SeedSequence(9).spawn(3)[2])
fixed["list"] = np.random.default_rng([1, 2]); restored = G(np.random.PCG64()); restored.bit_generator.state = np.random.PCG64(3).state; fixed["restored"] = restored
fixed["jumped"] = G(np.random.PCG64(4).jumped())
old = np.random.RandomState(8); old.rand(); old.randn(); set_ = np.random.RandomState(); set_.set_state(np.random.RandomState(11).get_state())
def handler(event, context):
    return {"shared": np.random.rand(), "L": L.rand(), "normal": normal.randn(), "long": long.rand(), "again": again.rand(), "late": late.rand(),
      "entropy": str(root.entropy), "grandchild": np.random.default_rng(by["default"].bit_generator._seed_seq.spawn(1)[0]).random(),
      "twins": children[0].random() != children[1].random(), **{name: each.random() for name, each in by.items()},
      **{"kept " + name: each.random() for name, each in fixed.items()}, "kept old": old.randn(), "kept set": set_.rand()}`,
    {},
    numpyLayer,
  );
  assert.equal(cell.log, '');
  for (const [name, count] of Object.entries(await distinct(cell))) {
    assert.equal(count, name.startsWith('kept') || name === 'twins' ? 1 : COPIES, name);
  }
  await cell.stop();
});

test('the shared generator of numpy that was given a seed keeps its stream', { skip: skipNumpy }, async () => {
  for (const code of [
    'np.random.seed(0)',
    'np.random.rand(); np.random.set_state(np.random.RandomState(0).get_state())',
  ]) {
    const cell = await zygoteOf(
      `import numpy as np\n${code}\ndef handler(e, c): return np.random.rand()`,
      {},
      numpyLayer,
    );
    assert.equal(cell.log, '');
    for (let index = 0; index < 2; index++) assert.equal(await valueOf(cell), 0.5488135039273248, code);
    await cell.stop();
  }
});
