/** Cores that are lent in a cluster, over real frames: what runs where its holder sleeps, and what becomes of it when a node goes. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, test } from 'node:test';
import type { ClusterView } from '../../src/scheduler/server/view.ts';
import { endProcess } from '../lib/end-process.ts';
import { type ClusterPlatform, type ClusterPlatformOptions, startClusterPlatform } from '../lib/cluster-platform.ts';
import { type Invoked, until } from '../lib/functions.ts';

const LEND = ['--sharing', 'lend', '--observer', 'sampling'];
/** Who comes to a core whose holder sleeps is not in the background there: so what it comes to depends less on what else this machine does. */
const PACKED = ['--sharing', 'packed:3', '--observer', 'sampling'];
const CORES_EACH = 2;

/** Says that it has begun, and sleeps until it is let go; or ends at once. */
const SOURCE = `
import { existsSync, writeFileSync } from 'node:fs';
export const handler = async ({ begun, until }) => {
  if (begun) writeFileSync(begun, '');
  while (until && !existsSync(until)) await new Promise((resolve) => setTimeout(resolve, 50));
  return 'done';
};`;
const FUNCTIONS = ['sleeper', 'guest', 'short'] as const;
type Name = (typeof FUNCTIONS)[number];

const running: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of running.splice(0).toReversed()) await stop();
});

async function sharingCluster(options: ClusterPlatformOptions = {}): Promise<ClusterPlatform> {
  const platform = await startClusterPlatform({ workerArgs: PACKED, ...options });
  running.push(() => platform.stop());
  for (const name of FUNCTIONS) await platform.functions().deploy(name, { files: { 'index.mjs': SOURCE } });
  return platform;
}

/** As it is where each core is its holder's: a guest that has to be started there first gets little of a machine that others use. */
async function lendingCluster(options: ClusterPlatformOptions = {}): Promise<ClusterPlatform> {
  const platform = await sharingCluster({ workerArgs: LEND, ...options });
  for (const name of FUNCTIONS) await endAll(await hold(platform, name, (options.workers ?? 1) * CORES_EACH));
  return platform;
}

interface Held {
  readonly result: Promise<Invoked>;
  letGo(): void;
}

let holdCount = 0;

async function hold(platform: ClusterPlatform, name: Name, count: number): Promise<Held[]> {
  const held = Array.from({ length: count }, () => {
    const file = path.join(platform.folder, `held-${holdCount++}`);
    const event = { begun: `${file}.begun`, until: `${file}.go` };
    const result = platform.functions().invoke(name, event);
    return { event, result, letGo: () => writeFileSync(event.until, '') };
  });
  await until('all have begun', async () => held.every(({ event }) => existsSync(event.begun)));
  return held;
}

async function endAll(held: readonly Held[]): Promise<void> {
  for (const each of held) each.letGo();
  for (const { result } of held) assert.equal((await result).value, 'done');
}

async function clusterOf(platform: ClusterPlatform): Promise<ClusterView> {
  return (await platform.functions().json('GET', '/perch/v1/overview')).cluster as ClusterView;
}

/** Nothing is held, and every core can be. */
async function allIsIdle(platform: ClusterPlatform, coreCount: number): Promise<void> {
  await until('all cores are idle', async () => {
    const { cores, extraSeats } = await clusterOf(platform);
    return cores.idle === coreCount && cores.leased + cores.withdrawn + extraSeats.leased === 0;
  });
}

async function served(platform: ClusterPlatform, count: number): Promise<void> {
  for (let at = 0; at < count; at++) assert.equal((await platform.functions().invoke('short', {})).value, 'done');
}

test('who sleeps on all cores of two workers keeps nobody from running on them', async () => {
  const platform = await lendingCluster({ workers: 2, gateways: 2 });
  const held = await hold(platform, 'sleeper', 2 * CORES_EACH);
  assert.deepEqual((await clusterOf(platform)).cores, { idle: 0, leased: 4, withdrawn: 0, absent: 0 });
  await served(platform, 4);
  // As many as there are cores, at once, from any gateway; and these sleep too.
  const guests = await hold(platform, 'guest', 2 * CORES_EACH);
  const { extraSeats } = await clusterOf(platform);
  assert.equal(extraSeats.leased, 4);
  const { cores } = await platform.functions().json('GET', '/perch/v1/cores');
  const shown = cores.filter((each: { isExtra: boolean }) => each.isExtra);
  assert.deepEqual(
    shown.map((each: { state: string }) => each.state),
    Array.from({ length: 4 }, () => 'leased'),
  );
  assert.equal((await platform.functions(1).invoke('short', {})).value, 'done');
  // Holders end first: who is there takes their places.
  await endAll(held);
  await served(platform, 2);
  await endAll(guests);
  await allIsIdle(platform, 4);
});

test('a function that is dedicated lends nothing, and has no core that is lent', async () => {
  const platform = await lendingCluster();
  const environment = { PERCH_SHARING: 'dedicated' };
  await platform.functions().deploy('sleeper2', { files: { 'index.mjs': SOURCE }, environment });
  await platform.functions().deploy('short2', { files: { 'index.mjs': SOURCE }, environment });
  const name = path.join(platform.folder, 'own');
  const [sleeper] = await hold(platform, 'sleeper', 1);
  const own = platform.functions().invoke('sleeper2', { begun: `${name}.begun`, until: `${name}.go` });
  await until('it sleeps', () => existsSync(`${name}.begun`));
  await served(platform, 2);
  // Only the core of the first one is lent, and not to this one.
  const waits = platform.functions().invoke('short2', {});
  await until('it waits', async () => (await clusterOf(platform)).queueLength === 1);
  await served(platform, 2);
  assert.equal((await clusterOf(platform)).queueLength, 1);
  writeFileSync(`${name}.go`, '');
  assert.equal((await own).value, 'done');
  assert.equal((await waits).value, 'done');
  await endAll([sleeper!]);
  await allIsIdle(platform, CORES_EACH);
});

test('a scheduler that is killed finds holders, guests and open seats as they are', async () => {
  const platform = await sharingCluster({ workers: 2 });
  const held = await hold(platform, 'sleeper', 4);
  const guests = await hold(platform, 'guest', 2);
  await endProcess(platform.scheduler, 'SIGKILL');
  const waiting = platform.functions().invoke('short', {});
  await platform.startScheduler();
  assert.equal((await waiting).value, 'done', 'on a core that is lent: its worker has said so again');
  // One of the workers may be on its way still.
  await until('both are back, with what they run', async () => {
    const { cores, extraSeats } = await clusterOf(platform);
    return cores.leased === 4 && cores.idle === 0 && extraSeats.leased === 2;
  });
  await served(platform, 3);
  await endAll(held);
  await endAll(guests);
  await allIsIdle(platform, 4);
});

test('holders and guests may end while there is no scheduler', async () => {
  const platform = await sharingCluster();
  const held = await hold(platform, 'sleeper', 2);
  const guests = await hold(platform, 'guest', 2);
  await endProcess(platform.scheduler, 'SIGKILL');
  await endAll([held[0]!, guests[1]!]);
  await platform.startScheduler();
  await served(platform, 2);
  await endAll([held[1]!, guests[0]!]);
  await allIsIdle(platform, CORES_EACH);
});

test('who runs on a worker that is killed, holder or guest, ends with its loss, and nobody else', async () => {
  const platform = await sharingCluster({ workers: 2 });
  const all = [...(await hold(platform, 'sleeper', 4)), ...(await hold(platform, 'guest', 2))];
  const [killed] = platform.workers.splice(0, 1);
  await endProcess(killed!, 'SIGKILL');
  await until('its cores are absent', async () => (await clusterOf(platform)).cores.absent === CORES_EACH);
  for (const each of all) each.letGo();
  const values = await Promise.all(all.map(async ({ result }) => (await result).value));
  const lost = values.filter((value) => value?.errorType === 'Sandbox.WorkerLost');
  assert.equal(lost.length + values.filter((value) => value === 'done').length, 6, JSON.stringify(values));
  assert.ok(lost.length >= CORES_EACH && lost.length <= 4, `${lost.length} were lost`);
  await served(platform, 2);
  await allIsIdle(platform, CORES_EACH);
});

test('a worker that drains lends no more, and all that is there ends', async () => {
  const platform = await sharingCluster({ workers: 2, workersDrain: true });
  const held = await hold(platform, 'sleeper', 4);
  const guests = await hold(platform, 'guest', 2);
  const [drained] = platform.workers.splice(0, 1);
  const exited = once(drained!.child, 'exit');
  drained!.child.kill('SIGTERM');
  await until('it drains', async () => (await clusterOf(platform)).workers.some(({ state }) => state === 'draining'));
  const draining = (await clusterOf(platform)).workers.find(({ state }) => state === 'draining')!;
  assert.equal(draining.extraSeats.open, 0);
  await served(platform, 3);
  await endAll(held);
  await endAll(guests);
  assert.deepEqual(await exited, [0, null]);
  await served(platform, 2);
});
