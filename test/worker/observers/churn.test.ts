/** The count in the kernel never drifts: whatever threads and children do, who sleeps is asleep and who burns awake. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { realClock } from '../../../src/base/clock.ts';
import { openObserver } from '../../../src/worker/observers/index.ts';
import { ebpfMissing } from '../../../src/worker/observers/ebpf/missing.ts';
import { until } from '../sandbox/harness.ts';
import { Hearer, hurriedClock, Sleeper } from './sleeper.ts';

const missing = ebpfMissing();
const skip = missing !== '' && `NO eBPF HERE: ${missing}`;
const noPython = spawnSync('python3', ['-V']).status !== 0 && 'SKIPPED: needs python3';
const ROUNDS = 4;

for (const isGrouped of [true, false]) {
  const how = isGrouped ? 'by cgroup' : 'by process';

  test(
    `threads that wake each other, begin and end, and children: no count is left over, ${how}`,
    { skip },
    async () => {
      const hearer = new Hearer();
      const opened = openObserver('ebpf', hearer, { clock: hurriedClock, watchedMax: 2 });
      if (typeof opened === 'string') assert.fail(opened);
      const sleeper = await Sleeper.start(isGrouped, ['churn', String(ROUNDS)]);
      try {
        // Half of the rounds begin while it is not watched, and it runs when the watch begins.
        for (let round = 0; round < ROUNDS; round++) {
          if (round % 2 === 0) opened.observer.watch(1, sleeper);
          sleeper.wake();
          await until(() => sleeper.lines.filter((line) => line === 'churning').length > round);
          if (round % 2 === 1) opened.observer.watch(1, sleeper);
          await until(() => sleeper.lines.filter((line) => line === 'idle').length > round);
          await until(() => hearer.isAsleep(1));
          opened.observer.unwatch(1);
          hearer.forget(1);
        }
        opened.observer.watch(1, sleeper);
        await until(() => hearer.isAsleep(1));
        // It burns for ever.
        sleeper.wake();
        await until(() => !hearer.isAsleep(1));
      } finally {
        opened.observer.close();
        await sleeper.stop();
      }
    },
  );
}

test('a thread that becomes its process leaves no count behind', { skip: skip || noPython }, async () => {
  const hearer = new Hearer();
  const opened = openObserver('ebpf', hearer, { clock: hurriedClock, watchedMax: 2 });
  if (typeof opened === 'string') assert.fail(opened);
  // The second thread runs another program, in place of all of them; it then reads until it is told to end.
  const program = `
import os, sys, threading
sys.stdin.read(1)
threading.Thread(target=lambda: os.execv('/bin/sh', ['sh', '-c', 'echo became; read line || exit; while :; do :; done'])).start()
threading.Event().wait()`;
  const child = spawn('python3', ['-c', program]);
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  try {
    opened.observer.watch(0, { cgroup: null, processIds: () => [child.pid!] });
    child.stdin.write('x');
    await until(() => output.includes('became'));
    await until(() => hearer.isAsleep(0));
    child.stdin.write('x\n');
    await until(() => !hearer.isAsleep(0));
  } finally {
    opened.observer.close();
    child.kill('SIGKILL');
  }
});

test('what is asked for by name is there or says why not; the choice of its own always is', () => {
  const options = { clock: realClock, watchedMax: 1 };
  const sampling = openObserver('sampling', new Hearer(), options);
  assert.ok(typeof sampling !== 'string' && sampling.observer.name === 'sampling' && sampling.reason === '');
  const auto = openObserver('auto', new Hearer(), options);
  assert.ok(typeof auto !== 'string');
  assert.equal(auto.observer.name, missing === '' ? 'ebpf' : 'sampling');
  assert.equal(auto.reason, missing);
  const ebpf = openObserver('ebpf', new Hearer(), options);
  if (missing !== '') assert.equal(ebpf, missing);
  for (const each of [sampling, auto, ebpf]) if (typeof each !== 'string') each.observer.close();
});
