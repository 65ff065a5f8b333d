/** Logs of functions that another node keeps: each line once, however often connections and the store's process end. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import pino from 'pino';
import { realClock } from '../../src/base/clock.ts';
import { ask, NoAnswer } from '../../src/store/remote/client.ts';
import { PATHS } from '../../src/store/remote/protocol.ts';
import { RemoteLogs, type RemoteLogsLimits } from '../../src/store/remote/remote-logs.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { temporaryFolder } from './fixtures.ts';
import { IDENTITIES, reach, startStoreProcess, until } from './remote-nodes.ts';
import { serveStore } from './served-store.ts';

interface Opened {
  readonly logs: RemoteLogs;
  readonly metrics: Metrics;
  readonly lines: string[];
}

function openLogs(
  context: TestContext,
  port: number,
  role: 'worker' | 'gateway',
  limits: Partial<RemoteLogsLimits> = {},
): Opened {
  const node = reach(IDENTITIES[role], port);
  const metrics = new Metrics();
  const lines: string[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) });
  const logs = new RemoteLogs({ ...node, log, metrics, limits });
  context.after(async () => {
    await logs.close();
    node.leave();
  });
  return { logs, metrics, lines };
}

test('a worker appends, a gateway reads, follows and deletes', async (context) => {
  const served = await serveStore(temporaryFolder(context), { identity: IDENTITIES.store });
  context.after(() => served.close());
  const worker = openLogs(context, served.listener.port, 'worker').logs;
  const gateway = openLogs(context, served.listener.port, 'gateway').logs;
  worker.append('f', 'one\n');
  worker.append('g', 'other\n');
  worker.append('f', 'two ä\u0000\u{1f600}\n');
  await until('it is there', async () => (await gateway.tail('f', 9)).includes('two'));
  assert.equal(await gateway.tail('f', 9), 'one\ntwo ä\u0000\u{1f600}\n');
  assert.equal(await gateway.tail('f', 1), 'two ä\u0000\u{1f600}\n');
  assert.equal(await gateway.tail('g', 9), 'other\n');
  const heard: string[] = [];
  const stops = [gateway.follow('f', (text) => heard.push(text)), gateway.follow('f', (text) => heard.push(text))];
  await until('both hear', () => {
    gateway.append('f', 'note\n');
    return heard.length >= 2;
  });
  stops[0]!();
  stops[1]!();
  assert.ok(heard.join('').startsWith('note\nnote\n'));
  await gateway.delete('f');
  await until('it is gone', async () => (await gateway.tail('f', 9)) === '');
  await assert.rejects(
    worker.tail('g', 9),
    /GET \/store\/logs\/ is for a gateway; the certificate of worker says worker/,
  );
  await assert.rejects(worker.delete('g'), /is for a gateway/);
});

test('a log cannot be followed by a worker, and that is said once', async (context) => {
  const served = await serveStore(temporaryFolder(context), { identity: IDENTITIES.store });
  context.after(() => served.close());
  const { logs, lines } = openLogs(context, served.listener.port, 'worker');
  const stop = logs.follow('f', () => assert.fail('nothing is heard'));
  await until('it is said', () => lines.some((line) => line.includes('a log cannot be followed')));
  stop();
});

test('very many very short lines go, in more than one batch', async (context) => {
  const served = await serveStore(temporaryFolder(context), { identity: IDENTITIES.store });
  context.after(() => served.close());
  const { logs, metrics, lines } = openLogs(context, served.listener.port, 'worker', {
    logBufferBytesMax: 64 * 1024 * 1024,
  });
  const functionName = 'f'.repeat(140);
  const count = 60_000;
  for (let number = 0; number < count; number++) logs.append(functionName, '\n');
  await logs.close();
  assert.deepEqual(lines, []);
  assert.match(metrics.text(), /perch_log_unsent_dropped_bytes_total 0/);
  assert.equal((await served.logs.tail(functionName, count * 2)).length, count);
});

test('a batch that is sent again is appended once', async (context) => {
  const served = await serveStore(temporaryFolder(context), { identity: IDENTITIES.store });
  const node = reach(IDENTITIES.worker, served.listener.port);
  context.after(async () => {
    node.leave();
    await served.close();
  });
  const post = async (sender: string, number: number, text: string, bytes = text.length): Promise<number> => {
    const head = { sender, number, texts: [{ functionName: 'f', bytes }] };
    const answer = await ask(node.agent, node.store, realClock, {
      method: 'POST',
      path: PATHS.logs,
      body: Buffer.from(`${JSON.stringify(head)}\n${text}`),
      answerBytesMax: 10_000,
      timeoutMs: 5000,
    });
    assert.ok(!(answer instanceof NoAnswer));
    return answer.status;
  };
  const sender = randomUUID();
  assert.deepEqual(
    [await post(sender, 1, 'a\n'), await post(sender, 1, 'a\n'), await post(sender, 2, 'b\n')],
    [200, 200, 200],
  );
  assert.deepEqual([await post(sender, 1, 'a\n'), await post(randomUUID(), 1, 'c\n')], [200, 200]);
  assert.deepEqual(
    [await post(sender, 3, 'x\n', 1), await post(sender, 3, 'x\n', 3), await post(sender, 0, 'x\n')],
    [400, 400, 400],
  );
  assert.equal(await served.logs.tail('f', 9), 'a\nb\nc\n');
});

test('while the store is away a bounded amount waits, and what was dropped is said', async (context) => {
  const folder = temporaryFolder(context);
  let served = await serveStore(folder, { identity: IDENTITIES.store });
  const { port } = served.listener;
  const { logs, metrics, lines } = openLogs(context, port, 'worker', { logBufferBytesMax: 10_000 });
  logs.append('f', 'before\n');
  await until('it is there', async () => (await served.logs.tail('f', 9)) === 'before\n');
  await served.close();
  const text = (index: number): string => `line ${String(index).padStart(4, '0')}\n`;
  for (let index = 0; index < 1000; index++) logs.append('f', text(index));
  logs.append('g', 'has room of its own\n');
  await until('it is noticed', () => lines.some((line) => line.includes('log of functions waits')));
  served = await serveStore(folder, { identity: IDENTITIES.store, port });
  await until('the note has come', async () => (await served.logs.tail('f', 1)).includes('dropped'));
  const found = (await served.logs.tail('f', 2000)).split('\n').slice(1, -1);
  const note = found.pop() ?? '';
  assert.deepEqual(
    found,
    Array.from({ length: found.length }, (_, index) => text(index).trimEnd()),
  );
  const droppedBytes = (1000 - found.length) * text(0).length;
  assert.ok(found.length > 10 && droppedBytes > 0);
  assert.equal(note, `... ${droppedBytes} bytes of log dropped`);
  assert.match(metrics.text(), new RegExp(`^perch_log_unsent_dropped_bytes_total ${droppedBytes}$`, 'm'));
  assert.equal(await served.logs.tail('g', 9), 'has room of its own\n');
  logs.append('f', 'after\n');
  await until('it goes on', async () => (await served.logs.tail('f', 1)) === 'after\n');
  await logs.close();
  await served.close();
});

test('what waits is sent at the end; without a store the end does not wait for ever', async (context) => {
  const served = await serveStore(temporaryFolder(context), { identity: IDENTITIES.store });
  const first = openLogs(context, served.listener.port, 'worker', { logFlushMs: 60_000 });
  first.logs.append('f', 'last words\n');
  await first.logs.close();
  assert.equal(await served.logs.tail('f', 9), 'last words\n');
  const second = openLogs(context, served.listener.port, 'worker', { logFlushMs: 60_000, logCloseMs: 100 });
  await served.close();
  second.logs.append('f', 'unheard\n');
  await second.logs.close();
  assert.match(second.lines.join(''), /log of functions was lost/);
});

test('a log is followed across kills of the process that keeps it: every line once, in order', async (context) => {
  const folder = temporaryFolder(context);
  let node = await startStoreProcess(folder);
  const { port } = node;
  context.after(() => node.kill());
  const worker = openLogs(context, port, 'worker').logs;
  const gateway = openLogs(context, port, 'gateway').logs;
  let heard = '';
  context.after(gateway.follow('f', (text) => (heard += text)));
  let count = 0;
  const say = (): void => worker.append('f', `line ${count++} ${randomUUID()}\n`);
  await until('the first is heard', () => {
    if (heard === '') say();
    return heard !== '';
  });
  for (let round = 0; round < 3; round++) {
    for (let index = 0; index < 50; index++) say();
    // On the disk: the moments before a kill may be missing, as in every log.
    await until('all is heard', () => heard.includes(`line ${count - 1} `));
    await until('and written', async () => (await gateway.tail('f', 1)).includes(`line ${count - 1} `));
    await node.kill();
    for (let index = 0; index < 10; index++) say();
    node = await startStoreProcess(folder, port);
  }
  say();
  await until('the last is heard', () => heard.includes(`line ${count - 1} `));
  const numbers = heard
    .split('\n')
    .slice(0, -1)
    .map((line) => Number(/^line (\d+) /.exec(line)?.[1]));
  const first = numbers[0]!;
  assert.deepEqual(
    numbers,
    Array.from({ length: count - first }, (_, index) => first + index),
  );
});
