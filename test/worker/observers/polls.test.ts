/**
 * Real processes that poll, with the observer in the kernel, frozen while they are said to and let go on now and then. What is
 * asserted is logic, with wide margins: that they get what they wait for, and that they do not burn while they wait.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { realClock } from '../../../src/base/clock.ts';
import { openEbpf } from '../../../src/worker/observers/ebpf/index.ts';
import { ebpfMissing } from '../../../src/worker/observers/ebpf/missing.ts';
import { makeFolder, removeFolder } from '../../../src/worker/sandbox/cgroup/folder.ts';
import { readHierarchies } from '../../../src/worker/sandbox/cgroup/mounts.ts';
import { Doze, DOZE_LIMITS } from '../../../src/worker/machine/doze.ts';
import { until } from '../sandbox/harness.ts';
import { Hearer, hurriedClock, usOf } from './sleeper.ts';

const POLLER = fileURLToPath(new URL('./fixtures/poller.cjs', import.meta.url));
const WAIT_MS = 20;
const missing = ebpfMissing();
const own = readHierarchies().v2?.own;
const skip = missing !== '' ? `NO eBPF HERE: ${missing}` : own === undefined && 'NEEDS a version 2 cgroup';

let groupCount = 0;

interface Ran {
  readonly lines: readonly string[];
  readonly hearer: Hearer;
  readonly stopCount: number;
}

/** In a cgroup of its own; it begins when it is written to. */
function start(args: readonly string[]): { child: ChildProcessWithoutNullStreams; cgroup: string } {
  const cgroup = `${own}/perch-polls-${process.pid}-${groupCount++}`;
  assert.ok(makeFolder(cgroup));
  const child = spawn(process.execPath, [POLLER, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  child.stderr.pipe(process.stderr);
  writeFileSync(`${cgroup}/cgroup.procs`, String(child.pid));
  return { child, cgroup };
}

/** Runs it to its end as the agent would: watched, and frozen while it is said to poll. */
async function run(args: readonly string[]): Promise<Ran> {
  const { child, cgroup } = start(args);
  const ended = new Promise((resolve) => child.once('close', resolve));
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  const hearer = new Hearer();
  let stopCount = 0;
  const freeze = (isFrozen: boolean): void => writeFileSync(`${cgroup}/cgroup.freeze`, isFrozen ? '1' : '0');
  const doze = new Doze({ ...DOZE_LIMITS, seatCount: 1 }, { freeze: () => freeze(true), thaw: () => freeze(false) });
  const observer = openEbpf(
    {
      sent: (slot, atUs) => hearer.sent(slot, atUs),
      received: (slot, atUs) => hearer.received(slot, atUs),
      slept: (slot, atUs) => hearer.slept(slot, atUs),
      polls: (slot, atUs) => {
        stopCount++;
        if (!hearer.isAsleep(slot)) hearer.polls(slot, atUs);
        doze.dozes(slot, realClock.nowUs());
      },
      woke: (slot, atUs) => {
        hearer.woke(slot, atUs);
        doze.wakes(slot);
      },
    },
    { clock: hurriedClock, watchedMax: 4 },
  );
  if (typeof observer === 'string') assert.fail(observer);
  const stop = realClock.every(1, () => doze.tick(realClock.nowUs()));
  try {
    observer.watch(0, { cgroup, processIds: () => processesOf(cgroup) }, true);
    child.stdin.write('x');
    await ended;
  } finally {
    stop();
    doze.wakes(0);
    observer.close();
    kill(child);
    await until(() => removeFolder(cgroup));
  }
  assert.equal(child.exitCode, 0);
  return { lines, hearer, stopCount };
}

function isStopped(id: number): boolean {
  return readFileSync(`/proc/${id}/stat`, 'utf8').split(') ')[1]!.startsWith('T');
}

function processesOf(cgroup: string): readonly number[] {
  return readFileSync(`${cgroup}/cgroup.procs`, 'utf8').split('\n').filter(Boolean).map(Number);
}

/** Programs in the kernel that are attached for this process. */
function linkCount(): number {
  return readdirSync('/proc/self/fdinfo').filter((descriptor) => {
    try {
      return readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8').includes('link_type:');
    } catch {
      return false;
    }
  }).length;
}

function kill(child: ChildProcess): void {
  if (child.exitCode === null) child.kill('SIGKILL');
}

interface Wait {
  readonly fromUs: number;
  readonly toUs: number;
  readonly cpuUs: number;
}

function waitsOf({ lines }: Ran): readonly Wait[] {
  return lines.map((line) => {
    const [from = '', to = '', cpu = ''] = line.split(' ');
    return { fromUs: usOf(from), toUs: usOf(to), cpuUs: Number(cpu) };
  });
}

function pollsOf({ hearer }: Ran): readonly number[] {
  return hearer.of(0).flatMap(({ isPoll, atUs }) => (isPoll === true ? [atUs] : []));
}

const sum = (values: readonly number[]): number => values.reduce((before, value) => before + value, 0);

describe('who polls', { skip, concurrency: false }, () => {
  test('for a response: it has it, and does not burn meanwhile', async (t) => {
    const server = net.createServer((socket) => {
      socket.on('data', () => setTimeout(() => socket.write('y'), WAIT_MS));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const rounds = 30;
    try {
      const ran = await run(['wait', String((server.address() as AddressInfo).port), String(rounds)]);
      const waits = waitsOf(ran);
      const polls = pollsOf(ran);
      assert.equal(waits.length, rounds);
      const found = waits.filter(({ fromUs, toUs }) => polls.some((atUs) => atUs >= fromUs && atUs <= toUs));
      const right = polls.filter((atUs) => waits.some(({ fromUs, toUs }) => atUs >= fromUs && atUs <= toUs));
      const share = sum(waits.map(({ cpuUs }) => cpuUs)) / sum(waits.map(({ fromUs, toUs }) => toUs - fromUs));
      t.diagnostic(
        `${found.length} of ${rounds} waits told; ${right.length} of ${polls.length} told are true; ` +
          `${(share * 100).toFixed(1)} % of the waits burnt, ${Math.round(sum(waits.map(({ cpuUs }) => cpuUs)) / rounds)} µs of ${WAIT_MS} ms in the mean`,
      );
      assert.ok(found.length > rounds / 2);
      assert.ok(share < 0.5, `${share} of the time of the waits`);
    } finally {
      server.close();
    }
  });

  test('for what nobody sees, its own timer: it comes, by its slices', async (t) => {
    const ran = await run(['timer', '10']);
    const waits = waitsOf(ran);
    assert.equal(waits.length, 10);
    const longestMs = Math.max(...waits.map(({ fromUs, toUs }) => toUs - fromUs)) / 1000;
    t.diagnostic(`of 30 ms: ${longestMs.toFixed(1)} ms at most; it was said ${ran.stopCount} times to poll`);
    assert.ok(pollsOf(ran).length > 0);
  });

  test("everybody's system calls go their slow way only while somebody may be stopped", async () => {
    const hearer = new Hearer();
    const observer = openEbpf(hearer, { clock: realClock, watchedMax: 4 });
    if (typeof observer === 'string') assert.fail(observer);
    const child = spawn('sleep', ['60']);
    try {
      const count = linkCount();
      const watched = { cgroup: null, processIds: () => [child.pid!] };
      observer.watch(0, watched);
      assert.equal(linkCount(), count);
      observer.permitStop(0, true);
      assert.equal(linkCount(), count + 1);
      observer.rest(0);
      await until(() => linkCount() === count);
      observer.watch(0, watched, true);
      assert.equal(linkCount(), count + 1);
    } finally {
      observer.close();
      kill(child);
    }
    assert.equal(linkCount(), 0);
  });

  test('what it has said before it is stopped is heard first, however late both are', async () => {
    const heard: string[] = [];
    const observer = openEbpf(
      {
        sent: () => {},
        received: () => {},
        slept: () => {},
        woke: () => {},
        polls: () => heard.push('polls'),
      },
      { clock: hurriedClock, watchedMax: 4 },
    );
    if (typeof observer === 'string') assert.fail(observer);
    const { child, cgroup } = start(['says']);
    child.stdout.on('data', () => heard.push('hint'));
    try {
      observer.watch(0, { cgroup, processIds: () => processesOf(cgroup) }, true);
      // Of a turn of the event loop, timers come next, and what can be read after them.
      await new Promise((resolve) => setImmediate(resolve));
      child.stdin.write('x');
      while (!isStopped(child.pid!));
      await until(() => heard.length > 1);
      assert.deepEqual(heard.slice(0, 2), ['hint', 'polls']);
    } finally {
      observer.close();
      kill(child);
      await until(() => removeFolder(cgroup));
    }
  });

  test('who computes, and looks for input now and then, is not said to', async () => {
    const ran = await run(['work', '300']);
    assert.deepEqual(ran.lines, ['done']);
    assert.deepEqual(pollsOf(ran), []);
  });
});
