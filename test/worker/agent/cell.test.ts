/** How much of what a cell sends is heard. */
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Cell, type CellEvents } from '../../../src/worker/agent/cell.ts';
import { FLOOD_BYTES } from '../../../src/worker/agent/flood.ts';
import { type FakeCell, FakeBackend, SafeBackend } from '../../../src/worker/sandbox/index.ts';
import { FAKE_CELL } from '../sandbox/fake-cell.ts';

const FRAME_BYTES = 64 * 1024;
const HEADER_BYTES = 16;

let cell: Cell;
let inside: FakeCell;
let loggedBytes = 0;

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

const events: CellEvents = {
  booted: () => {},
  initialised: () => {},
  initFailed: () => {},
  uncopyable: () => {},
  log: (_, __, bytes) => (loggedBytes += bytes),
  broke: () => {},
  exited: () => {},
};

beforeEach(async () => {
  const fake = new FakeBackend(
    () => {},
    () => {},
  );
  const safe = new SafeBackend(fake, 2);
  await safe.open();
  cell = new Cell(0, safe.startCell(FAKE_CELL), events);
  inside = fake.cells[0]!;
  loggedBytes = 0;
});

/** As much as it can, in each of the ways. */
const FLOODS: Readonly<Record<string, () => void>> = {
  'log frames': () => inside.report({ kind: 'log', text: '', bytes: FRAME_BYTES - HEADER_BYTES }),
  'frames that count for nothing': () => inside.babble(FRAME_BYTES),
  output: () => void inside.stdout.write(Buffer.alloc(FRAME_BYTES)),
  'output for errors': () => void inside.stderr.write(Buffer.alloc(FRAME_BYTES)),
};

for (const [name, send] of Object.entries(FLOODS)) {
  test(`nobody listens to a flood until the next tick: ${name}`, async () => {
    for (let count = 1; count < FLOOD_BYTES / FRAME_BYTES; count++) send();
    await turn();
    assert.equal(inside.paused, false);
    send();
    await turn();
    assert.equal(inside.paused, true);
    loggedBytes = 0;
    for (const each of Object.values(FLOODS)) each();
    await turn();
    assert.equal(loggedBytes, 0);
    cell.tick();
    await turn();
    assert.equal(inside.paused, false);
    assert.equal(loggedBytes, 3 * FRAME_BYTES - HEADER_BYTES);
  });
}

test('empty frames are a flood too, and each tick begins anew', async () => {
  const COUNT = FLOOD_BYTES / HEADER_BYTES;
  for (let count = 1; count < COUNT; count++) inside.babble(HEADER_BYTES);
  await turn();
  cell.tick();
  for (let count = 1; count < COUNT; count++) inside.report({ kind: 'log', text: '', bytes: 0 });
  await turn();
  assert.equal(inside.paused, false);
  inside.report({ kind: 'log', text: '', bytes: 0 });
  await turn();
  assert.equal(inside.paused, true);
});

test('one that is not listened to ends all the same', async () => {
  inside.babble(FLOOD_BYTES);
  await turn();
  assert.equal(inside.paused, true);
  cell.kill();
  await turn();
  assert.deepEqual(cell.exit, { kind: 'killed' });
});
