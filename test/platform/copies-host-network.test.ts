/** Copies of functions that have the network of the host, on a whole platform, beside functions that have one of their own. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readlinkSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { perch } from '../cli/perch.ts';
import { functionsOnPlatform, type Invoked, until } from '../lib/functions.ts';
import { noBubblewrap, ROOT_ONLY } from '../worker/sandbox/harness.ts';

const skip = noBubblewrap || ROOT_ONLY;

/** Says who initialised it, which invocation of this instance it is, in which network, and what a server on the loopback answers. */
const CALLER_NODE = `import { randomUUID } from 'node:crypto';
import { readlinkSync } from 'node:fs';
import net from 'node:net';
const init = randomUUID();
let count = 0;
const call = (port) => new Promise((resolve) => {
  const socket = net.connect(port, '127.0.0.1');
  socket.on('data', (bytes) => resolve(bytes.toString())).on('error', (error) => resolve(error.code));
  socket.on('close', () => resolve('closed'));
});
export const handler = async ({ port }) =>
  ({ init, count: ++count, namespace: readlinkSync('/proc/self/ns/net'), answer: await call(port) });`;

const CALLER_PYTHON = `import errno, os, socket, uuid
init = str(uuid.uuid4())
count = 0
def call(port):
    try:
        with socket.create_connection(('127.0.0.1', port)) as connection:
            return connection.recv(99).decode()
    except OSError as error:
        return errno.errorcode[error.errno]
def handler(event, context):
    global count
    count += 1
    return {'init': init, 'count': count, 'namespace': os.readlink('/proc/self/ns/net'), 'answer': call(event['port'])}
`;

const CALLERS = [
  ['node', { 'index.mjs': CALLER_NODE }],
  ['python', { 'index.py': CALLER_PYTHON }],
] as const;

const ANSWER = 'from the loopback of the server';

const { functions, platform } = functionsOnPlatform(skip, ['--allow-host-network']);

/** Answers callers once so many are there. */
async function serverOf(t: TestContext): Promise<{ readonly port: number; together: number }> {
  const callers: Socket[] = [];
  const server = createServer((caller) => {
    callers.push(caller);
    if (callers.length >= own.together) for (const each of callers.splice(0)) each.end(ANSWER);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const own = { port: (server.address() as AddressInfo).port, together: 1 };
  return own;
}

function values(answers: readonly Invoked[]): readonly any[] {
  for (const { status, functionError, value } of answers)
    assert.deepEqual([status, functionError], [200, null], JSON.stringify(value));
  return answers.map((answer) => answer.value);
}

async function isCopied(name: string, network: string): Promise<void> {
  const { copyable, zygote, reasons } = await functions.copies(name);
  assert.deepEqual([copyable, zygote, reasons], [true, 'ready', []]);
  const doctor = await perch(['doctor', name, '--endpoint', platform.url]);
  assert.match(doctor.stdout, new RegExp(`network +${network}\n`), doctor.stderr);
  assert.match(doctor.stdout, /it can be copied; its zygote is ready/);
}

/** All of one zygote, on the host's network, and each has reached the server there. */
function areOfHost(all: readonly any[]): void {
  assert.equal(new Set(all.map(({ init }) => init)).size, 1, 'from one initialisation');
  const namespace = readlinkSync('/proc/self/ns/net');
  for (const each of all) assert.deepEqual([each.answer, each.namespace], [ANSWER, namespace]);
}

for (const [runtime, files] of CALLERS) {
  test(`${runtime}, reuse, on the host's network: a second instance is a copy`, { skip }, async (t) => {
    const server = await serverOf(t);
    const name = `${runtime}-host-reuse`;
    await functions.deploy(name, { files, environment: { PERCH_NETWORK: 'host' } });
    await functions.cellsWait(`${runtime}, network host`);
    const { port } = server;
    const first = await functions.invoke(name, { port });
    const second = await functions.invoke(name, { port });
    assert.deepEqual([first.start, second.start], ['cold', 'warm']);
    server.together = 2;
    const madeBefore = await functions.metric('perch_copies_made_total');
    const both = await Promise.all([functions.invoke(name, { port }), functions.invoke(name, { port })]);
    assert.deepEqual(both.map(({ start }) => String(start)).toSorted(), ['copy', 'warm']);
    assert.ok((await functions.metric('perch_copies_made_total')) > madeBefore);
    const all = values([first, second, ...both]);
    areOfHost(all);
    assert.deepEqual(
      all.map(({ count }) => Number(count)).toSorted((a, b) => a - b),
      [1, 1, 2, 3],
    );
    await isCopied(name, 'host');
  });

  test(`${runtime}, fresh, on the host's network: a copy for each invocation`, { skip }, async (t) => {
    const { port } = await serverOf(t);
    const name = `${runtime}-host-fresh`;
    await functions.deploy(name, { files, environment: { PERCH_NETWORK: 'host', PERCH_ISOLATION: 'fresh' } });
    await functions.cellsWait(`${runtime}, network host`);
    const madeBefore = await functions.metric('perch_copies_made_total');
    const answers = [await functions.invoke(name, { port })];
    assert.equal(answers[0]!.start, 'cold');
    for (let round = 0; round < 4; round++) {
      await until('a copy waits', async () => (await functions.copies(name)).waiting > 0);
      answers.push(await functions.invoke(name, { port }));
      assert.equal(answers.at(-1)!.start, 'warm');
    }
    assert.ok((await functions.metric('perch_copies_made_total')) - madeBefore >= answers.length);
    const all = values(answers);
    areOfHost(all);
    for (const { count } of all) assert.equal(count, 1);
    await isCopied(name, 'host');
  });

  test(`${runtime}, beside them with outbound: copied, and the loopback is its own`, { skip }, async (t) => {
    const server = await serverOf(t);
    for (const isolation of ['reuse', 'fresh']) {
      const name = `${runtime}-outbound-${isolation}`;
      await functions.deploy(name, { files, environment: { PERCH_ISOLATION: isolation, PERCH_NETWORK: 'outbound' } });
      await functions.cellsWait(runtime);
      const invoke = (): Promise<Invoked> => functions.invoke(name, { port: server.port });
      const answers = [await invoke(), ...(await Promise.all([invoke(), invoke(), invoke()]))];
      const all = values(answers);
      assert.equal(new Set(all.map(({ init }) => init)).size, 1, 'from one initialisation');
      const namespace = readlinkSync('/proc/self/ns/net');
      for (const each of all) {
        assert.equal(each.answer, 'ECONNREFUSED');
        assert.notEqual(each.namespace, namespace);
      }
      await isCopied(name, 'outbound');
    }
  });
}
