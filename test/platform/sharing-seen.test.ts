/**
 * What is shown of those who share cores: what each does, where, and behind whom; how the cores are shared. With simulated sandboxes each
 * state is met; then a real platform says it, over HTTP and on the command line.
 */
import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { type TestContext, test } from 'node:test';
import type { Overview } from '../../src/gateway/overview.ts';
import type { CoreView } from '../../src/gateway/platform.ts';
import { CORES_VARIABLE } from '../../src/store/settings.ts';
import type { SharingSetting } from '../../src/worker/agent/sharing-setting.ts';
import { folderWith, perch } from '../cli/perch.ts';
import { Functions, until } from '../lib/functions.ts';
import { startTestPlatform, type TestPlatform } from '../lib/platform.ts';
import { WAITER, waitingRoom } from '../lib/waiting-room.ts';
import { noBubblewrap, ROOT_ONLY } from '../worker/sandbox/harness.ts';
import { SmallPlatform } from './small-platform.ts';

const ROOM = { slotCount: 8, memoryMb: 2000, queueMax: 8, requestCountMax: 20, versionCountMax: 4 };
/** Long enough to be watched. */
const WATCHED_US = 20_000;
/** Long enough for the core of a sleeper to be lent. */
const LENT_US = 2000;

/** The functions are asked for one after the other; whoever can run does. */
async function withAll(
  names: readonly string[],
  sharing: SharingSetting = { policy: 'lend', perCore: 2 },
  coreCount = 1,
): Promise<SmallPlatform> {
  const platform = new SmallPlatform({ ...ROOM, coreCount }, false, sharing);
  await platform.open();
  platform.clock.advanceUs(1000);
  for (const name of names) platform.store.put(name, 64, 'reuse', name === 'wide' ? { [CORES_VARIABLE]: '2' } : {});
  for (const name of names) await invoke(platform, name);
  return platform;
}

async function invoke(platform: SmallPlatform, name: string): Promise<void> {
  platform.invoke(name);
  for (let round = 0; round < 4; round++) {
    for (const play of platform.plays) if (!play.ready) play.boot();
    await platform.settle();
  }
  platform.clock.advanceUs(WATCHED_US);
}

function turn({ plays, observer }: SmallPlatform, name: string, sleep: 'sleeps' | 'polls' = 'sleeps'): void {
  observer.turn(plays.find((play) => play.functionName === name)!.instance.spec.slot, sleep);
}

/** Of each: function, state, core, and the seat in the foreground there. */
function shown({ agent }: SmallPlatform): string[] {
  const { residents } = agent.sharingView();
  return residents.map(({ seat, functionName, state, core, foreground }) => {
    const name = functionName.split(':')[0]!;
    return `${seat} ${name} ${state} ${core} ${foreground}`;
  });
}

function counted({ metrics }: SmallPlatform): Record<string, number> {
  const samples = metrics.text().matchAll(/^perch_sharing_residents\{state="(\w+)"\} (\d+)$/gm);
  return Object.fromEntries([...samples].map(([, state, count]) => [state!, Number(count)]));
}

async function end(platform: SmallPlatform): Promise<void> {
  await platform.answerAll();
  await platform.agent.stop();
  assert.deepEqual(shown(platform), []);
}

test('lend: who sleeps stays in front, who borrows runs behind it, and waits when it wakes', async () => {
  const platform = await withAll(['holder']);
  assert.deepEqual(shown(platform), ['0 holder running 0 0']);
  turn(platform, 'holder');
  platform.clock.advanceUs(LENT_US);
  assert.deepEqual(shown(platform), ['0 holder asleep 0 0']);
  platform.store.put('guest', 64, 'reuse');
  await invoke(platform, 'guest');
  assert.deepEqual(shown(platform), ['0 holder asleep 0 0', '1 guest running 0 0']);
  turn(platform, 'holder');
  assert.deepEqual(shown(platform), ['0 holder running 0 0', '1 guest waiting 0 0']);
  assert.deepEqual(counted(platform), { running: 1, waiting: 1, asleep: 0, frozen: 0, kept: 0 });
  await end(platform);
  assert.deepEqual(counted(platform), { running: 0, waiting: 0, asleep: 0, frozen: 0, kept: 0 });
});

test('who polls is frozen, and goes behind whoever comes', async () => {
  const platform = await withAll(['poller', 'other'], { policy: 'packed', perCore: 2 });
  assert.deepEqual(shown(platform), ['0 poller running 0 0', '1 other waiting 0 0']);
  turn(platform, 'poller', 'polls');
  assert.deepEqual(shown(platform), ['0 poller frozen 0 1', '1 other running 0 1']);
  assert.deepEqual(counted(platform), { running: 1, waiting: 0, asleep: 0, frozen: 1, kept: 0 });
  turn(platform, 'poller');
  assert.deepEqual(shown(platform), ['0 poller running 0 0', '1 other waiting 0 0']);
  await end(platform);
});

test('a lease of several cores is shown on each of them, and counted once', async () => {
  const platform = await withAll(['wide'], { policy: 'lend', perCore: 2 }, 2);
  assert.deepEqual(shown(platform), ['0 wide running 0 0', '1 wide running 1 0']);
  assert.deepEqual(counted(platform), { running: 1, waiting: 0, asleep: 0, frozen: 0, kept: 0 });
  await end(platform);
});

test('a holder that has ended while its core is borrowed is shown as kept', async () => {
  const platform = await withAll(['holder']);
  turn(platform, 'holder');
  platform.clock.advanceUs(LENT_US);
  platform.store.put('guest', 64, 'reuse');
  await invoke(platform, 'guest');
  platform.plays.find(({ functionName }) => functionName === 'holder')!.answer();
  await platform.settle();
  assert.deepEqual(shown(platform), ['0 holder kept -1 -1', '1 guest running 0 1']);
  await end(platform);
});

test('what is in force is said: nobody is asked where nobody goes before anybody', async () => {
  for (const [policy, perCore] of [
    ['dedicated', 1],
    ['fair', 3],
  ] as const) {
    const platform = await withAll(['one'], { policy, perCore });
    assert.deepEqual(platform.agent.sharingView(), { policy, perCore, sources: [], observer: 'none', residents: [] });
    assert.deepEqual(counted(platform), {});
    await end(platform);
  }
  const platform = await withAll([], { policy: 'preempt', perCore: 4, sources: ['learning'] });
  const inForce = { policy: 'preempt', perCore: 4, sources: ['learning'], observer: 'ebpf' };
  assert.deepEqual(platform.agent.sharingView(), { ...inForce, residents: [] });
  await end(platform);
});

const skip = noBubblewrap || ROOT_ONLY;
/** Who comes goes first, so that it begins soon on a machine that others use. */
async function realPlatform(
  t: TestContext,
  ...args: string[]
): Promise<{ platform: TestPlatform; functions: Functions }> {
  const platform = await startTestPlatform({ args: ['--cores', '0', '--allow-host-network', ...args] });
  t.after(() => platform.stop());
  const functions = new Functions(platform);
  await functions.deploy('steps', { files: { 'index.mjs': WAITER }, environment: { PERCH_NETWORK: 'host' } });
  await functions.invoke('steps', {});
  return { platform, functions };
}

test('a real platform shows who sleeps, and how its cores are shared', { skip }, async (t) => {
  const args = ['--sharing', 'preempt:3', '--observer', 'sampling', '--knowledge', 'learning'];
  const { platform, functions } = await realPlatform(t, ...args);
  const inForce = { policy: 'preempt', perCore: 3, sources: ['learning'], observer: 'sampling' };
  assert.deepEqual((await functions.json('GET', '/perch/v1/info')).sharing, inForce);
  const { port, letGo } = await waitingRoom(t);
  const results = [functions.invoke('steps', { port }), functions.invoke('steps', { port })];
  let cores: CoreView[] = [];
  await until('both sleep', async () => {
    ({ cores } = (await functions.json('GET', '/perch/v1/cores')) as { cores: CoreView[] });
    return cores.length === 2 && cores.every(({ resident }) => resident?.state === 'asleep');
  });
  assert.deepEqual(
    cores.map(({ isExtra, resident }) => [isExtra, resident!.core]),
    [
      [false, 0],
      [true, 0],
    ],
  );
  // One of the two is in front.
  assert.equal(cores.filter(({ resident }) => resident!.behind === null).length, 1);
  assert.equal(await functions.metric('perch_sharing_residents{state="asleep"}'), 2);
  const overview = (await functions.json('GET', '/perch/v1/overview')) as Overview;
  const counts = { running: 0, waiting: 0, asleep: 2, frozen: 0, kept: 0 };
  assert.deepEqual(overview.sharing, [{ worker: hostname(), ...inForce, residents: counts }]);
  const env = { PERCH_ENDPOINT: platform.url };
  const table = (await perch(['cores'], { env })).stdout;
  assert.match(table, /^CORE +CPUS +STATE +ON +BEHIND +SINCE/);
  assert.match(table, /^ +0 +\S+ +asleep +0 +\S/m);
  assert.match(table, /^ *\+\d+ +asleep +0 +\S/m);
  assert.match(table, /asleep +0 +(0|\+\d+) steps:\$LATEST /, 'it says behind whom');
  const top = (await perch(['top', '--once'], { env })).stdout;
  assert.match(top, /there +0 running, 0 waiting behind others, 2 asleep, 0 frozen\n/);
  assert.match(top, / preempt:3 +learning +sampling /);
  letGo();
  assert.ok((await Promise.all(results)).every(({ value }) => value === 'done'));
});

test('the log of the start says how cores are shared as the platform does when it is asked', { skip }, async (t) => {
  for (const args of [['dedicated'], ['lend', '--memory', '512']]) {
    const { platform, functions } = await realPlatform(t, '--log-level', 'info', '--sharing', ...args);
    const { sharing } = (await functions.json('GET', '/perch/v1/info')) as { sharing: Record<string, unknown> };
    assert.equal(sharing['perCore'], args[0] === 'lend' ? 4 : 1, 'one core, and as many as memory holds');
    const lines = platform.stderr().split('\n');
    const line = lines.find((each) => each.includes('how cores are shared'));
    const logged = JSON.parse(line ?? '{}') as Record<string, unknown>;
    const { policy, perCore, sources, observer } = logged;
    assert.deepEqual({ policy, perCore, sources, observer }, sharing);
    assert.notEqual(observer, 'auto');
  }
});

test('where memory is too small to lend cores, the log names the doctor that judges by it', { skip }, async (t) => {
  const platform = await startTestPlatform({ args: ['--cores', '0', '--memory', '128'] });
  t.after(() => platform.stop());
  const lines = platform.stderr().split('\n');
  const line = lines.find((each) => each.includes('no core is lent'));
  const { reason, msg } = JSON.parse(line ?? '{}') as { reason: string; msg: string };
  assert.match(reason, /^128 MB hold no more instances than there are cores, 1$/);
  const [, command = ''] = /'perch (doctor --cores 0 --memory 128)'/.exec(msg) ?? [];
  const sharing = async (...args: readonly string[]): Promise<unknown> => {
    const { findings } = JSON.parse((await perch([...args, '--json'])).stdout) as { findings: { topic: string }[] };
    return findings.find(({ topic }) => topic === 'sharing');
  };
  const found = { topic: 'sharing', required: false };
  const fix = 'give instances 256 MB at least, with --memory';
  assert.deepEqual(await sharing(...command.split(' ')), { ...found, ok: false, detail: `dedicated: ${reason}`, fix });
  const detail = 'lend:2 with 256 MB for instances (--memory); another policy with --sharing';
  assert.deepEqual(await sharing('doctor', '--cores', '0', '--memory', '256'), { ...found, ok: true, detail, fix: '' });
});

test('perch knowledge says what comes of what is set', { skip }, async (t) => {
  const rules = `${folderWith({ 'some.rules': 'while blocked sleep' })}/some.rules`;
  const told: readonly (readonly [readonly string[], RegExp])[] = [
    [['--sharing', 'dedicated'], /it counts for nothing while --sharing is dedicated/],
    [['--sharing', 'lend', '--knowledge', 'learning'], /its rules count for nothing/],
    [['--sharing', 'lend'], /set for steps; it counts at once\n/],
  ];
  for (const [args, text] of told) {
    const { platform } = await realPlatform(t, ...args);
    const set = ['knowledge', 'set', 'steps', '--rules', rules];
    assert.match((await perch(set, { env: { PERCH_ENDPOINT: platform.url } })).stdout, text);
  }
});
