/**
 * Run by kill.test.ts, to be killed: does random things to the store in the folder given, for ever, and writes a line
 * before each and one when it is acknowledged. Every function name is touched by one loop alone, so that the lines of
 * a name are in the order of what was done to it.
 */
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../../src/base/errors.ts';
import { asyncInvocation, config, ok, openWithCache, smallZip } from './fixtures.ts';
import type { KillStep } from './kill-log.ts';

const [folder, seedText] = process.argv.slice(2);
// Room for about three packages: folders come and go all the time.
const limits = { codeSweepDelayMs: 30, codeCacheBytesMax: 70_000, codeCacheEntryCountMax: 8 };
const { store, cache } = await openWithCache(folder!, { limits });
let state = Number(seedText);

/** Small and repeatable; good enough to choose what to do next. */
function random(max: number): number {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * max);
}

function say(kind: 'asked' | 'done', step: KillStep): void {
  // Synchronous and whole, so that what the parent reads was true when the child died.
  writeSync(1, `${JSON.stringify({ kind, step })}\n`);
}

async function deploy(functionName: string): Promise<void> {
  const content = random(1000);
  const code = ok(await store.putCode(smallZip(content)));
  const step: KillStep = { name: 'deploy', functionName, sha256: code.sha256, content, timeoutS: 1 + random(900) };
  say('asked', step);
  const settings = { functionName, config: config({ timeoutS: step.timeoutS }), code, publish: false };
  const result = store.getFunction(functionName)
    ? await store.updateFunction(settings)
    : await store.createFunction({ ...settings, tags: {} });
  ok(result);
  say('done', step);
}

async function remove(functionName: string): Promise<void> {
  if (!store.getFunction(functionName)) return sleep(0);
  const step: KillStep = { name: 'delete', functionName };
  say('asked', step);
  ok(await store.deleteFunction(functionName, null));
  say('done', step);
}

async function enqueue(functionName: string): Promise<void> {
  if (!store.getFunction(functionName)) return sleep(0);
  const invocation = asyncInvocation({ functionName, payload: Buffer.alloc(random(5000), 'x') });
  const step: KillStep = { name: 'enqueue', functionName, id: invocation.id, payloadBytes: invocation.payload.length };
  say('asked', step);
  unacknowledged.add(invocation.id);
  ok(await store.enqueue(invocation));
  say('done', step);
  unacknowledged.delete(invocation.id);
}

/** Handed out, and not done yet. */
const taken: string[] = [];
/** Another loop may be handed one in the very turn in which it is acknowledged; the lines would cross. */
const unacknowledged = new Set<string>();

async function dequeue(functionName: string): Promise<void> {
  taken.push(...store.takeDue(Number.MAX_SAFE_INTEGER, 1).map((invocation) => invocation.id));
  const index = taken.findIndex((id) => !unacknowledged.has(id));
  if (index < 0) return sleep(0);
  const [id] = taken.splice(index, 1) as [string];
  const step: KillStep = { name: 'dequeue', functionName, id };
  say('asked', step);
  await store.done(id);
  say('done', step);
}

/** As an instance that starts does; there may be no room. */
async function unpack(functionName: string): Promise<void> {
  const fn = store.getVersion(functionName, '$LATEST');
  if (fn === null) return sleep(0);
  const folders = await cache.acquire(fn);
  await sleep(random(3));
  if (!(folders instanceof UserError)) cache.release(folders);
}

async function loop(functionName: string): Promise<never> {
  for (;;) {
    const choice = random(12);
    if (choice < 4) await deploy(functionName);
    else if (choice < 5) await remove(functionName);
    else if (choice < 8) await enqueue(functionName);
    else if (choice < 10) await unpack(functionName);
    else await dequeue(functionName);
  }
}

setInterval(() => void store.sweep(), 20);
const loops = Array.from({ length: 8 }, (_, index) => loop(`f${index}`));
// A refusal here is a failure of the test: the parent sees the child end by itself.
await Promise.race(loops).catch((error: unknown) => {
  process.stderr.write(`${error instanceof UserError ? error.message : String(error)}\n`);
  process.exit(1);
});
