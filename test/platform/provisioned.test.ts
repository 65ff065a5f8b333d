/** Provisioned concurrency on a whole platform: instances are made ahead, serve warm, survive a restart, and are given back. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Functions, until } from '../lib/functions.ts';
import { startTestPlatform, type TestPlatform } from '../lib/platform.ts';
import { noBubblewrap, ROOT_ONLY } from '../worker/sandbox/harness.ts';

const skip = noBubblewrap || ROOT_ONLY;
const COUNT = 3;

const NODE = {
  'index.mjs': `import { randomUUID } from 'node:crypto';
const init = randomUUID();
console.log('initialised ' + init);
const type = process.env.AWS_LAMBDA_INITIALIZATION_TYPE;
export const handler = async ({ ms }) => {
  await new Promise((resolve) => setTimeout(resolve, ms ?? 0));
  return { init, type };
};`,
};
const PYTHON = {
  'index.py': `import os, time, uuid
init = str(uuid.uuid4())
print('initialised ' + init)
kind = os.environ['AWS_LAMBDA_INITIALIZATION_TYPE']
def handler(event, context):
    time.sleep(event.get('ms', 0) / 1000)
    return {'init': init, 'type': kind}
`,
};
/** Each of its instances is a process of its own. */
const UNCOPYABLE = { 'index.mjs': `setInterval(() => {}, 1000);\n${NODE['index.mjs']}` };

let folder: string;
let platform: TestPlatform;
let functions: Functions;
const start = async (): Promise<void> => {
  platform = await startTestPlatform({ dataDir: folder });
  functions = new Functions(platform);
};
before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'perch-provisioned-'));
  if (skip === false) await start();
});
after(async () => {
  await platform?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const target = (name: string): string => `/2019-09-30/functions/${name}/provisioned-concurrency?Qualifier=1`;

async function isReady(name: string): Promise<void> {
  let config: any;
  await until(`${name} is ready`, async () => {
    config = await functions.json('GET', target(name));
    return config.Status === 'READY';
  }).catch(() => assert.fail(JSON.stringify(config)));
  const { RequestedProvisionedConcurrentExecutions, AvailableProvisionedConcurrentExecutions } = config;
  assert.deepEqual(
    [RequestedProvisionedConcurrentExecutions, AvailableProvisionedConcurrentExecutions],
    [COUNT, COUNT],
  );
}

const CASES = [
  ['node-reuse', NODE, {}, 1],
  ['node-fresh', NODE, { PERCH_ISOLATION: 'fresh' }, 1],
  ['python-reuse', PYTHON, {}, 1],
  ['python-fresh', PYTHON, { PERCH_ISOLATION: 'fresh' }, 1],
  // Its zygote was initialised too, and found to be uncopyable.
  ['uncopyable', UNCOPYABLE, {}, COUNT + 1],
] as const;

for (const [name, files, environment, initCount] of CASES)
  test(`${name}: ready, warm, through a restart, and deleted`, { skip }, async () => {
    await functions.deploy(name, { files, environment, more: { Publish: true } });
    await functions.json('PUT', target(name), { ProvisionedConcurrentExecutions: COUNT });
    await isReady(name);
    assert.equal((await functions.logLines(name, 'initialised ')).length, initCount);
    for (let round = 0; round < 2; round++) {
      const both = await Promise.all([
        functions.invoke(name, { ms: 100 }, '1'),
        functions.invoke(name, { ms: 100 }, '1'),
      ]);
      for (const { start, value } of both) assert.deepEqual([start, value.type], ['warm', 'provisioned-concurrency']);
      if (initCount === 1) assert.equal(both[0]!.value.init, both[1]!.value.init);
      await isReady(name);
    }
    assert.equal((await functions.call(name)).type, 'on-demand', 'the latest version is another one');

    await platform.stop();
    await start();
    await isReady(name);
    assert.equal((await functions.invoke(name, {}, '1')).start, 'warm');
    await functions.json('DELETE', target(name));
    assert.equal((await functions.request('GET', target(name))).status, 404);
  });

test('what was provisioned gives its memory back', { skip }, async () => {
  await platform.stop();
  platform = await startTestPlatform({ args: ['--memory', '1024'] });
  functions = new Functions(platform);
  for (const [name, MemorySize] of [
    ['small', 256],
    ['large', 1024],
  ] as const)
    await functions.deploy(name, { files: NODE, more: { Publish: true, MemorySize } });
  await functions.json('PUT', target('small'), { ProvisionedConcurrentExecutions: COUNT });
  await isReady('small');
  const refused = await functions.request('PUT', target('large'), { ProvisionedConcurrentExecutions: 1 });
  assert.equal(refused.status, 400, await refused.text());
  await functions.json('DELETE', target('small'));
  assert.equal((await functions.invoke('large')).start, 'cold', 'it takes all the memory there is');
});
