/** The object server as a process, spoken to over real sockets. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ObjectServer } from '../../src/experiment/object-server/object-server.ts';

let server: ObjectServer;

before(async () => {
  server = await ObjectServer.start();
});
after(() => server.stop());

function url(path: string): string {
  return `http://127.0.0.1:${server.port}${path}`;
}

test('objects are put, got, looked at and deleted, as S3 has it', async () => {
  const body = Buffer.alloc(1_000_000, 'perch');
  const put = await fetch(url('/bucket/a%20folder/key'), { method: 'PUT', body });
  assert.equal(put.status, 200);
  assert.match(put.headers.get('etag') ?? '', /^"[0-9a-f]{32}-1"$/);
  const got = await fetch(url('/bucket/a%20folder/key'));
  assert.ok(Buffer.from(await got.arrayBuffer()).equals(body));
  assert.equal(got.headers.get('etag'), put.headers.get('etag'));
  const head = await fetch(url('/bucket/a%20folder/key'), { method: 'HEAD' });
  assert.equal(head.headers.get('content-length'), '1000000');
  assert.equal((await head.arrayBuffer()).byteLength, 0);
  assert.equal((await fetch(url('/bucket/a%20folder/key'), { method: 'DELETE' })).status, 204);
  const gone = await fetch(url('/bucket/a%20folder/key'));
  assert.equal(gone.status, 404);
  assert.match(await gone.text(), /<Code>NoSuchKey<\/Code>/);
});

test('what is no object is refused', async () => {
  assert.equal((await fetch(url('/bucket'))).status, 400);
  assert.equal((await fetch(url('/'), { method: 'PUT', body: 'x' })).status, 400);
  assert.equal((await fetch(url('/bucket/key'), { method: 'PATCH', body: 'x' })).status, 405);
  assert.equal((await fetch(url('/bucket/%zz'))).status, 400);
});

test('responses are held back for the latency, and noted with their names', async () => {
  await server.ask({ latencyUs: 15_000, clear: true });
  await fetch(url('/bucket/key'), { method: 'PUT', body: 'x', headers: { 'x-amz-meta-request': 'chain/step/0' } });
  await fetch(url('/bucket/key'));
  const { requests, cpuUs } = await server.ask({ latencyUs: 0 });
  assert.equal(requests.length, 1);
  const [{ id, receivedUs, respondedUs } = assert.fail()] = requests;
  assert.equal(id, 'chain/step/0');
  assert.ok(respondedUs - receivedUs >= 15_000);
  assert.ok(cpuUs > 0);
  assert.deepEqual((await server.ask({})).requests, []);
});

test('many responses wait side by side', async () => {
  await server.ask({ latencyUs: 500 });
  const bodies = await Promise.all(
    Array.from({ length: 40 }, async (_, index) => {
      await server.put(`/bucket/${index}`, Buffer.from(String(index)));
      return (await server.get(`/bucket/${index}`)).toString();
    }),
  );
  assert.deepEqual(
    bodies,
    Array.from({ length: 40 }, (_, index) => String(index)),
  );
  await server.ask({ latencyUs: 0, clear: true });
  await assert.rejects(server.get('/bucket/1'), /answered 404/);
});
