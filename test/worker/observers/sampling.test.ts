/** The sampling observer in simulated time, on a simulated /proc. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SimulatedClock } from '../../../src/base/clock.ts';
import type { Watched } from '../../../src/worker/observers/contract.ts';
import { FakeProc } from '../../../src/worker/observers/fake/proc.ts';
import { SamplingObserver, type SamplingOptions } from '../../../src/worker/observers/sampling.ts';
import { Hearer } from './sleeper.ts';

const INTERVAL_MS = 4;
const STEP_US = 1000;
const RUNS = { numRuns: Number(process.env['PERCH_PROPERTY_RUNS'] ?? 400) };

/** A simulated sandbox: its threads are runnable or not, and those that run use CPU time. */
class World implements Watched {
  readonly clock = new SimulatedClock();
  readonly proc = new FakeProc();
  readonly cgroup: string | null;
  readonly #threads = new Map<number, { state: string; us: number }>();
  #us = 0;

  constructor(cgroup: string | null) {
    this.cgroup = cgroup;
    this.set(10, 'S');
    this.set(11, 'S');
  }

  get options(): SamplingOptions {
    return { clock: this.clock, proc: this.proc, intervalMs: INTERVAL_MS };
  }

  processIds(): readonly number[] {
    return [10];
  }

  set(id: number, state: string): void {
    this.#threads.set(id, { state, us: this.#threads.get(id)?.us ?? 0 });
    this.#write();
  }

  end(id: number): void {
    this.#threads.delete(id);
    for (const file of ['stat', 'schedstat']) this.proc.files.delete(`/proc/${id}/task/${id}/${file}`);
    this.proc.files.delete(`/proc/10/task/${id}/comm`);
    this.#write();
  }

  get canRun(): boolean {
    return [...this.#threads.values()].some(({ state }) => state === 'R' || state === 'D');
  }

  /** `runs`: whether those that can get a CPU. */
  pass(us: number, runs = true): void {
    for (let passed = 0; passed < us; passed += STEP_US) {
      for (const thread of runs ? this.#threads.values() : []) {
        if (thread.state !== 'R') continue;
        thread.us += STEP_US;
        this.#us += STEP_US;
      }
      this.#write();
      this.clock.advanceUs(STEP_US);
    }
  }

  #write(): void {
    const { files } = this.proc;
    if (this.cgroup !== null) {
      files.set(`${this.cgroup}/cpu.stat`, `usage_usec ${this.#us}\nuser_usec 0\n`);
      files.set(`${this.cgroup}/cgroup.threads`, [...this.#threads.keys()].map((id) => `${id}\n`).join(''));
    }
    for (const [id, { state, us }] of this.#threads) {
      files.set(`/proc/${id}/task/${id}/stat`, `${id} (a) R 1 (b) ${state} 1 ${id}`);
      files.set(`/proc/${id}/task/${id}/schedstat`, `${us * 1000} 0 1\n`);
      if (this.cgroup === null) files.set(`/proc/10/task/${id}/comm`, 'a');
    }
  }
}

type Step = [id: number, state: 'R' | 'S' | 'D' | 'end', ms: number, runs: boolean];

/** Seen to fail once: a thread ends, and one that begins before the next look has its number. */
const NUMBER_AGAIN: Step[] = [
  [11, 'R', 1, false],
  [10, 'R', 1, false],
  [10, 'R', 5, true],
  [10, 'R', 1, false],
  [11, 'end', 1, false],
  [10, 'S', 1, false],
  [11, 'S', 1, false],
  [10, 'end', 5, false],
  [11, 'R', 5, true],
];

for (const cgroup of ['/sys/fs/cgroup/slot', null]) {
  const how = cgroup === null ? 'by process' : 'by cgroup';

  test(`it tells a sleep after two looks, with the moment of the first, and the wake after it, ${how}`, () => {
    const world = new World(cgroup);
    const hearer = new Hearer();
    const observer = new SamplingObserver(hearer, world.options);
    world.set(10, 'R');
    observer.watch(3, world);
    world.pass(40_000);
    assert.deepEqual(hearer.of(3), []);
    assert.equal(observer.cpuUs(3), 40_000);
    world.set(10, 'S');
    world.pass(40_000);
    assert.deepEqual(hearer.of(3), [{ isAsleep: true, atUs: 44_000 }]);
    world.set(11, 'R');
    world.pass(40_000);
    assert.deepEqual(hearer.of(3).slice(1), [{ isAsleep: false, atUs: 84_000 }]);
    observer.close();
    assert.equal(world.proc.openCount, 0);
  });

  test(`who could run but gets no CPU is awake, who waits for a disk too, ${how}`, () => {
    const world = new World(cgroup);
    const hearer = new Hearer();
    const observer = new SamplingObserver(hearer, world.options);
    for (const state of ['R', 'D']) {
      world.set(11, state);
      observer.watch(0, world);
      world.pass(100_000, false);
      assert.deepEqual(hearer.of(0), []);
      world.set(11, 'S');
      world.pass(100_000);
      assert.ok(hearer.isAsleep(0));
      // Of a sleeper it is seen at one of eight looks.
      world.set(11, state);
      world.pass(8 * INTERVAL_MS * 1000, false);
      assert.ok(!hearer.isAsleep(0));
      observer.unwatch(0);
      hearer.forget(0);
    }
    observer.close();
  });

  test(`whatever runs and sleeps: turns in order, nothing that is open stays so, and long sleeps are told, ${how}`, () => {
    const steps = fc.array(
      fc.tuple<Step>(
        fc.integer({ min: 10, max: 14 }),
        fc.constantFrom('R', 'S', 'D', 'end'),
        fc.integer({ min: 1, max: 40 }),
        fc.boolean(),
      ),
      { maxLength: 60, size: 'max' },
    );
    fc.assert(
      fc.property(steps, (list) => {
        const world = new World(cgroup);
        const hearer = new Hearer();
        const observer = new SamplingObserver(hearer, world.options);
        observer.watch(0, world);
        let sleptUs = 0;
        for (const [id, state, ms, runs] of list) {
          if (state !== 'end') world.set(id, state);
          else if (id !== 10) world.end(id);
          world.pass(ms * 1000, runs);
          sleptUs = world.canRun ? 0 : sleptUs + ms * 1000;
          if (sleptUs >= 3 * INTERVAL_MS * 1000) assert.ok(hearer.isAsleep(0), 'a long sleep was not told');
          if (world.canRun && runs && state === 'R' && ms > INTERVAL_MS)
            assert.ok(!hearer.isAsleep(0), 'who runs is not asleep');
        }
        observer.close();
        assert.equal(world.proc.openCount, 0);
      }),
      { ...RUNS, examples: [[NUMBER_AGAIN]] },
    );
  });
}

test('of a sleeper next to nothing is read, and of nobody nothing', () => {
  const world = new World('/sys/fs/cgroup/slot');
  const observer = new SamplingObserver(new Hearer(), world.options);
  observer.watch(0, world);
  world.pass(40_000);
  const before = world.proc.readCount;
  const looks = 80;
  world.pass(looks * INTERVAL_MS * 1000);
  // CPU time at each look, two threads at each eighth.
  assert.equal(world.proc.readCount - before, looks + (looks / 8) * 2);
  observer.unwatch(0);
  observer.unwatch(0);
  const after = world.proc.readCount;
  world.pass(40_000);
  assert.equal(world.proc.readCount, after);
});

test('what is gone, or was never there, sleeps', () => {
  const world = new World('/sys/fs/cgroup/slot');
  const hearer = new Hearer();
  const observer = new SamplingObserver(hearer, world.options);
  world.set(10, 'R');
  observer.watch(0, world);
  observer.watch(1, { cgroup: '/sys/fs/cgroup/absent', processIds: () => [99] });
  world.pass(20_000);
  world.proc.files.clear();
  const used = observer.cpuUs(0);
  assert.equal(used, 20_000);
  world.clock.advanceUs(4000);
  world.clock.advanceUs(4000);
  world.clock.advanceUs(4000);
  assert.ok(hearer.isAsleep(0) && hearer.isAsleep(1));
  observer.close();
});
