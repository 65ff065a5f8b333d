/** Asynchronous invocations whose worker dies, with real processes on hosts of their own. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CORE_COUNT, playsOfSuite } from './hosts/play.ts';
import { NO_HOSTS } from './hosts/requirements.ts';

describe('a queue whose workers fail', { skip: NO_HOSTS, concurrency: false }, () => {
  const { play } = playsOfSuite();

  test('asynchronous invocations of a worker that is killed run again', async () => {
    const p = await play();
    const later: string[] = [];
    for (let count = 0; count < CORE_COUNT; count++) later.push(await p.invokeAsynchronously('a'));
    await p.until('all run', () => later.every((id) => p.begun(id).length === 1));
    const lost = later.filter((id) => p.isOn('w1', id));
    assert.equal(lost.length, 2);
    await p.cluster.process('w1').kill();
    p.letGo('a');
    await p.until('they ran again', () => lost.every((id) => p.begun(id).length === 2));
    for (const id of later) assert.equal(p.begun(id).length, lost.includes(id) ? 2 : 1);
  });
});
