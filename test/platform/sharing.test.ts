/** Cores that change hands while their holders sleep: real functions on one core of this machine. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Functions, until } from '../lib/functions.ts';
import { startTestPlatform } from '../lib/platform.ts';
import { noBubblewrap, ROOT_ONLY } from '../worker/sandbox/harness.ts';

const skip = noBubblewrap || ROOT_ONLY;

/** Sleeps, then uses its core, as it is told; answers when it did what, on one clock for all processes. */
const STEPS = {
  'index.mjs': `import { readFileSync } from 'node:fs';
const now = () => Number(process.hrtime.bigint() / 1000n);
export const handler = async ({ sleepMs = 0, burnMs = 0 }) => {
  const startedUs = now();
  if (sleepMs > 0) await new Promise((resolve) => setTimeout(resolve, sleepMs));
  const wokeUs = now();
  const used = process.cpuUsage();
  const usedUs = () => { const { user, system } = process.cpuUsage(used); return user + system; };
  while (usedUs() < burnMs * 1000);
  return { startedUs, wokeUs, endedUs: now() };
};`,
};

async function platformWith(t: TestContext, ...args: string[]): Promise<Functions> {
  const platform = await startTestPlatform({ args: ['--cores', '0', ...args] });
  t.after(() => platform.stop());
  const functions = new Functions(platform);
  await functions.deploy('steps', { files: STEPS });
  // Both instances are there before anything is looked at: in the background of a busy machine another one starts late.
  await Promise.all([{ sleepMs: 500 }, {}].map((event) => times(functions, event)));
  return functions;
}

interface Times {
  readonly startedUs: number;
  readonly wokeUs: number;
  readonly endedUs: number;
}

async function times(functions: Functions, event: object, name = 'steps'): Promise<Times> {
  const { status, functionError, value } = await functions.invoke(name, event);
  assert.deepEqual([status, functionError], [200, null], JSON.stringify(value));
  return value as Times;
}

/** Resolves when it runs, as the core says. */
async function running(functions: Functions, event: object, name = 'steps'): Promise<{ done: Promise<Times> }> {
  const done = times(functions, event, name);
  await until('it runs', async () => {
    const { cores } = await functions.json('GET', '/perch/v1/cores');
    return cores[0].state === 'leased';
  });
  return { done };
}

for (const observer of ['sampling', 'auto']) {
  test(`lend: a core whose holder sleeps runs another invocation, seen by ${observer}`, { skip }, async (t) => {
    const functions = await platformWith(t, '--sharing', 'lend', '--observer', observer);
    // Long, since who is in the background gets little of a machine that others use.
    const holder = await running(functions, { sleepMs: 5000 });
    const guest = await times(functions, { burnMs: 1 });
    const held = await holder.done;
    assert.ok(guest.startedUs > held.startedUs && guest.endedUs < held.wokeUs, 'it ran while the holder slept');
  });
}

test('dedicated: it waits until the holder has ended', { skip }, async (t) => {
  const functions = await platformWith(t, '--sharing', 'dedicated');
  const holder = await running(functions, { sleepMs: 500 });
  const guest = await times(functions, { burnMs: 1 });
  assert.ok(guest.startedUs >= (await holder.done).endedUs);
});

test('lend: a holder that wakes has its core, and the borrower goes on when that has ended', { skip }, async (t) => {
  const functions = await platformWith(t, '--sharing', 'lend');
  // Sharing alike, the guest would end first: when the holder wakes, it has most of its work behind it.
  const holder = await running(functions, { sleepMs: 3000, burnMs: 400 });
  const guest = await times(functions, { burnMs: 3200 });
  const held = await holder.done;
  assert.ok(guest.startedUs < held.wokeUs, 'it ran while the holder slept');
  const ms = ({ startedUs, wokeUs, endedUs }: Times): string =>
    [startedUs, wokeUs, endedUs].map((us) => Math.round((us - held.startedUs) / 1000)).join(' ');
  assert.ok(held.endedUs < guest.endedUs, `the holder ended first: ${ms(held)}, ${ms(guest)} ms`);
  assert.equal((await functions.invoke('steps', {})).status, 200, 'the core is there for others');
});

test(
  'lend: a dedicated function keeps its core while it sleeps, and never has one that is lent',
  { skip },
  async (t) => {
    const functions = await platformWith(t, '--sharing', 'lend');
    await functions.deploy('own', { files: STEPS, environment: { PERCH_SHARING: 'dedicated' } });
    await functions.invoke('own', {});
    const own = await running(functions, { sleepMs: 500 }, 'own');
    const guest = await times(functions, { burnMs: 1 });
    assert.ok(guest.startedUs >= (await own.done).endedUs, 'its core was not lent');
    const holder = await running(functions, { sleepMs: 500 });
    const second = await times(functions, { burnMs: 1 }, 'own');
    assert.ok(second.startedUs >= (await holder.done).endedUs, 'it waited for a core of its own');
  },
);

test('packed: as many as are admitted run while they sleep, and all end', { skip }, async (t) => {
  const functions = await platformWith(t, '--sharing', 'packed:3');
  const three = (sleepMs: number): ReturnType<typeof times>[] =>
    [1, 2, 3].map(() => times(functions, { sleepMs, burnMs: 5 }));
  // Each needs an instance, which takes as long as the machine wants.
  await Promise.all(three(3000));
  const all = await Promise.all(three(2000));
  const lastStart = Math.max(...all.map((each) => each.startedUs));
  assert.ok(
    all.every((each) => each.wokeUs > lastStart),
    'all three slept at once',
  );
});

test('preempt: who comes runs before who has run for long', { skip }, async (t) => {
  const functions = await platformWith(t, '--sharing', 'preempt:2');
  const long = await running(functions, { burnMs: 4000 });
  const short = await times(functions, { burnMs: 30 });
  assert.ok(short.endedUs < (await long.done).endedUs);
});
