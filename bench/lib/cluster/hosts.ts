/**
 * What a network between the parts of Perch adds: a warm no-op through gateway, scheduler and worker on several hosts, beside
 * the same with all in one process, stated in round trips of bare TCP between two of the hosts.
 */
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { readAnyJoinFile } from '../../../src/cluster/identity/join-file.ts';
import { clientOptions } from '../../../src/cluster/identity/tls.ts';
import { Hosts } from '../../../test/cluster/hosts/hosts.ts';
import { NO_HOSTS } from '../../../test/cluster/hosts/requirements.ts';
import { type BenchOptions, compare, type Figure, quantile } from '../report.ts';
import { inTurns, rounds, Samples } from '../start/figures.ts';
import { Line } from './line.ts';
import { deploy, type Platform, startCluster, startSingle, Workplace } from './nodes.ts';
import { skipped } from './skipped.ts';

const ECHO = fileURLToPath(new URL('echo.ts', import.meta.url));
const ECHO_BYTES = 64;
const NOOP = 'export const handler = async () => ({ ok: true })';
const ROUND_COUNT = 7;
const SINGLE = 'one machine';
const TCP = 'TCP echo between two hosts';
const TLS = 'TLS echo between two hosts';
const TWO = 'two hosts';
const THREE = 'three hosts';

interface Rival {
  readonly name: string;
  /** Before it is asked: the others had their turns, and its server may have closed its connection meanwhile. */
  ready(): Promise<void>;
  /** One question and its answer. */
  ask(): Promise<void>;
  close(): void;
}

/** With an echo server on `to`, asked from `from`. */
async function echo(place: Workplace, name: string, from: string, to: string): Promise<Rival> {
  const address = place.hosts.address(to);
  const isTls = name === TLS;
  const args = [ECHO, address, ...(isTls ? [await place.joinFile(to, ['worker'])] : [])];
  const server = await place.hosts.start(to, args, { program: process.execPath });
  const target = { host: address, port: server.ready['port'] as number };
  const identity = isTls ? readAnyJoinFile(await place.joinFile(from, ['gateway'])) : '';
  const socket = await place.hosts.within(from, () =>
    typeof identity === 'string' ? connect(target) : connectTls({ ...clientOptions(identity), ...target }),
  );
  const line = await Line.open(socket, isTls ? 'secureConnect' : 'connect');
  const bytes = Buffer.alloc(ECHO_BYTES, 'x');
  return { name, ready: async () => {}, ask: async () => void (await line.echo(bytes)), close: () => line.close() };
}

async function invocation(name: string, platform: Platform): Promise<Rival> {
  const where = await deploy(platform, 'noop', NOOP);
  let line = await Line.open(await platform.connect());
  const ready = async (): Promise<void> => {
    if (line.isClosed) line = await Line.open(await platform.connect());
  };
  const ask = async (): Promise<void> => {
    const { status, body } = await line.post(where);
    if (status !== 200) throw new Error(`${name}: ${status} ${body}`);
  };
  return { name, ready, ask, close: () => line.close() };
}

/** Microseconds of each. */
async function ask(rival: Rival, count: number): Promise<number[]> {
  await rival.ready();
  const us: number[] = [];
  for (let index = 0; index < count; index++) {
    const startMs = performance.now();
    await rival.ask();
    us.push((performance.now() - startMs) * 1000);
  }
  return us;
}

export async function latencyBetweenHosts({ smoke }: BenchOptions): Promise<readonly Figure[]> {
  if (NO_HOSTS !== false) return skipped('hosts', NO_HOSTS);
  const place = new Workplace(new Hosts('a', 'b', 'c', 'd', 'e', 'f'));
  const rivals: Rival[] = [];
  try {
    // One after the other, so that nobody's start is in anybody's way.
    rivals.push(await echo(place, TCP, 'a', 'b'));
    rivals.push(await echo(place, TLS, 'a', 'b'));
    rivals.push(await invocation(SINGLE, await startSingle(place, 'c', {})));
    const two = await startCluster(place, { gateway: 'a', scheduler: 'a', worker: 'b' }, {});
    rivals.push(await invocation(TWO, two));
    const three = await startCluster(place, { gateway: 'd', scheduler: 'e', worker: 'f' }, {});
    rivals.push(await invocation(THREE, three));
    const samples = new Samples('µs');
    for (const rival of rivals) await ask(rival, smoke ? 20 : 3000);
    for (const round of rounds(ROUND_COUNT, smoke)) {
      for (const rival of inTurns(rivals, round)) {
        await ask(rival, smoke ? 10 : 300);
        const us = await ask(rival, smoke ? 50 : 3000);
        samples.add(`${rival.name}, p50`, quantile(us, 0.5));
        samples.add(`${rival.name}, p99`, quantile(us, 0.99));
      }
    }
    return figuresOf(samples);
  } finally {
    for (const rival of rivals) rival.close();
    await place.end();
  }
}

function figuresOf(samples: Samples): Figure[] {
  const figures = [TCP, TLS, SINGLE].flatMap((name) =>
    ['p50', 'p99'].map((what) => samples.figure(`${name}, ${what}`)),
  );
  const roundTrip = samples.figure(`${TCP}, p50`);
  const single = samples.figure(`${SINGLE}, p50`);
  for (const name of [TWO, THREE]) {
    const p50 = samples.figure(`${name}, p50`);
    const value = p50.value - single.value;
    figures.push(compare(p50, single), samples.beside(`${name}, p99`, `${SINGLE}, p99`));
    figures.push(compare({ name: `${name}, added to one machine's p50`, unit: 'µs', value }, roundTrip));
  }
  return figures;
}
