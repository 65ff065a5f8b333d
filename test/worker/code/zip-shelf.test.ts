/** Zips kept for others: what is put is got, within the budget, by this life and the next. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ZipShelf } from '../../../src/worker/code/zip-shelf.ts';

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'perch-shelf-'));
  after(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

const reports: string[] = [];
const open = (at: string, bytesMax = 100): ZipShelf =>
  new ZipShelf({ folder: at, bytesMax, report: (message) => void reports.push(message) });
const zip = (text: string): Buffer => Buffer.alloc(40, text);
const nameOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const put = (shelf: ZipShelf, bytes: Buffer): string => {
  shelf.put(nameOf(bytes), bytes);
  return nameOf(bytes);
};

test('what is put is got, at once and by the next life', async () => {
  const at = folder();
  const shelf = open(at);
  const name = put(shelf, zip('a'));
  put(shelf, zip('a'));
  assert.deepEqual(await shelf.get(name), zip('a'));
  assert.equal(await shelf.get('ab'.repeat(32)), null);
  assert.equal(shelf.bytes, 40);
  await shelf.close();
  writeFileSync(join(at, `${name}.part`), 'what a kill left');
  writeFileSync(join(at, 'something else'), '');
  const next = open(at);
  assert.deepEqual(await next.get(name), zip('a'));
  assert.deepEqual(readdirSync(at).toSorted(), [name, 'something else'].toSorted());
});

test('what was asked for longest ago goes for what comes', async () => {
  const at = folder();
  const shelf = open(at);
  const [a, b] = [put(shelf, zip('a')), put(shelf, zip('b'))];
  await shelf.get(a);
  const c = put(shelf, zip('c'));
  assert.equal(await shelf.get(b), null);
  assert.ok((await shelf.get(a)) !== null && (await shelf.get(c)) !== null);
  assert.equal(shelf.bytes, 80);
  shelf.put(nameOf(Buffer.alloc(101)), Buffer.alloc(101));
  assert.equal(shelf.bytes, 80);
  shelf.drop(a);
  assert.equal(await shelf.get(a), null);
  await shelf.close();
  assert.deepEqual(readdirSync(at), [c]);
  // With a smaller budget in its next life.
  assert.equal(open(at, 30).bytes, 0);
});

test('a name that is none is no path, and a folder that cannot be written is reported once', async () => {
  const at = folder();
  const shelf = open(at);
  shelf.put('../../outside', zip('x'));
  assert.equal(await shelf.get('../../outside'), null);
  rmSync(at, { recursive: true });
  writeFileSync(at, 'no folder any more');
  chmodSync(at, 0o600);
  const [a, b] = [put(shelf, zip('a')), put(shelf, zip('b'))];
  await shelf.close();
  assert.deepEqual([await shelf.get(a), await shelf.get(b)], [null, null]);
  assert.equal(reports.length, 1);
  assert.match(reports[0]!, /cannot keep code in/);
  assert.equal(shelf.bytes, 0);
});
