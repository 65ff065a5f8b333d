/** What an operator says of when a function sleeps: over HTTP and on the command line, and what comes of it on one core. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { folderWith, perch } from '../cli/perch.ts';
import { Functions, until } from '../lib/functions.ts';
import { startTestPlatform, type TestPlatform } from '../lib/platform.ts';
import { I32, op, wasmModule } from '../lib/wasm-module.ts';
import { noBubblewrap, ROOT_ONLY } from '../worker/sandbox/harness.ts';

const skip = noBubblewrap || ROOT_ONLY;
const ON = { params: [I32, I32, I32], results: [I32], export: 'on' } as const;
/** Asleep while it is blocked: 3 at event 3, 1 at event 4, else 0. */
const PLUGIN = wasmModule({
  functions: [
    {
      ...ON,
      body: [
        [op.get(0), op.i32(3), 0x46, 0x04, I32, op.i32(3), 0x05],
        [op.get(0), op.i32(4), 0x46, 0x0b],
      ],
    },
  ],
});
const ENDLESS = wasmModule({ functions: [{ ...ON, body: [op.forever([]), op.i32(0)] }] });
const NOTHING = { functionName: 'steps', sources: null, rules: null, plugin: null };

const FILES = {
  'index.mjs': `export const handler = async ({ sleepMs = 0 }) => {
  const startedMs = Date.now();
  if (sleepMs > 0) await new Promise((resolve) => setTimeout(resolve, sleepMs));
  return { startedMs, endedMs: Date.now() };
};`,
};

interface Times {
  readonly startedMs: number;
  readonly endedMs: number;
}

class World {
  readonly platform: TestPlatform;
  readonly functions: Functions;

  constructor(platform: TestPlatform) {
    this.platform = platform;
    this.functions = new Functions(platform);
  }

  async ask(method: string, said?: unknown, name = 'steps'): Promise<{ status: number; value: any }> {
    const body = said === undefined ? null : JSON.stringify(said);
    const answer = await fetch(`${this.platform.url}/perch/v1/functions/${name}/knowledge`, { method, body });
    const text = await answer.text();
    return { status: answer.status, value: text === '' ? null : JSON.parse(text) };
  }

  async times(event: object): Promise<Times> {
    const { status, functionError, value } = await this.functions.invoke('steps', event);
    assert.deepEqual([status, functionError], [200, null], JSON.stringify(value));
    return value as Times;
  }

  /** Whether an invocation runs while another one sleeps. `meanwhile`: while that is the case. */
  async isLent(sleepMs: number, meanwhile: () => Promise<unknown> = async () => null): Promise<boolean> {
    const holder = this.times({ sleepMs });
    await until('it runs', async () => {
      const { cores } = await this.functions.json('GET', '/perch/v1/cores');
      return cores[0].state === 'leased';
    });
    await meanwhile();
    const guest = await this.times({});
    return guest.startedMs < (await holder).endedMs;
  }
}

async function start(t: TestContext, ...args: string[]): Promise<World> {
  const platform = await startTestPlatform({ args: ['--cores', '0', ...args] });
  t.after(() => platform.stop());
  const world = new World(platform);
  await world.functions.deploy('steps', { files: FILES });
  await world.times({});
  return world;
}

test('over HTTP: what is said is kept, replaced, taken back, and refused where it is wrong', { skip }, async (t) => {
  const world = await start(t);
  const { RevisionId } = await world.functions.json('GET', '/2015-03-31/functions/steps/configuration');
  assert.deepEqual(await world.ask('GET'), { status: 200, value: NOTHING });
  const rules = 'after sent sleep until received or 50ms\n';
  const first = { ...NOTHING, rules, sources: ['directed'] };
  assert.deepEqual(await world.ask('PUT', { rules, sources: ['directed'] }), { status: 200, value: first });
  assert.deepEqual(await world.ask('GET'), { status: 200, value: first });
  const plugin = PLUGIN.toString('base64');
  assert.deepEqual((await world.ask('PUT', { plugin })).value, { ...NOTHING, plugin });
  const wrong: readonly (readonly [unknown, RegExp])[] = [
    [{}, /Nothing is said/],
    [{ rules: 'after sent sleep\n' }, /Line 1 of the rules: after 'sleep' comes 'until'/],
    [{ rules, plugin }, /a function has one of them/],
    [{ plugin: 'a' }, /not in base64/],
    [{ plugin: ENDLESS.toString('base64') }, /The plug-in, function 0, at byte \d+: it has a loop/],
    [{ sources: ['directed', 'directed'] }, /'directed' is among the sources twice/],
    [{ sources: ['rumours'] }, /'rumours' is no source of knowledge; there are directed, learning, collaborative/],
  ];
  for (const [said, message] of wrong) {
    const { status, value } = await world.ask('PUT', said);
    assert.equal(status, 400, JSON.stringify(said));
    assert.match(value.message ?? value.Message, message);
  }
  assert.equal((await world.ask('PUT', { rules: 1 })).status, 400);
  assert.deepEqual((await world.ask('GET')).value, { ...NOTHING, plugin }, 'what is refused changes nothing');
  assert.equal((await world.ask('DELETE')).status, 204);
  assert.deepEqual((await world.ask('GET')).value, NOTHING);
  for (const method of ['GET', 'PUT', 'DELETE']) {
    assert.equal((await world.ask(method, method === 'PUT' ? { rules } : undefined, 'nobody')).status, 404);
  }
  const after = await world.functions.json('GET', '/2015-03-31/functions/steps/configuration');
  assert.equal(after.RevisionId, RevisionId, 'no version has changed');
});

test('the rules of a function, its plug-in and its sources count, at once', { skip }, async (t) => {
  const world = await start(t, '--sharing', 'lend', '--observer', 'sampling', '--knowledge', 'directed');
  assert.equal(await world.isLent(500), false, 'nothing is said');
  await world.ask('PUT', { rules: 'while blocked sleep' });
  assert.equal(await world.isLent(3000), true, 'a rule says so');
  await world.ask('PUT', { plugin: PLUGIN.toString('base64') });
  assert.equal(await world.isLent(3000), true, 'a plug-in says so');
  await world.ask('PUT', { rules: 'while blocked sleep', sources: [] });
  assert.equal(await world.isLent(500), false, 'nobody counts');
  await world.ask('DELETE');
  assert.equal(await world.isLent(500), false, 'it was taken back');
  const rule = (): Promise<unknown> => world.ask('PUT', { rules: 'while blocked sleep' });
  assert.equal(await world.isLent(3000, rule), true, 'a rule counts for who sleeps already');
  await world.ask('DELETE');
  const meanwhile = (): Promise<unknown> => world.ask('PUT', { sources: ['learning'] });
  assert.equal(await world.isLent(3000, meanwhile), true, 'it counts for who runs already');
});

test('perch knowledge sets, shows and clears', { skip }, async (t) => {
  const { platform } = await start(t);
  const folder = folderWith({ 'good.rules': 'while polling sleep until 20ms', 'bad.rules': '\nwhile sent sleep' });
  writeFileSync(path.join(folder, 'good.wasm'), PLUGIN);
  const run = async (args: readonly string[], code = 0, stdin = ''): Promise<string> => {
    const ended = await perch(['knowledge', ...args], { stdin, env: { PERCH_ENDPOINT: platform.url } });
    assert.equal(ended.code, code, ended.stderr);
    return ended.stdout + ended.stderr;
  };
  assert.match(await run(['show', 'steps']), /nothing is said of steps/);
  const file = (name: string): string => path.join(folder, name);
  assert.match(await run(['set', 'steps', '--rules', file('good.rules')]), /set for steps/);
  const shown = 'sources: as the platform has them\nwhile polling sleep until 20ms\n';
  assert.equal(await run(['show', 'steps']), shown);
  assert.match(
    await run(['set', 'steps', '--rules', file('bad.rules')], 4),
    /Line 2 of the rules: after 'while' comes/,
  );
  writeFileSync(path.join(folder, 'large.wasm'), Buffer.alloc(300_000));
  assert.match(
    await run(['set', 'steps', '--plugin', file('large.wasm')], 4),
    /The plug-in, .*the module has 300000 bytes; 16384 are the most/,
  );
  assert.match(
    await run(['set', 'steps', '--rules', '-'], 4, '#'.repeat(100_000)),
    /have 100000 characters; 4096 are the most/,
  );
  assert.match(await run(['set', 'steps'], 2), /there is nothing to be said/);
  assert.match(await run(['set', 'steps', '--rules', file('no.rules')], 2), /no\.rules cannot be read/);
  assert.equal(await run(['show', 'steps']), shown);
  await run(['set', 'steps', '--plugin', file('good.wasm'), '--sources', 'none']);
  assert.equal(await run(['show', 'steps']), `sources: none\nplug-in: ${PLUGIN.length} bytes of WebAssembly\n`);
  await run(['set', 'steps', '--rules', '-'], 0, 'after woken wake');
  assert.equal(JSON.parse(await run(['show', 'steps', '--json'])).rules, 'after woken wake');
  assert.match(await run(['set', 'steps', '--rules', '-'], 0, '# later\n'), /set for steps, without any rule in it; /);
  assert.match(await run(['clear', 'steps']), /nothing is said of steps any more/);
  assert.match(await run(['show', 'nobody'], 3), /nobody/);
});
