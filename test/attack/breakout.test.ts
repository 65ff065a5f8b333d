/** Every attempt to break out, in every runtime and place: see attempts.ts. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { SYSCALL_NUMBERS } from '../../src/worker/sandbox/seccomp/syscalls.ts';
import { type Attempt, ATTEMPTS, type Op, ZYGOTE_ATTEMPTS } from './attempts.ts';
import { endlessModule, hostileModule, wantingModule, WASM_ATTEMPTS } from './wasm.ts';
import { attackerFiles, fileWith, type Place, type Runtime, SECRET, skip, World } from './world.ts';

interface Situation {
  readonly runtime: Runtime;
  readonly place: Place | 'zygote';
}

const SITUATIONS: readonly Situation[] = [
  { runtime: 'node', place: 'plain' },
  { runtime: 'node', place: 'copy' },
  { runtime: 'node', place: 'fresh' },
  { runtime: 'node', place: 'zygote' },
  { runtime: 'python', place: 'plain' },
  { runtime: 'python', place: 'copy' },
  { runtime: 'python', place: 'fresh' },
  { runtime: 'python', place: 'zygote' },
  { runtime: 'provided', place: 'plain' },
];

const ABSTRACT = `perch-attack-${process.pid}`;

describe('attempts to break out', { skip }, () => {
  let world: World;
  let targets: Readonly<Record<string, string>>;
  const listener = createServer((socket) => socket.destroy());
  const service = createServer((socket) => socket.destroy());

  before(async () => {
    listener.listen(`\0${ABSTRACT}`);
    await new Promise<void>((resolve) => service.listen(0, resolve));
    world = await World.begin();
    const { platform } = world;
    const victim = await world.addVictim();
    await eventually(() => fileWith(path.join(platform.dataDir, 'logs'), SECRET));
    targets = {
      victim: String(victim),
      platform: String(platform.pid),
      port: new URL(platform.url).port,
      data: platform.dataDir,
      database: fileWith(platform.dataDir, 'SQLite format 3'),
      victimCode: fileWith(path.join(platform.dataDir, 'code'), SECRET),
      victimLog: fileWith(path.join(platform.dataDir, 'logs'), SECRET),
      staging: `/run/${readdirSync('/run').find((name) => name.startsWith(`perch-${platform.pid}-`))}`,
      address: addressOfServer(),
      service: String((service.address() as AddressInfo).port),
      secret: SECRET,
      abstract: ABSTRACT,
      mount: String(SYSCALL_NUMBERS.mount[process.arch === 'x64' ? 0 : 1]),
    };
  });
  after(async () => {
    listener.close();
    service.close();
    await world.end();
  });

  /** The attempts with what they aim at. */
  function aimed(attempts: readonly Attempt[]): Op[] {
    const text = JSON.stringify(attempts.flatMap(({ ops }) => ops));
    return JSON.parse(
      Object.entries(targets).reduce(
        (each, [name, value]) =>
          (/^\d+$/.test(value) ? each.replaceAll(`"{${name}}"`, value) : each).replaceAll(`{${name}}`, value),
        text,
      ),
    ) as Op[];
  }

  function expectEnds(
    attempts: readonly Attempt[],
    ends: readonly string[],
    allowed: (attempt: Attempt) => readonly string[],
  ): void {
    const wrong: string[] = [];
    let index = 0;
    for (const attempt of attempts) {
      for (const op of attempt.ops) {
        const end = ends[index++] ?? 'not tried';
        if (!allowed(attempt).includes(end))
          wrong.push(`${attempt.tried}: ${JSON.stringify(op).slice(0, 200)} ended: ${end}`);
      }
    }
    assert.deepEqual(wrong, []);
    assert.equal(ends.length, index);
  }

  for (const { runtime, place } of SITUATIONS.filter((each) => each.place !== 'zygote')) {
    test(`${runtime}, ${place}: all are stopped`, async () => {
      const name = `${runtime}-${place}`;
      await world.deploy(name, attackerFiles(runtime), { runtime, place: place as Place });
      const ends = await world.value(name, { ops: aimed(ATTEMPTS) });
      expectEnds(ATTEMPTS, ends, (attempt) => attempt.ends);
      assert.equal(await world.isCopied(name), place !== 'plain');
    });
  }

  for (const { runtime } of SITUATIONS.filter((each) => each.place === 'zygote')) {
    test(`${runtime}, while its zygote initialises: all are stopped`, async () => {
      const name = `${runtime}-zygote`;
      const attempts = [...ATTEMPTS.filter((attempt) => attempt.endsAtInit?.length !== 0), ...ZYGOTE_ATTEMPTS];
      const files = { ...attackerFiles(runtime), 'attempts.json': JSON.stringify(aimed(attempts)) };
      await world.deploy(name, files, { runtime, place: 'copy' });
      const ends = await world.value(name, { initialised: true });
      assert.equal(await world.isCopied(name), true);
      expectEnds(attempts, ends, (attempt) => attempt.endsAtInit ?? attempt.ends);
    });
  }

  for (const runtime of ['node', 'python'] as const) {
    test(`${runtime}: root outside succeeds with those that are not broken by themselves`, () => {
      const folder = mkdtempSync(path.join(os.tmpdir(), 'perch-attack-'));
      const files = Object.entries(attackerFiles(runtime));
      for (const [name, content] of files) writeFileSync(path.join(folder, name), content);
      const attempts = ATTEMPTS.filter(({ rootCan }) => rootCan);
      const program = runtime === 'node' ? process.execPath : '/usr/bin/python3';
      const { stdout } = spawnSync('unshare', ['-m', '-u', '-i', program, path.join(folder, files[0]![0])], {
        input: JSON.stringify(aimed(attempts)),
      });
      rmSync(folder, { recursive: true });
      expectEnds(attempts, JSON.parse(String(stdout)), () => ['ok']);
    });
  }

  test('wasm: all are answered with an error number, and its memory ends where it should', async () => {
    await world.deploy(
      'wasm-attacker',
      { 'app.wasm': hostileModule() },
      { runtime: 'wasm', place: 'plain', handler: 'app.handle' },
    );
    const numbers = WASM_ATTEMPTS.map(({ ends }) => String(ends).padStart(2, '0'));
    for (let count = 0; count < 2; count++)
      assert.equal(await world.value('wasm-attacker'), [...numbers, '01'].join(' '));
  });

  test('wasm: what no host gives is not there, and an endless loop ends', async () => {
    const settings = { runtime: 'wasm', place: 'plain', handler: 'app.wasm', timeoutS: 1 } as const;
    await world.deploy('wasm-wanting', { 'app.wasm': wantingModule() }, settings);
    assert.match((await world.invoke('wasm-wanting')).value.errorType, /^Runtime\./);
    await world.deploy('wasm-endless', { 'app.wasm': endlessModule() }, settings);
    assert.equal((await world.invoke('wasm-endless')).value.errorType, 'Sandbox.Timedout');
  });

  test('the victim noticed nothing, and the platform runs', async () => {
    assert.equal(await world.value('victim'), SECRET);
    assert.doesNotMatch(world.platform.stderr(), /assert|panic|uncaught/i);
  });
});

/** One that others have for it; its loopback where it has none. */
function addressOfServer(): string {
  const all = Object.values(os.networkInterfaces()).flatMap((each) => each ?? []);
  return all.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1';
}

/** What is written a little later. */
async function eventually(look: () => void): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      return look();
    } catch (error) {
      if (tries === 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
