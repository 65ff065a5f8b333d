/** The parts by themselves: names, the list of revoked certificates, the bounded log, identities that hide their key. */
import assert from 'node:assert/strict';
import { chmodSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { isIP } from 'node:net';
import { test } from 'node:test';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { SimulatedClock } from '../../../src/base/clock.ts';
import { makeCertificate } from '../../../src/cluster/identity/certificates.ts';
import type { Identity } from '../../../src/cluster/identity/join-file.ts';
import { ROLES, isNodeName, normalAddress, subjectOf } from '../../../src/cluster/identity/names.ts';
import { REFUSALS, Refusal, RefusalLog } from '../../../src/cluster/identity/refusal.ts';
import { readRevoked, watchRevoked } from '../../../src/cluster/identity/revoked.ts';
import { DAY_MS, makeCluster, temporaryFolder } from './cluster.ts';

const cluster = await makeCluster();

test('what a certificate is made to say is what is read from it', async () => {
  const name = fc.stringMatching(/^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/);
  const address = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom('localhost', 'box1.lan'));
  await fc.assert(
    fc.asyncProperty(
      name,
      fc.subarray([...ROLES], { minLength: 1 }),
      fc.array(address, { maxLength: 4 }),
      async (node, roles, addresses) => {
        const spec = {
          cluster: cluster.authority.cluster,
          name: node,
          roles,
          addresses,
          notBeforeMs: 0,
          notAfterMs: 4e12,
        };
        const made = new X509Certificate((await makeCertificate(cluster.authority.certified(), spec)).certificatePem);
        const { addresses: found = [], ...subject } = subjectOf(made) ?? {};
        assert.deepEqual(subject, { cluster: spec.cluster, name: node, roles });
        assert.deepEqual(found, addresses.map(normalAddress));
        for (const each of addresses) {
          assert.ok((isIP(each) === 0 ? made.checkHost(each) : made.checkIP(each)) !== undefined, each);
        }
        assert.deepEqual([made.validFromDate.getTime(), made.validToDate.getTime()], [0, 4e12]);
      },
    ),
    { numRuns: 60 },
  );
});

test('an address is the same however it is written', () => {
  const forms = ['2001:db8::1', '2001:DB8:0:0:0:0:0:1', '2001:0db8::0001'];
  assert.deepEqual(new Set(forms.map(normalAddress)), new Set(['2001:db8::1']));
  assert.equal(normalAddress('::FFFF:1.2.3.4'), normalAddress('::ffff:102:304'));
  assert.deepEqual(['Box1.Lan', '10.0.0.1'].map(normalAddress), ['box1.lan', '10.0.0.1']);
});

test('a name of a node needs no quoting anywhere', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => !isNodeName(text) || /^[a-z0-9.-]{1,63}$/.test(text)));
  assert.ok(!isNodeName('a\n'));
});

test('an identity that is logged shows no key', async () => {
  const identity: Identity = await cluster.identity('w1', ['worker']);
  const key = identity.secretKeyPem().split('\n')[2] ?? '';
  assert.ok(key.length > 20);
  const { authority } = cluster;
  for (const text of [
    JSON.stringify(identity),
    inspect(identity, { depth: 9, showHidden: true }),
    JSON.stringify(Object.entries(identity)),
  ]) {
    assert.ok(!text.includes(key));
  }
  const authorityKey = authority.certified().keyPem.split('\n')[2] ?? '';
  assert.ok(!(JSON.stringify(authority) + inspect(authority, { showHidden: true })).includes(authorityKey));
});

test('a node says when its certificate ends soon', async () => {
  const identity = await cluster.identity('w2', ['worker'], { days: 100 });
  assert.equal(identity.expiryWarning(identity.notAfterMs - 31 * DAY_MS), null);
  assert.match(
    String(identity.expiryWarning(identity.notAfterMs - 2.5 * DAY_MS)),
    /ends in 2 days.*cluster add w2 --renew/,
  );
});

const FIRST = 'ab'.repeat(32);
const SECOND = '0F:'.repeat(31) + '0F';

test('the list of revoked certificates: its form, and that it is read again when it changes', () => {
  const file = join(temporaryFolder(), 'revoked');
  assert.match(JSON.stringify(readRevoked(file)), /There is no file/);
  writeFileSync(file, `# all of them\n\n  ${FIRST} # w1\r\n${SECOND}`, { mode: 0o644 });
  const both = new Set([FIRST, '0f'.repeat(32)]);
  assert.deepEqual(readRevoked(file), both);
  chmodSync(file, 0o666);
  assert.match(JSON.stringify(readRevoked(file)), /changed by other users.*chmod 600/);
  chmodSync(file, 0o600);

  const clock = new SimulatedClock();
  const told: unknown[] = [];
  const watcher = watchRevoked(file, clock, (revoked, message) => told.push([revoked.size, message]));
  assert.ok(typeof watcher === 'object');
  assert.deepEqual(watcher.current(), both);
  clock.advanceUs(10_000_000);
  assert.deepEqual(told, []);
  writeFileSync(`${file}.new`, FIRST, { mode: 0o600 });
  renameSync(`${file}.new`, file);
  clock.advanceUs(10_000_000);
  assert.deepEqual(told, [[1, null]]);
  // What cannot be read changes nothing.
  writeFileSync(file, 'x');
  clock.advanceUs(10_000_000);
  rmSync(file);
  clock.advanceUs(10_000_000);
  assert.match(JSON.stringify(told.slice(1)), /^\[\[1,".*line 1: .*"\],\[1,"There is no file .*"\]\]$/);
  assert.deepEqual(watcher.current(), new Set([FIRST]));
  watcher.stop();
});

test('the log of refusals is bounded, and counts what it leaves out', () => {
  const lines: { leftOut?: number }[] = [];
  const log = new RefusalLog({ warn: (fields: object) => lines.push(fields) } as never);
  for (let i = 0; i < 1000; i++) log.add(new Refusal('not-tls'), '127.0.0.1', 5000);
  assert.equal(lines.length, 20);
  log.add(new Refusal('not-tls'), '127.0.0.1', 15_000);
  assert.equal(lines.at(-1)?.leftOut, 980);
  log.add(new Refusal('not-tls'), '127.0.0.1', 15_001);
  assert.equal(lines.at(-1)?.leftOut, undefined);
});

test('every reason of a refusal is documented, in the same words', () => {
  const text = readFileSync(new URL('../../../docs/ERRORS.md', import.meta.url), 'utf8');
  for (const [reason, meaning] of Object.entries(REFUSALS)) {
    const sentence = meaning.charAt(0).toUpperCase() + meaning.slice(1);
    assert.ok(text.includes(`| \`${reason}\` | ${sentence}. |`), reason);
  }
});
