/**
 * Several times more requests than one core can serve, for half a minute: how much of the capacity is still served, what the
 * others are told, and how soon a client that comes afterwards is served as before.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { readTopology } from '../../../src/worker/agent/topology.ts';
import { Hosts } from '../../../test/cluster/hosts/hosts.ts';
import { NO_HOSTS } from '../../../test/cluster/hosts/requirements.ts';
import { atLeast, atMost, type BenchOptions, compare, type Figure, figureOf } from '../report.ts';
import { inTurns, rounds } from '../start/figures.ts';
import { deploy, HTTP_PORT, type NodeOptions, type Platform, startCluster, startSingle, Workplace } from './nodes.ts';
import type { OverloadInput, OverloadOutput } from './overload-process.ts';
import { skipped } from './skipped.ts';

const PROCESS = fileURLToPath(new URL('overload-process.ts', import.meta.url));
const TIMES = 5;
const ROUND_COUNT = 3;
const GOODPUT_MIN = 0.9;
/** That is what "at once" is taken for: no client can tell it from one slow invocation. */
const RECOVERED_S_MAX = 1;
/** More than wait in the queue and run, so that the platform refuses and not the clients. */
const CONNECTIONS_MAX = 4096;
const RECOVERY_MS_MAX = 60_000;

/** So much time of its CPU, whatever else that CPU does. (`threadCpuUsage` counts whole ticks of the kernel.) */
const WORK = (
  us: number,
): string => `const used = () => { const { user, system } = process.cpuUsage(); return user + system; };
export const handler = async () => { const end = used() + ${us}; while (used() < end); return { ok: true }; };`;

interface Clients {
  readonly name: string;
  readonly patienceMs: number | null;
}

const WAIT: Clients = { name: 'clients that wait', patienceMs: null };
const LEAVE: Clients = { name: 'clients that leave after 1 s', patienceMs: 1000 };

interface Rival {
  readonly name: string;
  readonly platform: Platform;
  readonly path: string;
}

interface Measured {
  readonly rival: Rival;
  readonly clients: Clients;
  readonly outputs: OverloadOutput[];
}

/** Functions have the second core to themselves, where there is one; all else has the first. */
function split(): NodeOptions {
  const topology = readTopology(null);
  const cores = topology instanceof Error ? [] : topology.cores;
  const [first, second] = cores;
  if (first === undefined) throw new Error('the CPUs of this machine are not known');
  if (second === undefined) return { cores: String(first[0]) };
  return { cores: String(second[0]), cpu: first[0]! };
}

async function load(
  place: Workplace,
  { platform, path }: Rival,
  clients: Clients,
  smoke: boolean,
): Promise<OverloadOutput> {
  const input: OverloadInput = {
    port: HTTP_PORT,
    path,
    capacitySeconds: smoke ? 0.3 : 5,
    loadSeconds: smoke ? 0.5 : 30,
    aloneCount: smoke ? 5 : 50,
    times: TIMES,
    patienceMs: clients.patienceMs,
    connectionsMax: CONNECTIONS_MAX,
    recoveryMsMax: RECOVERY_MS_MAX,
  };
  const { cpu } = split();
  const command = [process.execPath, PROCESS, JSON.stringify(input)];
  const [file, ...args] = cpu === undefined ? command : ['taskset', '-c', String(cpu), ...command];
  const child = await place.hosts.within(platform.host, () =>
    spawn(file!, args, { stdio: ['ignore', 'pipe', 'inherit'] }),
  );
  const lines = createInterface({ input: child.stdout });
  const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`the clients ended with ${code}`)));
  ended.catch(() => undefined);
  const [line] = (await Promise.race([once(lines, 'line'), ended])) as [string];
  return JSON.parse(line) as OverloadOutput;
}

export async function overload({ smoke }: BenchOptions): Promise<readonly Figure[]> {
  if (NO_HOSTS !== false) return skipped('overload', NO_HOSTS);
  const place = new Workplace(new Hosts('a', 'b', 'c'));
  const options = split();
  try {
    const cluster = await startCluster(place, { gateway: 'a', scheduler: 'a', worker: 'b' }, options);
    const single = await startSingle(place, 'c', options);
    const rivals: Rival[] = [];
    for (const [name, platform] of Object.entries({ 'one machine': single, cluster }))
      rivals.push({ name, platform, path: await deploy(platform, 'work', WORK(smoke ? 1000 : 10_000)) });
    const all = rivals.flatMap((rival) => [WAIT, LEAVE].map((clients): Measured => ({ rival, clients, outputs: [] })));
    for (const round of rounds(ROUND_COUNT, smoke))
      for (const { rival, clients, outputs } of inTurns(all, round))
        outputs.push(await load(place, rival, clients, smoke));
    return all.flatMap(figuresOf);
  } finally {
    await place.end();
  }
}

function figuresOf({ rival, clients, outputs }: Measured): Figure[] {
  const name = `overload, ${rival.name}, ${clients.name}`;
  const figure = (what: string, unit: string, of: (output: OverloadOutput) => number | null): Figure[] => {
    const values = outputs.map(of).filter((value) => value !== null);
    return values.length === 0 ? [] : [figureOf(`${name}, ${what}`, unit, values)];
  };
  const one = (...values: Parameters<typeof figure>): Figure => figure(...values)[0]!;
  const capacity = one('capacity', '/s', (output) => output.capacity);
  return [
    capacity,
    atLeast(
      compare(
        one('served', '/s', (output) => output.goodput),
        capacity,
      ),
      GOODPUT_MIN,
    ),
    ...figure('latency of the served, p50', 'ms', (output) => output.servedP50Ms),
    ...figure('latency of the served, p99', 'ms', (output) => output.servedP99Ms),
    one('refused with 429', '%', (output) => shareOf(output, output.statuses['429'] ?? 0)),
    ...figure('latency of a 429, p50', 'ms', (output) => output.refusedP50Ms),
    ...figure('latency of a 429, p99', 'ms', (output) => output.refusedP99Ms),
    atMost(
      one('neither 200 nor 429', '%', (output) => shareOf(output, unexpected(output))),
      0,
    ),
    one('clients that left', '%', (output) => shareOf(output, output.left)),
    one('not sent, for want of connections', '%', (output) => shareOf(output, output.notSent)),
    one('one client before', 'ms', (output) => output.aloneBeforeMs),
    atMost(
      one('until one client is served as before', 's', (output) => output.recoveredMs / 1000),
      RECOVERED_S_MAX,
    ),
    one('until nobody waits', 's', (output) => output.drainedMs / 1000),
  ];
}

function unexpected({ statuses, failed }: OverloadOutput): number {
  const others = Object.entries(statuses).filter(([status]) => status !== '200' && status !== '429');
  return failed + others.reduce((sum, [, count]) => sum + count, 0);
}

function shareOf({ statuses, failed, left, notSent }: OverloadOutput, count: number): number {
  const answered = Object.values(statuses).reduce((sum, each) => sum + each, 0);
  return (100 * count) / (answered + failed + left + notSent);
}
