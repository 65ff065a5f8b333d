import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { PackageFiles } from '../../../src/cli/deploy/archive.ts';
import { addFolder, makeZip } from '../../../src/cli/deploy/archive.ts';
import { CliError } from '../../../src/cli/exit-codes.ts';

const folder = mkdtempSync(join(tmpdir(), 'perch-archive-'));
after(() => rmSync(folder, { recursive: true }));

function file(text: string, executable = false): { bytes: Buffer; executable: boolean } {
  return { bytes: Buffer.from(text), executable };
}

async function hashOf(files: PackageFiles): Promise<string> {
  return createHash('sha256')
    .update(await makeZip(files))
    .digest('hex');
}

test('the same files give the same bytes, whatever their order and the time zone', async () => {
  const a = await hashOf(new Map([['a.js', file('a')], ['b/c.js', file('c', true)]])); // prettier-ignore
  const zone = process.env['TZ'];
  process.env['TZ'] = 'Pacific/Kiritimati';
  const b = await hashOf(new Map([['b/c.js', file('c', true)], ['a.js', file('a')]])); // prettier-ignore
  if (zone === undefined) delete process.env['TZ'];
  else process.env['TZ'] = zone;
  assert.equal(a, b);
  assert.notEqual(a, await hashOf(new Map([['a.js', file('a', true)], ['b/c.js', file('c', true)]]))); // prettier-ignore
});

test('a folder is packed whole, links followed, dates ignored, private files left out', async () => {
  const inner = join(folder, 'package');
  mkdirSync(join(inner, 'lib'), { recursive: true });
  mkdirSync(join(inner, '.git'));
  writeFileSync(join(inner, 'index.js'), 'exports.handler = () => 1');
  writeFileSync(join(inner, 'lib/tool'), '#!/bin/sh\n');
  chmodSync(join(inner, 'lib/tool'), 0o755);
  writeFileSync(join(inner, '.git/config'), 'secret');
  writeFileSync(join(inner, '.env'), 'SECRET=1');
  symlinkSync('index.js', join(inner, 'alias.js'));
  const files: PackageFiles = new Map();
  addFolder(files, inner);
  assert.deepEqual([...files.keys()].sort(), ['alias.js', 'index.js', 'lib/tool']);
  assert.equal(files.get('lib/tool')?.executable, true);
  const before = await hashOf(files);
  utimesSync(join(inner, 'index.js'), 1, 1);
  const again: PackageFiles = new Map();
  addFolder(again, inner);
  assert.equal(await hashOf(again), before);
});

test('a link to its own folder ends in a message', () => {
  const loop = join(folder, 'loop');
  mkdirSync(loop);
  symlinkSync('.', join(loop, 'self'));
  assert.throws(() => addFolder(new Map(), loop), CliError);
});
