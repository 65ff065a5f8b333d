/** What a Node function drew from crypto while it was initialised: pools are each copy's own, and the rest is told of. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { functionsOnPlatform } from '../lib/functions.ts';
import { noBubblewrap, ROOT_ONLY } from '../worker/sandbox/harness.ts';

const skip = noBubblewrap || ROOT_ONLY;
const ROUNDS = 15;
const ABREAST = 4;

/** As nanoid and uuid have them. */
const POOLS = `import crypto, { randomFill, randomFillSync, webcrypto } from 'node:crypto';
let pool;
let offset;
function nanoid(bytes) {
  if (!pool) {
    pool = Buffer.allocUnsafe(bytes * 128);
    webcrypto.getRandomValues(pool);
    offset = 0;
  } else if (offset + bytes > pool.length) {
    webcrypto.getRandomValues(pool);
    offset = 0;
  }
  offset += bytes;
  return pool.subarray(offset - bytes, offset).toString('hex');
}
const uuidPool = new Uint8Array(256);
let used = uuidPool.length;
function uuid() {
  if (used > uuidPool.length - 16) {
    crypto.randomFillSync(uuidPool);
    used = 0;
  }
  return Buffer.from(uuidPool.slice(used, (used += 16))).toString('hex');
}
// Of other kinds, and of parts.
const words = new Uint32Array(100);
randomFillSync(words, 36, 64);
const view = new DataView(new ArrayBuffer(256), 64);
webcrypto.getRandomValues(new Uint8Array(view.buffer));
globalThis.crypto.getRandomValues(new Uint8Array(view.buffer, 0, 128));
const later = new Uint8Array(300);
await new Promise((resolve, reject) => randomFill(later, 100, (error) => (error ? reject(error) : resolve())));
// What is written over a pool stays.
const written = Buffer.alloc(512);
crypto.randomFillSync(written);
written.write('a text that stays', 256);
const cleared = Buffer.alloc(512);
crypto.randomFillSync(cleared).fill(0);
const moved = new Uint8Array(512);
crypto.randomFillSync(moved);
structuredClone(moved.buffer, { transfer: [moved.buffer] });
`;
const KEYS = `const key = crypto.randomBytes(256).toString('hex');
const salt = Buffer.from(crypto.randomFillSync(Buffer.alloc(64))).toString('hex');
`;

const HANDLER = `const first = [nanoid(21), uuid()];
export const handler = async () => (await new Promise((resolve) => setTimeout(resolve, 30)), {
  drawn: {
    nanoid: nanoid(21),
    uuid: uuid(),
    words: words.subarray(36).join(),
    view: Buffer.from(view.buffer, view.byteOffset, 192).toString('hex'),
    later: Buffer.from(later.subarray(100)).toString('hex'),
    before: written.toString('hex', 0, 256),
    behind: written.toString('hex', 288),
  },
  kept: {
    key,
    salt,
    words: words.subarray(0, 36).join(),
    later: later.subarray(0, 100).join(),
    text: written.toString('latin1', 256, 273),
    cleared: cleared.every((byte) => byte === 0),
    shapes: [crypto.randomFillSync, crypto.randomFill, crypto.randomBytes, crypto.generateKeyPair, webcrypto.getRandomValues]
      .map(({ name, length }) => name + length).join(),
  },
});`;

const { functions } = functionsOnPlatform(skip);

for (const isolation of ['fresh', 'reuse'])
  test(`${isolation}: pools that were filled at initialisation differ, and keys do not`, { skip }, async () => {
    const name = `pools-${isolation}`;
    const files = { 'index.mjs': POOLS + KEYS + HANDLER };
    await functions.deploy(name, { files, environment: { PERCH_ISOLATION: isolation } });
    await functions.cellsWait('node');
    const all: any[] = [];
    for (let round = 0; round < ROUNDS; round++)
      all.push(...(await Promise.all(Array.from({ length: ABREAST }, () => functions.call(name)))));
    assert.equal((await functions.copies(name)).copyable, true);
    const unlike = (part: string, of: string): number => new Set(all.map((each) => each[part][of])).size;
    const instances = new Set(all.map(({ drawn }) => drawn.later)).size;
    assert.ok(instances >= (isolation === 'fresh' ? all.length : 2), `${instances} instances`);
    for (const of of Object.keys(all[0].drawn)) {
      const expected = of === 'nanoid' || of === 'uuid' ? all.length : instances;
      assert.equal(unlike('drawn', of), expected, of);
    }
    for (const of of Object.keys(all[0].kept)) assert.equal(unlike('kept', of), 1, of);
    const { text, cleared, shapes } = all[0].kept;
    assert.deepEqual([text, cleared], ['a text that stays', true]);
    assert.equal(shapes, 'randomFillSync1,randomFill4,randomBytes2,generateKeyPair3,getRandomValues1');
  });

test('pools without end: as many as there is room for', { skip }, async () => {
  const source = `import { randomFillSync } from 'node:crypto';
    const pools = Array.from({ length: 100 }, () => randomFillSync(Buffer.alloc(128)));
    export const handler = async () => pools.map((pool) => pool.toString('hex'));`;
  await functions.deploy('endless', { files: { 'index.mjs': source }, environment: { PERCH_ISOLATION: 'fresh' } });
  const [one, other]: string[][] = [await functions.call('endless'), await functions.call('endless')];
  const same = one!.filter((pool, index) => pool === other![index]).length;
  assert.equal(same, 100 - 64);
  assert.match((await functions.logLines('endless', 'Initialisation')).join('\n'), /of more than 64 buffers or 256 KB/);
});

const NOTE = 'Initialisation drew random values';

/** What its log says of its initialisation, after several invocations. */
async function notesOf(name: string, source: string, more = {}): Promise<readonly string[]> {
  await functions.deploy(name, { files: { 'index.mjs': source }, environment: { PERCH_ISOLATION: 'fresh' }, more });
  for (let count = 0; count < 3; count++) await functions.call(name);
  return functions.logLines(name, NOTE);
}

const NAMED = `import { generateKeySync, randomInt, randomUUID } from 'node:crypto';
  const name = randomUUID();
  const other = [randomUUID(), randomInt(9)];
  const key = generateKeySync('hmac', { length: 64 });
  await crypto.subtle.generateKey({ name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  export const handler = async () => [name, randomUUID(), crypto.getRandomValues(new Uint8Array(8))];`;

test('an initialisation that drew random values says so once, and where', { skip }, async () => {
  const notes = await notesOf('named', NAMED);
  assert.equal(notes.length, 1, notes.join('\n'));
  const places = ['randomUUID at /var/task/index.mjs:2:16', 'randomInt at /var/task/index.mjs:3:32'];
  assert.match(notes[0]!, /^\S+\t\S*\tWARN\t/);
  assert.ok(notes[0]!.includes(`${NOTE} (${places.join(', ')}, generateKeySync at`), notes[0]);
  assert.match(notes[0]!, /, …\)/);
  assert.match(notes[0]!, /same in every instance that is copied from it: see isolation 'process'/);
});

test('it says so as JSON where the function logs JSON', { skip }, async () => {
  const source = `import { randomBytes } from 'node:crypto'; const key = randomBytes(8); export const handler = async () => 1;`;
  const notes = await notesOf('named-json', source, { LoggingConfig: { LogFormat: 'JSON' } });
  assert.equal(notes.length, 1, notes.join('\n'));
  const { level, message } = JSON.parse(notes[0]!);
  assert.equal(level, 'WARN');
  assert.match(message, /randomBytes at/);
});

test('one that drew nothing, or from Math.random alone, says nothing', { skip }, async () => {
  const source = `import { randomUUID } from 'node:crypto'; const seed = Math.random(); export const handler = async () => [seed, randomUUID()];`;
  assert.deepEqual(await notesOf('unnamed', source), []);
});
