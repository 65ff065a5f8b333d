/** What runs in the simulated sandboxes of the small platform: instances and cells that do what a test says. */
import assert from 'node:assert/strict';
import { ISOLATION_VARIABLE } from '../../src/store/settings.ts';
import { FRAME_HEADER_BYTES, FrameKind, INVOKE_FIXED_BYTES } from '../../src/wire/instance-frame.ts';
import type { ZygoteReport } from '../../src/worker/sandbox/contract.ts';
import type { FakeCell, FakeInstance } from '../../src/worker/sandbox/fake/index.ts';

const UUID_BYTES = 36;

/** The scripted instance, and what it was last asked to run. */
export class Play {
  readonly instance: FakeInstance;
  ready = false;
  invocationCount = 0;
  running: { requestId: string; sequence: number } | null = null;

  constructor(instance: FakeInstance, onInvoke: (requestId: string) => void) {
    this.instance = instance;
    let received: Buffer = Buffer.alloc(0);
    instance.channel.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      const end = received.length < FRAME_HEADER_BYTES ? Infinity : FRAME_HEADER_BYTES + received.readUInt32LE(0);
      if (received.length < end) return;
      const requestId = received.toString(
        'latin1',
        FRAME_HEADER_BYTES + INVOKE_FIXED_BYTES - UUID_BYTES,
        FRAME_HEADER_BYTES + INVOKE_FIXED_BYTES,
      );
      assert.ok(this.ready, 'an instance that is not ready was given an invocation');
      assert.ok(++this.invocationCount === 1 || !this.isFresh, 'a second invocation in a fresh copy');
      // One that was given it just before is frozen when it polls, and hears of it afterwards.
      assert.ok(!instance.frozen && !instance.toldFrozen, 'an instance that is frozen was given an invocation');
      assert.equal(this.running, null, 'an instance was given an invocation while it had one');
      this.running = { requestId, sequence: received.readUInt32LE(8) };
      received = received.subarray(end);
      onInvoke(requestId);
    });
  }

  get ended(): boolean {
    return this.instance.ended;
  }

  get isFresh(): boolean {
    return this.instance.spec.env[ISOLATION_VARIABLE] === 'fresh';
  }

  /** Which revision of which function its environment says that it is. */
  get revision(): string {
    return /\](.*)$/.exec(this.instance.spec.env['AWS_LAMBDA_LOG_STREAM_NAME'] ?? '')?.[1] ?? '';
  }

  get functionName(): string {
    return this.instance.spec.env['AWS_LAMBDA_FUNCTION_NAME'] ?? '';
  }

  boot(): void {
    this.ready = true;
    this.send(FrameKind.ready, 0, '');
  }

  answer(kind: FrameKind = FrameKind.response, last = this.instance.origin?.spec.once === true): void {
    const { running } = this;
    if (running === null) return;
    this.running = null;
    this.send(kind, running.sequence, `${running.requestId} by ${this.revision}`, last);
  }

  send(kind: FrameKind, sequence: number, text: string, last = false): void {
    if (this.ended) return;
    const body = Buffer.from(text);
    const header = Buffer.alloc(FRAME_HEADER_BYTES);
    header.writeUInt32LE(body.length, 0);
    header[4] = kind;
    header[5] = last ? 1 : 0;
    header.writeUInt32LE(sequence, 8);
    this.instance.answers.write(Buffer.concat([header, body]));
  }
}

/** The scripted stem cell, later zygote. */
export class CellPlay {
  readonly cell: FakeCell;
  booted = false;
  /** It has said how the initialisation of its function went. */
  initialised = false;

  constructor(cell: FakeCell) {
    this.cell = cell;
  }

  get ended(): boolean {
    return this.cell.ended;
  }

  /** It has a function, and has said nothing about it. */
  get initialises(): boolean {
    return this.cell.adopted !== null && !this.initialised;
  }

  boot(): void {
    this.booted = true;
    this.cell.report({ kind: 'cell' });
  }

  initialise(report: ZygoteReport = { kind: 'initialised' }): void {
    this.initialised = true;
    this.cell.report(report);
  }

  /** What it has yet to do before it can be copied, as far as it can. */
  goOn(): void {
    if (!this.booted) this.boot();
    if (this.initialises) this.initialise();
  }
}
