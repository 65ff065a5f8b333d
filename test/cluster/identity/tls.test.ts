/** Who gets in: real TLS connections on loopback, from those who may and those who may not. */
import assert from 'node:assert/strict';
import type { webcrypto } from 'node:crypto';
import { KeyObject } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import tls from 'node:tls';
import * as asn1js from 'asn1js';
import * as pkijs from 'pkijs';
import { makeAuthority, makeCertificate } from '../../../src/cluster/identity/certificates.ts';
import { Refusal } from '../../../src/cluster/identity/refusal.ts';
import { clientOptions, peerOf, refusalOf } from '../../../src/cluster/identity/tls.ts';
import type { TestNode } from './cluster.ts';
import { DAY_MS, knock, listen, makeCluster } from './cluster.ts';

const cluster = await makeCluster();
const scheduler = await cluster.identity('s1', ['scheduler']);
const worker = await cluster.identity('w1', ['worker']);

/** Nothing but a certificate and a key, as one has who does not use our code. */
const bare = { rejectUnauthorized: false, ca: [scheduler.authorityPem], checkServerIdentity: () => undefined };

async function refused(node: TestNode, options: tls.ConnectionOptions, reason: string): Promise<void> {
  const before = node.accepted.length;
  const { text } = await knock({ ...bare, ...options, port: node.port });
  const line = await node.refusal();
  assert.equal(text, '');
  assert.equal(line.reason, reason, JSON.stringify(line));
  assert.equal(line.remote, '127.0.0.1');
  assert.equal(node.accepted.length, before);
}

test('a worker of the cluster gets in and each knows who the other is', async () => {
  const node = await listen(scheduler);
  const { text, error, socket } = await knock({ ...clientOptions(worker), port: node.port });
  assert.deepEqual([text, error], ['hello', null]);
  assert.deepEqual(node.accepted, [{ name: 'w1', roles: ['worker'], fingerprint: worker.fingerprint }]);
  assert.equal(socket.destroyed, true);

  const open = tls.connect({ ...clientOptions(worker), host: '127.0.0.1', port: node.port });
  await once(open, 'secureConnect');
  const expected = { identity: worker, nowMs: Date.now() };
  assert.equal(open.getProtocol(), 'TLSv1.3');
  assert.deepEqual(peerOf(open, { ...expected, roles: ['scheduler'] }), {
    name: 's1',
    roles: ['scheduler'],
    fingerprint: scheduler.fingerprint,
  });
  const wrong = peerOf(open, { ...expected, roles: ['gateway', 'worker'] });
  assert.ok(wrong instanceof Refusal && wrong.reason === 'wrong-role', JSON.stringify(wrong));
  assert.match(wrong.message, /s1 is scheduler, wanted is gateway or worker/);
  const revoked = peerOf(open, { ...expected, roles: ['scheduler'], revoked: new Set([scheduler.fingerprint]) });
  assert.ok(revoked instanceof Refusal && revoked.reason === 'revoked');
  const late = peerOf(open, { ...expected, roles: ['scheduler'], nowMs: scheduler.notAfterMs });
  assert.ok(late instanceof Refusal && late.reason === 'expired');
  const early = peerOf(open, { ...expected, roles: ['scheduler'], nowMs: scheduler.notBeforeMs - 1 });
  assert.ok(early instanceof Refusal && early.reason === 'not-yet-valid');
  open.destroy();
});

test('no certificate', async () => {
  await refused(await listen(scheduler), {}, 'no-certificate');
});

async function makeSelfSigned(): Promise<{ cert: string; key: string }> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  const keys = (await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const certificate = new pkijs.Certificate();
  certificate.version = 2;
  certificate.serialNumber = new asn1js.Integer({ value: 7 });
  const commonName = { type: '2.5.4.3', value: new asn1js.Utf8String({ value: 'w1' }) };
  certificate.subject.typesAndValues.push(new pkijs.AttributeTypeAndValue(commonName));
  certificate.issuer = certificate.subject;
  certificate.notBefore.value = new Date(Date.now() - DAY_MS);
  certificate.notAfter.value = new Date(Date.now() + DAY_MS);
  await certificate.subjectPublicKeyInfo.importKey(keys.publicKey);
  await certificate.sign(keys.privateKey, 'SHA-256');
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${Buffer.from(certificate.toSchema().toBER(false)).toString('base64')}\n-----END CERTIFICATE-----\n`,
    key: KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }) as string,
  };
}

test('a certificate that is signed by itself', async () => {
  const node = await listen(scheduler);
  await refused(node, await makeSelfSigned(), 'self-signed');
  const { certificatePem: cert, keyPem: key } = await makeAuthority('test-000000000000', Date.now());
  await refused(node, { cert, key }, 'unfit');
});

test('a certificate of another authority, though it says the same of itself', async () => {
  const node = await listen(scheduler);
  const other = await makeAuthority(scheduler.cluster, Date.now());
  const spec = {
    name: 'w1',
    roles: ['worker'] as const,
    addresses: [],
    notBeforeMs: Date.now() - DAY_MS,
    notAfterMs: Date.now() + DAY_MS,
  };
  const { certificatePem: cert, keyPem: key } = await makeCertificate(other, { cluster: scheduler.cluster, ...spec });
  await refused(node, { cert, key }, 'other-authority');
  // With the authority sent along.
  await refused(node, { cert: cert + other.certificatePem, key }, 'other-authority');
});

test('a certificate that a node made, with its own', async () => {
  const node = await listen(scheduler);
  const spec = {
    name: 'w9',
    roles: ['worker'] as const,
    addresses: [],
    notBeforeMs: Date.now() - DAY_MS,
    notAfterMs: Date.now() + DAY_MS,
  };
  const nodeAsAuthority = { certificatePem: worker.certificatePem, keyPem: worker.secretKeyPem() };
  const made = await makeCertificate(nodeAsAuthority, { cluster: scheduler.cluster, ...spec });
  await refused(node, { cert: made.certificatePem + worker.certificatePem, key: made.keyPem }, 'unfit');
});

test('a certificate of our authority that names another cluster, or nothing that Perch knows', async () => {
  const node = await listen(scheduler);
  const times = { notBeforeMs: Date.now() - DAY_MS, notAfterMs: Date.now() + DAY_MS };
  for (const [spec, reason] of [
    [{ cluster: 'test-0123456789ab', name: 'w1', roles: ['worker'], addresses: [] }, 'other-cluster'],
    [{ cluster: scheduler.cluster, name: 'w1', roles: ['emperor'], addresses: [] }, 'unfit'],
    [{ cluster: scheduler.cluster, name: 'w1/worker', roles: ['worker'], addresses: [] }, 'unfit'],
    [{ cluster: scheduler.cluster, name: 'w1', roles: [], addresses: ['localhost'] }, 'unfit'],
    // What would be two names to who splits at commas.
    [
      {
        cluster: scheduler.cluster,
        name: `w1, URI:perch://${scheduler.cluster}/worker/w1`,
        roles: ['worker'],
        addresses: [],
      },
      'unfit',
    ],
    [
      {
        cluster: scheduler.cluster,
        name: 'w1',
        roles: [],
        addresses: [`x, URI:perch://${scheduler.cluster}/worker/w1`],
      },
      'unfit',
    ],
  ] as const) {
    const made = await makeCertificate(cluster.authority.certified(), {
      ...spec,
      roles: spec.roles as never,
      ...times,
    });
    await refused(node, { cert: made.certificatePem, key: made.keyPem }, reason);
  }
});

test('a wrong role', async () => {
  const node = await listen(scheduler);
  const second = await cluster.identity('s2', ['scheduler']);
  const { text } = await knock({ ...clientOptions(second), port: node.port });
  assert.equal(text, '');
  const { reason, message } = await node.refusal();
  assert.equal(reason, 'wrong-role');
  assert.match(message, /s2 is scheduler, wanted is worker or gateway/);
  // One of several is enough.
  const both = await cluster.identity('b1', ['scheduler', 'gateway']);
  assert.equal((await knock({ ...clientOptions(both), port: node.port })).text, 'hello');
});

test('expired, and not yet valid', async () => {
  const node = await listen(scheduler);
  const old = await cluster.identity('old', ['worker'], { nowMs: Date.now() - 3 * DAY_MS, days: 2 });
  const early = await cluster.identity('early', ['worker'], { nowMs: Date.now() + DAY_MS });
  for (const [identity, reason] of [
    [old, 'expired'],
    [early, 'not-yet-valid'],
  ] as const) {
    await refused(node, { cert: identity.certificatePem, key: identity.secretKeyPem() }, reason);
  }
});

test('made half an hour ahead of this clock: it gets in', async () => {
  const node = await listen(scheduler);
  const ahead = await cluster.identity('ahead', ['worker'], { nowMs: Date.now() + 1800_000 });
  assert.equal((await knock({ ...clientOptions(ahead), port: node.port })).text, 'hello');
});

test('revoked, from the moment that the list says so', async () => {
  const list = new Set<string>();
  const node = await listen(scheduler, { revoked: () => list });
  assert.equal((await knock({ ...clientOptions(worker), port: node.port })).text, 'hello');
  list.add(worker.fingerprint);
  await refused(node, { cert: worker.certificatePem, key: worker.secretKeyPem() }, 'revoked');
});

test('no connection is resumed: each shows its certificate', async () => {
  const node = await listen(scheduler);
  const first = tls.connect({ ...clientOptions(worker), host: '127.0.0.1', port: node.port });
  const [session] = (await once(first, 'session')) as [Buffer];
  first.destroy();
  const second = tls.connect({ ...clientOptions(worker), host: '127.0.0.1', port: node.port, session });
  await once(second, 'secureConnect');
  assert.equal(second.isSessionReused(), false);
  second.destroy();
});

test('TLS 1.2 and plain TCP', async () => {
  const node = await listen(scheduler);
  await refused(node, { maxVersion: 'TLSv1.2', cert: worker.certificatePem, key: worker.secretKeyPem() }, 'not-tls');
  for (const bytes of ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', Buffer.alloc(4096), Buffer.alloc(64, 0xff)]) {
    const socket = net.connect(node.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(bytes);
    socket.resume();
    await once(socket, 'close');
    assert.equal((await node.refusal()).reason, 'not-tls');
  }
  assert.equal(node.accepted.length, 0);
});

test('handshakes that never end are ended, whether nothing comes, half of it, or a byte now and then', async () => {
  const node = await listen(scheduler, { handshakeTimeoutMs: 300 });
  const hello = await clientHello();
  for (const feed of [
    () => undefined,
    (socket: net.Socket) => socket.write(hello.subarray(0, 100)),
    // The whole greeting, and then no certificate.
    (socket: net.Socket) => socket.write(hello),
    (socket: net.Socket) => {
      let sent = 0;
      const timer = setInterval(() => socket.write(hello.subarray(sent, ++sent)), 50);
      socket.on('close', () => clearInterval(timer));
    },
  ]) {
    const socket = net.connect(node.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.resume();
    await once(socket, 'connect');
    feed(socket);
    await once(socket, 'close');
    assert.equal((await node.refusal()).reason, 'silent');
  }
  // Whoever goes away meanwhile.
  const socket = net.connect(node.port, '127.0.0.1');
  await once(socket, 'connect');
  socket.end(hello.subarray(0, 100));
  assert.equal((await node.refusal()).reason, 'closed-early');
  assert.equal((await knock({ ...clientOptions(worker), port: node.port })).text, 'hello');
});

/** What a client of this cluster says first. */
async function clientHello(): Promise<Buffer> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = tls.connect({
    ...clientOptions(worker),
    host: '127.0.0.1',
    port: (server.address() as net.AddressInfo).port,
  });
  client.on('error', () => undefined);
  const [socket] = (await once(server, 'connection')) as [net.Socket];
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  client.destroy();
  server.close();
  return bytes;
}

test('a client takes a scheduler only at an address of its certificate, and none without our authority', async () => {
  const at = async (addresses: readonly string[]) => listen(await cluster.identity('s3', ['scheduler'], { addresses }));
  const dial = async (node: TestNode, host: string) => {
    const { text, error, socket } = await knock({ ...clientOptions(worker), port: node.port, host });
    return error === null ? text : refusalOf(error, socket).reason;
  };
  assert.equal(await dial(await at([]), '127.0.0.1'), 'hello');
  assert.equal(await dial(await at(['127.0.0.1', '::1']), '127.0.0.1'), 'hello');
  assert.equal(await dial(await at(['localhost']), 'localhost'), 'hello');
  assert.equal(await dial(await at(['localhost']), '127.0.0.1'), 'wrong-address');
  assert.equal(await dial(await at(['10.0.0.1', '::1']), '127.0.0.1'), 'wrong-address');
  const stranger = await (await makeCluster()).identity('s1', ['scheduler']);
  assert.equal(await dial(await listen(stranger), '127.0.0.1'), 'other-authority');
});

test('a client says why a server is none: plain TCP, silence', async () => {
  const server = net
    .createServer((socket) => socket.on('error', () => undefined).end('SSH-2.0-x\r\n'))
    .listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { error, socket } = await knock({ ...clientOptions(worker), port: (server.address() as net.AddressInfo).port });
  server.close();
  assert.ok(error !== null);
  assert.equal(refusalOf(error, socket).reason, 'not-tls');
});

test('a flood of strangers fills no log', async () => {
  const node = await listen(scheduler);
  for (let i = 0; i < 50; i++) await knock({ ...bare, port: node.port });
  assert.equal(node.lines.length, 20);
});

test('no key is on any line of the log', async () => {
  const node = await listen(scheduler);
  await refused(node, {}, 'no-certificate');
  const keys = [scheduler, worker].map((each) => each.secretKeyPem().split('\n')[1] ?? '');
  for (const key of keys) assert.ok(key.length > 40 && !JSON.stringify(node.lines).includes(key));
});
