/** Bootstraps in several languages, each a process of its own, and everything that can be wrong with one. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { withClient } from './provided-client.ts';
import { Runner } from './provided-runner.ts';

const PYTHON = '/usr/bin/python3';
const EXAMPLES = path.resolve(import.meta.dirname, '../../../examples');

/** Lambda's own tutorial, word for word but for its first line: the shell of Amazon Linux is bash, elsewhere it may be another. */
const TUTORIAL = `#!/bin/bash

set -euo pipefail

# Initialization - load function handler
source $LAMBDA_TASK_ROOT/"$(echo $_HANDLER | cut -d. -f1).sh"

# Processing
while true
do
  HEADERS="$(mktemp)"
  # Get an event. The HTTP request will block until one is received
  EVENT_DATA=$(curl -sS -LD "$HEADERS" "http://\${AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation/next")

  # Extract request ID by scraping response headers received above
  REQUEST_ID=$(grep -Fi Lambda-Runtime-Aws-Request-Id "$HEADERS" | tr -d '[:space:]' | cut -d: -f2)

  # Run the handler function from the script
  RESPONSE=$($(echo "$_HANDLER" | cut -d. -f2) "$EVENT_DATA")

  # Send the response
  curl "http://\${AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation/$REQUEST_ID/response"  -d "$RESPONSE"
done
`;
const TUTORIAL_HANDLER =
  'handler () { EVENT_DATA=$1; echo "$EVENT_DATA" 1>&2; echo "Echoing request: \'$EVENT_DATA\'"; }\n';

const URLLIB = `#!${PYTHON}
import json, os, sys, urllib.request
api = 'http://%s/2018-06-01/runtime/' % os.environ['AWS_LAMBDA_RUNTIME_API']
while True:
    with urllib.request.urlopen(api + 'invocation/next') as reply:
        request_id, event = reply.headers['Lambda-Runtime-Aws-Request-Id'], json.load(reply)
    print('got', event, flush=True)
    try:
        path, body = 'response', 10 / event['by']
    except Exception as error:
        path, body = 'error', {'errorType': type(error).__name__, 'errorMessage': str(error)}
    urllib.request.urlopen(urllib.request.Request(api + 'invocation/%s/%s' % (request_id, path), json.dumps(body).encode())).read()
`;

/** With the standard library alone: raw HTTP over one connection. */
const RUST = `
use std::io::{BufRead, BufReader, Read, Write};
fn read(reader: &mut BufReader<std::net::TcpStream>) -> (String, Vec<u8>) {
    let (mut id, mut length, mut line) = (String::new(), 0, String::new());
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { if line.trim_end().is_empty() { break } else { continue } };
        if name.eq_ignore_ascii_case("lambda-runtime-aws-request-id") { id = value.to_string() }
        if name.eq_ignore_ascii_case("content-length") { length = value.parse().unwrap() }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (id, body)
}
fn main() {
    let api = std::env::var("AWS_LAMBDA_RUNTIME_API").unwrap();
    let mut stream = std::net::TcpStream::connect(&api).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        write!(stream, "GET /2018-06-01/runtime/invocation/next HTTP/1.1\\r\\nHost: {api}\\r\\n\\r\\n").unwrap();
        let (id, event) = read(&mut reader);
        eprintln!("{} bytes", event.len());
        let head = format!("POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\\r\\nHost: {api}\\r\\nContent-Length: {}\\r\\n\\r\\n", event.len());
        stream.write_all(&[head.as_bytes(), &event].concat()).unwrap();
        read(&mut reader);
    }
}
`;

const hasCurl = spawnSync('curl', ['--version']).status === 0;
const hasBash = existsSync('/bin/bash');
const hasRust = spawnSync('rustc', ['--version']).status === 0;
const hasPython = existsSync(PYTHON);

test(
  "the bootstrap of Lambda's tutorial, in shell",
  { skip: hasCurl && hasBash ? false : 'NOT TESTED: curl or bash is missing' },
  async () => {
    const runner = new Runner(TUTORIAL, { files: { 'function.sh': TUTORIAL_HANDLER } });
    for (let n = 0; n < 3; n++) {
      const { value, log } = await runner.invoke({ n });
      assert.equal(value, `Echoing request: '{"n":${n}}'`);
      assert.ok(log.includes(`{"n":${n}}\n`));
    }
    // curl announces a body of more than a megabyte and waits to be told to go on.
    const { value } = await runner.invoke({ text: 'x'.repeat(100_000) });
    assert.ok(String(value).length > 100_000);
    runner.stop();
  },
);

test('the bootstrap of the examples', { skip: hasCurl ? false : 'NOT TESTED: curl is missing' }, async () => {
  const bootstrap = readFileSync(path.join(EXAMPLES, 'own-runtime/bootstrap'));
  const files = {
    'shout.sh': readFileSync(path.join(EXAMPLES, 'own-runtime/shout.sh')),
    'fails.sh': 'fails() { return 7; }\n',
  };
  const runner = new Runner(bootstrap, { files, env: { _HANDLER: 'shout.shout' } });
  const { kind, value, log } = await runner.invoke({ text: 'quiet' });
  assert.deepEqual([kind, value], ['response', { TEXT: 'QUIET' }]);
  assert.match(log, /^shouting 16 bytes\n$/);
  const large = await runner.invoke({ text: 'y'.repeat(100_000) });
  assert.equal(large.value.TEXT, 'Y'.repeat(100_000));
  runner.stop();

  const failing = new Runner(bootstrap, { files, env: { _HANDLER: 'fails.fails' } });
  const failed = await failing.invoke({});
  assert.deepEqual([failed.kind, failed.value.errorMessage], ['error', 'the handler ended with status 7']);
  assert.equal((await failing.invoke({})).kind, 'error');
  failing.stop();

  const missing = await new Runner(bootstrap, { files, env: { _HANDLER: 'nowhere.handler' } }).ready;
  assert.deepEqual([missing?.kind, missing?.value.errorType], ['initError', 'Runtime.NoSuchHandler']);
});

test('a bootstrap in Python', { skip: hasPython ? false : `NOT TESTED: ${PYTHON} is missing` }, async () => {
  const runner = new Runner(URLLIB);
  assert.equal((await runner.invoke({ by: 4 })).value, 2.5);
  const failed = await runner.invoke({ by: 0 });
  assert.deepEqual([failed.kind, failed.value], ['error', { errorType: 'ZeroDivisionError', errorMessage: 'division by zero' }]); // prettier-ignore
  assert.match(failed.log, /got \{'by': 0\}\n/);
  assert.equal((await runner.invoke({ by: 5 })).value, 2);
  runner.stop();
});

test('a compiled bootstrap, in Rust', { skip: hasRust ? false : 'NOT TESTED: rustc is missing' }, async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'perch-rust-'));
  after(() => rmSync(folder, { recursive: true }));
  writeFileSync(path.join(folder, 'main.rs'), RUST);
  const built = spawnSync('rustc', ['--edition', '2021', '-O', '-o', 'bootstrap', 'main.rs'], { cwd: folder, encoding: 'utf8' }); // prettier-ignore
  assert.equal(built.status, 0, built.stderr);
  const runner = new Runner(readFileSync(path.join(folder, 'bootstrap')));
  for (const size of [0, 10, 70_000, 3_000_000]) {
    const { value, log } = await runner.invoke('z'.repeat(size));
    assert.equal(value, 'z'.repeat(size));
    assert.equal(log, `${size + 2} bytes\n`);
  }
  runner.stop();
});

test('without a bootstrap in the code, that of a layer runs', async () => {
  const layersDir = mkdtempSync(path.join(tmpdir(), 'perch-layer-'));
  after(() => rmSync(layersDir, { recursive: true }));
  writeFileSync(path.join(layersDir, 'bootstrap'), '#!/bin/sh\necho "$0"; exit 4\n', { mode: 0o755 });
  const runner = new Runner(null, { layersDir });
  assert.deepEqual((await runner.ready)?.value, { kind: 'exit', code: 4 });
  assert.ok(runner.log.includes(`${layersDir}/bootstrap`));
  const own = new Runner('#!/bin/sh\nexit 5\n', { layersDir });
  assert.deepEqual((await own.ready)?.value, { kind: 'exit', code: 5 });
});

test('what cannot be executed is an invalid entrypoint, and says why', async (t) => {
  const otherMachine = Buffer.from(readFileSync(process.execPath).subarray(0, 4096));
  otherMachine.writeUInt16LE(0x16, 18);
  const cases: [string, string | Buffer | null, number, RegExp][] = [
    ['missing', null, 0o755, /^Couldn't find valid bootstrap\(s\): \[\S+\/bootstrap\]$/],
    ['not executable', '#!/bin/sh\n', 0o644, /^fork\/exec \S+\/bootstrap: permission denied$/],
    ['no format', 'echo hello\n', 0o755, /exec format error: neither/],
    ['empty', '', 0o755, /exec format error/],
    ['another processor', otherMachine, 0o755, /exec format error: a program for another processor/],
    ['no interpreter', '#!/no/such/thing\n', 0o755, /no such file or directory: .*"\/no\/such\/thing"/],
    ['line ends of Windows', '#!/bin/sh\r\nexit 0\r\n', 0o755, /no such file or directory: .*as on Windows/],
    ['an interpreter without a name', '#!\nx', 0o755, /exec format error: the first line names no interpreter/],
    ['a broken program', Buffer.concat([readFileSync(process.execPath).subarray(0, 64), Buffer.alloc(64, 1)]), 0o755, /fork\/exec|exit/], // prettier-ignore
  ];
  for (const [name, bootstrap, mode, message] of cases) {
    await t.test(name, async () => {
      const outcome = await new Runner(bootstrap, { mode }).ready;
      if (name === 'a broken program' && outcome?.kind === 'exit') return;
      assert.equal(outcome?.kind, 'initError', JSON.stringify(outcome));
      assert.equal(outcome?.value.errorType, 'Runtime.InvalidEntrypoint');
      assert.match(outcome?.value.errorMessage, message);
    });
  }
  await t.test('a folder', async () => {
    const layersDir = mkdtempSync(path.join(tmpdir(), 'perch-layer-'));
    after(() => rmSync(layersDir, { recursive: true }));
    mkdirSync(path.join(layersDir, 'bootstrap'));
    const outcome = await new Runner(null, { layersDir }).ready;
    assert.match(outcome?.value.errorMessage, /Couldn't find valid bootstrap\(s\): \[\S+ \S+\]/);
  });
});

/** Answers `"ok"` to each event, after running what the event says as a shell command. */
const COMMANDED = `#!/bin/sh
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
while true; do
  event=$(curl -sS -D /tmp/headers.$$ "$api/next")
  id=$(grep -i '^lambda-runtime-aws-request-id' /tmp/headers.$$ | tr -d '[:space:]' | cut -d: -f2)
  rm -f /tmp/headers.$$
  eval "$(printf %s "$event" | sed 's/^"//; s/"$//')"
  curl -sS -o /dev/null "$api/$id/response" -d '"ok"'
done
`;

test(
  'the end of a bootstrap is the end of its instance, and ends it the same way',
  { skip: hasCurl ? false : 'NOT TESTED: curl is missing' },
  async (t) => {
    // prettier-ignore
    const beforeNext: [string, string, unknown][] = [
    ['by itself', 'exit 0', { kind: 'exit', code: 0 }],
    ['with a status', 'exit 3', { kind: 'exit', code: 3 }],
    ['by SIGKILL', 'kill -9 $$', { kind: 'signal', signal: 'SIGKILL' }],
    ['by SIGSEGV', 'kill -11 $$', { kind: 'signal', signal: 'SIGSEGV' }],
    ['by SIGTERM', 'kill -15 $$', { kind: 'signal', signal: 'SIGTERM' }],
    ['by a signal that Node ignores', 'kill -13 $$', { kind: 'exit', code: 128 + 13 }],
  ];
    for (const [name, command, reason] of beforeNext) {
      await t.test(`${name}, before it asked for an event`, async () => {
        const outcome = await new Runner(`#!/bin/sh\necho last words\n${command}\n`).ready;
        assert.deepEqual([outcome?.kind, outcome?.value, outcome?.log], ['exit', reason, 'last words\n']);
      });
      await t.test(`${name}, during an invocation`, async () => {
        const runner = new Runner(COMMANDED);
        assert.equal((await runner.invoke('true')).value, 'ok');
        const outcome = await runner.invoke(`echo last words; ${command}`);
        assert.deepEqual([outcome.kind, outcome.value], ['exit', reason]);
        assert.match(outcome.log, /last words\n$/);
      });
    }
    await t.test('between two invocations', async () => {
      const runner = new Runner(COMMANDED);
      assert.equal((await runner.invoke('(sleep 0.1; kill -9 $$) &')).value, 'ok');
      while (runner.exit === null) await new Promise((resolve) => setTimeout(resolve, 5));
      assert.deepEqual(runner.exit, { kind: 'signal', signal: 'SIGKILL' });
    });
    await t.test('though a child of it holds its output open', async () => {
      const runner = new Runner('#!/bin/sh\nsleep 100 &\nexit 6\n');
      assert.deepEqual((await runner.ready)?.value, { kind: 'exit', code: 6 });
      runner.stop();
    });
  },
);

test('the end of the agent is the end of the bootstrap', () =>
  withClient(async (client) => {
    // Without a namespace or a cgroup: what runs here was started by boot.cjs, and knows nothing of the agent.
    client.runner.leave();
    while (client.runner.exit === null) await new Promise((resolve) => setTimeout(resolve, 5));
    await assert.rejects(client.next());
    assert.equal(client.runner.survivorCount(), 0);
  }));

test(
  'what a bootstrap writes is there before its answer, in order, and what it writes later comes with the next',
  { skip: hasPython ? false : `NOT TESTED: ${PYTHON} is missing` },
  async () => {
    // prettier-ignore
    const runner = new Runner(`#!${PYTHON}
import os, urllib.request
api = 'http://%s/2018-06-01/runtime/invocation/' % os.environ['AWS_LAMBDA_RUNTIME_API']
os.write(1, b'begun\\n')
while True:
    with urllib.request.urlopen(api + 'next') as reply:
        request_id = reply.headers['Lambda-Runtime-Aws-Request-Id']
    for at in range(3):
        os.write(1 + at % 2, b'line %d\\n' % at)
    os.write(2, b'x' * 150_000 + b'\\n')
    urllib.request.urlopen(api + request_id + '/response', b'1').read()
    os.write(1, b'after it\\n')
`);
    await runner.ready;
    assert.equal(runner.log, 'begun\n');
    for (let n = 0; n < 20; n++) {
      const { log } = await runner.invoke({});
      assert.equal(log, `${n > 0 ? 'after it\n' : ''}line 0\nline 1\nline 2\n${'x'.repeat(150_000)}\n`);
    }
    runner.stop();
  },
);
