/** The servers that benchmarks of invocation compare: Perch, a bare node:http server, workerd. Each a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { makeZip } from '../../test/lib/zip.ts';

export interface Server {
  /** Where a POST of JSON runs the function. */
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

async function stopProcess(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill(signal);
  await once(child, 'exit');
}

export async function firstLine(child: ChildProcess): Promise<string> {
  const lines = createInterface({ input: child.stdout! });
  const ended = once(child, 'exit').then(([code]) =>
    Promise.reject(new Error(`${child.spawnfile} ended with ${code} before it was ready`)),
  );
  ended.catch(() => {});
  const [line] = (await Promise.race([once(lines, 'line'), ended])) as [string];
  child.stdout!.resume();
  return line;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** A hello world on node:http: what HTTP costs on Node before any platform. */
export async function bareServer(): Promise<Server> {
  const script = `require('node:http').createServer((request, response) => {
    request.resume();
    request.on('end', () => { const body = '{"ok":true}';
      response.writeHead(200, ['Content-Type', 'application/json', 'Content-Length', String(body.length)]); response.end(body); });
  }).listen(0, '127.0.0.1', function () { console.log(this.address().port) })`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const port = await firstLine(child);
  return { url: `http://127.0.0.1:${port}/`, pid: child.pid!, stop: () => stopProcess(child, 'SIGTERM') };
}

export async function workerdServer(): Promise<Server> {
  const folder = mkdtempSync(path.join(tmpdir(), 'perch-workerd-'));
  const port = await freePort();
  writeFileSync(
    path.join(folder, 'worker.js'),
    'export default { async fetch(request) { await request.json(); return Response.json({ ok: true }) } }',
  );
  writeFileSync(
    path.join(folder, 'config.capnp'),
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (modules = [(name = "worker", esModule = embed "worker.js")], compatibilityDate = "2025-01-01"))],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")]);`,
  );
  const require = createRequire(import.meta.url);
  const binary = (require('workerd') as { default: string }).default;
  const child = spawn(binary, ['serve', path.join(folder, 'config.capnp')], { stdio: ['ignore', 'ignore', 'inherit'] });
  const url = `http://127.0.0.1:${port}/`;
  await answers(url, child);
  const stop = async (): Promise<void> => {
    await stopProcess(child, 'SIGTERM');
    rmSync(folder, { recursive: true });
  };
  return { url, pid: child.pid!, stop };
}

async function answers(url: string, child: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const response = await fetch(url, { method: 'POST', body: '{}' }).catch(() => null);
    if (response?.ok === true) return;
    if (child.exitCode !== null) break;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`${child.spawnfile} did not answer at ${url}`);
}

export interface PerchServer extends Server {
  /** SIGKILL where a function would hold the platform's own end up. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** Deploys a function from its source (an ES module); returns the URL that invokes it. */
  deploy(name: string, source: string, configuration?: Record<string, unknown>): Promise<string>;
}

/** `perch up` on a folder of its own; `prefix` runs it under another command, such as taskset. */
export async function perchServer(args: readonly string[] = [], prefix: readonly string[] = []): Promise<PerchServer> {
  const folder = mkdtempSync(path.join(tmpdir(), 'perch-bench-'));
  const command = [
    ...prefix,
    path.join(ROOT, 'bin', 'perch'),
    'up',
    '--port',
    '0',
    '--data',
    path.join(folder, 'data'),
    '--json',
    ...args,
  ];
  const child = spawn(command[0]!, command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
  const { url, pid } = JSON.parse(await firstLine(child)) as { url: string; pid: number };
  const deploy = async (name: string, source: string, configuration: Record<string, unknown> = {}): Promise<string> => {
    const functions = `${url}/2015-03-31/functions`;
    const body = {
      FunctionName: name,
      Runtime: 'nodejs24.x',
      Handler: 'index.handler',
      Role: 'arn:aws:iam::000000000000:role/perch',
      Code: { ZipFile: (await makeZip({ 'index.mjs': source })).toString('base64') },
      ...configuration,
    };
    const response = await fetch(functions, { method: 'POST', body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`deploying ${name}: ${response.status} ${await response.text()}`);
    return `${functions}/${name}/invocations`;
  };
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<void> => {
    await stopProcess(child, signal);
    rmSync(folder, { recursive: true });
  };
  return { url, pid, deploy, stop };
}
