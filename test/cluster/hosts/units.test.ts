/** The systemd units of packaging/systemd: what systemd itself says of them, and what the docs promise. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';

const ROOT = path.resolve(import.meta.dirname, '../../..');
const FOLDER = path.join(ROOT, 'packaging/systemd');
const UNITS = readdirSync(FOLDER).filter((name) => name.endsWith('.service'));
const PERCH = path.join(ROOT, 'bin/perch');
const noSystemd = spawnSync('systemd-analyze', ['--version']).status !== 0 && 'NEEDS systemd-analyze to check this';

const read = (name: string): string => readFileSync(path.join(FOLDER, name), 'utf8');
const setting = (text: string, name: string): string => new RegExp(`^${name}=(.*)$`, 'm').exec(text)?.[1] ?? '';

test('systemd understands every line of the units', { skip: noSystemd }, (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'perch-units-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const files = UNITS.map((name) => {
    const file = path.join(folder, name);
    // It looks for the program, which need not be installed here.
    writeFileSync(file, read(name).replaceAll('ExecStart=perch ', `ExecStart=${PERCH} `));
    return file;
  });
  const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', ...files], { encoding: 'utf8' });
  assert.deepEqual([status, stderr.split('\n').filter((line) => line.includes(folder))], [0, []]);
});

test('each unit runs a command that there is, with options that it has', () => {
  assert.equal(UNITS.length, 4);
  for (const name of UNITS) {
    const [, command, ...words] = setting(read(name), 'ExecStart').split(' ');
    const help = execFileSync(PERCH, [command!, '--help'], { encoding: 'utf8' });
    const example = /^# ?(?:.*as in )?PERCH_\w*OPTIONS=(.*)$/m.exec(read(name))?.[1] ?? '';
    const options = [...words, ...example.split(' ')].filter((word) => word.startsWith('--'));
    assert.ok(options.length > 1, name);
    for (const option of options) assert.match(help, new RegExp(`${option}\\b`), `${name}: ${option}`);
  }
});

test('a unit that runs functions has cgroups of its own, and time for what runs', () => {
  for (const name of ['perch.service', 'perch-worker.service']) {
    const text = read(name);
    assert.equal(setting(text, 'Delegate'), 'yes');
    assert.equal(setting(text, 'OOMPolicy'), 'continue');
    assert.equal(setting(text, 'KillMode'), 'mixed');
    // The longest timeout of a function.
    assert.ok(Number(setting(text, 'TimeoutStopSec')) > 900);
  }
});
