/**
 * Many workers in one process, which a cheap program plays (workers.py): what they say is put together here, once. Each has four of
 * five of its cores under leases from before.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ClusterKind, FRAME_BYTES, HEADER_BYTES, Role } from '../../../src/wire/cluster-frame.ts';
import { HelloFrame, NameVersionFrame } from '../../../src/wire/cluster/large-frames.ts';
import { CountFrame, LeaseFrame } from '../../../src/wire/cluster/small-frames.ts';
import { Span } from '../../../src/wire/cluster/span.ts';
import { firstLine, type Started } from './processes.ts';

const PLAYER = fileURLToPath(new URL('workers.py', import.meta.url));
const HELD_SHARE = 0.8;
const MEMORY_MB = 128;
const KEY = 'cd'.repeat(16);
const WORD_CORES = 32;
const NAME_DIGITS = 5;
/** In WELCOME, after the head of its batch. */
const FIRST_CORE_AT = HEADER_BYTES + 16;

export interface ManyWorkers {
  readonly port: number;
  readonly workerCount: number;
  /** Of each; one word at most. */
  readonly coreCount: number;
}

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

/** Who connects says first who it is (plain-scheduler.ts). */
function hello(index: number, coreCount: number): Buffer {
  const name = `worker-${String(index).padStart(NAME_DIGITS, '0')}`;
  const said = { role: Role.worker, name, life: index + 1, host: '127.0.0.1', port: 1 };
  const frame = new HelloFrame(ClusterKind.hello);
  Object.assign(frame, { ...said, coreCount, memoryMb: coreCount * MEMORY_MB });
  return Buffer.concat([Buffer.from(`${name} worker\n`), batch(frame)]);
}

function announcement(firstCore: number, heldCount: number): Buffer {
  const version = { handle: 1, memoryMb: MEMORY_MB, key: KEY, functionKey: KEY };
  const frames: Frame[] = [Object.assign(new NameVersionFrame(), version)];
  for (let core = 0; core < heldCount; core++) {
    const lease = { handle: 1, epoch: 1, core: firstCore + core, sequence: core + 1 };
    frames.push(Object.assign(new LeaseFrame(ClusterKind.held), lease));
  }
  const busy = (2 ** heldCount - 1) | 0;
  frames.push(Object.assign(new CountFrame(ClusterKind.announce), { flag: 1, first: firstCore, second: busy }));
  return batch(...frames);
}

/** What a worker says when it connects: of its HELLO and its announcement. */
export function bytesOfWorker(coreCount: number): number {
  return hello(0, coreCount).length + announcement(0, Math.floor(coreCount * HELD_SHARE)).length;
}

/** Resolves when all have announced once. They end when their input does. */
export async function startWorkers({ port, workerCount, coreCount }: ManyWorkers): Promise<Started> {
  const heldCount = Math.floor(coreCount * HELD_SHARE);
  const indexes = Array.from({ length: workerCount }, (_, index) => index);
  const hellos = indexes.map((index) => hello(index, coreCount));
  const announcements = indexes.map((index) => announcement(index * WORD_CORES, heldCount));
  const welcomeBytes = HEADER_BYTES + FRAME_BYTES[ClusterKind.welcome]!;
  const sizes = [hellos[0]!.length, welcomeBytes, FIRST_CORE_AT, announcements[0]!.length];
  const child = spawn('python3', [PLAYER, ...[port, workerCount, ...sizes].map(String)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  for (const part of [...hellos, ...announcements]) child.stdin.write(part);
  return firstLine(child);
}
