/** `perch cluster` as people and scripts run it: files and their modes, messages, exit codes; keys in no output. */
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { realClock } from '../../../src/base/clock.ts';
import { readJoinFile } from '../../../src/cluster/identity/join-file.ts';
import { openListener } from '../../../src/cluster/node/listener.ts';
import { createLog } from '../../../src/telemetry/log.ts';
import { perch } from '../../cli/perch.ts';
import type { Run } from '../../cli/perch.ts';
import { DAY_MS, listen, makeCluster, temporaryFolder } from './cluster.ts';

const folder = temporaryFolder();
const authority = join(folder, 'data/cluster');
const runs: Run[] = [];

async function cluster(...args: string[]): Promise<Run> {
  const run = await perch(['cluster', ...args], { cwd: folder });
  runs.push(run);
  return run;
}

async function ok(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await cluster(...args);
  assert.equal(code, 0, stderr);
  assert.equal(stderr, '');
  return stdout;
}

/** One line that says what is wrong, this exit code, and nothing on stdout. */
async function fails(code: number, message: RegExp, ...args: string[]): Promise<void> {
  const run = await cluster(...args);
  assert.deepEqual([run.code, run.stdout], [code, ''], run.stderr);
  assert.match(run.stderr, message);
  assert.match(run.stderr, /^perch: /);
  assert.ok(run.stderr.split('\n').length <= 3, run.stderr);
}

const modeOf = (path: string): number => statSync(path).mode & 0o777;
const made = (file: string): string => join(folder, file);

test('init, add, show, list', async () => {
  assert.match(
    await ok('init', '--folder', authority, '--name', 'home'),
    /cluster home-[0-9a-f]{12} is in .*cluster add NAME/s,
  );
  assert.deepEqual(
    ['', 'ca.key', 'ca.crt', 'issued'].map((file) => modeOf(join(authority, file))),
    [0o700, 0o600, 0o600, 0o600],
  );
  const roles = ['--roles', 'worker,gateway'];
  assert.match(
    await ok('add', 'box1', ...roles, '--address', '10.0.0.1', 'box1.lan', '--folder', authority),
    /box1\.join/,
  );
  assert.equal(modeOf(made('box1.join')), 0o600);
  const shown = JSON.parse(await ok('show', 'box1.join', '--json')) as Record<string, unknown>;
  assert.match(String(shown['cluster']), /^home-/);
  assert.deepEqual([shown['name'], shown['roles'], shown['state']], ['box1', ['worker', 'gateway'], 'valid']);
  assert.deepEqual(shown['addresses'], ['10.0.0.1', 'box1.lan']);
  const [from, to] = [Date.parse(String(shown['notBefore'])), Date.parse(String(shown['notAfter']))];
  assert.equal(to - from, 365 * DAY_MS + 3600_000);
  assert.match(await ok('show', 'box1.join'), /roles +worker, gateway\n/);
  assert.match(
    await ok('list', '--folder', authority),
    new RegExp(`box1 +worker,gateway +valid +\\S+ +${String(shown['fingerprint'])}`),
  );
  assert.equal(
    (
      JSON.parse(await ok('add', 'short', '--roles', 'scheduler', '--days', '3', '--folder', authority, '--json')) as {
        file: string;
      }
    ).file,
    'short.join',
  );
});

test('what is there already stays', async () => {
  const before = readFileSync(join(authority, 'ca.key'));
  await fails(4, /holds an authority already/, 'init', '--folder', authority);
  assert.deepEqual(readFileSync(join(authority, 'ca.key')), before);
  await fails(4, /There is a node box1 already/, 'add', 'box1', '--roles', 'worker', '--folder', authority);
  await fails(4, /box1\.join is there already/, 'add', 'box1', '--roles', 'worker', '--folder', authority, '--renew');
  await ok('add', 'box1', '--roles', 'worker', '--folder', authority, '--renew', '--out', 'box1-new.join');
  const lines = readFileSync(join(authority, 'issued'), 'utf8').trim().split('\n');
  assert.equal(lines.filter((line) => line.includes(' box1 ')).length, 2);
});

test('two at once: one authority', async () => {
  const target = join(folder, 'race');
  const codes = (await Promise.all([1, 2, 3].map(() => cluster('init', '--folder', target)))).map(({ code }) => code);
  assert.deepEqual(
    codes.toSorted((a, b) => Number(a) - Number(b)),
    [0, 4, 4],
  );
  await ok('list', '--folder', target);
});

test('wrong values are named and nothing is made', async () => {
  const add = (name: string, ...args: string[]): string[] => ['add', name, '--folder', authority, ...args];
  for (const name of ['Box', 'a_b', '-a', 'a.', 'a/b', 'é', 'a'.repeat(64), ' ', '']) {
    await fails(2, name === '-a' ? /unknown option/ : /is no name of a node/, ...add(name, '--roles', 'worker'));
  }
  await fails(2, /'king' is no role: they are worker, gateway and scheduler/, ...add('n1', '--roles', 'worker,king'));
  await fails(2, /'' is no role/, ...add('n1', '--roles', ''));
  await fails(2, /--roles/, ...add('n1'));
  for (const address of ['10.0.0.1:9000', 'http://x', '*.lan', '10.0.0', 'fe80::1%eth0', 'a b']) {
    await fails(2, /is no address of a node/, ...add('n1', '--roles', 'worker', '--address', address));
  }
  await fails(2, /whole number from 1 to 3653/, ...add('n1', '--roles', 'worker', '--days', '0'));
  await fails(
    2,
    /longer than the authority lasts: it can be at most 3652/,
    ...add('n1', '--roles', 'worker', '--days', '3653'),
  );
  await fails(4, /cannot be written: ENOENT/, ...add('n1', '--roles', 'worker', '--out', 'no/such/folder'));
  await fails(2, /is no name of a cluster/, 'init', '--folder', join(folder, 'x'), '--name', 'Home');
  await fails(3, /no authority in .*cluster init/, 'list', '--folder', join(folder, 'x'));
  assert.equal(existsSync(made('n1.join')) || existsSync(join(folder, 'x')), false);
});

test('files that others may read or that are no join files', async () => {
  copyFileSync(made('box1.join'), made('open.join'));
  for (const mode of [0o640, 0o604, 0o660]) {
    chmodSync(made('open.join'), mode);
    await fails(2, /used by other users .*\(its mode is 06?[0-7]+\): run 'chmod 600 open\.join'/, 'show', 'open.join');
  }
  chmodSync(made('open.join'), 0o400);
  await ok('show', 'open.join');
  const whole = JSON.parse(readFileSync(made('box1.join'), 'utf8')) as Record<string, string>;
  const other = JSON.parse(readFileSync(made('short.join'), 'utf8')) as Record<string, string>;
  const write = (text: string): string => {
    writeFileSync(made('bad.join'), text, { mode: 0o600 });
    return 'bad.join';
  };
  const key = whole['key'] ?? '';
  for (const [text, message] of [
    ['', /is no join file/],
    ['null', /is no join file/],
    [key, /is no join file/],
    [`{"key": ${key}`, /is no join file/],
    [JSON.stringify({ ...whole, key: undefined }), /is no join file/],
    [JSON.stringify({ ...whole, version: 2 }), /of version 2; this Perch reads version 1/],
    [JSON.stringify({ ...whole, key: other['key'] }), /its key does not belong/],
    [JSON.stringify({ ...whole, key: 'x' }), /cannot be read/],
    [JSON.stringify({ ...whole, authority: whole['certificate'] }), /not from the authority/],
    [JSON.stringify({ ...whole, cluster: 'else-0123456789ab' }), /mixes two clusters/],
    ['x'.repeat(70_000), /has 70000 bytes/],
  ] as const) {
    await fails(2, message, 'show', write(text));
  }
  mkdirSync(made('a-folder'));
  await fails(2, /is no file/, 'show', 'a-folder');
  await fails(2, /There is no file nothing\.join/, 'show', 'nothing.join');
  chmodSync(join(authority, 'ca.key'), 0o644);
  await fails(4, /used by other users/, 'add', 'n2', '--roles', 'worker', '--folder', authority);
  chmodSync(join(authority, 'ca.key'), 0o600);
});

test('files of another cluster, expired, not yet valid', async () => {
  const other = await makeCluster(Date.now() - 10 * DAY_MS);
  const { out } = await other.add('old', ['worker'], { days: 2 });
  await fails(4, /is of another cluster: of 'test-/, 'show', out, '--folder', authority);
  await fails(4, /is of another cluster/, 'revoke', out, '--folder', authority);
  assert.match(await ok('show', out), /state +expired/);
  await fails(2, /has expired: it was valid until .*--renew/, 'try', out, '127.0.0.1:9');
  const later = await other.add('later', ['worker'], { nowMs: Date.now() + DAY_MS });
  assert.match(await ok('show', later.out), /state +not yet valid/);
  await fails(2, /not yet valid: .*Set the clock/, 'try', later.out, '127.0.0.1:9');
});

test('revoke: by name, fingerprint and file; the list is told of', async () => {
  const fingerprint = async (file: string): Promise<string> =>
    (JSON.parse(await ok('show', file, '--json')) as { fingerprint: string }).fingerprint;
  for (const name of ['r1', 'r2', 'r3']) await ok('add', name, '--roles', 'worker', '--folder', authority);
  assert.match(await ok('revoke', 'r1', '--folder', authority), /revoked r1 .*copy \S+revoked to each/s);
  const second = await fingerprint('r2.join');
  await ok('revoke', second.toUpperCase().replace(/..(?=.)/g, '$&:'), '--folder', authority);
  await ok('revoke', 'r3.join', '--folder', authority);
  assert.equal(modeOf(join(authority, 'revoked')), 0o600);
  for (const name of ['r1', 'r2', 'r3'])
    assert.match(await ok('show', `${name}.join`, '--folder', authority), /state +revoked/);
  assert.match(await ok('show', 'short.join', '--folder', authority), /state +valid/);
  assert.match(await ok('revoke', 'r1', '--folder', authority), /was revoked before/);
  await fails(3, /no node, certificate or join file 'r9'/, 'revoke', 'r9', '--folder', authority);
  // The name is free again.
  await ok('add', 'r1', '--roles', 'worker', '--folder', authority, '--out', 'again.join');
  writeFileSync(join(authority, 'revoked'), 'nonsense\n', { flag: 'a' });
  await fails(4, /revoked, line 4: it has to be a fingerprint/, 'list', '--folder', authority);
});

test('try: who answers, and whether it takes the file', async () => {
  const own = await makeCluster();
  const server = await listen(await own.identity('s1', ['scheduler']));
  const worker = (await own.add('w1', ['worker'])).out;
  const scheduler = (await own.add('s2', ['scheduler'])).out;
  const at = `127.0.0.1:${server.port}`;
  assert.match(await ok('try', worker, at, '--to', 'scheduler'), /is s1 \(scheduler\), and takes this join file/);
  await fails(
    4,
    /its certificate is for another role: s1 is scheduler, wanted is worker/,
    'try',
    worker,
    at,
    '--to',
    'worker',
  );
  await fails(4, /refuses this node/, 'try', scheduler, at);
  await fails(4, /from another authority/, 'try', made('box1.join'), at);
  await fails(69, /Nobody answers at 127\.0\.0\.1:1: ECONNREFUSED/, 'try', worker, '127.0.0.1:1');
  await fails(2, /HOST:PORT/, 'try', worker, 'localhost');
});

test('try: a node that answers HTTP alone, as the store does', async () => {
  const own = await makeCluster();
  const store = await openListener({
    identity: await own.identity('g1', ['gateway']),
    roles: ['worker'],
    revoked: () => new Set(),
    host: '127.0.0.1',
    port: 0,
    clock: realClock,
    log: createLog('silent'),
    http: (_request, response) => response.end(),
  });
  const worker = (await own.add('w1', ['worker'])).out;
  assert.match(await ok('try', worker, `127.0.0.1:${store.port}`), /is g1 \(gateway\), and takes this join file/);
  await store.close();
});

test('no key in any output so far', () => {
  const files = ['box1.join', 'short.join', 'r1.join'].map((file) => readJoinFile(made(file), Date.now()));
  const keys = files.map((identity) => {
    assert.ok(typeof identity === 'object');
    return identity.secretKeyPem();
  });
  keys.push(readFileSync(join(authority, 'ca.key'), 'utf8'));
  const text = JSON.stringify(runs);
  assert.ok(runs.length > 60);
  for (const key of keys) {
    for (const line of key.split('\n').filter((each) => each.length > 20)) {
      for (let at = 0; at + 12 <= line.length; at += 12) {
        const part = line.slice(at, at + 12);
        // Every P-256 key begins with the same bytes, and with the words around it.
        if (!/^(MIGHAgEAMBMG|ByqGSM49AgEG|CCqGSM49AwEH|BG0wawIBAQQg|-----|oUQDQgAE)/.test(part))
          assert.ok(!text.includes(part), part);
      }
    }
  }
  assert.ok(!text.includes('PRIVATE KEY'));
});
