/**
 * AWS's own runtime interface client for Node as the bootstrap, unmodified. Its native part is compiled here, which takes
 * a minute of a core; Perch itself never needs it.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Runner } from './provided-runner.ts';

const MODULES = path.resolve(import.meta.dirname, '../../../node_modules');
const PACKAGE = 'aws-lambda-ric';
const HEADERS = path.resolve(process.execPath, '../..');

const missing = [
  ...['cmake', 'make', 'g++', 'xz', 'python3'].filter((tool) => spawnSync(tool, ['--version']).error !== undefined),
  ...[path.join(MODULES, PACKAGE), path.join(HEADERS, 'include/node/node_api.h')].filter((file) => !existsSync(file)),
];
const skip = missing.length === 0 ? false : `NOT TESTED: missing for its compilation: ${missing.join(', ')}`;

const folder = mkdtempSync(path.join(tmpdir(), 'perch-ric-'));
after(() => rmSync(folder, { recursive: true }));
const modules = path.join(folder, 'node_modules');

/** A copy of the package beside links to all others, with its own install scripts run as npm would run them. */
function compile(): void {
  mkdirSync(modules);
  for (const name of readdirSync(MODULES)) {
    if (name !== PACKAGE) symlinkSync(path.join(MODULES, name), path.join(modules, name));
  }
  const copy = path.join(modules, PACKAGE);
  cpSync(path.join(MODULES, PACKAGE), copy, { recursive: true });
  const env = {
    ...process.env,
    npm_config_nodedir: HEADERS,
    // Nobody measures it.
    CFLAGS: '-O0',
    CXXFLAGS: '-O0',
    PATH: `${path.dirname(process.execPath)}:${process.env['PATH']}`,
  };
  for (const script of ['preinstall', 'postinstall']) {
    // Whatever is tested beside it goes first.
    const command = ['-n', '19', 'sh', `scripts/${script}.sh`];
    const { status, stdout, stderr } = spawnSync('nice', command, { cwd: copy, env, encoding: 'utf8' });
    assert.equal(status, 0, `${stdout.slice(-3000)}\n${stderr.slice(-3000)}`);
  }
}

function start(handler: string, code: string): Runner {
  const client = path.join(modules, PACKAGE, 'index.mjs');
  const bootstrap = `#!/bin/sh\nexec ${process.execPath} ${client} "$_HANDLER"\n`;
  return new Runner(bootstrap, { files: { 'index.mjs': code }, env: { _HANDLER: handler, AWS_REGION: 'us-east-1' } });
}

describe(PACKAGE, { skip }, () => {
  before(compile);

  test('events, context, log and errors', async () => {
    const runner = start(
      'index.handler',
      `export const handler = async (event, context) => {
        console.log('got', event);
        if (event.fail) throw new TypeError('bad event');
        return { event, context, left: context.getRemainingTimeInMillis() };
      };`,
    );
    const requestId = '01234567-89ab-cdef-0123-456789abcdef';
    const { kind, value, log } = await runner.invoke(
      { n: 1 },
      { requestId, traceId: 'Root=1', clientContext: '{"custom":{"k":"ö"}}' },
    );
    assert.equal(kind, 'response');
    assert.deepEqual(value.event, { n: 1 });
    assert.equal(value.context.awsRequestId, requestId);
    assert.equal(value.context.xRayTraceId, 'Root=1');
    assert.deepEqual(value.context.clientContext, { custom: { k: 'ö' } });
    assert.equal(value.context.memoryLimitInMB, '128');
    assert.ok(value.left > 0 && value.left <= 3000);
    assert.match(log, new RegExp(`\\t${requestId}\\tINFO\\tgot \\{ n: 1 \\}\\n$`));
    const failed = await runner.invoke({ fail: true });
    assert.deepEqual([failed.kind, failed.value.errorType, failed.value.errorMessage], ['error', 'TypeError', 'bad event']); // prettier-ignore
    const large = await runner.invoke({ text: 'é'.repeat(2_000_000) });
    assert.equal(large.value.event.text.length, 2_000_000);
    for (let n = 0; n < 200; n++) assert.deepEqual((await runner.invoke({ n })).value.event, { n });
    runner.stop();
  });

  test('a handler that is not there', async () => {
    const outcome = await start('index.nothing', 'export const handler = 1;').ready;
    assert.deepEqual([outcome?.kind, outcome?.value.errorType], ['initError', 'Runtime.HandlerNotFound']);
  });

  test('a process that exits', async () => {
    const runner = start('index.handler', 'export const handler = async () => process.exit(9);');
    assert.deepEqual((await runner.invoke({})).value, { kind: 'exit', code: 9 });
  });

  test('streamed responses', async () => {
    const runner = start(
      'index.handler',
      `export const handler = awslambda.streamifyResponse(async (event, stream) => {
        stream = awslambda.HttpResponseStream.from(stream, { statusCode: 201 });
        stream.write('one, ');
        if (event.fail) throw new Error('midway');
        stream.end('two');
      });`,
    );
    const { kind, bytes } = await runner.invoke({});
    assert.deepEqual([kind, bytes.toString('latin1')], ['response', `{"statusCode":201}${'\0'.repeat(8)}one, two`]);
    const failed = await runner.invoke({ fail: true });
    assert.deepEqual([failed.kind, failed.value.errorMessage], ['error', 'midway']);
    assert.equal((await runner.invoke({})).kind, 'response');
    runner.stop();
  });
});
