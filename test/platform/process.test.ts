/** Isolation `process` on a whole platform: what initialisation draws is each instance's own, as on Lambda. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { functionsOnPlatform } from '../lib/functions.ts';
import { noBubblewrap, ROOT_ONLY } from '../worker/sandbox/harness.ts';

const skip = noBubblewrap || ROOT_ONLY;

const { functions } = functionsOnPlatform(skip);

const FILES = {
  node: {
    'index.mjs': `import { randomUUID } from 'node:crypto';
const instance = randomUUID();
let count = 0;
export const handler = async () => {
  await new Promise((done) => setTimeout(done, 300));
  return { instance, count: ++count };
};`,
  },
  python: {
    'index.py': `import random, time, uuid
instance = str(uuid.uuid4())
random.seed(1234)
seeded = random.random()
count = 0
def handler(event, context):
    global count
    count += 1
    time.sleep(0.3)
    return {'instance': instance, 'count': count, 'seeded': seeded}
`,
  },
} as const;

for (const [runtime, files] of Object.entries(FILES))
  for (const how of ['variable', 'tag'])
    test(`${runtime}, given as ${how}: instances of one function share nothing`, { skip }, async () => {
      const name = `${runtime}-${how}`;
      const given =
        how === 'tag'
          ? { more: { Tags: { 'perch:isolation': 'process' } } }
          : { environment: { PERCH_ISOLATION: 'process' } };
      await functions.deploy(name, { files, ...given });
      await functions.cellsWait(runtime);
      const both = await Promise.all([functions.invoke(name), functions.invoke(name)]);
      assert.deepEqual([both[0].start, both[1].start], ['cold', 'cold']);
      const [first, second] = both.map(({ value }) => value);
      assert.notEqual(first.instance, second.instance);
      assert.equal(first.seeded, second.seeded, 'a seed that is given counts');
      const later = await functions.invoke(name);
      assert.equal(later.start, 'warm');
      assert.ok([first.instance, second.instance].includes(later.value.instance));
      assert.equal(later.value.count, 2);
      const { copyable, reasons, zygote } = await functions.copies(name);
      assert.deepEqual([copyable, reasons, zygote], [false, ["its isolation is 'process'"], 'none']);
    });
