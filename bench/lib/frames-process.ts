/**
 * What the frames of an invocation cost: each is put into batches, and the batches are decoded again, in one process; then
 * the same over a connection on loopback.
 * Prints nanoseconds of processor time for each frame, medians of interleaved rounds. `sh scripts/node.sh bench/lib/frames-process.ts`
 */
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { realClock } from '../../src/base/clock.ts';
import { Dialer } from '../../src/cluster/link/dialer.ts';
import { DIALER_DELAYS, LINK_LIMITS } from '../../src/cluster/link/limits.ts';
import { FrameLink } from '../../src/cluster/link/link.ts';
import { ClusterKind, FRAME_BYTES, Role } from '../../src/wire/cluster-frame.ts';
import { FrameDecoder } from '../../src/wire/cluster/decoder.ts';
import {
  type Direction,
  GatewayToScheduler,
  SchedulerToGateway,
  WorkerToScheduler,
} from '../../src/wire/cluster/directions.ts';
import { BATCH_BYTES, BatchBuffers, FrameEncoder, type OutFrame } from '../../src/wire/cluster/encoder.ts';
import { HelloFrame } from '../../src/wire/cluster/large-frames.ts';
import { GrantFrame, LeaseFrame, RequestFrame } from '../../src/wire/cluster/small-frames.ts';

const ROUNDS = 9;
const FRAMES = 2_000_000;
const LOOPBACK_FRAMES = 4_000_000;
/** As many as a busy turn has. */
const BATCH_FRAMES = 256;
const IN_FLIGHT_MAX = 64 * BATCH_FRAMES;

const sum = new Int32Array(1);
const nothing = (): void => {};
const TO_SCHEDULER = {
  request: nothing,
  cancel: nothing,
  unstarted: nothing,
  nameVersion: nothing,
  dropVersion: nothing,
  concurrency: nothing,
  provision: nothing,
};
const TO_GATEWAY = {
  grant: nothing,
  grantCores: nothing,
  refused: nothing,
  cancelled: nothing,
  version: nothing,
  worker: nothing,
  gone: nothing,
  provisioned: nothing,
};

interface Case {
  readonly name: string;
  readonly direction: Direction;
  readonly frame: OutFrame;
  readonly next: (index: number) => void;
}

const request = new RequestFrame(ClusterKind.request);
const grant = new GrantFrame(ClusterKind.grant);
const release = new LeaseFrame(ClusterKind.release);

const CASES: readonly Case[] = [
  {
    name: 'REQUEST',
    frame: request,
    next: (index) => {
      request.request = index & 0xfffff;
      request.version = index & 0xfff;
    },
    direction: new GatewayToScheduler({
      ...TO_SCHEDULER,
      request: (frame) => void (sum[0]! += frame.request + frame.version),
    }),
  },
  {
    name: 'GRANT',
    frame: grant,
    next: (index) => {
      grant.request = index & 0xfffff;
      grant.core = index % 640_000;
      grant.sequence = index;
    },
    direction: new SchedulerToGateway({
      ...TO_GATEWAY,
      grant: (frame) => void (sum[0]! += frame.request + frame.core + frame.sequence),
    }),
  },
  {
    name: 'RELEASE',
    frame: release,
    next: (index) => {
      release.core = index % 640_000;
      release.epoch = 1_700_000_000;
      release.sequence = index;
      release.warm = 1;
    },
    direction: new WorkerToScheduler({
      release: (frame) => void (sum[0]! += frame.core + frame.sequence + frame.warm),
      noMemory: nothing,
      held: nothing,
      heldCores: nothing,
      fenced: nothing,
      memoryAvailable: nothing,
      warmed: nothing,
      evicted: nothing,
      announce: nothing,
      provisioned: nothing,
      nameVersion: nothing,
    }),
  },
];

class Pipe {
  readonly encoder: FrameEncoder;
  readonly #decoder: FrameDecoder;
  readonly #case: Case;

  constructor(each: Case) {
    this.#case = each;
    this.#decoder = new FrameDecoder(ClusterKind.hello, {
      opened: () => each.direction,
      batch: nothing,
      closed: nothing,
      fault: (fault) => {
        throw new Error(`${each.name}: ${JSON.stringify(fault)}`);
      },
    });
    const sink = {
      ready: nothing,
      overflow: nothing,
      write: (parts: readonly Buffer[], done: () => void) => {
        for (const part of parts) this.#decoder.push(part);
        done();
      },
    };
    this.encoder = new FrameEncoder(sink, new BatchBuffers(BATCH_BYTES, 2), 2 ** 30);
    const hello = new HelloFrame(ClusterKind.hello);
    hello.role = Role.gateway;
    hello.name = 'bench';
    this.encoder.put(hello, FRAME_BYTES[hello.kind]);
    this.encoder.flush();
  }

  round(): number {
    const { frame, next } = this.#case;
    const begin = process.cpuUsage();
    for (let index = 0; index < FRAMES; index += BATCH_FRAMES) {
      for (let i = index; i < index + BATCH_FRAMES; i++) {
        next(i);
        this.encoder.put(frame);
      }
      this.encoder.flush();
    }
    const { user, system } = process.cpuUsage(begin);
    return ((user + system) * 1000) / FRAMES;
  }
}

function hello(kind: HelloFrame['kind'], role: Role): HelloFrame {
  const frame = new HelloFrame(kind);
  frame.role = role;
  frame.name = 'bench';
  return frame;
}

/** Answers every REQUEST with a GRANT. */
function listen(): Promise<Server> {
  const server = createServer((socket) => {
    const answer = new GrantFrame(ClusterKind.grant);
    const direction = new GatewayToScheduler({
      ...TO_SCHEDULER,
      request: (frame) => {
        answer.request = frame.request;
        link.send(answer);
      },
    });
    const link: FrameLink = new FrameLink(
      socket,
      { hello: hello(ClusterKind.welcome, Role.scheduler), dialled: null, limits: LINK_LIMITS, clock: realClock },
      { greeted: () => direction, opened: nothing, closed: nothing },
    );
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

/** Sends all requests, so many at a time; resolves with how long that took, once each is granted. */
function ask(port: number): Promise<{ readonly us: number; readonly cpuUs: number }> {
  return new Promise((resolve) => {
    let begin = { us: 0, cpu: process.cpuUsage() };
    let sent = 0;
    let answered = 0;
    const more = (link: FrameLink): void => {
      for (; sent < LOOPBACK_FRAMES && sent - answered < IN_FLIGHT_MAX; sent++) {
        request.request = sent & 0xfffff;
        link.send(request);
      }
    };
    const granted = (link: FrameLink): void => {
      answered++;
      if ((answered & (BATCH_FRAMES - 1)) === 0) more(link);
      if (answered < LOOPBACK_FRAMES) return;
      const { user, system } = process.cpuUsage(begin.cpu);
      dialer.stop();
      resolve({ us: realClock.nowUs() - begin.us, cpuUs: user + system });
    };
    const dialer: Dialer = new Dialer(
      DIALER_DELAYS,
      { clock: realClock, random: () => 0, connect: () => connect(port, '127.0.0.1') },
      {
        setting() {
          const mine = hello(ClusterKind.hello, Role.gateway);
          return { hello: mine, dialled: Role.scheduler, limits: LINK_LIMITS, clock: realClock };
        },
        greeted: (_peer, link) => new SchedulerToGateway({ ...TO_GATEWAY, grant: () => granted(link) }),
        opened(link) {
          begin = { us: realClock.nowUs(), cpu: process.cpuUsage() };
          more(link);
        },
        closed: nothing,
      },
    );
    dialer.start();
  });
}

const pipes = CASES.map((each) => new Pipe(each));
const times: number[][] = CASES.map(() => []);
for (let round = 0; round < ROUNDS; round++) {
  for (const [index, pipe] of pipes.entries()) times[index]!.push(pipe.round());
}
for (const [index, each] of CASES.entries()) {
  const sorted = times[index]!.toSorted((a, b) => a - b);
  const ns = sorted.map((time) => time.toFixed(1));
  console.log(`${each.name.padEnd(8)} put and decoded: ${ns[ROUNDS >> 1]} ns a frame (${ns[0]} to ${ns.at(-1)})`);
}
const server = await listen();
const { us, cpuUs } = await ask((server.address() as AddressInfo).port);
server.close();
const pair = `${((cpuUs * 1000) / LOOPBACK_FRAMES).toFixed(0)} ns a pair`;
const rate = `${(LOOPBACK_FRAMES / us).toFixed(2)} million pairs a second`;
console.log(`REQUEST and GRANT over loopback, both ends in this thread: ${pair}, ${rate}`);
if (sum[0] === 0) console.log('nothing was read');
