/**
 * A small function that makes much garbage is not killed for it, in a copy as little as in a process of its own: V8 has to know
 * how much memory there is, and a cell boots before its function is known.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Functions } from '../lib/functions.ts';
import { startTestPlatform, type TestPlatform } from '../lib/platform.ts';
import { noBubblewrap, ROOT_ONLY } from '../worker/sandbox/harness.ts';

const skip = noBubblewrap || ROOT_ONLY;

const MEMORY_MB = 128;

/** Each round allocates 20 MB of Buffers and 20 MB of objects, or objects that live for a while: some 30 MB of them at a time. */
const GARBAGE = `import { getHeapStatistics } from 'node:v8';
const kept = [];
const makers = {
  buffers() { for (let count = 0; count < 20; count++) Buffer.alloc(1024 * 1024, 1); },
  objects() { for (let count = 0; count < 20; count++) makeList(10_000); },
  churn() { for (let count = 0; count < 20; count++) { kept.push(makeList(5000)); if (kept.length > 60) kept.shift(); } },
};
function makeList(length) {
  const list = [];
  for (let at = 0; at < length; at++) list.push({ at, list: [at] });
  return list;
}
export const handler = async ({ rounds, pause, make }) => {
  for (let round = 0; round < rounds; round++) {
    for (const name of make) makers[name]();
    if (pause) await new Promise((resolve) => setImmediate(resolve));
  }
  return getHeapStatistics().heap_size_limit / (1024 * 1024);
};`;

const KINDS = [
  ['a process of its own', 'plain', { LC_TIME: 'C' }],
  ['a copy in reuse', 'reuse', {}],
  ['a copy in fresh', 'fresh', { PERCH_ISOLATION: 'fresh' }],
] as const;

let platform: TestPlatform;
let functions: Functions;
before(async () => {
  if (skip !== false) return;
  // More than there may be: only the largest of these functions is promised so much.
  platform = await startTestPlatform({ args: ['--memory', '40000'] });
  functions = new Functions(platform);
});
after(() => platform?.stop());

for (const [what, kind, environment] of KINDS)
  for (const [mode, make] of [
    ['short-lived', ['buffers', 'objects']],
    ['longer-lived', ['churn']],
  ] as const)
    test(`${what} outlives its ${mode} garbage`, { skip }, async () => {
      const name = `${kind}-${mode}`;
      await functions.deploy(name, { files: { 'index.mjs': GARBAGE }, environment, more: { MemorySize: MEMORY_MB } });
      await functions.cellsWait('node');
      for (const pause of [false, true]) await functions.call(name, { rounds: 60, pause, make });
      assert.equal((await functions.copies(name)).copyable, kind !== 'plain');
    });

test(
  'V8 is given as much of the memory in a copy as in a process of its own, whatever its size',
  { skip },
  async () => {
    for (const MemorySize of [256, 4096, 8192]) {
      const limits: number[] = [];
      for (const [, name, environment] of KINDS.slice(0, 2)) {
        const sized = `${name}-${MemorySize}`;
        await functions.deploy(sized, { files: { 'index.mjs': GARBAGE }, environment, more: { MemorySize } });
        limits.push(await functions.call(sized, { rounds: 0 }));
      }
      assert.equal(limits[0], limits[1], `of ${MemorySize} MB`);
    }
  },
);
