/**
 * The scheduler of a cluster as a process of its own, reached as nodes reach it: mutual TLS on loopback, frames in batches.
 * The load generator, gateway and worker in one, has the other CPU.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { addNode, Authority, initAuthority } from '../src/cluster/identity/authority.ts';
import { type Identity, readAnyJoinFile } from '../src/cluster/identity/join-file.ts';
import type { Role } from '../src/cluster/identity/names.ts';
import { SCHEDULER_COMPILER_FLAGS } from '../src/scheduler/server/compiler-flags.ts';
import { ClusterLoad } from './lib/cluster-load.ts';
import { atLeast, type BenchOptions, type Figure, figureOf, type Report } from './lib/report.ts';

const MAIN = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url));
/** What 20,000 servers of 32 cores need (Kaffes et al.: functions of 100 ms). */
const INVOCATIONS_PER_SECOND_MIN = 6_400_000;
const TICKS_PER_SECOND = 100;
const USER_TICKS = 13;

const NOTES = [
  'One shard, one worker with that many cores, one gateway; each invocation is a REQUEST, a GRANT and a RELEASE. The',
  "generator is one process on its own CPU and as busy as the scheduler. CPU time is the scheduler process's, TLS included.",
];

interface Shape {
  readonly coreCount: number;
  readonly inFlight: number;
}

const SHAPES: readonly Shape[] = [
  { coreCount: 1024, inFlight: 64 },
  { coreCount: 1024, inFlight: 1000 },
  { coreCount: 32_768, inFlight: 16_384 },
];

/** Of a process, in seconds. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ');
  return (Number(fields[USER_TICKS - 2]) + Number(fields[USER_TICKS - 1])) / TICKS_PER_SECOND;
}

async function joinFile(authority: Authority, folder: string, name: string, roles: readonly Role[]): Promise<string> {
  const out = path.join(folder, `${name}.join`);
  await addNode(authority, { name, roles, addresses: [], days: undefined, renew: true, out }, Date.now());
  return out;
}

function identityOf(file: string): Identity {
  const identity = readAnyJoinFile(file);
  if (typeof identity === 'string') throw new Error(identity);
  return identity;
}

async function measure({ coreCount, inFlight }: Shape, seconds: number): Promise<{ rate: number; nsEach: number }> {
  const folder = mkdtempSync(path.join(tmpdir(), 'perch-bench-cluster-'));
  const authority = await initAuthority(path.join(folder, 'authority'), 'bench', Date.now());
  if (!(authority instanceof Authority)) throw new Error(authority.message);
  const file = await joinFile(authority, folder, 'scheduler', ['scheduler']);
  const child = spawn(
    process.execPath,
    [
      ...SCHEDULER_COMPILER_FLAGS,
      MAIN,
      'scheduler',
      '--join',
      file,
      '--listen',
      '127.0.0.1:0',
      '--cores-max',
      String(coreCount),
      '--json',
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  try {
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    const { port, epoch } = JSON.parse(line) as { port: number; epoch: number };
    const gateway = identityOf(await joinFile(authority, folder, 'gateway', ['gateway']));
    const worker = identityOf(await joinFile(authority, folder, 'worker', ['worker']));
    const load = await ClusterLoad.open({ gateway, worker, port, epoch, coreCount });
    // The compilers warm up.
    await load.closedLoop(inFlight, seconds / 2);
    const beforeSeconds = cpuSeconds(child.pid!);
    const rate = await load.closedLoop(0, seconds);
    const usedSeconds = cpuSeconds(child.pid!) - beforeSeconds;
    load.close();
    return { rate, nsEach: (usedSeconds * 1e9) / (rate * seconds) };
  } finally {
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    await exited;
    rmSync(folder, { recursive: true });
  }
}

async function run({ smoke }: BenchOptions): Promise<Report> {
  const figures: Figure[] = [];
  const results = SHAPES.map((): { rate: number; nsEach: number }[] => []);
  for (let round = 0; round < (smoke ? 1 : 5); round++)
    for (const [index, shape] of SHAPES.entries()) results[index]!.push(await measure(shape, smoke ? 0.1 : 3));
  for (const [index, { coreCount, inFlight }] of SHAPES.entries()) {
    const name = `one shard over TLS, ${coreCount.toLocaleString('en-US')} cores, ${inFlight.toLocaleString('en-US')} on their way`;
    const rate = figureOf(
      `${name}, invocations`,
      '/s',
      results[index]!.map((each) => each.rate),
    );
    const isLast = index === SHAPES.length - 1;
    figures.push(isLast ? atLeast(rate, INVOCATIONS_PER_SECOND_MIN) : rate);
    figures.push(
      figureOf(
        `${name}, CPU time each`,
        'ns',
        results[index]!.map((each) => each.nsEach),
      ),
    );
  }
  return { name: 'cluster', notes: NOTES, figures };
}

export default { summary: 'the scheduler of a cluster, over its connections', run };
