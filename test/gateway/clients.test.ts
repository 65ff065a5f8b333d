/**
 * The same life of a function by each client that people use, as they come: create, wait, invoke in every way,
 * change, publish, list, limit, delete, and the errors as the client's own exceptions.
 */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
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

const FIRST = `export const handler = async (event) => {
  if (event.fail) throw new Error(event.fail);
  console.log('greeted');
  return { greeting: process.env.GREETING, event };
};`;
const SECOND = `export const handler = async () => ({ second: true });`;

let platform: TestPlatform;
let folder: string;
let firstZip: string;
let secondZip: string;

before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'perch-clients-'));
  firstZip = path.join(folder, 'first.zip');
  secondZip = path.join(folder, 'second.zip');
  writeFileSync(firstZip, await makeZip({ 'index.mjs': FIRST }));
  writeFileSync(secondZip, await makeZip({ 'index.mjs': SECOND }));
  platform = await startTestPlatform();
});

after(async () => {
  await platform?.stop();
  rmSync(folder, { recursive: true, force: true });
});

test('@aws-sdk/client-lambda', async (t) => {
  const client = new sdk.LambdaClient({
    endpoint: platform.url,
    region: 'us-east-1',
    maxAttempts: 1,
    credentials: { accessKeyId: 'AKPERCH', secretAccessKey: 'unverified' },
  });
  t.after(() => client.destroy());
  const name = 'sdk-life';
  const created = await create(client, name);
  await sdk.waitUntilFunctionActiveV2({ client, maxWaitTime: 30 }, { FunctionName: name });
  await assert.rejects(create(client, name), sdk.ResourceConflictException);
  await sdkInvokes(client, name);
  await sdkChanges(client, name, created);
  await sdkLists(client, name);
  await sdkLimits(client, name);
  await sdkDeletes(client, name);
});

function create(client: sdk.LambdaClient, name: string): Promise<sdk.CreateFunctionCommandOutput> {
  return client.send(
    new sdk.CreateFunctionCommand({
      FunctionName: name,
      Role: ROLE,
      Runtime: 'nodejs24.x' as sdk.Runtime,
      Handler: 'index.handler',
      Code: { ZipFile: readFileSync(firstZip) },
      Environment: { Variables: { GREETING: 'hello' } },
      Tags: { team: 'a b' },
    }),
  );
}

async function sdkInvokes(client: sdk.LambdaClient, name: string): Promise<void> {
  const invoke = (more: Partial<sdk.InvokeCommandInput>): Promise<sdk.InvokeCommandOutput> =>
    client.send(new sdk.InvokeCommand({ FunctionName: name, ...more }));
  const answer = await invoke({ Payload: '{"n":1}', LogType: 'Tail' });
  assert.equal(answer.StatusCode, 200);
  assert.equal(answer.ExecutedVersion, '$LATEST');
  assert.deepEqual(JSON.parse(answer.Payload?.transformToString() ?? ''), { greeting: 'hello', event: { n: 1 } });
  assert.match(
    Buffer.from(answer.LogResult ?? '', 'base64').toString(),
    /^START RequestId: .*greeted.*REPORT RequestId: /s,
  );
  assert.equal((await invoke({ InvocationType: 'Event', Payload: '{}' })).StatusCode, 202);
  assert.equal((await invoke({ InvocationType: 'DryRun' })).StatusCode, 204);
  const failed = await invoke({ Payload: '{"fail":"because"}' });
  assert.equal(failed.FunctionError, 'Unhandled');
  assert.equal(JSON.parse(failed.Payload?.transformToString() ?? '').errorMessage, 'because');
  await assert.rejects(invoke({ Payload: '{' }), sdk.InvalidRequestContentException);
  await assert.rejects(invoke({ Payload: `"${'x'.repeat(7 * 1024 * 1024)}"` }), sdk.RequestTooLargeException);
  await assert.rejects(invoke({ FunctionName: 'nobody' }), sdk.ResourceNotFoundException);
}

async function sdkChanges(client: sdk.LambdaClient, name: string, created: sdk.FunctionConfiguration): Promise<void> {
  const ZipFile = readFileSync(secondZip);
  const updated = await client.send(new sdk.UpdateFunctionCodeCommand({ FunctionName: name, ZipFile, Publish: true }));
  assert.notEqual(updated.CodeSha256, created.CodeSha256);
  assert.equal(updated.Version, '1');
  const stale = new sdk.UpdateFunctionCodeCommand({ FunctionName: name, ZipFile, RevisionId: created.RevisionId });
  await assert.rejects(client.send(stale), sdk.PreconditionFailedException);
  const changed = await client.send(
    new sdk.UpdateFunctionConfigurationCommand({ FunctionName: name, MemorySize: 256, Timeout: 7 }),
  );
  assert.deepEqual(
    [changed.MemorySize, changed.Timeout, changed.Environment?.Variables?.['GREETING']],
    [256, 7, 'hello'],
  );
  const answer = await client.send(new sdk.InvokeCommand({ FunctionName: `${changed.FunctionArn}:1` }));
  assert.equal(answer.ExecutedVersion, '1');
  assert.equal(answer.Payload?.transformToString(), '{"second":true}');
  const published = await client.send(new sdk.PublishVersionCommand({ FunctionName: name }));
  assert.equal(published.Version, '2');
}

async function sdkLists(client: sdk.LambdaClient, name: string): Promise<void> {
  for (const number of [0, 1, 2]) await create(client, `sdk-page-${number}`);
  const names: (string | undefined)[] = [];
  for await (const page of sdk.paginateListFunctions({ client, pageSize: 2 }, {})) {
    names.push(...(page.Functions ?? []).map((each) => each.FunctionName));
  }
  assert.deepEqual(
    names.filter((each) => each?.startsWith('sdk-')),
    [name, 'sdk-page-0', 'sdk-page-1', 'sdk-page-2'],
  );
  const all = await client.send(new sdk.ListFunctionsCommand({ FunctionVersion: 'ALL' }));
  const versions = (all.Functions ?? []).filter((each) => each.FunctionName === name).map((each) => each.Version);
  assert.deepEqual(versions, ['$LATEST', '1', '2']);
  const listed = await client.send(new sdk.ListVersionsByFunctionCommand({ FunctionName: name, MaxItems: 2 }));
  assert.deepEqual(
    listed.Versions?.map((each) => each.Version),
    ['$LATEST', '1'],
  );
  assert.ok(listed.NextMarker);
  for (const number of [0, 1, 2])
    await client.send(new sdk.DeleteFunctionCommand({ FunctionName: `sdk-page-${number}` }));
}

async function sdkLimits(client: sdk.LambdaClient, name: string): Promise<void> {
  await client.send(new sdk.PutFunctionConcurrencyCommand({ FunctionName: name, ReservedConcurrentExecutions: 0 }));
  await assert.rejects(client.send(new sdk.InvokeCommand({ FunctionName: name })), (error: unknown) => {
    assert.ok(error instanceof sdk.TooManyRequestsException);
    assert.equal(error.Reason, 'ReservedFunctionConcurrentInvocationLimitExceeded');
    assert.ok(error.retryAfterSeconds);
    return true;
  });
  await client.send(new sdk.DeleteFunctionConcurrencyCommand({ FunctionName: name }));
  assert.equal((await client.send(new sdk.InvokeCommand({ FunctionName: name }))).StatusCode, 200);
  await sdkProvisions(client, name);
  // What Terraform reads of every function.
  await client.send(new sdk.GetFunctionCodeSigningConfigCommand({ FunctionName: name }));
  await client.send(new sdk.GetRuntimeManagementConfigCommand({ FunctionName: name }));
  await client.send(new sdk.GetFunctionRecursionConfigCommand({ FunctionName: name }));
  await assert.rejects(client.send(new sdk.GetPolicyCommand({ FunctionName: name })), sdk.ResourceNotFoundException);
}

async function sdkProvisions(client: sdk.LambdaClient, name: string): Promise<void> {
  const of = { FunctionName: name, Qualifier: '1' };
  const get = new sdk.GetProvisionedConcurrencyConfigCommand(of);
  await assert.rejects(client.send(get), sdk.ProvisionedConcurrencyConfigNotFoundException);
  const put = await client.send(
    new sdk.PutProvisionedConcurrencyConfigCommand({ ...of, ProvisionedConcurrentExecutions: 1 }),
  );
  assert.equal(put.$metadata.httpStatusCode, 202);
  assert.equal(put.RequestedProvisionedConcurrentExecutions, 1);
  const got = await client.send(get);
  assert.ok(['IN_PROGRESS', 'READY'].includes(got.Status ?? ''), got.StatusReason);
  assert.match(got.LastModified ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0000$/);
  const list = await client.send(new sdk.ListProvisionedConcurrencyConfigsCommand({ FunctionName: name }));
  assert.match(list.ProvisionedConcurrencyConfigs?.[0]?.FunctionArn ?? '', /:1$/);
  await client.send(new sdk.DeleteProvisionedConcurrencyConfigCommand(of));
  await assert.rejects(client.send(get), sdk.ProvisionedConcurrencyConfigNotFoundException);
}

async function sdkDeletes(client: sdk.LambdaClient, name: string): Promise<void> {
  await client.send(new sdk.DeleteFunctionCommand({ FunctionName: name, Qualifier: '1' }));
  await assert.rejects(
    client.send(new sdk.InvokeCommand({ FunctionName: name, Qualifier: '1' })),
    sdk.ResourceNotFoundException,
  );
  await client.send(new sdk.DeleteFunctionCommand({ FunctionName: name }));
  await assert.rejects(client.send(new sdk.GetFunctionCommand({ FunctionName: name })), sdk.ResourceNotFoundException);
  await assert.rejects(
    client.send(new sdk.DeleteFunctionCommand({ FunctionName: name })),
    sdk.ResourceNotFoundException,
  );
}

const hasBoto3 = spawnSync(PYTHON, ['-c', 'import boto3']).status === 0;

test('boto3', { skip: hasBoto3 ? false : 'NOT TESTED: boto3 is missing (apt install python3-boto3)' }, async () => {
  const script = path.join(import.meta.dirname, 'clients/scenario.py');
  const { stdout } = await promisify(execFile)(PYTHON, [script, platform.url, firstZip, secondZip], {
    env: CLIENT_ENVIRONMENT,
  });
  assert.match(stdout, /^boto3 \S+ ok$/m);
});

test(
  'boto3: layers and provisioned concurrency',
  { skip: hasBoto3 ? false : 'NOT TESTED: boto3 is missing (apt install python3-boto3)' },
  async () => {
    const script = path.join(import.meta.dirname, 'clients/copies.py');
    const { stdout } = await promisify(execFile)(PYTHON, [script, platform.url], { env: CLIENT_ENVIRONMENT });
    assert.match(stdout, /^boto3 \S+ ok$/m);
  },
);

const hasAws = existsSync(AWS);

test(
  'the aws command line',
  { skip: hasAws ? false : 'NOT TESTED: the aws command line is missing (apt install awscli)' },
  async () => {
    const name = 'cli-life';
    const out = path.join(folder, 'out.json');
    const create = [
      'create-function',
      '--function-name',
      name,
      '--role',
      ROLE,
      '--runtime',
      'nodejs24.x',
      '--handler',
      'index.handler',
    ];
    const invoke = ['invoke', '--cli-binary-format', 'raw-in-base64-out', '--function-name', name];
    await aws([...create, '--zip-file', `fileb://${firstZip}`, '--environment', 'Variables={GREETING=hello}']);
    await aws(['wait', 'function-active-v2', '--function-name', name]);
    await awsRefused('ResourceConflictException', [...create, '--zip-file', `fileb://${firstZip}`]);

    const answer = await aws([...invoke, '--payload', '{"n":1}', '--log-type', 'Tail', out]);
    assert.equal(answer['StatusCode'], 200);
    assert.ok(answer['LogResult']);
    assert.deepEqual(JSON.parse(readFileSync(out, 'utf8')), { greeting: 'hello', event: { n: 1 } });
    assert.equal((await aws([...invoke, '--invocation-type', 'Event', out]))['StatusCode'], 202);
    assert.equal((await aws([...invoke, '--invocation-type', 'DryRun', out]))['StatusCode'], 204);
    assert.equal((await aws([...invoke, '--payload', '{"fail":"because"}', out]))['FunctionError'], 'Unhandled');

    await aws(['update-function-code', '--function-name', name, '--zip-file', `fileb://${secondZip}`]);
    await aws(['wait', 'function-updated', '--function-name', name]);
    await aws([...invoke, out]);
    assert.equal(readFileSync(out, 'utf8'), '{"second":true}');
    const changed = await aws(['update-function-configuration', '--function-name', name, '--memory-size', '256']);
    assert.equal(changed['MemorySize'], 256);

    assert.equal((await aws(['publish-version', '--function-name', name]))['Version'], '1');
    const versions = await aws(['list-versions-by-function', '--function-name', name, '--page-size', '1']);
    assert.equal((versions['Versions'] as unknown[]).length, 2);
    const list = await aws(['list-functions']);
    assert.ok((list['Functions'] as { FunctionName: string }[]).some((each) => each.FunctionName === name));

    await aws(['put-function-concurrency', '--function-name', name, '--reserved-concurrent-executions', '0']);
    await awsRefused('TooManyRequestsException', [...invoke, out]);
    await aws(['delete-function-concurrency', '--function-name', name]);
    await aws(['delete-function', '--function-name', name]);
    await awsRefused('ResourceNotFoundException', ['get-function', '--function-name', name]);
    await awsRefused('UnknownOperationException', ['list-event-source-mappings']);
  },
);

async function aws(args: readonly string[]): Promise<Record<string, unknown>> {
  const options = ['--endpoint-url', platform.url, '--output', 'json', '--no-cli-pager', '--no-paginate'];
  const paged = args.includes('--page-size') ? options.slice(0, -1) : options;
  const { stdout } = await promisify(execFile)(AWS, ['lambda', ...args, ...paged], { env: CLIENT_ENVIRONMENT });
  return stdout.trim() === '' ? {} : (JSON.parse(stdout) as Record<string, unknown>);
}

async function awsRefused(code: string, args: readonly string[]): Promise<void> {
  await assert.rejects(aws(args), (error: Error & { stderr?: string }) => error.stderr?.includes(`(${code})`) === true);
}
