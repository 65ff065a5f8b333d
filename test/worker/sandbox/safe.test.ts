import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ExitReason, Sandbox, SandboxBackend, SandboxSpec } from '../../../src/worker/sandbox/contract.ts';
import { FakeBackend, SafeBackend, createBackend, isSandboxName } from '../../../src/worker/sandbox/index.ts';
import { FAKE_CELL } from './fake-cell.ts';

const SLOT_COUNT = 3;

function spec(slot: number): SandboxSpec {
  const folders = { codeDir: '/c', layersDir: '', runtimeDir: '/r', interpreter: '/i' };
  return { slot, ...folders, args: [], env: {}, memoryMb: 128, cpus: [], network: 'host' };
}

function exitOf(sandbox: Sandbox): Promise<ExitReason> {
  return new Promise((resolve) => sandbox.onExit(resolve));
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test('nothing starts before open and after close: a reason, not an exception', async () => {
  const fake = new FakeBackend(() => {});
  const safe = new SafeBackend(fake, SLOT_COUNT);
  assert.deepEqual(await exitOf(safe.start(spec(0))), { kind: 'start-failed', message: 'the backend is new' });
  await safe.open();
  await safe.open();
  await safe.close();
  await safe.close();
  assert.deepEqual(await exitOf(safe.start(spec(0))), { kind: 'start-failed', message: 'the backend is closed' });
  assert.throws(() => safe.open(), /open after close/);
  assert.equal(fake.instances.length, 0);
});

test('close kills what lives and waits for it', async () => {
  const fake = new FakeBackend(() => {});
  const safe = new SafeBackend(fake, SLOT_COUNT);
  await safe.open();
  const exits = [0, 1, 2].map((slot) => exitOf(safe.start(spec(slot))));
  let ended = 0;
  for (const exit of exits) void exit.then(() => ended++);
  await safe.close();
  assert.equal(ended, 3);
  for (const exit of exits) assert.deepEqual(await exit, { kind: 'killed' });
});

test('an exception at start is a reason', async () => {
  const broken: SandboxBackend = {
    name: 'fake',
    check: async () => [],
    open: async () => {},
    close: async () => {},
    canCopy: () => false,
    startCell() {
      throw new Error('no cells');
    },
    start() {
      throw new Error('no more sand');
    },
  };
  const safe = new SafeBackend(broken, SLOT_COUNT);
  await safe.open();
  const reason = await exitOf(safe.start(spec(0)));
  assert.ok(reason.kind === 'start-failed' && reason.message.includes('no more sand'));
  await exitOf(safe.start(spec(0)));
});

const FUNCTION = { codeDir: '/c', layersDir: '', env: {}, memoryMb: 128, network: 'none' } as const;

test('an exception of a cell, or of a fork, is a reason too, and the slot is free after it', async () => {
  const fake = new FakeBackend(
    () => {},
    (cell) => cell.report({ kind: 'cell' }),
  );
  const startCell = fake.startCell.bind(fake);
  const safe = new SafeBackend(fake, SLOT_COUNT);
  await safe.open();
  fake.startCell = () => {
    throw new Error('no more sand');
  };
  for (let count = 0; count < 2; count++) {
    const cell = safe.startCell(FAKE_CELL);
    cell.kill();
    const reason = await new Promise<ExitReason>((resolve) => cell.onExit(resolve));
    assert.deepEqual(reason, { kind: 'start-failed', message: 'the cell could not be started: no more sand' });
  }
  fake.startCell = (spec) => {
    const zygote = startCell(spec);
    zygote.fork = () => {
      throw new Error('no more processes');
    };
    return zygote;
  };
  const zygote = safe.startCell(FAKE_CELL);
  const failed = await exitOf(zygote.fork({ slot: 1, memoryMb: 128, once: true }));
  assert.ok(failed.kind === 'start-failed' && failed.message.includes('no more processes'));
  zygote.kill();
  const late = await exitOf(zygote.fork({ slot: 1, memoryMb: 128, once: true }));
  assert.deepEqual(late, { kind: 'start-failed', message: 'its zygote has ended' });
  await safe.close();
});

test('a cell that is asked for before open, while it closes or after it is a reason, not an exception', async () => {
  const fake = new FakeBackend(
    () => {},
    () => {},
  );
  const safe = new SafeBackend(fake, SLOT_COUNT);
  const start = async (phase: string): Promise<void> => {
    const cell = safe.startCell({ ...FAKE_CELL, slot: 1 });
    const reason = await new Promise<ExitReason>((resolve) => cell.onExit(resolve));
    assert.deepEqual(reason, { kind: 'start-failed', message: `the backend is ${phase}` });
  };
  await start('new');
  const opening = safe.open();
  await start('opening');
  await opening;
  safe.startCell(FAKE_CELL);
  const closing = safe.close();
  await start('closing');
  await closing;
  await start('closed');
  assert.equal(fake.cells.length, 1);
});

test('what may not be asked of a cell is a bug of the caller', async () => {
  const fake = new FakeBackend(
    () => {},
    () => {},
  );
  const safe = new SafeBackend(fake, SLOT_COUNT);
  await safe.open();
  const zygote = safe.startCell(FAKE_CELL);
  assert.throws(() => safe.startCell(FAKE_CELL), /slot 0 is in use/);
  assert.throws(() => zygote.adopt(FUNCTION), /before it had booted/);
  fake.cells[0]!.report({ kind: 'cell' });
  assert.throws(() => zygote.fork({ slot: 1, memoryMb: 128, once: true }), /before there was a zygote/);
  zygote.adopt(FUNCTION);
  assert.throws(() => zygote.adopt(FUNCTION), /a second function/);
  fake.cells[0]!.report({ kind: 'initialised' });
  zygote.freeze();
  assert.throws(() => zygote.fork({ slot: 1, memoryMb: 128, once: true }), /frozen/);
  zygote.thaw();
  assert.throws(() => zygote.fork({ slot: 0, memoryMb: 128, once: true }), /slot 0 is in use/);
  await safe.close();
});

test('an error on the channel ends the sandbox and nothing else', async () => {
  const safe = new SafeBackend(new FakeBackend(() => {}), SLOT_COUNT);
  await safe.open();
  const sandbox = safe.start(spec(0));
  sandbox.channel.destroy(new Error('EPIPE'));
  assert.deepEqual(await exitOf(sandbox), { kind: 'killed' });
});

test('slots outside of the range are a bug of the caller', async () => {
  const safe = new SafeBackend(new FakeBackend(() => {}), SLOT_COUNT);
  await safe.open();
  for (const slot of [-1, SLOT_COUNT, 0.5, NaN]) assert.throws(() => safe.start(spec(slot)), /out of range/);
});

test('whatever is done in whatever order: one end each, and the slot is free after it', async () => {
  const actions = fc.array(
    fc.tuple(
      fc.constantFrom('start', 'kill', 'exit', 'pin', 'background', 'freeze', 'thaw', 'turn'),
      fc.nat(SLOT_COUNT - 1),
    ),
    {
      maxLength: 40,
    },
  );
  await fc.assert(
    fc.asyncProperty(actions, async (steps) => {
      const fake = new FakeBackend(() => {});
      const safe = new SafeBackend(fake, SLOT_COUNT);
      await safe.open();
      const live = new Map<number, { sandbox: Sandbox; exits: ExitReason[] }>();
      const all: ExitReason[][] = [];
      for (const [action, slot] of steps) {
        const entry = live.get(slot);
        if (action === 'turn') await turn();
        else if (action === 'start' && entry === undefined) {
          const sandbox = safe.start(spec(slot));
          const exits: ExitReason[] = [];
          sandbox.onExit((reason) => {
            exits.push(reason);
            live.delete(slot);
            assert.equal(sandbox.pin([0]), false);
            assert.equal(sandbox.background(true), false);
            assert.ok(sandbox.channel.destroyed);
          });
          live.set(slot, { sandbox, exits });
          all.push(exits);
        } else if (action === 'kill') entry?.sandbox.kill();
        else if (action === 'pin') entry?.sandbox.pin([slot]);
        else if (action === 'background') entry?.sandbox.background(slot > 0);
        else if (action === 'freeze' || action === 'thaw') entry?.sandbox[action]();
        else if (action === 'exit' && entry !== undefined) {
          fake.instances.findLast((instance) => instance.spec.slot === slot)?.exit({ kind: 'exit', code: 7 });
        }
      }
      await safe.close();
      for (const exits of all) assert.equal(exits.length, 1);
      assert.equal(live.size, 0);
    }),
    { numRuns: 100 },
  );
});

test('whatever happens to a zygote and its copies: one end each, the zygote last, and every slot is free', async () => {
  const kinds = [
    'fork',
    'fork',
    'kill',
    'retire',
    'exit',
    'freeze',
    'thaw',
    'turn',
    'killZygote',
    'exitZygote',
  ] as const;
  const actions = fc.array(fc.tuple(fc.constantFrom(...kinds), fc.integer({ min: 1, max: SLOT_COUNT - 1 })), {
    maxLength: 40,
    size: 'max',
  });
  await fc.assert(
    fc.asyncProperty(actions, async (steps) => {
      const fake = new FakeBackend(
        () => {},
        (cell) => cell.report({ kind: 'cell' }),
      );
      const safe = new SafeBackend(fake, SLOT_COUNT);
      await safe.open();
      const zygote = safe.startCell(FAKE_CELL);
      await turn();
      zygote.adopt(FUNCTION);
      fake.cells[0]!.report({ kind: 'initialised' });
      const ends: string[] = [];
      const live = new Map<number, Sandbox>();
      let forked = 0;
      zygote.onExit(() => ends.push('zygote'));
      for (const [action, slot] of steps) {
        const copy = live.get(slot);
        if (action === 'turn') await turn();
        else if (action === 'killZygote') zygote.kill();
        else if (action === 'exitZygote') fake.cells[0]!.exit({ kind: 'oom' });
        else if (action === 'fork' && copy === undefined && ends.at(-1) !== 'zygote') {
          const made = zygote.fork({ slot, memoryMb: 128, once: slot === 1 });
          forked++;
          live.set(slot, made);
          made.onExit(() => {
            ends.push('copy');
            live.delete(slot);
          });
        } else if (action === 'exit') {
          fake.cells[0]!.copies.findLast(({ spec: { slot: at } }) => at === slot)?.exit({ kind: 'exit', code: 7 });
        } else if (action !== 'fork') copy?.[action]();
      }
      await safe.close();
      assert.deepEqual(ends, [...Array.from({ length: forked }, () => 'copy'), 'zygote']);
    }),
    { numRuns: 200 },
  );
});

test('freezing and thawing may be asked for twice, and do nothing to the dying', async () => {
  const asked: string[] = [];
  const fake = new FakeBackend(() => {});
  const start = fake.start.bind(fake);
  fake.start = (each) => {
    const sandbox = start(each);
    sandbox.freeze = () => void asked.push('freeze');
    sandbox.thaw = () => void asked.push('thaw');
    return sandbox;
  };
  const safe = new SafeBackend(fake, SLOT_COUNT);
  await safe.open();
  const sandbox = safe.start(spec(0));
  for (const act of ['thaw', 'freeze', 'freeze', 'thaw', 'thaw', 'freeze'] as const) sandbox[act]();
  sandbox.kill();
  for (const act of ['thaw', 'freeze'] as const) sandbox[act]();
  await exitOf(sandbox);
  for (const act of ['thaw', 'freeze'] as const) sandbox[act]();
  assert.deepEqual(asked, ['freeze', 'thaw', 'freeze']);
});

test('the fake records pins, peaks and output', async () => {
  const fake = new FakeBackend((instance) => {
    instance.stdout.write('line\n');
    instance.setMemoryPeakBytes(5);
    instance.setMemoryPeakBytes(3);
    instance.exit({ kind: 'oom' });
  });
  const sandbox = fake.start({ ...spec(0), cpus: [2] });
  assert.ok(sandbox.pin([1, 3]));
  let output = '';
  sandbox.output[0]?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  assert.deepEqual(await exitOf(sandbox), { kind: 'oom' });
  assert.deepEqual(fake.instances[0]?.pins, [[2], [1, 3]]);
  assert.equal(sandbox.memoryPeakBytes(), 5);
  assert.equal(output, 'line\n');
});

test('none is chosen only by name', () => {
  const options = { codeRoot: '/c', runtimesRoot: '/r', interpreter: '/i', slotCount: 1, log: { warn: () => {} } };
  assert.equal(createBackend('bubblewrap', options).name, 'bubblewrap');
  assert.equal(createBackend('none', options).name, 'none');
  assert.ok(!isSandboxName('') && !isSandboxName('docker') && !isSandboxName('fake'));
});
