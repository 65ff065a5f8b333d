/** What an instance says of itself is handed on while it serves the invocation that it names, and no faster than anybody can bear. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FRAME_HEADER_BYTES, FrameKind } from '../../../src/wire/instance-frame.ts';
import type { Invocation } from '../../../src/worker/agent/contract.ts';
import { FLOOD_BYTES } from '../../../src/worker/agent/flood.ts';
import { Instance } from '../../../src/worker/agent/instance.ts';
import { type FakeInstance, FakeBackend, SafeBackend } from '../../../src/worker/sandbox/index.ts';

const IDENTITY = { slot: 0, versionIndex: 0, functionName: 'f', startedUs: 0, once: false };
const LIMITS = { responseBytesMax: 100, logBytesMax: 100 };
const INVOCATION = {
  requestId: '0'.repeat(36),
  clientContext: '',
  traceId: '',
  invokedArn: '',
  payload: Buffer.from('{}'),
} as Invocation;

class Pair {
  readonly instance: Instance;
  inside!: FakeInstance;
  readonly heard: string[] = [];

  private constructor(backend: SafeBackend) {
    const sandbox = backend.start({
      slot: 0,
      codeDir: '/c',
      layersDir: '',
      runtimeDir: '/r',
      interpreter: '/i',
      args: [],
      env: {},
      memoryMb: 64,
      cpus: [],
      network: 'none',
    });
    const hears = (what: string) => (): void => void this.heard.push(what);
    this.instance = new Instance(
      IDENTITY,
      sandbox,
      {
        ready: hears('ready'),
        answer: hears('answer'),
        hint: (_, hint) => this.heard.push(hint),
        log: hears('log'),
        lost: () => {},
        broke: (_, message) => this.heard.push(message),
        exited: () => {},
      },
      LIMITS,
    );
  }

  static async start(): Promise<Pair> {
    let inside: FakeInstance | null = null;
    const backend = new SafeBackend(new FakeBackend((instance) => void (inside = instance)), 1);
    await backend.open();
    const pair = new Pair(backend);
    while (inside === null) await turn();
    pair.inside = inside;
    return pair;
  }

  send(kind: number, sequence: number, { last = false, body = '' } = {}): void {
    this.inside.answers.write(encode(kind, sequence, { last, body }));
  }

  take(): string[] {
    return this.heard.splice(0);
  }
}

function encode(kind: number, sequence: number, { last = false, body = '' } = {}): Buffer {
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + body.length);
  frame.writeUInt32LE(body.length, 0);
  frame[4] = kind;
  frame[5] = last ? 1 : 0;
  frame.writeUInt32LE(sequence, 8);
  frame.write(body, FRAME_HEADER_BYTES);
  return frame;
}

async function turn(): Promise<void> {
  for (let count = 0; count < 3; count++) await new Promise((resolve) => setImmediate(resolve));
}

test('a hint has no body', async () => {
  for (const kind of [FrameKind.sleeping, FrameKind.awake]) {
    const pair = await Pair.start();
    pair.instance.invoke(INVOCATION, 0);
    pair.send(kind, 1, { body: 'x' });
    pair.send(kind, 1);
    await turn();
    assert.deepEqual(pair.take(), [`frame of kind ${kind} with 1 bytes, at most 0`]);
  }
});

const step = fc.oneof(
  fc.record({ do: fc.constant('invoke' as const) }),
  fc.record({
    do: fc.constantFrom('answer' as const, 'sleeping' as const, 'awake' as const, 'log' as const),
    /** How far off its number is. */
    off: fc.constantFrom(0, 0, 0, -1, 1, 1147),
    last: fc.boolean(),
  }),
);

test('hints are handed on between an invocation and its answer, of that one alone, in order with all else', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), async (steps) => {
      const pair = await Pair.start();
      const expected: string[] = [];
      let sequence = 0;
      let serves = false;
      for (const each of steps) {
        if (each.do === 'invoke') {
          // What is sent after this is heard after it.
          await turn();
          pair.instance.invoke(INVOCATION, 0);
          sequence++;
          serves = true;
          continue;
        }
        const named = (sequence + each.off) >>> 0;
        pair.send(each.do === 'answer' ? FrameKind.response : FrameKind[each.do], named, { last: each.last });
        if (each.do === 'answer' || each.do === 'log' || (serves && each.off === 0)) expected.push(each.do);
        // Whatever it names, it has answered: the agent ends it if that was wrong.
        if (each.do === 'answer') serves = false;
      }
      await turn();
      assert.deepEqual(pair.take(), expected);
    }),
    { numRuns: 150 },
  );
});

test('nobody listens to a flood of hints until the next tick, whether they count or not', async () => {
  for (const sequence of [1, 7]) {
    const pair = await Pair.start();
    pair.instance.invoke(INVOCATION, 0);
    const many = Buffer.concat(Array.from({ length: 64 }, () => encode(FrameKind.sleeping, sequence)));
    let drained = 0;
    for (let count = 0; count < 4096; count++) pair.inside.answers.write(many, () => drained++);
    await turn();
    const heardMax = FLOOD_BYTES / 1024 + 64;
    const heard = pair.take().length;
    assert.equal(heard > 0, sequence === 1);
    // What its streams hold back beside what was read.
    assert.ok(heard <= heardMax && drained * 64 < 8 * heardMax, `heard ${heard}, took ${drained * 64}`);
    pair.instance.tick();
    await turn();
    const again = pair.take().length;
    assert.ok(again <= heardMax && (sequence === 7 || again > 0), `heard ${again}`);
  }
});
