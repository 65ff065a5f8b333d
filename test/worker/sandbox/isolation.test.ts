/** What an instance under bubblewrap can see, change and ask of the kernel. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { cpSync, readdirSync, readFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createBackend } from '../../../src/worker/sandbox/index.ts';
import type { NetworkPolicy, SandboxBackend } from '../../../src/worker/sandbox/contract.ts';
import { SANDBOX_UIDS } from '../../../src/worker/sandbox/identity.ts';
import { descendantProcesses } from '../../../src/worker/sandbox/affinity.ts';
import { type Folders, isRoot, makeFolders, noBubblewrap, removeFolders, specFor, Talker } from './harness.ts';

const MODULES = fileURLToPath(new URL('../../../node_modules', import.meta.url));
const SECRET = 'correct horse battery staple';
const EPERM = 1;
const ENOSYS = 38;

describe('isolation under bubblewrap', { skip: noBubblewrap, concurrency: false }, () => {
  let backend: SandboxBackend;
  let folders: Folders;
  let talker: Talker;

  before(async () => {
    folders = makeFolders();
    const modules = path.join(folders.runtimesRoot, 'echo', 'node_modules');
    for (const name of ['koffi', '@koromix'])
      cpSync(path.join(MODULES, name), path.join(modules, name), { recursive: true });
    const { codeRoot, runtimesRoot } = folders;
    const log = { warn: () => {} };
    backend = createBackend('bubblewrap', { codeRoot, runtimesRoot, interpreter: process.execPath, slotCount: 8, log });
    process.env.HOST_SECRET = SECRET;
    await backend.open();
    talker = new Talker(backend.start(specFor(folders, { slot: 2, env: { MY_SECRET: SECRET } })));
    await talker.ready;
  });
  after(async () => {
    await backend.close();
    removeFolders(folders);
  });

  /** The names in a folder inside, or the error code. */
  const list = (folder: string): Promise<unknown> =>
    talker.run(
      `try { return require('fs').readdirSync(${JSON.stringify(folder)}).sort() } catch (error) { return error.code }`,
    );

  /** Writes a file inside; '' or the error code. */
  const write = (file: string): Promise<unknown> =>
    talker.run(
      `try { require('fs').writeFileSync(${JSON.stringify(file)}, 'x'); return '' } catch (error) { return error.code }`,
    );

  /** Calls a C function inside; the error number, 0 for success. */
  const call = (prototype: string, ...args: (number | string | null)[]): Promise<unknown> =>
    talker.run(`
      const koffi = require('/var/runtime/node_modules/koffi');
      globalThis.libc ??= koffi.load('libc.so.6');
      const result = libc.func(${JSON.stringify(prototype)})(...${JSON.stringify(args)});
      return Number(result) < 0 ? koffi.errno() : 0;`);

  const syscall = (x64: number, arm64: number, ...args: number[]): Promise<unknown> => {
    const padded = [...args, 0, 0, 0, 0, 0].slice(0, 5);
    const number = process.arch === 'x64' ? x64 : arm64;
    return call('long syscall(long n, long a, long b, long c, long d, long e)', number, ...padded);
  };

  test('sees its own code and runtime, and neither the other functions nor the data folder', async () => {
    assert.deepEqual(await list('/var/task'), ['index.js']);
    assert.deepEqual(await list('/var/runtime'), ['echo.mjs', 'node_modules']);
    assert.deepEqual(await list('/var'), ['lang', 'runtime', 'task']);
    for (const hidden of [folders.base, folders.codeRoot, '/root', '/home', '/run', '/srv', '/mnt', '/sys', '/boot']) {
      assert.equal(await list(hidden), 'ENOENT', hidden);
    }
    assert.deepEqual(await list('/tmp'), []);
    assert.deepEqual(await list('/opt'), [], 'no layers');
    const etc = (await list('/etc')) as string[];
    assert.ok(!etc.includes('shadow') && etc.length < 20, etc.join(' '));
  });

  test('sees no process but its own', async () => {
    assert.deepEqual(
      await talker.run(`return require('fs').readdirSync('/proc').filter((name) => /^\\d+$/.test(name)).sort()`),
      ['1', '2'],
    );
  });

  test('sees neither the environment of the host nor anything of it in its own', async () => {
    assert.deepEqual(await talker.run('return process.env'), { MY_SECRET: SECRET });
    for (const id of [1, 2]) {
      const text = await talker.run(
        `try { return require('fs').readFileSync('/proc/${id}/environ', 'utf8') } catch { return '' }`,
      );
      assert.ok(!String(text).includes('HOST_SECRET'));
    }
    const hostname = await talker.run(`return require('os').hostname()`);
    assert.equal(hostname, 'perch');
  });

  test('its environment stands in no command line and no environment outside of it', () => {
    const chain = descendantProcesses(process.pid);
    assert.ok(chain.length >= 3);
    for (const id of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      let text = '';
      try {
        text = readFileSync(`/proc/${id}/cmdline`, 'latin1');
      } catch {
        continue;
      }
      assert.ok(!text.includes(SECRET), `process ${id}: ${text}`);
      if (!chain.includes(Number(id)) || text.includes('echo.mjs')) continue;
      assert.ok(!readFileSync(`/proc/${id}/environ`, 'latin1').includes('MY_SECRET'), `process ${id}`);
    }
  });

  test('writes to /tmp and nowhere else', async () => {
    assert.equal(await write('/tmp/file'), '');
    assert.equal(await write('/dev/null'), '');
    const folderList = [
      '/',
      '/etc',
      '/usr',
      '/usr/bin',
      '/var',
      '/var/task',
      '/var/runtime',
      '/var/lang/bin',
      '/dev',
      '/dev/shm',
      '/proc',
    ];
    for (const folder of folderList) {
      const code = await write(`${folder}/file`);
      assert.ok(['EROFS', 'EACCES', 'ENOENT', 'EPERM'].includes(String(code)), `${folder}: ${String(code)}`);
    }
    assert.notEqual(await write('/var/task/index.js'), '');
    assert.notEqual(await write('/proc/sys/kernel/core_pattern'), '');
    assert.notEqual(await write('/proc/sysrq-trigger'), '');
  });

  test('has no privileges, and cannot get any', async () => {
    const status = String(await talker.run(`return require('fs').readFileSync('/proc/self/status', 'utf8')`));
    assert.match(status, /NoNewPrivs:\t1/);
    assert.match(status, /Seccomp:\t2/);
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
      assert.match(status, new RegExp(`${set}:\\t0+\\n`), set);
    }
    assert.match(status, /Uid:\t1000\t1000\t1000\t1000/);
    if (isRoot) assert.match(status, /Groups:\s*\n/);
    assert.notEqual(await call('int setuid(uint id)', 0), 0);
  });

  test(
    'runs outside as the user of its slot',
    { skip: !isRoot && 'NEEDS ROOT: as an ordinary user all run as that user' },
    () => {
      const users = descendantProcesses(process.pid)
        .slice(1)
        .map((id) => {
          const [, uid] = /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${id}/status`, 'latin1')) ?? [];
          return Number(uid);
        });
      assert.ok(users.length >= 3);
      for (const user of users) assert.equal(user, SANDBOX_UIDS.from + 2);
    },
  );

  test('has open what it was given, and nothing of the platform', async () => {
    const targets = (await talker.run(`
      const fs = require('fs');
      return fs.readdirSync('/proc/self/fd').map((fd) => {
        try { return fs.readlinkSync('/proc/self/fd/' + fd) } catch { return '' }
      });`)) as string[];
    for (const target of targets) assert.match(target, /^$|^\/dev\/null$|^(socket|pipe):|^anon_inode:|^\/proc/, target);
    assert.equal(targets.filter((target) => target.startsWith('socket:')).length, 4);
  });

  test('its channel blocks, as a runtime that reads it with readSync expects', async () => {
    const talker2 = new Talker(
      backend.start(
        specFor(folders, {
          slot: 5,
          args: [
            '-e',
            `
      const flags = /flags:\\s*(\\d+)/.exec(require('fs').readFileSync('/proc/self/fdinfo/3', 'utf8'))[1];
      process.exit((parseInt(flags, 8) & 0o4000) === 0 ? 10 : 11);`,
          ],
        }),
      ),
    );
    assert.deepEqual(await talker2.exit, { kind: 'exit', code: 10 });
  });

  test('is refused what the policy refuses', async () => {
    assert.equal(
      await call(
        'int mount(const char *s, const char *t, const char *f, ulong l, const char *d)',
        'none',
        '/tmp',
        'tmpfs',
        0,
        null,
      ),
      EPERM,
    );
    assert.equal(await call('int umount2(const char *t, int f)', '/var/task', 2), EPERM);
    assert.equal(await call('int unshare(int flags)', 0x10000000), EPERM);
    assert.equal(await call('int chroot(const char *p)', '/tmp'), EPERM);
    assert.equal(await call('long ptrace(int r, int p, long a, long d)', 16, 1, 0, 0), EPERM);
    assert.equal(await call('int setpriority(int w, uint i, int p)', 0, 0, 10), EPERM);
    assert.equal(await call('int socket(int d, int t, int p)', 17, 3, 0), EPERM);
    assert.equal(await call('int socket(int d, int t, int p)', 2, 3, 1), EPERM);
    assert.equal(await call('int socket(int d, int t, int p)', 38, 5, 0), EPERM);
    assert.equal(await syscall(203, 122, 0, 8, 0), EPERM, 'sched_setaffinity');
    assert.equal(await syscall(144, 119, 0, 0, 0), EPERM, 'sched_setscheduler');
    assert.equal(await syscall(250, 219, 0, 0, 0), EPERM, 'keyctl');
    assert.equal(await syscall(321, 280, 0, 0, 0), EPERM, 'bpf');
    assert.equal(await syscall(298, 241, 0, 0, 0), EPERM, 'perf_event_open');
    assert.equal(await syscall(323, 282, 0), EPERM, 'userfaultfd');
    assert.equal(await syscall(308, 268, 0, 0), EPERM, 'setns');
    assert.equal(await syscall(435, 435, 0, 0), ENOSYS, 'clone3');
    assert.equal(await syscall(425, 425, 1, 0), ENOSYS, 'io_uring_setup');
    assert.equal(await syscall(1000, 1000), ENOSYS, 'a call that does not exist');
  });

  test('can do what functions do: DNS, sockets, threads, processes, WebAssembly, compression, hashing', async () => {
    const result = await talker.run(`
      const { promisify } = require('util');
      const os = require('os');
      os.networkInterfaces();
      await require('dns').promises.lookup('localhost').catch(() => {});
      const server = require('net').createServer((socket) => socket.end('hi')).listen(0, '127.0.0.1');
      await require('events').once(server, 'listening');
      const text = await new Promise((resolve) => require('net').connect(server.address().port).on('data', (data) => resolve(String(data))));
      server.close();
      const { Worker } = require('worker_threads');
      const thread = await new Promise((resolve) => new Worker('require("worker_threads").parentPort.postMessage(1 + 1)', { eval: true }).on('message', resolve));
      const { stdout } = await promisify(require('child_process').exec)('echo from a child');
      new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]));
      await promisify(require('zlib').gzip)('x');
      await promisify(require('crypto').pbkdf2)('a', 'b', 10, 8, 'sha256');
      require('fs').watch('/tmp').close();
      return [text, thread, stdout.trim(), os.userInfo().username, os.tmpdir(), os.availableParallelism() > 0];`);
    assert.deepEqual(result, ['hi', 2, 'from a child', 'function', '/tmp', true]);
  });

  test('reaches the loopback of the server only where its policy, or the user of the platform, shares its network', async () => {
    const server = net.createServer((socket) => socket.end()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as net.AddressInfo;
    const reach = async (network: NetworkPolicy): Promise<unknown> => {
      const instance = new Talker(backend.start(specFor(folders, { slot: 3, network })));
      const said = await instance.run(`
        const socket = require('net').connect(${port}, '127.0.0.1');
        return new Promise((resolve) => socket.on('connect', () => resolve('connected')).on('error', (error) => resolve(error.code)));`);
      instance.sandbox.kill();
      await instance.exit;
      return said;
    };
    assert.equal(await reach('host'), 'connected');
    assert.equal(await reach('none'), 'ECONNREFUSED');
    assert.equal(await reach('outbound'), isRoot ? 'ECONNREFUSED' : 'connected');
    server.close();
  });

  test('two instances share neither /tmp nor anything else they can write', async () => {
    const neighbour = new Talker(
      backend.start(specFor(folders, { slot: 4, codeDir: path.join(folders.codeRoot, 'other') })),
    );
    await talker.run(`require('fs').writeFileSync('/tmp/mine', 'x')`);
    assert.deepEqual(await neighbour.run(`return require('fs').readdirSync('/tmp')`), []);
    assert.equal(
      await neighbour.run(`return require('fs').readFileSync('/var/task/index.js', 'utf8')`),
      '// code of other\n',
    );
    neighbour.sandbox.kill();
    await neighbour.exit;
  });

  test('a call that no honest program makes ends it', async () => {
    const bad = new Talker(backend.start(specFor(folders, { slot: 6 })));
    const number = process.arch === 'x64' ? 169 : 142; // reboot
    const reason = await bad.runToDeath(`
      const koffi = require('/var/runtime/node_modules/koffi');
      koffi.load('libc.so.6').func('long syscall(long n, long a, long b, long c, long d)')(${number}, 0, 0, 0, 0);`);
    assert.deepEqual(reason, { kind: 'signal', signal: 'SIGSYS' });
  });
});
