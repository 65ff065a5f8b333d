/** What an operator says of when a function sleeps, at any gateway, counts at the workers of the cluster, also for what runs. */
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, test } from 'node:test';
import { decodeKnowledge, encodeKnowledge } from '../../src/cluster/knowledge-body.ts';
import { KnowledgeBook } from '../../src/worker/node/knowledge-book.ts';
import { type ClusterPlatform, startClusterPlatform } from '../lib/cluster-platform.ts';
import { until } from '../lib/functions.ts';

const RULES = 'while blocked sleep\n';
const DIRECTED = ['--cores', '0', '--sharing', 'lend', '--observer', 'sampling', '--knowledge', 'directed'];
const FUNCTION = `
import { existsSync, writeFileSync } from 'node:fs';
export const handler = async ({ begun, sleepMs = 0 }) => {
  const startedMs = Date.now();
  if (begun) writeFileSync(begun, '');
  while (Date.now() - startedMs < sleepMs && !existsSync(begun + '-over')) await new Promise((resolve) => setTimeout(resolve, 100));
  return { startedMs, endedMs: Date.now() };
};`;
/** More than it takes to start another instance on what a busy machine leaves to who is in the background. */
const LONG_MS = 60_000;

const running: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of running.splice(0).toReversed()) await stop();
});

let holdCount = 0;

/** Whether an invocation runs while another one sleeps on the only core, for `sleepMs` or until that one has run. `meanwhile`: while it sleeps. */
async function isLent(
  platform: ClusterPlatform,
  sleepMs: number,
  meanwhile = async (): Promise<unknown> => null,
): Promise<boolean> {
  const begun = path.join(platform.folder, `hold-${holdCount++}`);
  const holder = platform.functions().call('steps', { begun, sleepMs });
  await until('it runs', () => existsSync(begun));
  await meanwhile();
  const guest = await platform.functions().call('steps');
  writeFileSync(`${begun}-over`, '');
  return guest.startedMs < (await holder).endedMs;
}

test('rules and sources of a function count at once, whichever gateway is told', async () => {
  const platform = await startClusterPlatform({ workerArgs: DIRECTED, gateways: 2 });
  running.push(() => platform.stop());
  await platform.functions().deploy('steps', { files: { 'index.mjs': FUNCTION } });
  await platform.functions().call('steps');
  const say = (gateway: number, said: object | null): Promise<unknown> =>
    platform
      .functions(gateway)
      .json(said === null ? 'DELETE' : 'PUT', '/perch/v1/functions/steps/knowledge', said ?? undefined);
  assert.equal(await isLent(platform, 500), false, 'nothing is said');
  assert.equal(
    await isLent(platform, LONG_MS, () => say(0, { rules: RULES })),
    true,
    'it counts for who sleeps already',
  );
  await say(1, { rules: RULES, sources: [] });
  assert.equal(await isLent(platform, 500), false, 'nobody counts, as was said at the other gateway');
  await say(1, { rules: RULES });
  await until('the first gateway knows', async () => {
    const said = await platform.functions().json('GET', '/perch/v1/functions/steps/knowledge');
    return said.sources === null;
  });
  assert.equal(await isLent(platform, LONG_MS), true);
  await say(0, null);
  assert.equal(await isLent(platform, 500), false, 'it was taken back');
});

test('of what several gateways tell of a function the latest counts, for as long as there is a version of it', () => {
  const book = new KnowledgeBook();
  const heard: string[] = [];
  book.onChange((name) => heard.push(name));
  const said = (rules: string): { sources: null; rules: string; plugin: null } => ({
    sources: null,
    rules,
    plugin: null,
  });
  book.tell({ functionName: 'f', atMs: 9, knowledge: said('a') });
  assert.equal(book.of('f'), null, 'there is no version of it');
  book.use(1, 'f');
  book.use(2, 'f');
  book.tell({ functionName: 'f', atMs: 2, knowledge: null });
  assert.deepEqual(heard, []);
  book.tell({ functionName: 'f', atMs: 5, knowledge: said('b') });
  const kept = book.of('f');
  book.tell({ functionName: 'f', atMs: 5, knowledge: said('b') });
  book.tell({ functionName: 'f', atMs: 3, knowledge: null });
  assert.equal(book.of('f'), kept, 'the same object until it changes');
  assert.deepEqual(heard, ['f']);
  book.unuse(1);
  book.tell({ functionName: 'f', atMs: 6, knowledge: null });
  assert.deepEqual([book.of('f'), heard], [null, ['f', 'f']]);
  book.unuse(2);
  book.use(3, 'f');
  book.tell({ functionName: 'f', atMs: 1, knowledge: said('c') });
  assert.deepEqual(book.of('f'), said('c'), 'what was before has gone with the last version');
});

test('what is said goes through its bytes; what is no such thing does not', () => {
  const body = { functionName: 'f', atMs: 1, knowledge: { sources: ['learning'], rules: RULES, plugin: null } };
  assert.deepEqual(decodeKnowledge(encodeKnowledge(body)), body);
  assert.deepEqual(decodeKnowledge(encodeKnowledge({ ...body, knowledge: null })), { ...body, knowledge: null });
  const wrong = [
    '',
    '[]',
    '{"functionName":1,"atMs":1,"knowledge":null}',
    '{"functionName":"f","atMs":"1","knowledge":null}',
  ];
  for (const text of [...wrong, '{"functionName":"f","atMs":1,"knowledge":{"sources":[1],"rules":null,"plugin":null}}'])
    assert.equal(decodeKnowledge(Buffer.from(text)), null, text);
});
