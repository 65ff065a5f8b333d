/**
 * Many workers in one process: each connects, says HELLO, announces its cores when it is welcomed, four of five under leases
 * from before, and beats. Its bytes are put together once and not by the shipped code, since what is measured is the scheduler, and 20,000 machines
 * have more than this one CPU. After a connection has ended each dials again once, between half a second and a second later,
 * and goes on so. Arguments: port, workers, cores of each. Prints a line when all have announced for the first time.
 */
import { connect, type Socket } from 'node:net';
import { ClusterKind, FRAME_BYTES, HEADER_BYTES, Role } from '../../../src/wire/cluster-frame.ts';
import { HelloFrame, NameVersionFrame } from '../../../src/wire/cluster/large-frames.ts';
import { CountFrame, LeaseFrame } from '../../../src/wire/cluster/small-frames.ts';
import { Span } from '../../../src/wire/cluster/span.ts';

const [port, workerCount, coreCount] = process.argv.slice(2).map(Number) as [number, number, number];
const HELD_SHARE = 0.8;
const MEMORY_MB = 128;
const KEY = 'cd'.repeat(16);
const REDIAL_MS = { min: 500, spread: 500 };
const BEAT_MS = 1000;
/** Beats are spread over the second. */
const BEAT_TURNS = 50;
const WELCOME_BYTES = HEADER_BYTES + FRAME_BYTES[ClusterKind.welcome]!;
/** In WELCOME, after the head of its batch. */
const FIRST_CORE_AT = HEADER_BYTES + 16;

interface Frame {
  readonly kind: number;
  write(span: Span, at: number): void;
}

/** A batch with these frames, its number and what was received still to be filled in. */
function batch(...frames: readonly Frame[]): Buffer {
  const bytes = frames.reduce((sum, { kind }) => sum + FRAME_BYTES[kind]!, HEADER_BYTES);
  const span = new Span(Buffer.alloc(bytes));
  span.view.setUint32(0, ClusterKind.batch, true);
  span.view.setUint32(4, bytes - HEADER_BYTES, true);
  let at = HEADER_BYTES;
  for (const frame of frames) {
    frame.write(span, at);
    at += FRAME_BYTES[frame.kind]!;
  }
  return span.bytes;
}

const heldCount = Math.floor(coreCount * HELD_SHARE);
const BEAT = batch();

function helloOf(index: number): Buffer {
  const said = { role: Role.worker, name: `worker-${index}`, life: index + 1, host: '127.0.0.1', port: 1 };
  return batch(
    Object.assign(new HelloFrame(ClusterKind.hello), { ...said, coreCount, memoryMb: coreCount * MEMORY_MB }),
  );
}

function announcement(firstCore: number): Buffer {
  const frames: Frame[] = [
    Object.assign(new NameVersionFrame(), { handle: 1, memoryMb: MEMORY_MB, key: KEY, functionKey: KEY }),
  ];
  for (let core = 0; core < heldCount; core++) {
    const lease = { handle: 1, epoch: 1, core: firstCore + core, sequence: core + 1 };
    frames.push(Object.assign(new LeaseFrame(ClusterKind.held), lease));
  }
  const busy = (2 ** heldCount - 1) | 0;
  frames.push(Object.assign(new CountFrame(ClusterKind.announce), { flag: 1, first: firstCore, second: busy }));
  return batch(...frames);
}

let announcedCount = 0;

class Worker {
  readonly #name: string;
  readonly #hello: Buffer;
  #announcement: Buffer | null = null;
  #socket: Socket | null = null;
  #welcome = Buffer.alloc(0);
  #batchNumber = 0;
  #receivedBytes = 0;

  constructor(index: number) {
    this.#name = `worker-${index}`;
    this.#hello = helloOf(index);
  }

  dial(): void {
    this.#batchNumber = 0;
    this.#receivedBytes = 0;
    this.#welcome = Buffer.alloc(0);
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket = socket;
    // Who connects says first who it is (plain-scheduler.ts).
    socket.write(Buffer.concat([Buffer.from(`${this.#name} worker\n`), this.#numbered(this.#hello)]));
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#socket = null;
      setTimeout(() => this.dial(), REDIAL_MS.min + Math.random() * REDIAL_MS.spread);
    });
  }

  beat(): void {
    if (this.#welcome.length >= WELCOME_BYTES) this.#socket?.write(this.#numbered(BEAT));
  }

  #onData(chunk: Buffer): void {
    this.#receivedBytes = (this.#receivedBytes + chunk.length) >>> 0;
    if (this.#welcome.length >= WELCOME_BYTES) return;
    this.#welcome = Buffer.concat([this.#welcome, chunk]);
    if (this.#welcome.length < WELCOME_BYTES) return;
    // Its cores are the same whenever it comes back to the same scheduler; another one may give it others.
    const firstCore = this.#welcome.readInt32LE(FIRST_CORE_AT);
    const known = this.#announcement;
    const isSame = known !== null && known.readInt32LE(known.length - HEADER_BYTES + 4) === firstCore;
    this.#announcement = isSame ? known : announcement(firstCore);
    this.#socket!.write(this.#numbered(this.#announcement));
    if (++announcedCount === workerCount) console.log(JSON.stringify({ port, epoch: 0 }));
  }

  #numbered(bytes: Buffer): Buffer {
    const copy = Buffer.from(bytes);
    copy.writeUInt32LE(this.#batchNumber++, 8);
    copy.writeUInt32LE(this.#receivedBytes, 12);
    return copy;
  }
}

const workers = Array.from({ length: workerCount }, (_, index) => new Worker(index));
// Not all in one turn: the first start is not what is measured.
const WAVE = 200;
for (let first = 0; first < workers.length; first += WAVE)
  setTimeout(() => workers.slice(first, first + WAVE).forEach((worker) => worker.dial()), first / 2);
let turn = 0;
setInterval(() => {
  for (let index = turn; index < workers.length; index += BEAT_TURNS) workers[index]!.beat();
  turn = (turn + 1) % BEAT_TURNS;
}, BEAT_MS / BEAT_TURNS);
process.stdin.resume();
process.stdin.once('end', () => process.exit());
