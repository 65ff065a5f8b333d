/**
 * What instances reach under bubblewrap: processes of their own, zygotes, copies. The server is a network namespace that the
 * test makes (see ../network/world.ts); nothing of this machine's own networking is touched.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { nodeRuntime } from '../../../src/worker/runtimes/node/runtime.ts';
import { pythonRuntimes } from '../../../src/worker/runtimes/python/runtime.ts';
import type { Runtime } from '../../../src/worker/runtimes/runtime.ts';
import { BubblewrapBackend } from '../../../src/worker/sandbox/bubblewrap/index.ts';
import {
  cellNetworkOf,
  type NetworkPolicy,
  type Sandbox,
  type Zygote,
  type ZygoteReport,
} from '../../../src/worker/sandbox/contract.ts';
import {
  becomeServer,
  BEYOND,
  eventually,
  METADATA,
  PORT,
  run,
  SERVER,
  startStation,
  type Station,
} from '../network/world.ts';
import { Conversation, environmentOf } from '../runtimes/runtime-process.ts';
import { hasMemoryLimit, noBubblewrap, ROOT_ONLY } from './harness.ts';

const skip = noBubblewrap || ROOT_ONLY;
const skipCopies = skip || (hasMemoryLimit ? false : 'NO MEMORY CGROUP: copies need one');
const RUNTIMES = fileURLToPath(new URL('../../../src/worker/runtimes', import.meta.url));
const SLOTS = 16;
const MEMORY_MB = 128;
const OWN_PORT = 4100;

/** Does what its event says, and once while it is initialised. */
const NODE = `
import net from 'node:net';
import { once } from 'node:events';
import { readFileSync, readlinkSync, writeFileSync } from 'node:fs';
const kept = [];
function connect(target) {
  return new Promise((resolve) => {
    const socket = net.connect(target);
    const end = (result) => { clearTimeout(timer); socket.destroy(); resolve(result); };
    const timer = setTimeout(end, 20_000, 'silence');
    socket.on('connect', () => socket.write('ping')).on('data', (data) => end(String(data))).on('error', (error) => end(error.code));
  });
}
async function listen(target) {
  kept.push(net.createServer((socket) => socket.on('error', () => {}).on('data', () => socket.end('mine'))).listen(target));
  await once(kept.at(-1), 'listening');
}
function write(file) {
  try { writeFileSync(file, '1'); return 'written'; } catch (error) { return error.code; }
}
const operations = {
  tcp: ([host, port]) => connect({ host, port }),
  abstract: () => connect({ path: '\\0perch' }),
  listen: () => Promise.all([listen({ host: '127.0.0.1', port: ${OWN_PORT} }), listen({ path: '\\0perch' })]).then(() => 'listening'),
  read: ([file]) => readFileSync(file, 'utf8'),
  write: ([file]) => write(file),
  namespace: () => readlinkSync('/proc/self/ns/net'),
};
const initial = await operations.tcp(['${BEYOND}', ${PORT}]);
operations.initial = () => initial;
export const handler = ([name, ...values]) => operations[name](values);
`;

const PYTHON = `
import errno, os, socket, threading
kept = []
def connect(family, target):
    with socket.socket(family) as s:
        s.settimeout(20)
        try:
            s.connect(target); s.sendall(b"ping"); return s.recv(99).decode()
        except TimeoutError: return "silence"
        except OSError as error: return errno.errorcode[error.errno]
def listen(family, target):
    s = socket.socket(family); s.bind(target); s.listen(); kept.append(s)
    def serve():
        while True:
            caller = s.accept()[0]; caller.recv(4); caller.sendall(b"mine"); caller.close()
    threading.Thread(target=serve, daemon=True).start()
def write(file):
    try:
        with open(file, "w") as f: f.write("1")
        return "written"
    except OSError as error: return errno.errorcode[error.errno]
def listen_all():
    listen(socket.AF_INET, ("127.0.0.1", ${OWN_PORT})); listen(socket.AF_UNIX, b"\\0perch"); return "listening"
def read(file):
    with open(file) as f: return f.read()
operations = {
    "tcp": lambda host, port: connect(socket.AF_INET, (host, port)), "abstract": lambda: connect(socket.AF_UNIX, b"\\0perch"),
    "listen": listen_all, "read": read, "write": write, "namespace": lambda: os.readlink("/proc/self/ns/net"),
}
initial = operations["tcp"]("${BEYOND}", ${PORT})
operations["initial"] = lambda: initial
def handler(event, context): return operations[event[0]](*event[1:])
`;

/** Whether a descriptor of this process is a namespace or a socket. */
function isOfNetwork(descriptor: string): boolean {
  try {
    return /^(net|socket):/.test(readlinkSync(`/proc/self/fd/${descriptor}`));
  } catch {
    return false;
  }
}

const LANGUAGES: readonly (readonly [Runtime, string, string])[] = [
  [nodeRuntime, 'index.mjs', NODE],
  ...pythonRuntimes.slice(0, 1).map((runtime) => [runtime, 'index.py', PYTHON] as const),
];

describe('the network of sandboxes', { skip, concurrency: false }, () => {
  let world: Awaited<ReturnType<typeof becomeServer>>;
  let server: Station;
  let backend: BubblewrapBackend;
  let codeRoot: string;
  /** An abstract socket of the server's. */
  const abstract = net.createServer((socket) => socket.end("the server's"));
  const warnings: string[] = [];
  const freeSlots = Array.from({ length: SLOTS }, (_, slot) => slot);

  before(async () => {
    world = await becomeServer();
    server = await startStation(false);
    await server.listen();
    await once(abstract.listen('\0perch'), 'listening');
    codeRoot = mkdtempSync('/var/tmp/perch-networks-');
    backend = open();
    await backend.open();
    assert.deepEqual(warnings, []);
  });

  after(async () => {
    await backend?.close();
    assert.doesNotMatch(run('ip', '-o', 'link'), /: perch/);
    abstract.close();
    await server?.end();
    await world?.end();
    rmSync(codeRoot, { recursive: true });
  });

  function open(slotCount = SLOTS): BubblewrapBackend {
    const log = { warn: (text: string) => warnings.push(text) };
    return new BubblewrapBackend({ codeRoot, runtimesRoot: RUNTIMES, interpreter: process.execPath, slotCount, log });
  }

  /** Whoever is started in it gives it back at its end. */
  function inSlot<T extends Sandbox | Zygote>(start: (slot: number) => T): T {
    const slot = freeSlots.shift();
    assert.ok(slot !== undefined);
    const started = start(slot);
    started.onExit(() => freeSlots.push(slot));
    return started;
  }

  function common(
    runtime: Runtime,
    file: string,
    source: string,
  ): { codeDir: string; layersDir: string; env: Record<string, string>; memoryMb: number } {
    const codeDir = mkdtempSync(path.join(codeRoot, 'f-'));
    chmodSync(codeDir, 0o755);
    writeFileSync(path.join(codeDir, file), source);
    const env = { ...environmentOf('{code}', 'index.handler'), ...runtime.env(runtime.names[0]!) };
    return { codeDir, layersDir: '', env, memoryMb: MEMORY_MB };
  }

  function start(
    [runtime, file, source]: (typeof LANGUAGES)[number],
    network: NetworkPolicy,
    from = backend,
  ): Conversation {
    const { dir, interpreter, args } = runtime;
    const spec = {
      runtimeDir: dir.replace(/\/$/, ''),
      interpreter: interpreter(),
      args: args(MEMORY_MB),
      cpus: [],
      network,
    };
    return new Conversation(inSlot((slot) => from.start({ ...common(runtime, file, source), ...spec, slot })));
  }

  async function zygoteOf(
    [runtime, file, source]: (typeof LANGUAGES)[number],
    network: NetworkPolicy,
    from = backend,
  ): Promise<Zygote> {
    const { dir, interpreter } = runtime;
    const { codeDir, layersDir, env, memoryMb } = common(runtime, file, source);
    const base = { PATH: '/usr/bin', TZ: ':UTC', ...runtime.env(runtime.names[0]!) };
    const spec = {
      runtimeDir: dir.replace(/\/$/, ''),
      interpreter: interpreter(),
      args: runtime.cellArgs()!,
      cpus: [],
      network: cellNetworkOf(network),
    };
    const zygote = inSlot((slot) => from.startCell({ ...spec, slot, env: base, memoryMb }));
    const reports: ZygoteReport[] = [];
    zygote.onReport((report) => {
      if (report.kind === 'cell') zygote.adopt({ codeDir, layersDir, env: { ...base, ...env }, memoryMb, network });
      else reports.push(report);
    });
    await eventually(() => reports.some(({ kind }) => kind !== 'log'));
    assert.deepEqual(reports, [{ kind: 'initialised' }]);
    return zygote;
  }

  function fork(zygote: Zygote, once = true): Conversation {
    return new Conversation(inSlot((slot) => zygote.fork({ slot, memoryMb: MEMORY_MB, once })));
  }

  async function ask(instance: Conversation, ...event: unknown[]): Promise<string> {
    const outcome = await instance.invoke(event);
    assert.equal(outcome.kind, 'response', JSON.stringify(outcome));
    return outcome.value;
  }

  /** In a copy of its own. */
  async function askOnce(zygote: Zygote, ...event: unknown[]): Promise<string> {
    const copy = fork(zygote);
    const value = await ask(copy, ...event);
    assert.deepEqual(await copy.exit, { kind: 'exit', code: 0 });
    return value;
  }

  async function end(instance: { kill(): void; onExit(listener: () => void): void }): Promise<void> {
    const gone = new Promise<void>((resolve) => instance.onExit(resolve));
    instance.kill();
    await gone;
  }

  /** The rows of what an instance reaches, whatever kind of instance it is. */
  async function checkReach(policy: NetworkPolicy, instance: Conversation): Promise<void> {
    const beyond = { none: 'ENETUNREACH', outbound: `seen as ${SERVER}`, host: `seen as ${SERVER}` }[policy];
    const own = { none: 'ENETUNREACH', outbound: 'ECONNREFUSED', host: `seen as ${SERVER}` }[policy];
    const loopback = policy === 'host' ? 'seen as 127.0.0.1' : 'ECONNREFUSED';
    assert.equal(await ask(instance, 'initial'), beyond, 'while it is initialised');
    assert.equal(await ask(instance, 'tcp', BEYOND, PORT), beyond);
    assert.equal(await ask(instance, 'tcp', SERVER, PORT), own);
    assert.equal(await ask(instance, 'tcp', '127.0.0.1', PORT), loopback);
    assert.notEqual(await ask(instance, 'write', '/proc/sys/net/ipv4/ip_default_ttl'), 'written');
    const isOfServer = (await ask(instance, 'namespace')) === readlinkSync('/proc/thread-self/ns/net');
    assert.equal(isOfServer, policy === 'host');
    if (policy === 'host') return;
    assert.match(await ask(instance, 'tcp', METADATA, PORT), /^(ECONNREFUSED|ENETUNREACH)$/);
    assert.equal(await ask(instance, 'abstract'), 'ECONNREFUSED');
    assert.equal(await ask(instance, 'listen'), 'listening');
    assert.equal(await ask(instance, 'tcp', '127.0.0.1', OWN_PORT), 'mine');
    assert.equal(await ask(instance, 'abstract'), 'mine');
    assert.notEqual(await ask(instance, 'write', '/proc/sys/net/ipv4/ip_unprivileged_port_start'), 'written');
  }

  for (const language of LANGUAGES) {
    for (const policy of ['none', 'outbound', 'host'] as const) {
      it(`a process of its own, ${language[0].label}, ${policy}`, async () => {
        const instance = start(language, policy);
        await checkReach(policy, instance);
        await end(instance.sandbox);
      });
    }
  }

  describe('copies', { skip: skipCopies, concurrency: false }, () => {
    for (const language of LANGUAGES) {
      const { label } = language[0];
      for (const policy of ['none', 'outbound', 'host'] as const) {
        it(`of ${label} with ${policy} reach what the policy says`, async () => {
          const zygote = await zygoteOf(language, policy);
          for (let index = 0; index < 3; index++) {
            const copy = fork(zygote, false);
            await checkReach(policy, copy);
            await end(copy.sandbox);
          }
          await end(zygote);
        });
      }

      it(`of ${label} do not reach each other`, async () => {
        const zygote = await zygoteOf(language, 'outbound');
        const copies = [0, 1, 2].map(() => fork(zygote, false));
        const namespaces = await Promise.all(copies.map((copy) => ask(copy, 'namespace')));
        assert.equal(new Set(namespaces).size, 3);
        assert.equal(await ask(copies[0]!, 'listen'), 'listening');
        for (const other of copies.slice(1)) {
          assert.equal(await ask(other, 'tcp', '127.0.0.1', OWN_PORT), 'ECONNREFUSED');
          assert.equal(await ask(other, 'abstract'), 'ECONNREFUSED');
          assert.equal(await ask(other, 'listen'), 'listening', 'the port and the name are free');
        }
        for (const copy of copies) await end(copy.sandbox);
        // All three are free now.
        assert.ok(namespaces.includes(await askOnce(zygote, 'namespace')));
        await end(zygote);
      });

      it(`of ${label} enter a namespace of an earlier one only if that left no trace`, async () => {
        const zygote = await zygoteOf(language, 'outbound');
        const first = await askOnce(zygote, 'namespace');
        assert.equal(await askOnce(zygote, 'namespace'), first);
        const pristine = await askOnce(zygote, 'read', '/proc/net/snmp');
        // Listening leaves none.
        assert.equal(await askOnce(zygote, 'listen'), 'listening');
        assert.equal(await askOnce(zygote, 'namespace'), first);
        const uses: unknown[][] = [
          ['tcp', BEYOND, PORT],
          ['tcp', '127.0.0.1', OWN_PORT],
          ['tcp', SERVER, PORT],
        ];
        for (const use of uses) {
          const before = await askOnce(zygote, 'namespace');
          await askOnce(zygote, ...use);
          assert.equal(await askOnce(zygote, 'read', '/proc/net/snmp'), pristine);
          const connections = await askOnce(zygote, 'read', '/proc/net/tcp');
          assert.equal(connections.trim().split('\n').length, 1, connections);
          assert.notEqual(await askOnce(zygote, 'namespace'), before);
        }
        await end(zygote);
      });
    }

    it('say why they did not come to life where there is no address left', async () => {
      const [language] = LANGUAGES;
      // One for the cell, one for a copy.
      const small = open(1);
      await small.open();
      const zygote = await zygoteOf(language!, 'outbound', small);
      const copy = fork(zygote, false);
      assert.equal(await copy.ready, null);
      const { kind, message } = (await fork(zygote).exit) as { kind: string; message: string };
      assert.equal(kind, 'start-failed');
      assert.match(message, /^the network of the instance: not connected: every address for instances is in use$/);
      const other = (await start(language!, 'outbound', small).exit) as { kind: string; message: string };
      assert.deepEqual(other, { kind, message });
      await end(copy.sandbox);
      assert.equal(await askOnce(zygote, 'tcp', BEYOND, PORT), `seen as ${SERVER}`);
      await end(zygote);
      await small.close();
    });

    it('leave no link, descriptor or namespace when their zygote is gone', async () => {
      const descriptors = (): number => readdirSync('/proc/self/fd').filter(isOfNetwork).length;
      const links = (): number =>
        run('ip', '-o', 'link')
          .split('\n')
          .filter((line) => line.includes(': perch')).length;
      await eventually(() => links() === 0);
      const before = descriptors();
      const zygote = await zygoteOf(LANGUAGES[0]!, 'outbound');
      const copies = Array.from({ length: 8 }, () => fork(zygote, false));
      await Promise.all(copies.map((copy) => ask(copy, 'tcp', BEYOND, PORT)));
      await Promise.all(copies.slice(0, 4).map((copy) => end(copy.sandbox)));
      for (let index = 0; index < 20; index++) await askOnce(zygote, 'tcp', BEYOND, PORT);
      const gone = Promise.all(copies.slice(4).map((copy) => copy.exit));
      await end(zygote);
      await gone;
      await eventually(() => links() === 0 && descriptors() <= before);
    });
  });
});
