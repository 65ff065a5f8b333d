/**
 * Only an operator says when a function sleeps. There are no rights within a platform: whoever may sign is an operator, and nobody else is, so
 * what is tried here is everybody else, at each way there is: a caller without a key, with a wrong one, with a stranger's; a web page; a function of the
 * platform itself. After each of them it is as it was. And a function's hints are about itself, whatever it names.
 */
import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { sign } from '../../src/gateway/sigv4.ts';
import { FrameKind } from '../../src/wire/instance-frame.ts';
import { folderWith, perch } from '../cli/perch.ts';
import { Functions } from '../lib/functions.ts';
import { startTestPlatform, type TestPlatform } from '../lib/platform.ts';
import { noBubblewrap, ROOT_ONLY } from '../worker/sandbox/harness.ts';
import type { Play } from './plays.ts';
import { SmallPlatform } from './small-platform.ts';

const OPERATOR = { accessKeyId: 'OPERATOR', secretAccessKey: 'right' };
const NOBODY = [
  { ...OPERATOR, secretAccessKey: 'wrong' },
  { accessKeyId: 'STRANGER', secretAccessKey: 'right' },
];
const SAID = { rules: 'while polling sleep until received', sources: ['directed'], plugin: null };
const OTHER = JSON.stringify({ sources: [] });
const PATH = '/perch/v1/functions/quiet/knowledge';
const METHODS = ['PUT', 'DELETE', 'GET'] as const;
const DAY_MS = 86_400_000;

type Key = typeof OPERATOR;

interface Signed {
  readonly method: string;
  readonly path: string;
  readonly body?: string;
  readonly key?: Key;
  readonly nowMs?: number;
}

function ask(
  base: string,
  { method, path: target, body = '', key = OPERATOR, nowMs = Date.now() }: Signed,
): Promise<Response> {
  const headers = sign({ method, target, headers: { host: new URL(base).host } }, body, key, {
    region: 'us-east-1',
    nowMs,
  });
  return fetch(new URL(target, base), { method, headers, ...(method === 'GET' ? {} : { body }) });
}

async function saidOf(base: string): Promise<object> {
  const answer = await ask(base, { method: 'GET', path: PATH });
  assert.equal(answer.status, 200);
  return (await answer.json()) as object;
}

async function locked(t: TestContext): Promise<{ platform: TestPlatform; env: Record<string, string> }> {
  const keys = path.join(folderWith({ keys: `${OPERATOR.accessKeyId} ${OPERATOR.secretAccessKey}\n` }), 'keys');
  chmodSync(keys, 0o600);
  const platform = await startTestPlatform({ args: ['--cores', '0', '--sharing', 'lend', '--keys', keys] });
  t.after(() => platform.stop());
  const env = {
    PERCH_ENDPOINT: platform.url,
    PERCH_ACCESS_KEY_ID: OPERATOR.accessKeyId,
    PERCH_SECRET_ACCESS_KEY: OPERATOR.secretAccessKey,
  };
  const folder = folderWith({ 'quiet.mjs': 'export const handler = async () => 1;' });
  assert.equal((await perch(['deploy', path.join(folder, 'quiet.mjs')], { env })).code, 0);
  assert.equal((await ask(platform.url, { method: 'PUT', path: PATH, body: JSON.stringify(SAID) })).status, 200);
  return { platform, env };
}

const skip = noBubblewrap || ROOT_ONLY;

test('over HTTP: whoever cannot sign is refused, and nothing has changed', { skip }, async (t) => {
  const { platform } = await locked(t);
  const before = await saidOf(platform.url);
  assert.deepEqual(before, { functionName: 'quiet', ...SAID });
  for (const method of METHODS) {
    const body = method === 'GET' ? '' : OTHER;
    const unsigned = await fetch(new URL(PATH, platform.url), { method, ...(body !== '' && { body }) });
    const forged = NOBODY.map((key) => ask(platform.url, { method, path: PATH, body, key }));
    const old = ask(platform.url, { method, path: PATH, body, nowMs: Date.now() - DAY_MS });
    for (const answer of [unsigned, ...(await Promise.all(forged)), await old]) {
      assert.equal(answer.status, 403, method);
      assert.doesNotMatch(await answer.text(), /polling/, 'it learns nothing of what is said');
    }
    assert.deepEqual(await saidOf(platform.url), before, method);
  }
  // What was signed is the whole request: nobody puts something else into it on its way.
  const target = { method: 'PUT', target: PATH, headers: { host: new URL(platform.url).host } };
  const headers = sign(target, JSON.stringify(SAID), OPERATOR, { region: 'us-east-1', nowMs: Date.now() });
  const changed = await fetch(new URL(PATH, platform.url), { method: 'PUT', headers, body: OTHER });
  assert.equal(changed.status, 403);
  assert.deepEqual(await saidOf(platform.url), before);
});

test('on the command line: the same', { skip }, async (t) => {
  const { platform, env } = await locked(t);
  const before = await saidOf(platform.url);
  const rules = path.join(folderWith({ 'a.rules': 'while blocked sleep\n' }), 'a.rules');
  const nobody: Record<string, string>[] = [
    { PERCH_ENDPOINT: platform.url },
    { ...env, PERCH_SECRET_ACCESS_KEY: 'wrong' },
    { ...env, PERCH_ACCESS_KEY_ID: 'STRANGER' },
  ];
  for (const args of [
    ['set', 'quiet', '--rules', rules],
    ['set', 'quiet', '--sources', 'none'],
    ['clear', 'quiet'],
    ['show', 'quiet'],
  ]) {
    for (const each of nobody) {
      const { code, stdout } = await perch(['knowledge', ...args], { env: each });
      assert.deepEqual([code, stdout], [4, ''], args.join(' '));
    }
  }
  assert.deepEqual(await saidOf(platform.url), before);
  assert.equal((await perch(['knowledge', 'clear', 'quiet'], { env })).code, 0, 'an operator may');
});

/** Asks for what an operator may, from inside. */
const REACHES = {
  'index.mjs': `export const handler = async ({ url, name }) => {
  const answers = [];
  for (const method of ['PUT', 'DELETE', 'GET']) {
    const body = method === 'GET' ? {} : { body: JSON.stringify({ sources: [] }) };
    const to = new URL('/perch/v1/functions/' + name + '/knowledge', url);
    answers.push(await fetch(to, { method, ...body }).then((each) => each.status, () => 'no answer'));
  }
  return answers;
};`,
};

test('from a function of the platform, and from a web page: the same', { skip }, async (t) => {
  const platform = await startTestPlatform({ args: ['--cores', '0', '--sharing', 'lend', '--allow-host-network'] });
  t.after(() => platform.stop());
  const functions = new Functions(platform);
  await functions.deploy('quiet', { files: REACHES });
  await functions.deploy('inside', { files: REACHES, environment: { PERCH_NETWORK: 'host' } });
  const target = new URL(PATH, platform.url);
  assert.equal((await fetch(target, { method: 'PUT', body: JSON.stringify(SAID) })).status, 200);
  const said = async (): Promise<unknown> => (await fetch(target)).json();
  const before = await said();
  for (const name of ['quiet', 'inside']) {
    const answers = await functions.call('inside', { url: platform.url, name });
    for (const each of answers as unknown[]) assert.ok(each === 403 || each === 'no answer', String(each));
  }
  for (const method of METHODS) {
    for (const headers of [{ origin: 'http://example.com' }, { 'sec-fetch-site': 'same-site' }]) {
      const body = method === 'GET' ? {} : { body: OTHER };
      assert.equal((await fetch(target, { method, headers, ...body })).status, 403, method);
    }
  }
  assert.deepEqual(await said(), before);
});

test('hints: what one function says changes nothing of another one, whatever invocation it names', async () => {
  const room = { coreCount: 2, slotCount: 8, memoryMb: 4000, queueMax: 8, requestCountMax: 20, versionCountMax: 4 };
  const platform = new SmallPlatform(room, false, { policy: 'lend', perCore: 2 });
  await platform.open();
  for (const name of ['liar', 'victim']) platform.store.put(name, 64, 'reuse');
  for (const name of ['liar', 'victim']) platform.invoke(name);
  await platform.settle();
  for (const play of platform.plays) play.boot();
  await platform.settle();
  const playOf = (name: string): Play => platform.plays.find((play) => play.functionName === name)!;
  const [liar, victim] = [playOf('liar'), playOf('victim')];
  // The same numbers: each instance counts for itself. And those of others, and of nobody.
  for (const sequence of [victim.running!.sequence + 1, 0, 7, 0xffff_ffff]) {
    for (const kind of [FrameKind.sleeping, FrameKind.awake]) liar.send(kind, sequence, '');
  }
  await platform.settle();
  platform.clock.advanceUs(5000);
  const asleep = (): number => openCount(platform);
  assert.equal(asleep(), 0, 'nobody sleeps');
  liar.send(FrameKind.sleeping, liar.running!.sequence, '');
  await platform.settle();
  platform.clock.advanceUs(5000);
  assert.equal(asleep(), 1, 'it does itself, and lends its own core');
  platform.invoke('victim');
  await platform.settle();
  for (const play of platform.plays) if (!play.ready) play.boot();
  await platform.settle();
  assert.ok(!victim.instance.isBackground, 'the other one is where it was');
  assert.ok(liar.instance.isBackground);
  // Its word is over with its invocation.
  const { sequence } = liar.running!;
  liar.answer();
  await platform.settle();
  liar.send(FrameKind.sleeping, sequence, '');
  await platform.settle();
  platform.clock.advanceUs(5000);
  assert.ok(!victim.instance.isBackground);
  await platform.answerAll();
  platform.checkResults();
  await platform.agent.stop();
  await platform.checkGone();
});

test('hints are counted by what was made of them', async () => {
  const room = { coreCount: 1, slotCount: 4, memoryMb: 1000, queueMax: 4, requestCountMax: 9, versionCountMax: 2 };
  const platform = new SmallPlatform(room, false, { policy: 'lend', perCore: 2 });
  await platform.open();
  platform.clock.advanceUs(1000);
  for (const name of ['heard', 'unheard']) platform.store.put(name, 64, 'reuse');
  platform.knowledge.say('unheard', { rules: null, sources: ['learning'] });
  const counts = (): readonly number[] =>
    ['believed', 'refused', 'rationed'].map(
      (outcome) => platform.metrics.counter('perch_sharing_hints_total', outcome).value,
    );
  for (const [name, expected] of [
    ['heard', [100, 0, 20]],
    ['unheard', [100, 120, 20]],
  ] as const) {
    platform.invoke(name);
    await platform.settle();
    for (const play of platform.plays) if (!play.ready) play.boot();
    await platform.settle();
    const play = platform.plays.find((each) => each.functionName === name)!;
    for (let count = 0; count < 120; count++) play.send(FrameKind.sleeping, play.running!.sequence, '');
    await platform.settle();
    assert.deepEqual(counts(), expected);
    play.answer();
    await platform.settle();
  }
  await platform.answerAll();
  await platform.agent.stop();
});

/** Extra seats that the scheduler may grant, or has: as many as there are cores whose holders sleep. */
function openCount({ scheduler }: SmallPlatform): number {
  const extra = Array.from(
    { length: scheduler.seatCount - scheduler.coreCount },
    (_, seat) => seat + scheduler.coreCount,
  );
  return extra.filter((seat) => scheduler.stateOf(seat) !== 'withdrawn').length;
}
