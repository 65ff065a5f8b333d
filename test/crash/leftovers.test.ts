/**
 * What a function leaves running when it has answered: it is frozen with its instance, goes on during the next
 * invocation as on Lambda, and ends with the function or the platform. And an instance that dies while it is idle.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { cgroupsOf } from '../lib/cgroups.ts';
import { instancesOf } from '../lib/instances.ts';
import { startTestPlatform, type TestPlatform } from '../lib/platform.ts';
import { makeZip } from '../lib/zip.ts';
import { cpuTicksBelow, hasFreezer, noBubblewrap, ROOT_ONLY, until } from '../worker/sandbox/harness.ts';
import { descendantProcesses } from '../../src/worker/sandbox/affinity.ts';
import { startTime } from '../../src/worker/sandbox/identity.ts';

const skip = noBubblewrap || ROOT_ONLY || (!hasFreezer && 'NO FREEZER here');
const COUNT = 3;
const MARK = `burner-${process.pid}`;
const BURNER = `
  import { spawn } from 'node:child_process';
  import { Worker } from 'node:worker_threads';
  let count = 0;
  export const handler = async ({ waitMs = 0 }) => {
    if (count++ === 0) {
      spawn('/bin/sh', ['-c', 'while :; do :; done; : ${MARK}'], { detached: true, stdio: 'ignore' }).unref();
      new Worker('for (;;);', { eval: true }).unref();
    }
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    return count;
  };`;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('what an idle instance leaves running', { skip, concurrency: false }, () => {
  let dataDir = '';
  let platform: TestPlatform;
  before(() => {
    dataDir = mkdtempSync(path.join(tmpdir(), 'perch-test-'));
  });
  afterEach(() => platform.stop());
  after(() => rmSync(dataDir, { recursive: true, force: true }));

  const call = async (method: string, where: string, body?: unknown): Promise<Response> =>
    fetch(`${platform.url}/2015-03-31/functions${where}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  const deploy = async (name: string, source: string): Promise<void> => {
    const zip = await makeZip({ 'index.mjs': source });
    const response = await call('POST', '', {
      FunctionName: name,
      Runtime: 'nodejs24.x',
      Handler: 'index.handler',
      Role: 'arn:aws:iam::000000000000:role/test',
      Code: { ZipFile: zip.toString('base64') },
    });
    assert.equal(response.status, 201, await response.text());
  };
  const invoke = async (name: string, event: unknown = {}): Promise<unknown> => {
    const response = await call('POST', `/${name}/invocations`, event);
    const text = await response.text();
    assert.equal(response.headers.get('x-amz-function-error'), null, text);
    return JSON.parse(text);
  };
  const burners = (): number[] =>
    readdirSync('/proc').flatMap((id) => {
      try {
        return /^\d+$/.test(id) && readFileSync(`/proc/${id}/cmdline`, 'latin1').includes(MARK) ? [Number(id)] : [];
      } catch {
        return [];
      }
    });
  /** Waits until nothing that the platform has started uses a CPU any more. */
  const untilStill = async (): Promise<void> => {
    for (let before = -1; ; await sleep(100)) {
      const now = cpuTicksBelow(platform.pid);
      if (now === before) return;
      before = now;
    }
  };
  const leaveBurners = async (): Promise<void> => {
    platform = await startTestPlatform({ dataDir });
    for (let index = 0; index < COUNT; index++) {
      await deploy(`burner-${index}`, BURNER);
      assert.equal(await invoke(`burner-${index}`), 1);
    }
    await untilStill();
    assert.equal(burners().length, COUNT);
  };

  test('stands still, goes on during the next invocation, and goes with the function', async () => {
    await leaveBurners();
    for (let round = 2; round < 5; round++) {
      const before = cpuTicksBelow(platform.pid);
      assert.equal(await invoke('burner-0', { waitMs: 200 }), round);
      assert.ok(cpuTicksBelow(platform.pid) > before, 'what it left behind did not go on');
      await untilStill();
    }
    for (let index = 0; index < COUNT; index++) {
      assert.equal((await call('DELETE', `/burner-${index}`)).status, 204);
    }
    await until(() => burners().length === 0);
  });

  test('SIGKILL of the platform: nothing runs on, and nothing is left after the next start', async () => {
    await leaveBurners();
    const born = new Map(descendantProcesses(platform.pid).map((id) => [id, startTime(id)]));
    const { pid } = platform;
    assert.ok(cgroupsOf(pid).length > 0);
    await platform.stop('SIGKILL');
    await until(() => [...born].every(([id, time]) => startTime(id) !== time));
    assert.deepEqual(burners(), []);
    platform = await startTestPlatform({ dataDir });
    assert.deepEqual(cgroupsOf(pid), []);
    for (let index = 0; index < COUNT; index++) await call('DELETE', `/burner-${index}`);
  });

  test('an instance that is killed while it is idle, frozen or not, costs no invocation', async () => {
    platform = await startTestPlatform({ dataDir });
    await deploy('victim', 'let count = 0; export const handler = async () => [++count, process.pid]');
    for (let waitMs = 0; waitMs < 60; waitMs += 6) {
      assert.equal((await (invoke('victim') as Promise<number[]>))[0], 1);
      await sleep(waitMs);
      const [last] = instancesOf(platform.pid, '++count, process.pid');
      assert.ok(last !== undefined);
      process.kill(last, 'SIGKILL');
      // Its end has to reach the platform.
      await until(() => startTime(last) === 0 || argumentsOf(last) === '');
      await sleep(50);
    }
    await call('DELETE', '/victim');
  });
});

/** '' for one that is dead and not yet reaped, too. */
function argumentsOf(processId: number): string {
  try {
    return readFileSync(`/proc/${processId}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}
