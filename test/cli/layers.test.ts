/** Layers in perch.json: a folder is published where its files changed, and functions find it at /opt. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startTestPlatform } from '../lib/platform.ts';
import type { TestPlatform } from '../lib/platform.ts';
import { folderWith, perch, whyNoSandbox } from './perch.ts';

const skip = await whyNoSandbox();

describe('perch.json with layers', { skip: skip === '' ? false : skip }, () => {
  let platform: TestPlatform;
  const folder = folderWith({
    'perch.json': JSON.stringify({
      functions: {
        one: { entry: 'reads.mjs', layers: ['shared', 'more'] },
        two: { entry: 'reads.mjs', layers: ['shared'] },
      },
    }),
    'reads.mjs': `import { readdirSync, readFileSync } from 'node:fs';
      export const handler = async () => readdirSync('/opt').map((name) => readFileSync('/opt/' + name, 'utf8'));`,
    'shared/a.txt': 'a1',
    'more/b.txt': 'b1',
    'bad/perch.json': '{"functions": {"one": {"entry": "../reads.mjs", "layers": ["nowhere"]}}}',
  });
  const ok = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await perch(args, { env: { PERCH_ENDPOINT: platform.url } });
    assert.equal(code, 0, stderr);
    return stdout;
  };

  before(async () => {
    platform = await startTestPlatform();
  });
  after(() => platform.stop());

  test('deploy, again without a change, and with one', async () => {
    assert.match(await ok('deploy', folder), /one .*created[\s\S]*two .*created/);
    assert.equal(await ok('invoke', 'one'), '["a1","b1"]\n');
    assert.match(await ok('deploy', folder), /one .*unchanged[\s\S]*two .*unchanged/);
    writeFileSync(path.join(folder, 'more', 'b.txt'), 'b2');
    assert.match(await ok('deploy', folder), /one .*updated[\s\S]*two .*unchanged/);
    assert.equal(await ok('invoke', 'one'), '["a1","b2"]\n');
    assert.equal(await ok('invoke', 'two'), '["a1"]\n');
    const listed = await fetch(`${platform.url}/2018-10-31/layers`);
    const { Layers } = (await listed.json()) as {
      Layers: { LayerName: string; LatestMatchingVersion: { Version: number } }[];
    };
    assert.deepEqual(
      Layers.map((layer) => [layer.LayerName, layer.LatestMatchingVersion.Version]),
      [
        ['more', 2],
        ['shared', 1],
      ],
    );
  });

  test('the same deployed again mends a layer that is damaged on the disk', async () => {
    const zips = path.join(platform.dataDir, 'zips');
    const listed = await fetch(`${platform.url}/2018-10-31/layers/shared/versions/1`);
    const { Content } = (await listed.json()) as { Content: { CodeSha256: string } };
    const zip = path.join(zips, `${Buffer.from(Content.CodeSha256, 'base64').toString('hex')}.zip`);
    const whole = readFileSync(zip);
    writeFileSync(zip, Buffer.alloc(whole.length));
    assert.match(await ok('deploy', folder), /two .*updated/);
    assert.deepEqual(readFileSync(zip), whole);
    assert.match(await ok('deploy', folder), /two .*unchanged/);
  });

  test('a layer that is no folder is named', async () => {
    const { code, stderr } = await perch(['deploy', path.join(folder, 'bad')], {
      env: { PERCH_ENDPOINT: platform.url },
    });
    assert.equal(code, 2);
    assert.match(stderr, /the layer 'nowhere' is no folder/);
  });
});
