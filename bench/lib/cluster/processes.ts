/** The processes of this benchmark: schedulers with and without TLS, and what they are compared with. */
import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Duplex, Readable, Writable } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { addNode, Authority, initAuthority } from '../../../src/cluster/identity/authority.ts';
import { readAnyJoinFile } from '../../../src/cluster/identity/join-file.ts';
import type { Role } from '../../../src/cluster/identity/names.ts';
import { clientOptions } from '../../../src/cluster/identity/tls.ts';
import { SCHEDULER_COMPILER_FLAGS } from '../../../src/scheduler/server/compiler-flags.ts';

const MAIN = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url));
const PLAIN = fileURLToPath(new URL('plain-scheduler.ts', import.meta.url));
const TICKS_PER_SECOND = 100;
const USER_TICKS = 13;

/** Connects as a node of this name; the connection may be on its way still. */
export type Connect = (name: string, role: Role) => Duplex;

/** As many as a server may have; those of all load are spread over so many workers. */
export const WORKER_CORES = 1024;

export function workerNames(coreCount: number): readonly string[] {
  return Array.from({ length: Math.ceil(coreCount / WORKER_CORES) }, (_, index) => `worker-${index}`);
}

export interface Started {
  readonly child: ChildProcess;
  readonly port: number;
  readonly epoch: number;
}

export interface SchedulerProcess extends Started {
  readonly connect: Connect;
  close(): Promise<void>;
}

/** Resolves with its first line. */
export function startProcess(args: readonly string[]): Promise<Started> {
  return firstLine(spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] }));
}

export async function firstLine(child: ChildProcessByStdio<Writable, Readable, null>): Promise<Started> {
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return { child, ...(JSON.parse(line) as { port: number; epoch: number }) };
}

export async function stopProcess(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}

/** `perch scheduler`, with an authority of its own for whoever connects. */
export async function startOverTls(coreCountMax: number): Promise<SchedulerProcess> {
  const folder = mkdtempSync(path.join(tmpdir(), 'perch-bench-cluster-'));
  const authority = await initAuthority(path.join(folder, 'authority'), 'bench', Date.now());
  if (!(authority instanceof Authority)) throw new Error(authority.message);
  const joinFile = async (name: string, roles: readonly Role[]): Promise<string> => {
    const out = path.join(folder, `${name}.join`);
    await addNode(authority, { name, roles, addresses: [], days: undefined, renew: true, out }, Date.now());
    return out;
  };
  const own = await joinFile('scheduler', ['scheduler']);
  const options = new Map(
    await Promise.all(
      ['gateway', ...workerNames(coreCountMax)].map(async (name) => {
        const identity = readAnyJoinFile(await joinFile(name, [name === 'gateway' ? 'gateway' : 'worker']));
        if (typeof identity === 'string') throw new Error(identity);
        return [name, clientOptions(identity)] as const;
      }),
    ),
  );
  const started = await startProcess([
    ...SCHEDULER_COMPILER_FLAGS,
    MAIN,
    'scheduler',
    '--join',
    own,
    '--listen',
    '127.0.0.1:0',
    '--json',
    '--cores-max',
    String(coreCountMax),
  ]);
  return {
    ...started,
    connect: (name) => connectTls({ ...options.get(name)!, host: '127.0.0.1', port: started.port }),
    close: async () => {
      await stopProcess(started.child);
      rmSync(folder, { recursive: true });
    },
  };
}

/** The same server without TLS. `port` 0: any free one. With several shards workers are at the last and gateways at the first. */
export async function startPlain(
  coreCountMax: number,
  workerCountMax = workerNames(coreCountMax).length,
  port = 0,
  shards = 1,
): Promise<SchedulerProcess> {
  const started = await startProcess([
    ...SCHEDULER_COMPILER_FLAGS,
    PLAIN,
    ...[port, coreCountMax, workerCountMax, shards].map(String),
  ]);
  return {
    ...started,
    connect: (name, role) => connectPlain(started.port + (role === 'worker' ? shards - 1 : 0), name, role),
    close: () => stopProcess(started.child),
  };
}

export function connectPlain(port: number, name: string, role: Role): Duplex {
  const socket = connectTcp({ host: '127.0.0.1', port });
  socket.write(`${name} ${role}\n`);
  return socket;
}

/** Of a process, in seconds. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ');
  return (Number(fields[USER_TICKS - 2]) + Number(fields[USER_TICKS - 1])) / TICKS_PER_SECOND;
}
