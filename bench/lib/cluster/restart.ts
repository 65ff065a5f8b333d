/**
 * The scheduler is killed and started again while a whole cluster is connected to it: how long until it knows every worker
 * and every lease again. Real sockets on loopback, without TLS; each worker dials again once, half a second to a second later.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { realClock } from '../../../src/base/clock.ts';
import { LINK_LIMITS } from '../../../src/cluster/link/limits.ts';
import { FrameLink } from '../../../src/cluster/link/link.ts';
import { ClusterKind, CloseReason, Role } from '../../../src/wire/cluster-frame.ts';
import { SchedulerToGateway } from '../../../src/wire/cluster/directions.ts';
import { HelloFrame } from '../../../src/wire/cluster/large-frames.ts';
import { atMost, type BenchOptions, type Figure, figureOf } from '../report.ts';
import { cpuSeconds, type SchedulerProcess, startOverTls, startPlain, stopProcess, workerNames } from './processes.ts';
import { dialWorker } from './load.ts';
import { bytesOfWorker, startWorkers } from './workers.ts';

const CORES_EACH = 32;
const WHOLE_MAX_S = 2;
/** Below the ports that outgoing connections take: a socket that dials its own port would connect to itself. */
const PORTS = { from: 20_000, count: 10_000 };
const NOTHING = (): void => {};
const WORKERS_WANTED = 20_000;
/** What a process has open beside its connections. */
const OTHER_FILES = 100;

/** What this machine lets a process have. */
function openFilesMax(): number {
  const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
  return Number(soft);
}

const WHOLE_WITHIN_MS = 60_000;

/** Resolves when the scheduler has told a gateway of so many workers. */
function whole(scheduler: SchedulerProcess, workerCount: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`not whole within ${WHOLE_WITHIN_MS} ms`)), WHOLE_WITHIN_MS);
    late.unref();
    let count = 0;
    const direction = new SchedulerToGateway({
      grant: NOTHING,
      grantCores: NOTHING,
      refused: NOTHING,
      cancelled: NOTHING,
      version: NOTHING,
      worker: () => {
        if (++count < workerCount) return;
        resolve();
        link.close(32);
      },
      gone: () => void count--,
      provisioned: NOTHING,
    });
    const hello = new HelloFrame(ClusterKind.hello);
    Object.assign(hello, { role: Role.gateway, name: 'gateway', life: 1 });
    const link: FrameLink = new FrameLink(
      scheduler.connect('gateway', 'gateway'),
      { hello, dialled: Role.scheduler, limits: LINK_LIMITS, clock: realClock },
      { greeted: () => direction, opened: NOTHING, closed: ({ message }) => reject(new Error(message)) },
    );
  });
}

interface Measured {
  readonly fromKillS: number;
  readonly fromListeningS: number;
  readonly cpuS: number;
}

async function measure(workerCount: number): Promise<Measured> {
  const port = PORTS.from + Math.floor(Math.random() * PORTS.count);
  const start = (): Promise<SchedulerProcess> => startPlain(workerCount * CORES_EACH, workerCount, port);
  const first = await start();
  const workers = await startWorkers({ port, workerCount, coreCount: CORES_EACH });
  try {
    await whole(first, workerCount);
    await sleep(workerCount > 100 ? 2000 : 100);
    const killedMs = performance.now();
    await stopProcess(first.child, 'SIGKILL');
    const second = await start();
    const listeningMs = performance.now();
    try {
      await whole(second, workerCount);
      const endMs = performance.now();
      return {
        fromKillS: (endMs - killedMs) / 1000,
        fromListeningS: (endMs - listeningMs) / 1000,
        cpuS: cpuSeconds(second.child.pid!),
      };
    } finally {
      await second.close();
    }
  } finally {
    await stopProcess(first.child, 'SIGKILL');
    await stopProcess(workers.child);
  }
}

/** One worker after the other, each with a handshake of its own, as when all come back; later ones are the same that has connected again. */
async function joinsOverTls(workerCount: number): Promise<{ readonly perSecond: number; readonly cpuMs: number }> {
  const scheduler = await startOverTls(CORES_EACH);
  const pid = scheduler.child.pid!;
  const [name] = workerNames(CORES_EACH);
  const join = async (): Promise<void> => {
    for (let count = 0; count < workerCount; count++)
      (await dialWorker(scheduler, name!, CORES_EACH)).close(CloseReason.stopping);
  };
  try {
    await join();
    const cpuBeforeS = cpuSeconds(pid);
    const startMs = performance.now();
    await join();
    const seconds = (performance.now() - startMs) / 1000;
    return { perSecond: workerCount / seconds, cpuMs: ((cpuSeconds(pid) - cpuBeforeS) * 1000) / workerCount };
  } finally {
    await scheduler.close();
  }
}

export async function restartOfTheScheduler({ smoke }: BenchOptions): Promise<readonly Figure[]> {
  const workerCount = smoke ? 50 : Math.min(WORKERS_WANTED, openFilesMax() - OTHER_FILES);
  const results: Measured[] = [];
  for (let round = 0; round < (smoke ? 1 : 3); round++) results.push(await measure(workerCount));
  const overTls = [await joinsOverTls(smoke ? 5 : 500)];
  const name = `restart, ${workerCount.toLocaleString('en-US')} workers`;
  const values = (of: (each: Measured) => number): readonly number[] => results.map(of);
  return [
    atMost(
      figureOf(
        `${name}, from the kill until whole`,
        's',
        values((each) => each.fromKillS),
      ),
      WHOLE_MAX_S,
    ),
    figureOf(
      `${name}, from listening until whole`,
      's',
      values((each) => each.fromListeningS),
    ),
    figureOf(
      `${name}, CPU time of the scheduler, start included`,
      's',
      values((each) => each.cpuS),
    ),
    figureOf(`${name}, bytes a worker sends`, 'bytes', [bytesOfWorker(CORES_EACH)]),
    figureOf(
      'workers that join over TLS, one after the other',
      '/s',
      overTls.map((each) => each.perSecond),
    ),
    figureOf(
      'CPU time of the scheduler for each of them',
      'ms',
      overTls.map((each) => each.cpuMs),
    ),
  ];
}
