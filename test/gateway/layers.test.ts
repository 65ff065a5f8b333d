/** Layers by real clients: published, listed, read, fetched, attached and deleted, and the rules about them. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { promisify } from 'node:util';
import * as sdk from '@aws-sdk/client-lambda';
import { CLIENT_ENVIRONMENT } from '../lib/client-environment.ts';
import { startTestPlatform } from '../lib/platform.ts';
import type { TestPlatform } from '../lib/platform.ts';
import { makeZip } from '../lib/zip.ts';

const ROLE = 'arn:aws:iam::000000000000:role/perch';
const PYTHON = '/usr/bin/python3';
const AWS = '/usr/bin/aws';
const LAYER = 'arn:aws:lambda:us-east-1:000000000000:layer';

let platform: TestPlatform;
let folder: string;
let client: sdk.LambdaClient;
let code: Buffer;

before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'perch-layers-'));
  code = await makeZip({ 'index.mjs': 'export const handler = async () => 1;' });
  writeFileSync(path.join(folder, 'code.zip'), code);
  writeFileSync(path.join(folder, 'layer.zip'), await makeZip({ 'nodejs/node_modules/x/index.js': 'exports.x = 1;' }));
  platform = await startTestPlatform();
  client = new sdk.LambdaClient({
    endpoint: platform.url,
    region: 'us-east-1',
    maxAttempts: 1,
    credentials: { accessKeyId: 'AKPERCH', secretAccessKey: 'unverified' },
  });
});

after(async () => {
  client?.destroy();
  await platform?.stop();
  rmSync(folder, { recursive: true, force: true });
});

function publish(LayerName: string, zip: Buffer): Promise<sdk.PublishLayerVersionCommandOutput> {
  return client.send(new sdk.PublishLayerVersionCommand({ LayerName, Content: { ZipFile: zip } }));
}

function create(FunctionName: string, Layers: string[], zip = code): Promise<sdk.FunctionConfiguration> {
  return client.send(
    new sdk.CreateFunctionCommand({
      FunctionName,
      Role: ROLE,
      Runtime: 'nodejs24.x' as sdk.Runtime,
      Handler: 'index.handler',
      Code: { ZipFile: zip },
      Layers,
    }),
  );
}

test('the life of a layer by @aws-sdk/client-lambda', async () => {
  const zip = readFileSync(path.join(folder, 'layer.zip'));
  const first = await client.send(
    new sdk.PublishLayerVersionCommand({
      LayerName: 'life',
      Content: { ZipFile: zip },
      Description: 'one',
      LicenseInfo: 'MIT',
      CompatibleRuntimes: ['nodejs24.x' as sdk.Runtime, 'java21'],
      CompatibleArchitectures: ['x86_64'],
    }),
  );
  assert.deepEqual(
    [first.LayerArn, first.LayerVersionArn, first.Version, first.Description, first.LicenseInfo],
    [`${LAYER}:life`, `${LAYER}:life:1`, 1, 'one', 'MIT'],
  );
  assert.equal(first.Content?.CodeSize, zip.length);
  assert.match(first.CreatedDate ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000$/);
  const fetched = await fetch(first.Content?.Location ?? '');
  assert.deepEqual(Buffer.from(await fetched.arrayBuffer()), zip);
  assert.equal((await publish('life', code)).Version, 2);
  const newest = await client.send(new sdk.ListLayersCommand({}));
  assert.equal(newest.Layers?.find((layer) => layer.LayerName === 'life')?.LatestMatchingVersion?.Version, 2);
  const forJava = await client.send(new sdk.ListLayersCommand({ CompatibleRuntime: 'java21' }));
  assert.deepEqual(
    forJava.Layers?.map((layer) => layer.LatestMatchingVersion?.LayerVersionArn),
    [`${LAYER}:life:1`],
  );
  const versions = await client.send(new sdk.ListLayerVersionsCommand({ LayerName: `${LAYER}:life` }));
  assert.deepEqual(
    versions.LayerVersions?.map((version) => version.Version),
    [2, 1],
  );
  const page = await client.send(new sdk.ListLayerVersionsCommand({ LayerName: 'life', MaxItems: 1 }));
  const rest = await client.send(
    new sdk.ListLayerVersionsCommand({ LayerName: 'life', Marker: page.NextMarker, MaxItems: 1 }),
  );
  assert.deepEqual([rest.LayerVersions?.[0]?.Version, rest.NextMarker], [1, undefined]);
  const byArn = await client.send(new sdk.GetLayerVersionByArnCommand({ Arn: `${LAYER}:life:1` }));
  assert.deepEqual([byArn.Version, byArn.Content?.CodeSha256], [1, first.Content?.CodeSha256]);
  await client.send(new sdk.DeleteLayerVersionCommand({ LayerName: 'life', VersionNumber: 2 }));
  await client.send(new sdk.DeleteLayerVersionCommand({ LayerName: 'life', VersionNumber: 2 }));
  const gone = new sdk.GetLayerVersionCommand({ LayerName: 'life', VersionNumber: 2 });
  await assert.rejects(client.send(gone), sdk.ResourceNotFoundException);
  assert.equal((await publish('life', code)).Version, 3, 'a number is never used again');
});

test('functions keep the layers that they were given, also deleted ones', async () => {
  const one = await publish('kept', readFileSync(path.join(folder, 'layer.zip')));
  const other = await publish('other', code);
  const layers = [one.LayerVersionArn ?? '', other.LayerVersionArn ?? ''];
  const created = await create('user', layers);
  const expected = [
    { Arn: layers[0], CodeSize: one.Content?.CodeSize },
    { Arn: layers[1], CodeSize: other.Content?.CodeSize },
  ];
  assert.deepEqual(created.Layers, expected);
  await client.send(new sdk.DeleteLayerVersionCommand({ LayerName: 'kept', VersionNumber: 1 }));
  const got = await client.send(new sdk.GetFunctionCommand({ FunctionName: 'user' }));
  assert.deepEqual(got.Configuration?.Layers, expected);
  await assert.rejects(create('late', [layers[0] ?? '']), /Layer version .*:kept:1 does not exist/);
  const change = (Layers?: string[]): Promise<sdk.FunctionConfiguration> =>
    client.send(new sdk.UpdateFunctionConfigurationCommand({ FunctionName: 'user', Timeout: 9, Layers }));
  assert.deepEqual((await change()).Layers, expected, 'not mentioned: unchanged');
  assert.deepEqual((await change([layers[1] ?? ''])).Layers, expected.slice(1));
  assert.equal((await change([])).Layers, undefined);
});

test('two versions of one layer, and more than 250 MB together, are refused', async () => {
  const half = await makeZip({ half: 'x'.repeat(130 * 1024 * 1024) });
  const one = await publish('half', half);
  const two = await publish('half', half);
  const same = await publish('other-half', half);
  const arns = [one, two, same].map((layer) => layer.LayerVersionArn ?? '');
  await assert.rejects(create('twins', [arns[0]!, arns[1]!]), /are versions of the same layer/);
  await assert.rejects(create('large', [arns[0]!, arns[2]!]), /combined with layers exceeds .* 262144000 bytes/);
  await create('grows', [arns[0]!]);
  const grown = new sdk.UpdateFunctionCodeCommand({ FunctionName: 'grows', ZipFile: half });
  await assert.rejects(client.send(grown), /The actual size is 272629760 bytes/);
  const changed = new sdk.UpdateFunctionConfigurationCommand({ FunctionName: 'grows', Layers: [arns[0]!, arns[2]!] });
  await assert.rejects(client.send(changed), /combined with layers/);
});

test('the handler finds its layers at /opt, merged, also when they were deleted', async () => {
  const reads = `import { readFileSync } from 'node:fs';
    export const handler = async () => ['/opt/a', '/opt/b'].map((file) => readFileSync(file, 'utf8'));`;
  const one = await publish('opt-one', await makeZip({ a: '1', b: '1' }));
  const two = await publish('opt-two', await makeZip({ b: '2' }));
  const layers = [one, two].map((layer) => layer.LayerVersionArn ?? '');
  await create('reads', layers, await makeZip({ 'index.mjs': reads }));
  const invoke = async (): Promise<unknown> => {
    const answer = await client.send(new sdk.InvokeCommand({ FunctionName: 'reads' }));
    return JSON.parse(answer.Payload?.transformToString() ?? '');
  };
  assert.deepEqual(await invoke(), ['1', '2']);
  for (const LayerName of ['opt-one', 'opt-two']) {
    await client.send(new sdk.DeleteLayerVersionCommand({ LayerName, VersionNumber: 1 }));
  }
  // Another revision: instances are started anew.
  await client.send(new sdk.UpdateFunctionConfigurationCommand({ FunctionName: 'reads', Timeout: 9 }));
  assert.deepEqual(await invoke(), ['1', '2']);
});

test('a refused package of a layer leaves no version', async () => {
  await assert.rejects(publish('bad', randomBytes(100)), /Could not unzip uploaded file/);
  const versions = await client.send(new sdk.ListLayerVersionsCommand({ LayerName: 'bad' }));
  assert.deepEqual(versions.LayerVersions, []);
});

const BOTO3 = `
import boto3, sys
url, folder = sys.argv[1:]
client = boto3.client('lambda', endpoint_url=url)
zip = lambda name: open(folder + '/' + name, 'rb').read()
layer = client.publish_layer_version(LayerName='boto', Content={'ZipFile': zip('layer.zip')}, CompatibleRuntimes=['python3.11'])
assert layer['Version'] == 1, layer
client.create_function(FunctionName='boto', Runtime='nodejs24.x', Handler='index.handler',
  Role='${ROLE}', Code={'ZipFile': zip('code.zip')}, Layers=[layer['LayerVersionArn']])
got = client.get_function(FunctionName='boto')['Configuration']['Layers']
assert got == [{'Arn': layer['LayerVersionArn'], 'CodeSize': layer['Content']['CodeSize']}], got
assert client.get_layer_version_by_arn(Arn=layer['LayerVersionArn'])['Version'] == 1
assert [l['LayerName'] for l in client.list_layers(CompatibleRuntime='python3.11')['Layers']] == ['boto']
assert len(client.list_layer_versions(LayerName='boto')['LayerVersions']) == 1
client.delete_layer_version(LayerName='boto', VersionNumber=1)
try:
  client.get_layer_version(LayerName='boto', VersionNumber=1)
  raise SystemExit('still there')
except client.exceptions.ResourceNotFoundException: pass
`;

test('boto3', { skip: existsSync(PYTHON) ? false : 'no python3' }, async (context) => {
  try {
    await promisify(execFile)(PYTHON, ['-c', BOTO3, platform.url, folder], { env: CLIENT_ENVIRONMENT });
  } catch (error) {
    if (String((error as { stderr?: string }).stderr).includes('No module named')) return context.skip('no boto3');
    throw error;
  }
});

test('the aws command line', { skip: existsSync(AWS) ? false : 'no aws' }, async () => {
  const aws = async (...args: string[]): Promise<Record<string, unknown>> => {
    const all = ['lambda', ...args, '--endpoint-url', platform.url, '--output', 'json'];
    const { stdout } = await promisify(execFile)(AWS, all, { env: CLIENT_ENVIRONMENT });
    return stdout.trim() === '' ? {} : (JSON.parse(stdout) as Record<string, unknown>);
  };
  const zip = `fileb://${folder}/layer.zip`;
  const layer = await aws('publish-layer-version', '--layer-name', 'cli', '--zip-file', zip);
  const arn = String(layer['LayerVersionArn']);
  assert.equal(arn, `${LAYER}:cli:1`);
  const settings = ['--runtime', 'nodejs24.x', '--handler', 'index.handler', '--role', ROLE];
  const created = await aws(
    'create-function',
    '--function-name',
    'cli',
    ...settings,
    '--zip-file',
    `fileb://${folder}/code.zip`,
    '--layers',
    arn,
  );
  assert.deepEqual(created['Layers'], [{ Arn: arn, CodeSize: (layer['Content'] as { CodeSize: number }).CodeSize }]);
  await aws('update-function-configuration', '--function-name', 'cli', '--layers');
  const { LayerVersions } = await aws('list-layer-versions', '--layer-name', 'cli');
  assert.equal((LayerVersions as unknown[]).length, 1);
  await aws('delete-layer-version', '--layer-name', 'cli', '--version-number', '1');
});

test('a function whose layer is damaged on the disk says so, until the same zip is uploaded again', async () => {
  const dataDir = path.join(folder, 'data');
  const zip = readFileSync(path.join(folder, 'layer.zip'));
  let own = await startTestPlatform({ dataDir });
  const send = async (method: string, target: string, body?: object): Promise<Response> =>
    fetch(own.url + target, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const publishOwn = (): Promise<Response> =>
    send('POST', '/2018-10-31/layers/l/versions', { Content: { ZipFile: zip.toString('base64') } });
  const { LayerVersionArn, Content } = (await (await publishOwn()).json()) as {
    LayerVersionArn: string;
    Content: { CodeSha256: string };
  };
  const created = await send('POST', '/2015-03-31/functions', {
    FunctionName: 'f',
    Role: ROLE,
    Runtime: 'nodejs24.x',
    Handler: 'index.handler',
    Code: { ZipFile: code.toString('base64') },
    Layers: [LayerVersionArn],
  });
  assert.equal(created.status, 201);
  await own.stop();
  const file = path.join(dataDir, 'zips', `${Buffer.from(Content.CodeSha256, 'base64').toString('hex')}.zip`);
  writeFileSync(file, 'cut');
  own = await startTestPlatform({ dataDir });
  try {
    const refused = await send('POST', '/2015-03-31/functions/f/invocations');
    assert.equal(refused.headers.get('x-amzn-errortype'), 'InvalidZipFileException');
    assert.equal((await publishOwn()).status, 201);
    assert.equal(await (await send('POST', '/2015-03-31/functions/f/invocations')).text(), '1');
  } finally {
    await own.stop();
  }
});
