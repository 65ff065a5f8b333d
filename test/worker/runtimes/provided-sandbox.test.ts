/** The provided runtime in its sandbox, behind a whole platform: deployed and invoked as a client of Lambda would. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { CreateFunctionCommand, InvokeCommand, LambdaClient, LogType } from '@aws-sdk/client-lambda';
import { startTestPlatform, type TestPlatform } from '../../lib/platform.ts';
import { isRoot, noBubblewrap } from '../sandbox/harness.ts';

interface ZipFile {
  readonly outputStream: AsyncIterable<Buffer>;
  addBuffer(content: Buffer, name: string, options: { mode: number }): void;
  end(): void;
}

const { ZipFile } = createRequire(import.meta.url)('yazl') as { ZipFile: new () => ZipFile };
const PYTHON = '/usr/bin/python3';
const hasPython = spawnSync(PYTHON, ['--version']).status === 0;
const EXECUTABLE = 0o100_755;

const PRELUDE = `#!${PYTHON}
import json, os, subprocess, sys, time, urllib.error, urllib.request
place = os.environ['AWS_LAMBDA_RUNTIME_API']
api = 'http://%s/2018-06-01/runtime/' % place
def take():
    with urllib.request.urlopen(api + 'invocation/next') as reply:
        return reply.headers['Lambda-Runtime-Aws-Request-Id'], json.load(reply)
def post(path, body):
    try:
        with urllib.request.urlopen(urllib.request.Request(api + path, json.dumps(body).encode())) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        return error.code
`;

/** Answers with the value of the Python expression that the event is; what it prints is its log. */
const EVALUATE = `${PRELUDE}
count = 0
while True:
    request_id, event = take()
    count += 1
    try:
        post('invocation/%s/response' % request_id, eval(event))
    except Exception as error:
        post('invocation/%s/error' % request_id, {'errorType': type(error).__name__, 'errorMessage': str(error)})
`;

let platform: TestPlatform;
let client: LambdaClient;

async function zip(files: Record<string, string>, mode: number): Promise<Buffer> {
  const file = new ZipFile();
  for (const [name, text] of Object.entries(files)) file.addBuffer(Buffer.from(text), name, { mode });
  file.end();
  const chunks: Buffer[] = [];
  for await (const chunk of file.outputStream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const HOST_NETWORK = { PERCH_NETWORK: 'host' };

interface Settings {
  readonly timeoutS?: number;
  readonly variables?: Readonly<Record<string, string>>;
}

async function create(
  name: string,
  bootstrap: string | null,
  mode: number = EXECUTABLE,
  { timeoutS = 20, variables = {} }: Settings = {},
): Promise<void> {
  const files: Record<string, string> = bootstrap === null ? { 'readme.txt': 'nothing' } : { bootstrap };
  await client.send(
    new CreateFunctionCommand({
      FunctionName: name,
      Role: 'arn:aws:iam::000000000000:role/r',
      Runtime: 'provided.al2023',
      Handler: 'any.handler',
      Timeout: timeoutS,
      MemorySize: 192,
      Environment: { Variables: variables },
      Code: { ZipFile: await zip(files, mode) },
    }),
  );
}

async function invoke(name: string, event: unknown): Promise<{ error: string | undefined; value: any; log: string }> {
  const command = new InvokeCommand({ FunctionName: name, Payload: Buffer.from(JSON.stringify(event)), LogType: LogType.Tail }); // prettier-ignore
  const { FunctionError, Payload, LogResult } = await client.send(command);
  const log = Buffer.from(LogResult ?? '', 'base64').toString('utf8');
  return { error: FunctionError, value: JSON.parse(Buffer.from(Payload ?? []).toString('utf8')), log };
}

const skip = noBubblewrap !== false ? noBubblewrap : hasPython ? false : `NOT TESTED: ${PYTHON} is missing`;

describe('the provided runtime behind a whole platform', { skip }, () => {
  before(async () => {
    platform = await startTestPlatform({ args: ['--allow-host-network'] });
    client = new LambdaClient({
      endpoint: platform.url,
      region: 'us-east-1',
      credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
      maxAttempts: 1,
    });
    await create('evaluate', EVALUATE);
  });
  after(async () => {
    client?.destroy();
    await platform?.stop();
  });

  test('answers, errors, logs, and the same instance again', async () => {
    const first = await invoke('evaluate', '[count, print("a line", flush=True), os.getcwd(), place.split(":")[0]]');
    assert.deepEqual([first.error, first.value], [undefined, [1, null, '/var/task', '127.0.0.1']]);
    assert.match(first.log, /START RequestId.*\na line\nEND RequestId/);
    const failed = await invoke('evaluate', '1 / 0');
    assert.deepEqual([failed.error, failed.value], ['Unhandled', { errorType: 'ZeroDivisionError', errorMessage: 'division by zero' }]); // prettier-ignore
    for (let n = 3; n < 30; n++) assert.equal((await invoke('evaluate', 'count')).value, n);
    const large = await invoke('evaluate', '"y" * 6_000_000');
    assert.equal(large.value.length, 6_000_000);
    const tooLarge = await invoke('evaluate', '"y" * 7_000_000');
    assert.equal(tooLarge.value.errorType, 'Function.ResponseSizeTooLarge');
    assert.equal((await invoke('evaluate', 'count')).value, 32);
  });

  test('the environment is that of Lambda', async () => {
    const { value } = await invoke('evaluate', 'dict(os.environ)');
    assert.equal(value.LAMBDA_TASK_ROOT, '/var/task');
    assert.equal(value.HOME, '/tmp');
    assert.match(value.PATH, /\/opt\/bin/);
    assert.match(value.LD_LIBRARY_PATH, /\/var\/task\/lib/);
    assert.equal(value._HANDLER, 'any.handler');
    assert.equal(value.AWS_LAMBDA_FUNCTION_NAME, 'evaluate');
    for (const name of Object.keys(value)) assert.ok(!name.startsWith('PERCH') && name !== 'AWS_EXECUTION_ENV', name);
  });

  test('what it is told when it fails to begin', async () => {
    const valid = "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]";
    const cases: [string, string | null, number, string, string][] = [
      ['none', null, EXECUTABLE, 'Runtime.InvalidEntrypoint', valid],
      ['not-executable', EVALUATE, 0o100_644, 'Runtime.InvalidEntrypoint', 'fork/exec /var/task/bootstrap: permission denied'],
      ['exits', '#!/bin/sh\nexit 3\n', EXECUTABLE, 'Runtime.ExitError', 'Runtime exited with error: exit status 3'],
      ['ends', '#!/bin/sh\nsleep 1000 & exit 0\n', EXECUTABLE, 'Runtime.ExitError', 'Runtime exited without providing a reason'],
      ['killed', '#!/bin/sh\nkill -SEGV $$\n', EXECUTABLE, 'Runtime.ExitError', 'Runtime exited with error: signal: SIGSEGV'],
      ['init-error', `${PRELUDE}post('init/error', {'errorType': 'Init.Odd', 'errorMessage': 'odd'}); sys.exit(1)`, EXECUTABLE, 'Init.Odd', 'odd'],
    ]; // prettier-ignore
    for (const [name, bootstrap, mode, errorType, message] of cases) {
      await create(name, bootstrap, mode);
      for (let again = 0; again < 2; again++) {
        const { error, value } = await invoke(name, {});
        assert.deepEqual([error, value.errorType], ['Unhandled', errorType], name);
        assert.ok(value.errorMessage.endsWith(message), `${name}: ${value.errorMessage}`);
      }
    }
  });

  test('its end during an invocation costs that invocation alone', async () => {
    const cases: [string, string, RegExp][] = [
      ['os._exit(7)', 'Runtime.ExitError', /exit status 7$/],
      ['os.kill(os.getpid(), 9)', 'Runtime.ExitError', /signal: SIGKILL$/],
      ['subprocess.Popen(["sleep", "1000"]) and os._exit(0)', 'Runtime.ExitError', /without providing a reason$/],
    ];
    for (const [event, errorType, message] of cases) {
      const { value } = await invoke('evaluate', event);
      assert.equal(value.errorType, errorType, event);
      assert.match(value.errorMessage, message);
      assert.equal((await invoke('evaluate', 'count')).value, 1);
    }
    await create('slow', EVALUATE, EXECUTABLE, { timeoutS: 1 });
    const { value } = await invoke('slow', 'time.sleep(1000)');
    assert.equal(value.errorType, 'Sandbox.Timedout');
    assert.equal((await invoke('slow', 'count')).value, 1);
  });

  test(
    'too much memory is the end of the whole instance',
    { skip: isRoot ? false : 'NEEDS ROOT: a memory limit' },
    async () => {
      // prettier-ignore
      const { value } = await invoke('evaluate', 'len(bytearray(400_000_000))');
      assert.equal(value.errorType, 'Runtime.OutOfMemory');
      assert.equal((await invoke('evaluate', 'count')).value, 1);
    },
  );

  test(
    'no other function can ask or answer in its place',
    { skip: isRoot ? false : 'NEEDS ROOT: users of their own' },
    async () => {
      // prettier-ignore
      // Each alone with its own API, unless they share the network of the host.
      await create('victim', EVALUATE, EXECUTABLE, { variables: HOST_NETWORK });
      await create('attacker', EVALUATE, EXECUTABLE, { variables: HOST_NETWORK });
      const { value: port } = await invoke('victim', 'int(place.split(":")[1])');
      // While the victim works, and while it waits.
      const attack = `[urllib.request.urlopen('http://127.0.0.1:${port}/2018-06-01/runtime/invocation/next', timeout=5).status]`;
      const working = invoke('victim', 'time.sleep(0.5) or "mine"');
      const { value: during } = await invoke('attacker', attack);
      assert.equal((await working).value, 'mine');
      const { value: idle } = await invoke('attacker', attack);
      for (const value of [during, idle]) assert.match(value.errorType, /Error|Disconnected/);
      assert.equal((await invoke('victim', 'count')).value, 3);
    },
  );
});
