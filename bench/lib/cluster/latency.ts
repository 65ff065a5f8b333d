/** How long a grant takes at a rate far below the most that can be served, beside an echo of as many bytes. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { atMost, type BenchOptions, compare, type Figure, figureOf } from '../report.ts';
import { ClusterLoad } from './load.ts';
import { Schedule } from './open-schedule.ts';
import { cpuSeconds, type SchedulerProcess, startOverTls, startPlain, startProcess, stopProcess } from './processes.ts';

const RATE = 200_000;
const CORES = 1024;
const MESSAGE_BYTES = 16;
const RATIO_MAX = 3;
/** Of the rate, before it is measured. */
const STEPS = [0.1, 0.5, 1] as const;
const ECHO = fileURLToPath(new URL('echo.ts', import.meta.url));

interface Measured {
  readonly p50Us: number;
  readonly p99Us: number;
  readonly batch: number;
  /** Of the server, for each message or invocation. */
  readonly cpuNsEach: number;
}

/** The rate is raised in steps, so that the code of both sides is compiled before it is measured. */
async function inSteps(seconds: number, pid: number, run: (schedule: Schedule) => Promise<void>): Promise<Measured> {
  for (const share of STEPS) await run(new Schedule(RATE * share, seconds / STEPS.length));
  const schedule = new Schedule(RATE, seconds);
  const beforeSeconds = cpuSeconds(pid);
  await run(schedule);
  const cpuNsEach = ((cpuSeconds(pid) - beforeSeconds) * 1e9) / schedule.count;
  return { p50Us: schedule.quantile(0.5), p99Us: schedule.quantile(0.99), batch: schedule.batch, cpuNsEach };
}

async function grants(scheduler: SchedulerProcess, seconds: number): Promise<Measured> {
  try {
    const load = await ClusterLoad.open(scheduler, CORES);
    const measured = await inSteps(seconds, scheduler.child.pid!, (schedule) => load.openLoop(schedule));
    load.close();
    return measured;
  } finally {
    await scheduler.close();
  }
}

/** What is due in a turn is one write, as with frames; the answers come in the order of the requests. */
async function echoOver(socket: Socket, schedule: Schedule): Promise<void> {
  const sent: number[] = [];
  let first = 0;
  let received = 0;
  let due = 0;
  const onData = (chunk: Buffer): void => {
    received += chunk.length;
    for (; received >= MESSAGE_BYTES; received -= MESSAGE_BYTES) schedule.answered(sent[first++]!);
  };
  socket.on('data', onData);
  await schedule.run((request) => {
    sent.push(request);
    if (due++ > 0) return;
    setImmediate(() => {
      socket.write(Buffer.alloc(due * MESSAGE_BYTES));
      due = 0;
    });
  });
  socket.off('data', onData);
}

async function echoes(seconds: number): Promise<Measured> {
  const { child, port } = await startProcess([ECHO]);
  const socket = connect({ host: '127.0.0.1', port });
  try {
    await once(socket, 'connect');
    socket.setNoDelay(true);
    return await inSteps(seconds, child.pid!, (schedule) => echoOver(socket, schedule));
  } finally {
    socket.destroy();
    await stopProcess(child);
  }
}

export async function latencyOfGrants({ smoke }: BenchOptions): Promise<readonly Figure[]> {
  const seconds = smoke ? 0.2 : 3;
  const rivals: readonly { readonly name: string; readonly run: () => Promise<Measured>; readonly of: Measured[] }[] = [
    { name: 'echo over TCP', run: () => echoes(seconds), of: [] },
    { name: 'grant over TCP', run: async () => grants(await startPlain(CORES), seconds), of: [] },
    { name: 'grant over TLS', run: async () => grants(await startOverTls(CORES), seconds), of: [] },
  ];
  for (let round = 0; round < (smoke ? 1 : 5); round++) for (const rival of rivals) rival.of.push(await rival.run());
  const figures = rivals.map(({ name, of }) => ({
    p50: figureOf(
      `${name}, p50`,
      'µs',
      of.map((each) => each.p50Us),
    ),
    p99: figureOf(
      `${name}, p99`,
      'µs',
      of.map((each) => each.p99Us),
    ),
    batch: figureOf(
      `${name}, requests in a batch`,
      '',
      of.map((each) => each.batch),
    ),
    cpu: figureOf(
      `${name}, CPU time each`,
      'ns',
      of.map((each) => each.cpuNsEach),
    ),
  }));
  const [echo, ...others] = figures;
  return [
    ...Object.values(echo!),
    ...others.flatMap(({ p50, p99, batch, cpu }, index) => {
      const ratio = compare(p99, echo!.p99);
      return [compare(p50, echo!.p50), index === 0 ? atMost(ratio, RATIO_MAX) : ratio, batch, cpu];
    }),
  ];
}
