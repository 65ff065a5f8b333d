/** `perch gateway` as a real process. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

export interface GatewayProcess {
  readonly child: ChildProcess;
  readonly url: string;
  /** 0 where the store is elsewhere. */
  readonly clusterPort: number;
  readonly stderr: () => string;
}

export interface GatewaySettings {
  readonly scheduler: number;
  readonly data: string;
  /** The cluster port of the gateway that has the store. */
  readonly store?: number;
  readonly args?: readonly string[];
}

export async function startGateway(joinFile: string, settings: GatewaySettings): Promise<GatewayProcess> {
  const { scheduler, data, store, args = [] } = settings;
  const places = ['--scheduler', `127.0.0.1:${scheduler}`, '--listen', '127.0.0.1:0', '--port', '0', '--data', data];
  const stored = store === undefined ? [] : ['--store', `127.0.0.1:${store}`];
  const child = spawn(
    process.execPath,
    [MAIN, 'gateway', '--join', joinFile, ...places, ...stored, '--json', '--log-level', 'info', ...args],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const first = (await Promise.race([
    once(createInterface({ input: child.stdout }), 'line'),
    once(child, 'exit'),
  ])) as unknown[];
  assert.ok(typeof first[0] === 'string', `the gateway did not start: ${errors}`);
  const { url, clusterPort } = JSON.parse(first[0]) as { url: string; clusterPort: number };
  return { child, url, clusterPort, stderr: () => errors };
}
