/** The observers against real processes. What is asserted is logic: it waits for what must come, however long that takes. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { type Clock, realClock } from '../../../src/base/clock.ts';
import type { Observer, ObserverEvents } from '../../../src/worker/observers/contract.ts';
import { openEbpf } from '../../../src/worker/observers/ebpf/index.ts';
import { ebpfMissing } from '../../../src/worker/observers/ebpf/missing.ts';
import { SamplingObserver } from '../../../src/worker/observers/sampling.ts';
import { until } from '../sandbox/harness.ts';
import { Hearer, hurriedClock, Sleeper, type Told, usOf } from './sleeper.ts';

interface Subject {
  readonly title: string;
  readonly skip: string | false;
  readonly isGrouped: boolean;
  /** Sleeps as long as this are expected to be seen on a machine that has time. */
  readonly seenMs: number;
  readonly open: (events: ObserverEvents) => Observer;
}

const linux = process.platform !== 'linux' && 'NEEDS Linux';
const missing = ebpfMissing();
const ebpf = missing !== '' && `NO eBPF HERE: ${missing}`;

function opened(events: ObserverEvents): Observer {
  const observer = openEbpf(events, { clock: hurriedClock, watchedMax: 4 });
  if (typeof observer === 'string') assert.fail(observer);
  return observer;
}

const SUBJECTS: readonly Subject[] = [true, false].flatMap((isGrouped) => [
  {
    title: `sampling, ${isGrouped ? 'by cgroup' : 'by process'}`,
    skip: linux,
    isGrouped,
    seenMs: 8,
    open: (events: ObserverEvents) => new SamplingObserver(events, { clock: realClock }),
  },
  {
    title: `eBPF, ${isGrouped ? 'by cgroup' : 'by process'}`,
    skip: ebpf,
    isGrouped,
    seenMs: 2,
    open: opened,
  },
]);

test('eBPF: while nothing happens nobody looks, and what happens then is told', { skip: ebpf }, async () => {
  const hearer = new Hearer();
  let tickerCount = 0;
  const clock: Clock = {
    ...hurriedClock,
    every: (intervalMs, listener) => {
      tickerCount += intervalMs < 100 ? 1 : 0;
      const stop = hurriedClock.every(intervalMs, listener);
      return () => {
        tickerCount -= intervalMs < 100 ? 1 : 0;
        stop();
      };
    },
  };
  const observer = openEbpf(hearer, { clock, watchedMax: 4 });
  if (typeof observer === 'string') assert.fail(observer);
  const sleeper = await Sleeper.start(true);
  try {
    observer.watch(0, sleeper);
    await until(() => hearer.isAsleep(0));
    for (let round = 0; round < 20; round++) {
      await until(() => tickerCount === 0);
      sleeper.wake();
      await until(() => !hearer.isAsleep(0));
      // Nor while it burns.
      await until(() => tickerCount === 0);
      sleeper.lull();
      await until(() => hearer.isAsleep(0));
    }
  } finally {
    observer.close();
    assert.equal(tickerCount, 0);
    await sleeper.stop();
  }
});

/** As the kernel has it. */
function usedUs(cgroup: string): number {
  return Number(/^usage_usec (\d+)/m.exec(readFileSync(`${cgroup}/cpu.stat`, 'latin1'))![1]);
}

for (const subject of SUBJECTS) {
  describe(subject.title, { skip: subject.skip, concurrency: false }, () => {
    test('one that sleeps until it is seen to, and burns until it is seen to: every turn is told', async () => {
      const hearer = new Hearer();
      const observer = subject.open(hearer);
      const [one, other] = await Promise.all([Sleeper.start(subject.isGrouped), Sleeper.start(subject.isGrouped)]);
      try {
        // The one sleeps already; the other is seen to burn throughout.
        observer.watch(0, one);
        other.wake();
        await until(() => other.lines.some((line) => line.startsWith('awake')));
        observer.watch(1, other);
        await until(() => hearer.isAsleep(0));
        for (let round = 0; round < 10; round++) {
          const before = observer.cpuUs(0);
          one.wake();
          await until(() => !hearer.isAsleep(0));
          await until(() => observer.cpuUs(0) > before);
          one.lull();
          await until(() => hearer.isAsleep(0));
          // All of it, though it is not read at each look while it sleeps.
          if (one.cgroup !== null) await until(() => observer.cpuUs(0) === usedUs(one.cgroup!));
        }
        assert.equal(hearer.of(0).filter(({ isAsleep }) => isAsleep).length >= 11, true);
        assert.ok(!hearer.isAsleep(1), 'who burns is awake');
        other.lull();
        await until(() => hearer.isAsleep(1));
        observer.unwatch(0);
        hearer.forget(0);
        one.wake();
        await until(() => one.lines.filter((line) => line.startsWith('awake')).length === 11);
        // A slot can be watched again, and whoever burns already counts.
        observer.watch(0, one);
        observer.unwatch(1);
        hearer.forget(1);
        observer.watch(1, other);
        await until(() => hearer.isAsleep(1));
        assert.deepEqual(hearer.of(0), []);
        one.lull();
        await until(() => hearer.isAsleep(0));
        assert.equal(observer.cpuUs(3), 0);
      } finally {
        observer.close();
        observer.close();
        await Promise.all([one.stop(), other.stop()]);
      }
    });

    test('how much of a script of sleeps is told, and how much of what is told is true', async (t) => {
      const hearer = new Hearer();
      const observer = subject.open(hearer);
      const sleeps = Array.from({ length: 40 }, (_, index) => [1, 2, 4, 8, 12, 16, 24, 32][index % 8]!);
      const sleeper = await Sleeper.start(subject.isGrouped, ['script', ...sleeps.flatMap((ms) => ['16', String(ms)])]);
      try {
        observer.watch(0, sleeper);
        await until(() => hearer.isAsleep(0));
        const skipped = hearer.of(0).length;
        sleeper.wake();
        await sleeper.ended;
        await until(() => hearer.isAsleep(0));
        const truth = sleeper.lines.slice(1).map((line) => {
          const [from = '', to = ''] = line.split(' ');
          return { fromUs: usOf(from), toUs: usOf(to) };
        });
        assert.equal(truth.length, sleeps.length);
        report(t, truth, sleepsOf(hearer.of(0).slice(skipped)), subject.seenMs);
      } finally {
        observer.close();
        await sleeper.stop();
      }
    });
  });
}

interface Sleep {
  readonly fromUs: number;
  readonly toUs: number;
}

function sleepsOf(told: readonly Told[]): readonly Sleep[] {
  return told.flatMap(({ isAsleep, atUs }, index) => {
    const next = told[index + 1];
    return isAsleep && next !== undefined ? [{ fromUs: atUs, toUs: next.atUs }] : [];
  });
}

function report(
  t: { diagnostic(text: string): void },
  truth: readonly Sleep[],
  told: readonly Sleep[],
  seenMs: number,
): void {
  const overlap = (a: Sleep, b: Sleep): boolean => a.fromUs < b.toUs && b.fromUs < a.toUs;
  const long = truth.filter(({ fromUs, toUs }) => toUs - fromUs >= seenMs * 1000);
  const found = long.filter((sleep) => told.some((each) => overlap(each, sleep)));
  const right = told.filter((each) => truth.some((sleep) => overlap(each, sleep)));
  const late = found.map((sleep) => told.find((each) => overlap(each, sleep))!.fromUs - sleep.fromUs);
  const share = (part: number, whole: number): string => `${part} of ${whole}`;
  t.diagnostic(
    `of sleeps of ${seenMs} ms or more ${share(found.length, long.length)} told; of those told ${share(right.length, told.length)} true; ` +
      `begun ${Math.round(late.toSorted((a, b) => a - b)[late.length >> 1] ?? NaN)} µs late in the median`,
  );
}
