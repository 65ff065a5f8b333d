/** What is left when the platform itself is killed: nothing that runs, and nothing that the next `open` does not remove. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readHierarchies } from '../../../src/worker/sandbox/cgroup/mounts.ts';
import { startTime } from '../../../src/worker/sandbox/identity.ts';
import { createBackend } from '../../../src/worker/sandbox/index.ts';
import { type Folders, makeFolders, noBubblewrap, removeFolders, ROOT_ONLY } from './harness.ts';

const PLATFORM = fileURLToPath(new URL('./fixtures/platform.ts', import.meta.url));
const WAIT_MS = 10_000;

describe('death of the platform', { skip: noBubblewrap || ROOT_ONLY, concurrency: false }, () => {
  let folders: Folders;
  before(() => {
    folders = makeFolders();
  });
  after(() => removeFolders(folders));

  const startPlatform = (): ReturnType<typeof spawn> => {
    const args = [PLATFORM, 'bubblewrap', folders.codeRoot, folders.runtimesRoot];
    return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  };
  const openAgain = async (): Promise<void> => {
    const { codeRoot, runtimesRoot } = folders;
    const log = { warn: () => {} };
    const backend = createBackend('bubblewrap', {
      codeRoot,
      runtimesRoot,
      interpreter: process.execPath,
      slotCount: 1,
      log,
    });
    await backend.open();
    await backend.close();
  };

  test('SIGKILL: no instance, child or stray survives, and the next open removes the rest', async () => {
    const platform = startPlatform();
    const [line] = (await once(platform.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
    const processes = JSON.parse(line.toString()) as number[];
    const born = new Map(processes.map((id) => [id, startTime(id)]));
    assert.ok(processes.length >= 1 + 3 * 5, `${processes.length} processes`);
    platform.kill('SIGKILL');
    await once(platform, 'exit');
    const deadline = performance.now() + WAIT_MS;
    const alive = (): number[] => processes.filter((id) => born.get(id) !== 0 && startTime(id) === born.get(id));
    while (alive().length > 0 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual(alive(), []);
    await openAgain();
    assert.deepEqual(leftovers(platform.pid as number), []);
  });

  test('SIGKILL at any moment of its start leaves nothing after the next open', async () => {
    for (const delayMs of [50, 90, 110, 130, 150, 170, 200, 250]) {
      const platform = startPlatform();
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      platform.kill('SIGKILL');
      if (platform.exitCode === null && platform.signalCode === null) await once(platform, 'exit');
      await openAgain();
      assert.deepEqual(leftovers(platform.pid as number), [], `after ${delayMs} ms`);
    }
  });
});

/** Cgroups and staging folders that carry the platform's process id. */
function leftovers(processId: number): string[] {
  const { v1, v2 } = readHierarchies();
  const places = [
    '/run',
    ...[...v1.values(), ...(v2 === undefined ? [] : [v2])].flatMap(({ own, mountPoint }) => [own, mountPoint]),
  ];
  return places
    .filter((place) => existsSync(place))
    .flatMap((place) => readdirSync(place).filter((name) => name.startsWith(`perch-${processId}-`)));
}
