/**
 * The laws that every sandbox backend keeps, with real deaths. A backend names what it has of the optional ones
 * (a memory limit, a way to catch strays); a machine without it says so as a skipped test.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { backgroundFinding } from '../../../src/worker/sandbox/background.ts';
import type { SandboxBackend, SandboxSpec } from '../../../src/worker/sandbox/contract.ts';
import { cpuTicksBelow, type Folders, specFor, Talker, until } from './harness.ts';

export interface Subject {
  readonly title: string;
  /** Why it cannot be tested here, or false. */
  readonly skip: string | false;
  /** Makes an opened backend, wrapped. Called once. */
  readonly open: () => Promise<{ backend: SandboxBackend; folders: Folders }>;
  readonly close: () => Promise<void>;
  readonly memoryLimit: boolean;
  readonly catchesStrays: boolean;
  readonly limitsProcesses: boolean;
  readonly freezes: boolean;
  /** False for the simulated door, which has no processes to look at. */
  readonly real: boolean;
}

export function contractSuite(subject: Subject): void {
  describe(`contract: ${subject.title}`, { skip: subject.skip, concurrency: false }, () => {
    let backend: SandboxBackend;
    let folders: Folders;
    const REAL = !subject.real && 'SIMULATED: nothing to look at';
    const start = (more: Partial<SandboxSpec> = {}): Talker => new Talker(backend.start(specFor(folders, more)));

    before(async () => {
      ({ backend, folders } = await subject.open());
    });
    after(subject.close);

    test('starts, answers, and ends when killed', async () => {
      const talker = start();
      assert.equal(await talker.run('return 6 * 7'), 42);
      talker.sandbox.kill();
      assert.deepEqual(await talker.exit, { kind: 'killed' });
      assert.ok(talker.sandbox.channel.destroyed);
      assert.equal(talker.sandbox.pin([0]), false);
    });

    test('the environment is what was given, and nothing else', async () => {
      const env = { GREETING: 'hello', EMPTY: '', LINES: 'a\nb=c', WHERE: '{runtime}', UNICODE: 'zażółć' };
      const talker = start({ env });
      const seen = (await talker.run('return process.env')) as Record<string, string>;
      const runtime = seen.WHERE;
      assert.ok(runtime?.startsWith('/'));
      assert.deepEqual(seen, { ...env, WHERE: runtime });
      talker.sandbox.kill();
      await talker.exit;
    });

    for (const code of [0, 1, 7, 100]) {
      test(`process.exit(${code})`, async () => {
        assert.deepEqual(await start().runToDeath(`process.exit(${code})`), { kind: 'exit', code });
      });
    }

    test('an uncaught exception is an exit, and its text is in the output', { skip: REAL }, async () => {
      const talker = start();
      assert.deepEqual(await talker.runToDeath(`setTimeout(() => { throw new Error('pow') })`), {
        kind: 'exit',
        code: 1,
      });
      assert.match(talker.output, /pow/);
    });

    test('abort and a segmentation fault are signals', async () => {
      assert.deepEqual(await start().runToDeath('process.abort()'), { kind: 'signal', signal: 'SIGABRT' });
      const fault = await start().runToDeath(`process.kill(process.pid, 'SIGSEGV')`);
      assert.deepEqual(fault, { kind: 'signal', signal: 'SIGSEGV' });
    });

    test('an endless loop is ended by a kill', { skip: REAL }, async () => {
      const talker = start();
      await talker.ready;
      void talker.run('for (;;);').catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 20));
      talker.sandbox.kill();
      assert.deepEqual(await talker.exit, { kind: 'killed' });
    });

    test('killed at once, killed twice, killed after death: one end', async () => {
      for (const delayMs of [0, 0, 1, 2, 4, 8, 16]) {
        const talker = start();
        if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
        talker.sandbox.kill();
        talker.sandbox.kill();
        assert.deepEqual(await talker.exit, { kind: 'killed' });
        talker.sandbox.kill();
        await new Promise((resolve) => setImmediate(resolve));
        assert.equal(talker.exits, 1);
      }
    });

    test('a listener that comes late hears the reason too', async () => {
      const talker = start();
      talker.sandbox.kill();
      await talker.exit;
      const reason = await new Promise((resolve) => talker.sandbox.onExit(resolve));
      assert.deepEqual(reason, { kind: 'killed' });
    });

    test('a slot can be used again after onExit, and not before', async () => {
      const talker = start({ slot: 3 });
      assert.throws(() => backend.start(specFor(folders, { slot: 3 })), /slot 3 is in use/);
      talker.sandbox.kill();
      await talker.exit;
      const next = start({ slot: 3 });
      assert.equal(await next.run('return 1'), 1);
      next.sandbox.kill();
      await next.exit;
    });

    test('pins all threads, new ones too', { skip: REAL }, async (t) => {
      const talker = start();
      await talker.ready;
      if (!talker.sandbox.pin([0])) {
        t.skip('THIS MACHINE CANNOT PIN');
      } else {
        const cpus = `
          const fs = require('fs');
          await new Promise((resolve) => require('zlib').gzip('x', resolve));
          const tasks = fs.readdirSync('/proc/self/task');
          return [...new Set(tasks.map((id) => /Cpus_allowed_list:\\s*(\\S+)/.exec(fs.readFileSync('/proc/self/task/' + id + '/status', 'utf8'))[1]))];`;
        assert.deepEqual(await talker.run(cpus), ['0']);
        if (talker.sandbox.pin([1])) assert.deepEqual(await talker.run(cpus), ['1']);
      }
      assert.equal(talker.sandbox.pin([]), false);
      assert.equal(talker.sandbox.pin([100_000]), false);
      talker.sandbox.kill();
      await talker.exit;
    });

    test('in the background every thread is SCHED_IDLE, new ones too, and back again', async (t) => {
      const talker = start();
      await talker.ready;
      const { sandbox } = talker;
      assert.equal(sandbox.background(false), sandbox.background(true), 'it can be moved, or it cannot');
      const can = sandbox.background(true);
      if (!can && subject.real) t.diagnostic(`CANNOT BE PUT INTO THE BACKGROUND HERE: ${backgroundFinding().detail}`);
      if (can && subject.real) {
        assert.ok(backgroundFinding().ok);
        await talker.run(`globalThis.policies = async () => {
          const fs = require('fs');
          await new Promise((resolve) => require('zlib').gzip('x', resolve));
          const worker = new (require('worker_threads').Worker)('setTimeout(() => {}, 1e6)', { eval: true });
          await new Promise((resolve) => worker.once('online', resolve));
          const child = require('child_process').spawn('/bin/sleep', ['1000']);
          const tasks = fs.readdirSync('/proc/self/task').map((id) => 'self/task/' + id);
          // Field 41 of stat, counted from the one after the name.
          const policy = (id) => /.*\\)(.*)/s.exec(fs.readFileSync('/proc/' + id + '/stat', 'latin1'))[1].split(' ')[39];
          const found = [...new Set([...tasks, child.pid].map(policy))];
          child.kill();
          await worker.terminate();
          return found;
        }`);
        const policies = (): Promise<unknown> => talker.run('return globalThis.policies()');
        assert.deepEqual(await policies(), ['5']);
        for (const [isBackground, policy] of [
          [false, '0'],
          [false, '0'],
          [true, '5'],
          [false, '0'],
        ] as const) {
          assert.ok(sandbox.background(isBackground));
          assert.deepEqual(await policies(), [policy]);
        }
        const goesFirst = sandbox.goFirst();
        if (!goesFirst) t.diagnostic('NOTHING MAY BE IN REAL TIME HERE: nobody has a head start');
        // Whoever was there is SCHED_RR; the thread and the process that it makes meanwhile are ordinary.
        assert.deepEqual(await policies(), goesFirst ? ['2', '0'] : ['0']);
        assert.ok(sandbox.background(false));
        assert.deepEqual(await policies(), ['0']);
        sandbox.freeze();
        assert.ok(sandbox.background(true));
        sandbox.thaw();
        assert.deepEqual(await policies(), ['5']);
        for (const isBackground of [false, true, true, false]) {
          if (!sandbox.place([0], isBackground)) break;
          assert.deepEqual(await policies(), [isBackground ? '5' : '0']);
        }
      }
      sandbox.kill();
      assert.deepEqual([sandbox.background(false), sandbox.place([0], false)], [false, false]);
      await talker.exit;
      assert.deepEqual([sandbox.background(false), sandbox.goFirst()], [false, false]);
      // The slot starts in the foreground for whoever comes next.
      const next = start();
      const fields = `return require('fs').readFileSync('/proc/self/stat', 'latin1').split(') ')[1].split(' ')[38]`;
      if (subject.real) assert.equal(await next.run(fields), '0');
      next.sandbox.kill();
      await next.exit;
    });

    test('frozen it does nothing, and goes on where it was', { skip: REAL }, async (t) => {
      if (!subject.freezes) return t.skip('NO FREEZER here');
      const talker = start();
      await talker.run(`
        require('child_process').spawn('/bin/sh', ['-c', 'while :; do :; done'], { detached: true, stdio: 'ignore' }).unref();
        new (require('worker_threads').Worker)('for (;;);', { eval: true }).unref();`);
      const { sandbox } = talker;
      const used = (): number => cpuTicksBelow(process.pid);
      for (let round = 0; round < 3; round++) {
        sandbox.freeze();
        sandbox.freeze();
        // Its tasks stop one after the other.
        await new Promise((resolve) => setTimeout(resolve, 50));
        const before = used();
        let answered = false;
        const answer = talker.run('return 7').then((value) => ((answered = true), value));
        sandbox.pin([0]);
        await new Promise((resolve) => setTimeout(resolve, 100));
        assert.deepEqual([used() - before, answered], [0, false]);
        sandbox.thaw();
        sandbox.thaw();
        assert.equal(await answer, 7);
        await until(() => used() > before);
      }
      sandbox.freeze();
      sandbox.kill();
      sandbox.thaw();
      sandbox.freeze();
      assert.deepEqual(await talker.exit, { kind: 'killed' });
      // The slot is not frozen for whoever comes next.
      const next = start();
      assert.equal(await next.run('return 8'), 8);
      next.sandbox.freeze();
      next.sandbox.kill();
      assert.deepEqual(await next.exit, { kind: 'killed' });
      for (const act of ['freeze', 'thaw'] as const) next.sandbox[act]();
    });

    test('starts on the CPUs of the spec', { skip: REAL }, async (t) => {
      const talker = start({ cpus: [0] });
      await talker.ready;
      if (!talker.sandbox.pin([0])) t.skip('THIS MACHINE CANNOT PIN');
      else {
        const status = await talker.run(`return require('fs').readFileSync('/proc/self/status', 'utf8')`);
        assert.match(String(status), /Cpus_allowed_list:\t0\n/);
      }
      talker.sandbox.kill();
      await talker.exit;
    });

    test('the memory peak grows, and keeps its last value after death', { skip: REAL }, async () => {
      const talker = start({ memoryMb: 512 });
      await talker.run('globalThis.held = Buffer.alloc(80 * 1024 * 1024, 1)');
      const peak = talker.sandbox.memoryPeakBytes();
      assert.ok(peak > 80 * 1024 * 1024, `peak ${peak}`);
      talker.sandbox.kill();
      await talker.exit;
      assert.ok(talker.sandbox.memoryPeakBytes() >= peak);
    });

    test('what cannot start says why', { skip: REAL }, async () => {
      const faults: Partial<SandboxSpec>[] = [
        { codeDir: `${folders.codeRoot}/absent` },
        { runtimeDir: `${folders.runtimesRoot}/absent` },
        { interpreter: `${process.execPath}-absent` },
        { env: { 'A=B': 'c' } },
        { env: { A: 'b\0--bind\0/\0/' } },
      ];
      for (const more of faults) {
        const talker = start(more);
        const reason = await talker.exit;
        assert.equal(reason.kind, 'start-failed', JSON.stringify(more));
        assert.ok(reason.kind === 'start-failed' && reason.message.length > 20);
      }
    });

    test('megabytes of output do not stop it', { skip: REAL }, async () => {
      const talker = start();
      await talker.run(`
        const line = 'x'.repeat(1023) + '\\n';
        for (let i = 0; i < 4096; i++) process.stdout.write(line);
        await new Promise((resolve) => process.stdout.write('end\\n', resolve));`);
      talker.sandbox.kill();
      await talker.exit;
      assert.ok(talker.output.length >= 4 * 1024 * 1024, `${talker.output.length}`);
    });

    test('frames of megabytes arrive whole, both ways', async () => {
      const talker = start();
      const text = 'y'.repeat(4 * 1024 * 1024);
      assert.equal(await talker.run(`return '${text}'`), text);
      talker.sandbox.kill();
      await talker.exit;
    });

    test(
      'out of memory ends that instance alone',
      { skip: !subject.memoryLimit && 'NO MEMORY LIMIT here' },
      async () => {
        const other = start({ slot: 1 });
        await other.ready;
        const hunger = 'const all = []; for (;;) all.push(Buffer.alloc(8e6, 1));';
        const hungry = start({ memoryMb: 128 });
        assert.deepEqual(await hungry.runToDeath(hunger), {
          kind: 'oom',
        });
        assert.equal(await other.run('return "still here"'), 'still here');
        // The agent sees the channel close first, and kills; the reason is still the right one.
        const second = start({ memoryMb: 128 });
        second.sandbox.answers.on('end', () => second.sandbox.kill());
        assert.deepEqual(await second.runToDeath(hunger), { kind: 'oom' });
        // The same slot, with room again.
        const next = start({ memoryMb: 256 });
        assert.equal(await next.run('return Buffer.alloc(64e6, 1).length'), 64e6);
        assert.ok(next.sandbox.memoryPeakBytes() < 200e6);
        for (const talker of [other, next]) talker.sandbox.kill();
        await Promise.all([other.exit, next.exit]);
      },
    );

    test('a fork bomb is bounded and ends', { skip: !subject.limitsProcesses && 'NO PROCESS LIMIT here' }, async () => {
      const other = start({ slot: 1 });
      await other.ready;
      const bomb = start();
      await bomb.ready;
      void bomb
        .run(`require('child_process').spawn('/bin/sh', ['-c', 'b() { b | b & b; }; b'], { stdio: 'ignore' })`)
        .catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 300));
      assert.equal(await other.run('return "still here"'), 'still here');
      bomb.sandbox.kill();
      assert.deepEqual(await bomb.exit, { kind: 'killed' });
      other.sandbox.kill();
      await other.exit;
    });

    test('strays die with it', { skip: !subject.catchesStrays && 'CANNOT CATCH STRAYS here' }, async () => {
      const mark = `stray-${process.pid}-${Math.floor(performance.now())}`;
      for (const end of ['killed', 'exit'] as const) {
        const talker = start();
        await talker.run(`
          const { spawn } = require('child_process');
          for (let i = 0; i < 2; i++) {
            spawn('/bin/sh', ['-c', 'setsid sleep 1000 & sleep 1000 ; : ${mark}'], { detached: true, stdio: 'ignore' }).unref();
          }
          await new Promise((resolve) => setTimeout(resolve, 100));`);
        assert.ok(processesWith(mark) >= 2);
        const reason =
          end === 'killed' ? (talker.sandbox.kill(), await talker.exit) : await talker.runToDeath('process.exit(0)');
        assert.equal(reason.kind, end);
        assert.equal(processesWith(mark), 0);
      }
    });
  });
}

/** How many processes of this machine have the text in their command line. */
export function processesWith(text: string): number {
  let count = 0;
  for (const id of readdirSync('/proc')) {
    try {
      if (/^\d+$/.test(id) && readFileSync(`/proc/${id}/cmdline`, 'latin1').includes(text)) count++;
    } catch {
      // It ended while we looked.
    }
  }
  return count;
}
