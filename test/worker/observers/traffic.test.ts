/** What is told of what a sandbox sends and receives: how it is bounded, in simulated time; and whether it is true, of real processes. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { TRAFFIC_COUNT_MAX, TRAFFIC_WINDOW_US } from '../../../src/worker/observers/contract.ts';
import { openEbpf } from '../../../src/worker/observers/ebpf/index.ts';
import { ebpfMissing } from '../../../src/worker/observers/ebpf/missing.ts';
import { Traffic } from '../../../src/worker/observers/ebpf/traffic.ts';
import { makeFolder, removeFolder } from '../../../src/worker/sandbox/cgroup/folder.ts';
import { readHierarchies } from '../../../src/worker/sandbox/cgroup/mounts.ts';
import { until } from '../sandbox/harness.ts';
import { Hearer, hurriedClock, type Told, usOf } from './sleeper.ts';

const LOOK_US = 1000;

test('the last is always told in the end, in order, and no more than a few in any window', () => {
  const steps = fc.array(fc.tuple(fc.constantFrom('sent', 'received', 'look'), fc.integer({ min: 1, max: 3000 })), {
    maxLength: 300,
    size: 'max',
  });
  fc.assert(
    fc.property(steps, (list) => {
      const heard: { readonly kind: string; readonly atUs: number; readonly nowUs: number }[] = [];
      let nowUs = 1;
      const hear = (kind: string) => (_slot: number, atUs: number) => void heard.push({ kind, atUs, nowUs });
      const traffic = new Traffic(0, { sent: hear('sent'), received: hear('received') });
      const happened = { sent: 0, received: 0 };
      let last = '';
      const look = (): boolean => traffic.tell(happened.sent, happened.received, Infinity, nowUs);
      traffic.set(true, 0);
      for (const [kind, us] of list) {
        nowUs += us;
        if (kind === 'look') {
          look();
          continue;
        }
        happened[kind] = nowUs;
        last = `${kind} ${nowUs}`;
      }
      for (let rest = 0; rest <= TRAFFIC_WINDOW_US; rest += LOOK_US) {
        nowUs += LOOK_US;
        look();
      }
      const end = heard.at(-1);
      assert.equal(end === undefined ? '' : `${end.kind} ${end.atUs}`, last);
      for (const [index, { atUs, nowUs: heardUs }] of heard.entries()) {
        assert.ok(index === 0 || atUs > heard[index - 1]!.atUs);
        // A window may begin anywhere: as many at the end of one as at the begin of the next.
        const within = heard.filter((each) => each.nowUs >= heardUs && each.nowUs < heardUs + TRAFFIC_WINDOW_US);
        assert.ok(within.length <= 2 * TRAFFIC_COUNT_MAX);
      }
    }),
  );
});

test('nothing is told that was before it was asked for, nor after somebody has said so', () => {
  const heard: string[] = [];
  const traffic = new Traffic(3, {
    sent: (slot, atUs) => {
      heard.push(`sent ${slot} ${atUs}`);
      traffic.set(false, atUs);
    },
    received: (slot, atUs) => void heard.push(`received ${slot} ${atUs}`),
  });
  traffic.tell(10, 11, Infinity, 12);
  traffic.set(true, 20);
  traffic.tell(10, 11, Infinity, 21);
  traffic.tell(30, 31, 29, 32);
  assert.deepEqual(heard, []);
  traffic.tell(30, 31, Infinity, 32);
  traffic.tell(40, 41, Infinity, 42);
  assert.deepEqual(heard, ['sent 3 30']);
});

const missing = ebpfMissing();
const own = readHierarchies().v2?.own;
const skip = missing !== '' ? `NO eBPF HERE: ${missing}` : own === undefined && 'NEEDS a version 2 cgroup';
const REQUESTER = fileURLToPath(new URL('./fixtures/requester.cjs', import.meta.url));
const ROUNDS = 40;
/** How long the server takes. */
const ANSWERS_MS = [1, 2, 4, 8, 16, 24];

let groupCount = 0;

/** Runs it to its end in a cgroup of its own, watched all the time. */
async function run(args: readonly string[], isTold = true): Promise<{ lines: readonly string[]; hearer: Hearer }> {
  const cgroup = `${own}/perch-traffic-${process.pid}-${groupCount++}`;
  assert.ok(makeFolder(cgroup));
  const child = spawn(process.execPath, [REQUESTER, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  const hearer = new Hearer();
  const observer = openEbpf(hearer, { clock: hurriedClock, watchedMax: 2 });
  if (typeof observer === 'string') assert.fail(observer);
  try {
    await until(() => lines.includes('ready'));
    writeFileSync(`${cgroup}/cgroup.procs`, String(child.pid));
    const processIds = (): readonly number[] =>
      readFileSync(`${cgroup}/cgroup.procs`, 'utf8').split('\n').filter(Boolean).map(Number);
    observer.watch(0, { cgroup, processIds });
    observer.tellTraffic(0, isTold);
    await until(() => hearer.isAsleep(0));
    child.stdin.write('x');
    await closed;
  } finally {
    observer.close();
    child.kill('SIGKILL');
    await closed;
    await until(() => removeFolder(cgroup));
  }
  return { lines: lines.slice(1), hearer };
}

async function serve(): Promise<{ readonly port: string; stop(): void }> {
  let count = 0;
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', () => setTimeout(() => socket.write('y'), ANSWERS_MS[count++ % ANSWERS_MS.length]));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: String((server.address() as AddressInfo).port), stop: () => void server.close() };
}

interface Span {
  readonly fromUs: number;
  readonly toUs: number;
}

const overlap = (a: Span, b: Span): boolean => a.fromUs < b.toUs && b.fromUs < a.toUs;
/** As far as two clocks can be compared; there are 10 ms between two spans. */
const SLACK_US = 1000;
const within = (atUs: number, spans: readonly Span[]): boolean =>
  spans.some(({ fromUs, toUs }) => atUs >= fromUs - SLACK_US && atUs <= toUs + SLACK_US);

function spansOf(lines: readonly string[]): readonly Span[] {
  return lines.map((line) => {
    const [from = '', to = ''] = line.split(' ');
    return { fromUs: usOf(from), toUs: usOf(to) };
  });
}

function sleepsOf(told: readonly Told[]): readonly Span[] {
  return told.flatMap(({ isAsleep, atUs }, index) => {
    const next = told[index + 1];
    return isAsleep && next !== undefined ? [{ fromUs: atUs, toUs: next.atUs }] : [];
  });
}

interface Seen {
  readonly requests: readonly Span[];
  /** Moments told, of those within the time of the requests. */
  readonly sent: readonly number[];
  readonly received: readonly number[];
  readonly sleeps: readonly Span[];
}

async function ask(mode: 'ask' | 'beside'): Promise<Seen> {
  const server = await serve();
  try {
    const { lines, hearer } = await run([mode, server.port, String(ROUNDS)]);
    const requests = spansOf(lines);
    assert.equal(requests.length, ROUNDS);
    const { moments: order } = hearer;
    assert.deepEqual(
      order,
      order.toSorted((a, b) => a - b),
      'told in the order of their moments',
    );
    const all = { fromUs: requests[0]!.fromUs, toUs: requests.at(-1)!.toUs };
    const moments = (isSend: boolean): readonly number[] =>
      hearer.trafficOf(0).flatMap((each) => (each.isSend === isSend && within(each.atUs, [all]) ? [each.atUs] : []));
    const sleeps = sleepsOf(hearer.of(0)).filter((sleep) => overlap(sleep, all));
    return { requests, sent: moments(true), received: moments(false), sleeps };
  } finally {
    server.stop();
  }
}

function saysTraffic(t: { diagnostic(text: string): void }, { requests, sent, received }: Seen): number {
  const told = requests.filter((span) => sent.some((atUs) => within(atUs, [span])));
  const answered = requests.filter((span) => received.some((atUs) => within(atUs, [span])));
  const right = [...sent, ...received].filter((atUs) => within(atUs, requests));
  t.diagnostic(
    `of ${requests.length} requests ${told.length} told as sent, of their responses ${answered.length} as received; ` +
      `of ${sent.length + received.length} told ${right.length} true`,
  );
  assert.equal(right.length, sent.length + received.length, 'nothing is sent or received but requests and responses');
  return told.length;
}

describe('of a process that asks a server', { skip, concurrency: false }, () => {
  test('who waits for a response is asleep from its request until it comes', async (t) => {
    const seen = await ask('ask');
    assert.ok(saysTraffic(t, seen) > ROUNDS / 2);
    const long = seen.requests.filter(({ fromUs, toUs }) => toUs - fromUs >= 2000);
    const found = long.filter((span) => seen.sleeps.some((sleep) => overlap(sleep, span)));
    const right = seen.sleeps.filter((sleep) => seen.requests.some((span) => overlap(sleep, span)));
    t.diagnostic(
      `of waits of 2 ms or more ${found.length} of ${long.length} told as sleep; of those told ${right.length} of ${seen.sleeps.length} true`,
    );
    assert.ok(found.length > long.length / 2);
  });

  test('who computes until its response comes has sent something, and is awake', async (t) => {
    const seen = await ask('beside');
    assert.ok(saysTraffic(t, seen) > ROUNDS / 2);
    t.diagnostic(`${seen.sleeps.length} sleeps told of one that never waits`);
    assert.ok(seen.sleeps.length < ROUNDS / 2);
  });

  test('one that sends all the time is told of seldom', async (t) => {
    const server = await serve();
    try {
      const { lines, hearer } = await run(['pour', server.port, '500']);
      const sent = hearer.trafficOf(0).filter(({ isSend }) => isSend).length;
      t.diagnostic(`sent ${lines[0]} times, told ${sent} times`);
      assert.ok(sent > 0 && sent < Number(lines[0]));
    } finally {
      server.stop();
    }
  });

  test('its output is a socket of the platform, and is not told; nor is anything where nobody has asked', async () => {
    const printed = await run(['print', '20']);
    assert.equal(printed.lines.length, 20);
    assert.deepEqual(printed.hearer.trafficOf(0), []);
    const server = await serve();
    try {
      const { hearer } = await run(['ask', server.port, '3'], false);
      assert.deepEqual(hearer.trafficOf(0), []);
      assert.ok(hearer.of(0).length > 0);
    } finally {
      server.stop();
    }
  });
});
