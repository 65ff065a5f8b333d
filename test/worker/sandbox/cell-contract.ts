/**
 * The laws of stem cells, zygotes and copies, beside those of contract.ts: for every backend that can copy. The real ones run
 * the Node runtime's own cell.
 */
import assert from 'node:assert/strict';
import { closeSync, cpSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { nodeRuntime } from '../../../src/worker/runtimes/node/runtime.ts';
import type {
  AdoptSpec,
  CellSpec,
  CopySpec,
  ExitReason,
  SandboxBackend,
  Zygote,
  ZygoteReport,
} from '../../../src/worker/sandbox/contract.ts';
import { openDescriptorPassing } from '../../../src/worker/sandbox/descriptor-passing.ts';
import { libc } from '../../../src/worker/sandbox/libc.ts';
import { environmentOf } from '../runtimes/runtime-process.ts';
import { processesWith, type Subject } from './contract.ts';
import { type Folders, Talker, until } from './harness.ts';

const ZYGOTE_SLOT = 0;
const MEMORY_MB = 128;
/** Far more than it takes to see that a stream has ended. */
const CLOSE_MS = 100;
/** Less than what is on its way before anybody can stop listening. */
const FLOOD_BYTES = 1024;
const MSG_DONTWAIT = 0x40;

/** By folder. `echo` does what echo.mjs does; the fake plays the others by their names. */
const FUNCTIONS: Readonly<Record<string, string>> = {
  echo: `import { createRequire } from 'node:module';
    globalThis.require = createRequire('/');
    process.initialisedBy = process.pid;
    export const handler = (code) => new Function('return (async () => { ' + code + ' })()')();`,
  failing: `throw new Error('on purpose');`,
  uncopyable: `setInterval(() => {}, 1000); export const handler = () => {};`,
  exiting: `process.exit(7);`,
  hanging: `for (;;);`,
  // Says without end that copies ended that never were.
  flooding: `import { writeSync } from 'node:fs';
    const frames = Buffer.alloc(20 * 1024);
    for (let at = 0; at < frames.length; at += 20) frames.set([4, 0, 0, 0, 36, 0, 0, 0, 99], at);
    for (;;) try { writeSync(4, frames); } catch {}`,
  // Says by itself that it is initialised, and stays.
  closing: `import { writeSync } from 'node:fs';
    const native = { exports: {} };
    process.dlopen(native, '/var/lang/ffi.node');
    native.exports.load('libc.so.6').func('int shutdown(int, int)')(3, 1);
    writeSync(4, Buffer.from([0, 0, 0, 0, 33, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);`,
};

/** A cell, what it has said, and how it ended. */
class CellTalker {
  readonly zygote: Zygote;
  readonly exit: Promise<ExitReason>;
  readonly reports: ZygoteReport[] = [];
  exits = 0;
  #wake: () => void = () => {};

  constructor(zygote: Zygote) {
    this.zygote = zygote;
    for (const stream of zygote.output) stream.resume();
    zygote.onReport((report) => {
      if (report.kind !== 'log') this.reports.push(report);
      this.#wake();
    });
    this.exit = new Promise((resolve) => {
      zygote.onExit((reason) => {
        this.exits++;
        resolve(reason);
      });
    });
  }

  /** The next one, or how it ended. */
  async next(): Promise<ZygoteReport | ExitReason> {
    for (;;) {
      const found = this.reports.shift();
      if (found !== undefined) return found;
      const more = new Promise<void>((resolve) => (this.#wake = resolve));
      const reason = await Promise.race([more, this.exit]);
      if (reason !== undefined && this.reports.length === 0) return reason;
    }
  }

  async stop(): Promise<void> {
    this.zygote.kill();
    await this.exit;
  }
}

export function cellContractSuite(subject: Subject): void {
  describe(`contract of cells: ${subject.title}`, { skip: subject.skip, concurrency: false }, () => {
    let backend: SandboxBackend;
    let folders: Folders;
    const REAL = !subject.real && 'SIMULATED: nothing to look at';

    before(async () => {
      ({ backend, folders } = await subject.open());
      cpSync(nodeRuntime.dir, path.join(folders.runtimesRoot, 'node'), { recursive: true });
      for (const [name, source] of Object.entries(FUNCTIONS)) {
        mkdirSync(path.join(folders.codeRoot, name));
        writeFileSync(path.join(folders.codeRoot, name, 'index.mjs'), source);
      }
    });
    after(subject.close);
    const started = new Set<CellTalker>();
    // Where a test failed, the next one finds its slots free.
    afterEach(async () => {
      for (const cell of started) await cell.stop();
      started.clear();
    });

    const base = { PATH: '/usr/bin', TZ: ':UTC' };
    const cellSpec = (): CellSpec => ({
      slot: ZYGOTE_SLOT,
      runtimeDir: path.join(folders.runtimesRoot, 'node'),
      interpreter: process.execPath,
      args: nodeRuntime.cellArgs() ?? [],
      env: { ...base, ...nodeRuntime.env('nodejs24.x') },
      memoryMb: MEMORY_MB,
      cpus: [],
      network: 'own',
    });
    const functionSpec = (name: string): AdoptSpec => ({
      codeDir: path.join(folders.codeRoot, name),
      layersDir: '',
      env: { ...cellSpec().env, ...environmentOf('{code}', 'index.handler'), GREETING: 'hello', WHERE: '{runtime}' },
      memoryMb: MEMORY_MB,
      network: 'none',
    });
    const start = (more: Partial<CellSpec> = {}): CellTalker => {
      const cell = new CellTalker(backend.startCell({ ...cellSpec(), ...more }));
      started.add(cell);
      return cell;
    };
    const boot = async (): Promise<CellTalker> => {
      const cell = start();
      assert.deepEqual(await cell.next(), { kind: 'cell' });
      return cell;
    };
    const adopted = async (name: string): Promise<CellTalker> => {
      const cell = await boot();
      cell.zygote.adopt(functionSpec(name));
      return cell;
    };
    const zygoteOf = async (name: string): Promise<CellTalker> => {
      const cell = await adopted(name);
      assert.deepEqual(await cell.next(), { kind: 'initialised' });
      return cell;
    };
    const fork = ({ zygote }: CellTalker, slot: number, more: Partial<CopySpec> = {}): Talker => {
      const sandbox = zygote.fork({ slot, memoryMb: MEMORY_MB, once: false, ...more });
      return new Talker(sandbox, subject.real ? JSON.stringify : undefined);
    };
    const COUNT = 'process.count = (process.count ?? 0) + 1; return process.count';

    test('copies answer, each with a state of its own, and the function’s environment', async () => {
      const cell = await zygoteOf('echo');
      const copies = [1, 2, 3].map((slot) => fork(cell, slot));
      for (const copy of copies) assert.equal(await copy.run(COUNT), 1);
      for (const copy of copies) assert.equal(await copy.run(COUNT), 2);
      const seen = (await copies[0]!.run('return process.env')) as Record<string, string>;
      assert.equal(seen.GREETING, 'hello');
      assert.ok(seen.WHERE?.startsWith('/'));
      await cell.stop();
    });

    test('one that was made for one answer ends by itself when it may; another is killed', async () => {
      const cell = await zygoteOf('echo');
      const once = fork(cell, 1, { once: true });
      assert.equal(await once.run('return 1'), 1);
      once.sandbox.retire();
      assert.deepEqual(await once.exit, { kind: 'exit', code: 0 });
      const other = fork(cell, 1);
      assert.equal(await other.run('return 1'), 1);
      other.sandbox.retire();
      other.sandbox.retire();
      assert.deepEqual(await other.exit, { kind: 'killed' });
      assert.ok(other.sandbox.channel.destroyed);
      assert.equal(other.sandbox.pin([0]), false);
      await cell.stop();
    });

    test('a copy goes into the background and back by itself', async () => {
      const cell = await zygoteOf('echo');
      const copy = fork(cell, 1);
      const other = fork(cell, 2);
      await Promise.all([copy.ready, other.ready]);
      const can = copy.sandbox.background(false);
      assert.equal(copy.sandbox.background(true), can);
      if (can && subject.real) {
        // Field 41, counted from the one after the name.
        const policy = `return require('fs').readFileSync('/proc/self/stat', 'latin1').split(') ').at(-1).split(' ')[38]`;
        assert.equal(await copy.run(policy), '5');
        assert.equal(await other.run(policy), '0');
        assert.ok(copy.sandbox.background(false));
        assert.equal(await copy.run(policy), '0');
      }
      await cell.stop();
      assert.equal(copy.sandbox.background(true), false);
    });

    test('a copy that retires and is frozen ends all the same', async (t) => {
      if (subject.real && !subject.freezes) return t.skip('NO FREEZER here');
      const cell = await zygoteOf('echo');
      const copy = fork(cell, 1);
      await copy.ready;
      copy.sandbox.freeze();
      copy.sandbox.retire();
      assert.deepEqual(await copy.exit, { kind: 'killed' });
      await cell.stop();
    });

    test('a copy’s end is its own: the zygote lives, and its slot can be used again', async () => {
      const cell = await zygoteOf('echo');
      const other = fork(cell, 2);
      const exited = fork(cell, 1);
      assert.throws(() => fork(cell, 1), /slot 1 is in use/);
      assert.throws(() => fork(cell, ZYGOTE_SLOT), /slot 0 is in use/);
      assert.deepEqual(await exited.runToDeath('process.exit(7)'), { kind: 'exit', code: 7 });
      const killed = fork(cell, 1);
      await killed.ready;
      for (let count = 0; count < 2; count++) killed.sandbox.kill();
      assert.deepEqual(await killed.exit, { kind: 'killed' });
      assert.equal(killed.exits, 1);
      const atOnce = fork(cell, 1);
      atOnce.sandbox.kill();
      assert.deepEqual(await atOnce.exit, { kind: 'killed' });
      const last = fork(cell, 1);
      assert.deepEqual([await last.run(COUNT), await other.run(COUNT)], [1, 1]);
      await cell.stop();
    });

    test(
      'nothing is sent to a zygote that had its stream closed, whose descriptor may be another’s',
      { skip: REAL },
      async () => {
        const cell = await zygoteOf('closing');
        await setTimeout(CLOSE_MS);
        const passing = openDescriptorPassing()!;
        const strangers = Array.from({ length: 32 }, () => passing.pair()).flat();
        const copy = fork(cell, 1);
        const received = strangers.filter((descriptor) => libc!.recv(descriptor, Buffer.alloc(64), MSG_DONTWAIT) > 0);
        for (const descriptor of strangers) closeSync(descriptor);
        assert.deepEqual(received, []);
        copy.sandbox.kill();
        const reason = await copy.exit;
        assert.match(reason.kind === 'start-failed' ? reason.message : '', /closed its channel/);
        await cell.stop();
      },
    );

    test('a copy that closes its answers and stays is killed', { skip: REAL }, async () => {
      const cell = await zygoteOf('echo');
      const copy = fork(cell, 1);
      assert.deepEqual(await copy.runToDeath('require("fs").closeSync(4); for (;;);'), { kind: 'killed' });
      await cell.stop();
    });

    test('copies die with their zygote, and before it', async () => {
      const cell = await zygoteOf('echo');
      const copies = [1, 2].map((slot) => fork(cell, slot));
      await Promise.all(copies.map((copy) => copy.ready));
      // This one is being made.
      copies.push(fork(cell, 3));
      const order: string[] = [];
      for (const copy of copies) copy.sandbox.onExit(() => order.push('copy'));
      cell.zygote.onExit(() => order.push('zygote'));
      cell.zygote.kill();
      cell.zygote.kill();
      assert.deepEqual(await cell.exit, { kind: 'killed' });
      assert.deepEqual(order, ['copy', 'copy', 'copy', 'zygote']);
      for (const copy of copies) {
        assert.deepEqual(await copy.exit, { kind: 'killed' });
        assert.ok(copy.sandbox.channel.destroyed);
      }
      assert.equal(cell.exits, 1);
      const next = await zygoteOf('echo');
      assert.equal(await fork(next, 3).run(COUNT), 1);
      await next.stop();
    });

    test('after its death nothing comes of what is asked of a zygote', async () => {
      const cell = await zygoteOf('echo');
      await cell.stop();
      const { zygote } = cell;
      for (const act of ['freeze', 'thaw', 'kill'] as const) zygote[act]();
      assert.deepEqual([zygote.pin([0]), zygote.memoryBytes()], [false, 0]);
      zygote.adopt(functionSpec('echo'));
      const late = await fork(cell, 1).exit;
      assert.equal(late.kind, 'start-failed');
      const reason = await new Promise((resolve) => zygote.onExit(resolve));
      assert.deepEqual(reason, { kind: 'killed' });
      assert.deepEqual(cell.reports, []);
    });

    test('killed at every moment of its beginning: one end, and a slot that is free', async () => {
      const moments: (() => Promise<CellTalker>)[] = [
        async () => start(),
        boot,
        () => adopted('echo'),
        () => adopted('hanging'),
        async () => {
          const cell = await zygoteOf('echo');
          fork(cell, 1);
          return cell;
        },
      ];
      for (const moment of moments) {
        const cell = await moment();
        assert.throws(() => start(), /slot 0 is in use/);
        cell.zygote.kill();
        assert.deepEqual(await cell.exit, { kind: 'killed' });
        assert.equal(cell.exits, 1);
      }
    });

    test('a function that fails to initialise, and one that cannot be copied', async () => {
      const failing = await adopted('failing');
      const report = await failing.next();
      assert.ok(report.kind === 'init-error' && report.payload.includes('on purpose'), JSON.stringify(report));
      await failing.stop();
      const uncopyable = await adopted('uncopyable');
      const said = await uncopyable.next();
      assert.ok(said.kind === 'uncopyable' && said.reasons.length > 0, JSON.stringify(said));
      await uncopyable.stop();
      const exiting = await adopted('exiting');
      const end = await exiting.next();
      assert.ok(end.kind === 'init-error' || end.kind === 'exit', JSON.stringify(end));
      await exiting.stop();
    });

    test('a zygote that is frozen leaves its copies awake, and forks again when it is thawed', async (t) => {
      if (subject.real && !subject.freezes) return t.skip('NO FREEZER here');
      const cell = await zygoteOf('echo');
      const copy = fork(cell, 1);
      await copy.ready;
      for (let count = 0; count < 2; count++) cell.zygote.freeze();
      assert.equal(await copy.run(COUNT), 1);
      copy.sandbox.kill();
      assert.deepEqual(await copy.exit, { kind: 'killed' });
      for (let count = 0; count < 2; count++) cell.zygote.thaw();
      assert.equal(await fork(cell, 1).run(COUNT), 1);
      cell.zygote.freeze();
      await cell.stop();
    });

    test('nothing is heard of a zygote that is paused, and how its copies end is heard all the same', async () => {
      const cell = await zygoteOf('echo');
      const copies = [1, 2].map((slot) => fork(cell, slot));
      await Promise.all(copies.map((copy) => copy.ready));
      for (let count = 0; count < 2; count++) cell.zygote.pause();
      for (const copy of copies) assert.deepEqual(await copy.runToDeath('process.exit(7)'), { kind: 'exit', code: 7 });
      assert.equal(await fork(cell, 3).run(COUNT), 1);
      for (let count = 0; count < 2; count++) cell.zygote.resume();
      assert.equal(await fork(cell, 4).run(COUNT), 1);
      cell.zygote.pause();
      await cell.stop();
    });

    test('a flood stops where nobody listens, and goes on where somebody does', { skip: REAL }, async () => {
      const cell = start();
      let heardBytes = 0;
      let isFlood = false;
      cell.zygote.onHeard((bytes) => {
        heardBytes += bytes;
        if (isFlood) cell.zygote.pause();
      });
      assert.deepEqual(await cell.next(), { kind: 'cell' });
      assert.ok(heardBytes > 0);
      isFlood = true;
      cell.zygote.adopt(functionSpec('flooding'));
      for (let count = 0; count < 3; count++) {
        await until(() => heardBytes > FLOOD_BYTES);
        await setTimeout(CLOSE_MS);
        const before = heardBytes;
        await setTimeout(CLOSE_MS);
        assert.equal(heardBytes, before);
        heardBytes = 0;
        cell.zygote.resume();
      }
      await cell.stop();
    });

    test('out of memory ends that copy alone', { skip: !subject.memoryLimit && 'NO MEMORY LIMIT here' }, async () => {
      const cell = await zygoteOf('echo');
      const other = fork(cell, 1);
      const hungry = fork(cell, 2);
      const hunger = 'const all = []; for (;;) all.push(Buffer.alloc(8e6, 1));';
      assert.deepEqual(await hungry.runToDeath(hunger), { kind: 'oom' });
      assert.equal(await other.run(COUNT), 1);
      assert.equal(await fork(cell, 2).run(COUNT), 1);
      assert.ok(cell.zygote.memoryBytes() > 0);
      await cell.stop();
    });

    test('strays of a copy die with it, and of all copies with the zygote', { skip: REAL }, async () => {
      const mark = `copy-stray-${process.pid}-${Math.floor(performance.now())}`;
      const stray = `
        require('child_process').spawn('/bin/sh', ['-c', 'setsid sleep 1000 & sleep 1000 ; : ${mark}'], { detached: true, stdio: 'ignore' }).unref();
        await new Promise((resolve) => setTimeout(resolve, 100));`;
      const cell = await zygoteOf('echo');
      for (const end of ['retire', 'kill'] as const) {
        const copy = fork(cell, 1, { once: end === 'retire' });
        await copy.run(stray);
        copy.sandbox[end]();
        await copy.exit;
        assert.equal(processesWith(mark), 0);
      }
      await Promise.all([1, 2].map((slot) => fork(cell, slot).run(stray)));
      assert.ok(processesWith(mark) >= 2);
      await cell.stop();
      assert.equal(processesWith(mark), 0);
    });

    test('a cell that cannot start says why', { skip: REAL }, async () => {
      for (const more of [{ runtimeDir: `${folders.runtimesRoot}/absent` }, { interpreter: '/absent/node' }]) {
        const cell = start(more);
        const reason = await cell.exit;
        assert.ok(reason.kind === 'start-failed' && reason.message.length > 20, JSON.stringify(reason));
      }
      assert.deepEqual(await (await boot()).stop(), undefined);
    });
  });
}
