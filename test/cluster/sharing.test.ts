/** Cores that are lent in a cluster, over real frames: what runs where its holder sleeps, and what becomes of it when a node goes. */
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, test } from 'node:test';
import { type ClusterPlatform, type ClusterPlatformOptions, startClusterPlatform } from '../lib/cluster-platform.ts';
import { type Invoked, until } from '../lib/functions.ts';

const LEND = ['--sharing', 'lend', '--observer', 'sampling'];
const CORES_EACH = 2;

/** Says that it has begun, and sleeps until it is let go. */
const SLEEPER = `
import { existsSync, writeFileSync } from 'node:fs';
export const handler = async ({ begun, until }) => {
  if (begun) writeFileSync(begun, '');
  while (until && !existsSync(until)) await new Promise((resolve) => setTimeout(resolve, 50));
  return 'slept';
};`;
const SHORT = `export const handler = async () => 'short';`;

const running: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of running.splice(0).toReversed()) await stop();
});

async function lendingCluster(options: ClusterPlatformOptions = {}): Promise<ClusterPlatform> {
  const platform = await startClusterPlatform({ workerArgs: LEND, ...options });
  running.push(() => platform.stop());
  await platform.functions().deploy('sleeper', { files: { 'index.mjs': SLEEPER } });
  await platform.functions().deploy('short', { files: { 'index.mjs': SHORT } });
  return platform;
}

interface Held {
  readonly result: Promise<Invoked>;
  letGo(): void;
}

/** Sleepers on all cores. */
async function holdAll(platform: ClusterPlatform, count: number): Promise<Held[]> {
  const held = Array.from({ length: count }, (_, index) => {
    const name = path.join(platform.folder, `held-${index}`);
    const event = { begun: `${name}.begun`, until: `${name}.go` };
    const result = platform.functions().invoke('sleeper', event);
    return { event, result, letGo: () => writeFileSync(event.until, '') };
  });
  await until('all sleep', async () => held.every(({ event }) => existsSync(event.begun)));
  return held;
}

async function endAll(held: readonly Held[]): Promise<void> {
  for (const each of held) each.letGo();
  for (const { result } of held) assert.equal((await result).value, 'slept');
}

test('a worker lends the cores of those who sleep to whom the scheduler sends', async () => {
  const platform = await lendingCluster();
  const held = await holdAll(platform, CORES_EACH);
  for (let count = 0; count < 4; count++) assert.equal((await platform.functions().invoke('short', {})).value, 'short');
  await endAll(held);
});
