/** Fresh isolation under attack: nothing of one invocation reaches the next, and no two copies draw the same. See leftovers.ts. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { LEFTOVERS, TERMINAL } from './leftovers.ts';
import { skip, World } from './world.ts';

const COPY_COUNT = 200;
const LOOK_COUNT = 3;

/** Runs the code that the event brings. */
const EVALUATE = {
  node: {
    'index.cjs': `const AsyncFunction = (async () => {}).constructor;
      exports.handler = async ({ code }) => new AsyncFunction('require', code)(require);`,
  },
  python: {
    'index.py': `
def handler(event, context):
    scope = {'result': None}
    exec(event['code'], scope)
    return scope['result']`,
  },
} as const;

/** Every generator is used by the zygote too, which makes it worse. */
const DRAW = {
  node: {
    'index.cjs': `const crypto = require('node:crypto'); const path = require('node:path'); const fs = require('node:fs');
      const pool = crypto.randomFillSync(Buffer.alloc(256));
      const draw = () => ({
        pool: pool.toString('hex', 0, 16),
        random: Math.random(),
        uuid: crypto.randomUUID(),
        bytes: crypto.randomBytes(8).toString('hex'),
        int: crypto.randomInt(2 ** 47),
        values: crypto.getRandomValues(new Uint32Array(2)).join(),
        web: globalThis.crypto.randomUUID(),
        key: crypto.generateKeySync('hmac', { length: 64 }).export().toString('hex'),
      });
      draw();
      exports.handler = async () => ({ ...draw(), later: (await new Promise((resolve) => crypto.randomBytes(8, (_, bytes) => resolve(bytes)))).toString('hex') });`,
  },
  python: {
    'index.py': `
import os, random, secrets, ssl, tempfile, uuid
generator = random.Random()
def draw():
    return {
        'random': random.random(),
        'generator': generator.random(),
        'system': random.SystemRandom().random(),
        'uuid4': str(uuid.uuid4()),
        'uuid1': str(uuid.uuid1()),
        'secrets': secrets.token_hex(8),
        'name': os.path.basename(tempfile.mktemp()),
        'ssl': ssl.RAND_bytes(8).hex(),
    }
draw()
def handler(event, context):
    return draw()`,
  },
} as const;

const ONESELF = {
  node: {
    'index.cjs': `const { performance } = require('node:perf_hooks'); const fs = require('node:fs');
      performance.mark('initialised');
      exports.handler = async () => ({
        id: process.pid, link: Number(fs.readlinkSync('/proc/self')),
        offMs: Math.abs(performance.timeOrigin + performance.now() - Date.now()),
        upMs: process.uptime() * 1000, nowMs: performance.now(),
      });`,
  },
  python: {
    'index.py': `
import os, time
def handler(event, context):
    return {'id': os.getpid(), 'link': int(os.readlink('/proc/self')), 'offMs': 0, 'upMs': 0, 'nowMs': 0}`,
  },
} as const;

describe('fresh isolation under attack', { skip }, () => {
  let world: World;
  before(async () => (world = await World.begin()));
  after(() => world.end());

  for (const runtime of ['node', 'python'] as const) {
    const run = (code: string): Promise<any> => world.value(`${runtime}-evaluate`, { code });
    const both = (leave: string, look: string): string =>
      runtime === 'node' ? `{ ${leave} } ${look}` : `${leave}\n${look}`;

    test(`${runtime}: nothing that an invocation leaves is there in the next`, async () => {
      await world.deploy(`${runtime}-evaluate`, EVALUATE[runtime], {
        runtime,
        place: 'fresh',
        handler: 'index.handler',
      });
      for (const leftover of LEFTOVERS) {
        const { leave, look } = leftover[runtime];
        assert.equal(await run(look), 'clean', leftover.tried);
        assert.notEqual(await run(both(leave, look)), 'clean', `${leftover.tried}: the attempt does not work at all`);
        await run(leave);
        for (let count = 0; count < LOOK_COUNT; count++) assert.equal(await run(look), 'clean', leftover.tried);
      }
      assert.equal(await run(TERMINAL[runtime]), 'clean');
      assert.equal(await world.isCopied(`${runtime}-evaluate`), true);
    });

    test(`${runtime}: output that was left is not logged with the next`, async () => {
      const leave = {
        node: "process.stdout.write('left-1'); require('node:child_process').spawn('/bin/sh', ['-c', 'for i in 1 2 3 4 5 6 7 8 9; do echo left-2; sleep 0.01; done'], { stdio: 'inherit' }).unref();",
        python:
          "import subprocess, sys\nsys.stdout.write('left-1')\nsubprocess.Popen(['/bin/sh', '-c', 'for i in 1 2 3 4 5 6 7 8 9; do echo left-2; sleep 0.01; done'])",
      }[runtime];
      const first = await world.invoke(`${runtime}-evaluate`, { code: leave });
      assert.match(first.log, /left-1/);
      for (let count = 0; count < LOOK_COUNT; count++) {
        const next = await world.invoke(`${runtime}-evaluate`, { code: '' });
        assert.doesNotMatch(next.log, /left/);
      }
    });

    test(`${runtime}: ${COPY_COUNT} copies draw different numbers, of every kind`, async () => {
      await world.deploy(`${runtime}-draw`, DRAW[runtime], { runtime, place: 'fresh', handler: 'index.handler' });
      const seen = new Map<string, Set<unknown>>();
      for (let count = 0; count < COPY_COUNT; count += 4) {
        const drawn = await Promise.all([1, 2, 3, 4].map(() => world.value(`${runtime}-draw`)));
        for (const [kind, value] of drawn.flatMap((each) => Object.entries(each))) {
          if (!seen.has(kind)) seen.set(kind, new Set());
          seen.get(kind)!.add(value);
        }
      }
      assert.ok(seen.size >= 7);
      for (const [kind, values] of seen) assert.equal(values.size, COPY_COUNT, kind);
    });

    test(`${runtime}: a copy knows its own number and clocks`, async () => {
      await world.deploy(`${runtime}-oneself`, ONESELF[runtime], { runtime, place: 'fresh', handler: 'index.handler' });
      const first = await world.value(`${runtime}-oneself`);
      assert.deepEqual([first.id, first.link], [1, 1]);
      assert.ok(first.offMs < 1000, `timeOrigin and now are ${first.offMs} ms off the clock`);
      assert.ok(Math.abs(first.upMs - first.nowMs) < 1000);
    });

    for (const place of ['copy', 'fresh'] as const) {
      test(`${runtime}, ${place}: a signal to all that it can reach ends nobody else`, async () => {
        const name = `${runtime}-signals-${place}`;
        await world.deploy(name, EVALUATE[runtime], { runtime, place, handler: 'index.handler' });
        const code = {
          wait: {
            node: "await new Promise((resolve) => setTimeout(resolve, 800)); return 'lives';",
            python: "import time\ntime.sleep(0.8)\nresult = 'lives'",
          },
          kill: {
            node: "try { process.kill(-1, 'SIGKILL'); } catch {} process.kill(0, 'SIGKILL');",
            python: 'import os\ntry:\n    os.kill(-1, 9)\nexcept OSError:\n    pass\nos.kill(0, 9)',
          },
        };
        assert.equal(await world.value(name, { code: code.wait[runtime] }), 'lives');
        const sibling = world.value(name, { code: code.wait[runtime] });
        await new Promise((resolve) => setTimeout(resolve, 100));
        await world.invoke(name, { code: code.kill[runtime] });
        assert.equal(await sibling, 'lives');
        assert.equal(await world.isCopied(name), true);
      });
    }
  }

  test('node: a function that initialises in /tmp stands in the /tmp of each copy', async () => {
    const source = `process.chdir('/tmp'); ${EVALUATE.node['index.cjs']}`;
    await world.deploy(
      'node-tmp',
      { 'index.cjs': source },
      { runtime: 'node', place: 'fresh', handler: 'index.handler' },
    );
    const code =
      "const fs = require('node:fs'); const found = fs.readdirSync('.'); fs.writeFileSync('left', 'x'); return [process.cwd(), found, fs.readdirSync('/tmp')];";
    for (let count = 0; count < LOOK_COUNT; count++)
      assert.deepEqual(await world.value('node-tmp', { code }), ['/tmp', [], ['left']]);
    assert.equal(await world.isCopied('node-tmp'), true);
  });
});
