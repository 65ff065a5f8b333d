/** Changes asked of another node's store, while connections break, answers are lost and the store's process is killed. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { UserError } from '../../src/base/errors.ts';
import { realClock } from '../../src/base/clock.ts';
import { LIMITS } from '../../src/base/limits.ts';
import { ask, NoAnswer } from '../../src/store/remote/client.ts';
import { HEADERS, PATHS } from '../../src/store/remote/protocol.ts';
import type { RemoteStore } from '../../src/store/remote/remote-store.ts';
import { asyncInvocation, config, ok, refused, smallZip, temporaryFolder } from './fixtures.ts';
import { IDENTITIES, openRemote, reach, startStoreProcess, until } from './remote-nodes.ts';
import { serveStore } from './served-store.ts';
import { Wire } from './wire.ts';

async function create(store: RemoteStore, functionName: string, publish = false): Promise<unknown> {
  const code = await store.putCode(smallZip(1));
  if (code instanceof UserError) return code;
  return store.createFunction({ functionName, config: config(), code, tags: {}, publish });
}

test('a call asked twice under one id is done once, and answered alike', async (context) => {
  const { store: identity, gateway } = IDENTITIES;
  const served = await serveStore(temporaryFolder(context), { identity });
  const node = reach(gateway, served.listener.port);
  context.after(async () => {
    node.leave();
    await served.close();
  });
  const code = ok(await served.store.putCode(smallZip(1)));
  const request = { functionName: 'f', config: config(), code, tags: {}, publish: true };
  const call = (id: string, life?: string): Promise<unknown> =>
    ask(node.agent, node.store, realClock, {
      method: 'POST',
      path: `${PATHS.call}createFunction`,
      headers: { [HEADERS.call]: id, ...(life === undefined ? {} : { [HEADERS.life]: life }) },
      body: Buffer.from(JSON.stringify([request])),
      answerBytesMax: 100_000,
      timeoutMs: 5000,
    }).then((answer) => {
      assert.ok(!(answer instanceof NoAnswer), JSON.stringify(answer));
      return { status: answer.status, ...(JSON.parse(answer.body.toString()) as object) };
    });
  const id = randomUUID();
  const both = (await Promise.all([call(id), call(id)])) as { life: string; result?: { version: string } }[];
  assert.equal(both[0]?.result?.version, '1');
  assert.deepEqual(both[1], both[0]);
  assert.deepEqual(await call(id, both[0].life), both[0]);
  assert.equal(((await call(randomUUID())) as { error: { code: string } }).error.code, 'ResourceConflictException');
  assert.deepEqual(
    await call(id, randomUUID()),
    { status: 409, life: both[0].life },
    'of another life nothing is done',
  );
});

test('answers that are lost are given again: nothing is done twice', async (context) => {
  const { store: identity } = IDENTITIES;
  const served = await serveStore(temporaryFolder(context), { identity });
  const wire = await new Wire(served.listener.port).open(context);
  const remote = await openRemote(null, wire.port);
  ok((await create(remote, 'f')) as object);
  for (let round = 1; round <= 10; round++) {
    wire.loseAnswers = 1 + (round % 2);
    const tag = String(round);
    const published = ok(
      await remote.updateFunction({ functionName: 'f', config: config({ timeoutS: round }), publish: true }),
    );
    assert.equal(published.version, tag, 'each round publishes one version');
    wire.loseAnswers = 1;
    assert.equal(await remote.enqueue(asyncInvocation()), null);
    assert.equal(await remote.setTags('f', (before) => ({ ...before, [tag]: tag })), null);
    ok((await create(remote, `g${round}`)) as object);
  }
  assert.ok(wire.lostCount >= 20, `${wire.lostCount} answers were lost`);
  assert.equal(served.store.asyncQueueLength(), 10);
  assert.equal(Object.keys(served.store.getFunction('f')!.tags).length, 10);
  wire.loseAnswers = 0;
  await until('the replica has it all', () => remote.listFunctions(null, 100).items.length === 11);
  assert.deepEqual(remote.listAllVersions(null, 100), served.store.listAllVersions(null, 100));
  await remote.close();
  await served.close();
});

test('of more calls at once than there are connections none is said not to have been made when it was', async (context) => {
  const served = await serveStore(temporaryFolder(context), { identity: IDENTITIES.store });
  const wire = await new Wire(served.listener.port).open(context);
  const remote = await openRemote(null, wire.port);
  const code = ok(await remote.putCode(smallZip(1)));
  let answered = 0;
  const asked = Array.from({ length: 20 * LIMITS.nodeConnectionsMax }, async (_, index) => {
    const request = { functionName: `f${index}`, config: config(), code, tags: {}, publish: false };
    const made = await remote.createFunction(request);
    // By then each connection has passed from one call to another that waited for it.
    if (++answered === 4 * LIMITS.nodeConnectionsMax) wire.loseAnswers = 10;
    return made instanceof UserError ? made.message : '';
  });
  const errors = await Promise.all(asked);
  assert.ok(wire.lostCount > 0);
  assert.deepEqual(
    errors.filter((each) => each !== ''),
    [],
    'all were made, and their answers given again',
  );
  await remote.close();
  await served.close();
});

test('while the store is away reads go on, changes are refused by name, and then all is as it is there', async (context) => {
  const { store: identity } = IDENTITIES;
  const folder = temporaryFolder(context);
  let served = await serveStore(folder, { identity });
  const { port } = served.listener;
  const remote = await openRemote(context, port);
  for (const name of ['stays', 'goes', 'changes']) ok((await create(remote, name, true)) as object);
  const before = remote.getFunction('stays');
  const changed: string[] = [];
  let missing = 0;
  remote.onChange((name) => {
    changed.push(name);
    if (remote.getFunction('stays') === null) missing++;
  });
  await served.close();
  await until('it is noticed', async () => (await create(remote, 'new')) instanceof UserError);
  refused(
    await remote.setReservedConcurrency('stays', 1),
    'ServiceUnavailableException',
    /127\.0\.0\.1:\d+, cannot be reached: .*Nothing was changed/,
  );
  refused(await remote.enqueue(asyncInvocation()), 'ServiceUnavailableException');
  await assert.rejects(remote.readZip(before!.latest.code), /cannot be reached for the code/);
  assert.deepEqual(
    remote.listFunctions(null, 9).items.map((record) => record.latest.functionName),
    ['changes', 'goes', 'stays'],
  );
  // What changes meanwhile at the store's own node.
  served = await serveStore(folder, { identity, port });
  ok(await served.store.deleteFunction('goes', null));
  ok(await served.store.updateFunction({ functionName: 'changes', config: config({ timeoutS: 9 }), publish: true }));
  await until('it is back', () => remote.getVersion('changes', '2') !== null && remote.getFunction('goes') === null);
  assert.equal(missing, 0);
  assert.equal(remote.getFunction('stays'), before, 'what has not changed is the object that it was');
  assert.deepEqual([...new Set(changed)].toSorted(), ['changes', 'goes']);
  await until('changes are taken again', async () => (await remote.setReservedConcurrency('stays', 3)) === null);
  assert.equal(remote.getFunction('stays')?.reservedConcurrency, 3);
  assert.deepEqual(remote.listAllVersions(null, 99), served.store.listAllVersions(null, 99));
  await remote.close();
  await served.close();
});

test('a change that is being made when the store stops is answered', async (context) => {
  const served = await serveStore(temporaryFolder(context), { identity: IDENTITIES.store });
  const remote = await openRemote(context, served.listener.port);
  ok((await create(remote, 'f')) as object);
  const { store } = served;
  const change = store.setReservedConcurrency.bind(store);
  const begun = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  store.setReservedConcurrency = async (...args) => {
    begun.resolve();
    await go.promise;
    return change(...args);
  };
  const asked = remote.setReservedConcurrency('f', 3);
  await begun.promise;
  const closed = served.close();
  refused(await remote.setTags('g', () => ({})), 'ServiceUnavailableException', /shutting down/);
  go.resolve();
  assert.equal(await asked, null);
  await Promise.all([closed, remote.close()]);
});

test('an asynchronous invocation is as old as the store has had it, whatever the clock of its gateway says', async (context) => {
  const served = await serveStore(temporaryFolder(context), { identity: IDENTITIES.store });
  context.after(() => served.close());
  const dayMs = 86_400_000;
  const beforeMs = Date.now();
  for (const skewMs of [dayMs, -dayMs]) {
    const clock = { ...realClock, wallMs: () => Date.now() + skewMs };
    const remote = await openRemote(context, served.listener.port, clock);
    if (remote.getFunction('f') === null) ok((await create(remote, 'f')) as object);
    const ms = clock.wallMs();
    assert.equal(await remote.enqueue({ ...asyncInvocation(), acceptedMs: ms, dueMs: ms }), null);
    await remote.close();
  }
  const nowMs = Date.now();
  const due = [...served.store.takeDue(nowMs, 10)];
  assert.equal(due.length, 2);
  for (const { acceptedMs } of due) assert.ok(acceptedMs >= beforeMs && acceptedMs <= nowMs, String(acceptedMs));
});

test('two gateways that change the same tags at once lose none', async (context) => {
  const served = await serveStore(temporaryFolder(context), { identity: IDENTITIES.store });
  const { port } = served.listener;
  const gateways = [await openRemote(null, port), await openRemote(null, port)];
  ok((await create(gateways[0]!, 'f')) as object);
  const changes = gateways.flatMap((gateway, which) =>
    Array.from({ length: 10 }, (_, index) =>
      gateway.setTags('f', (before) => ({ ...before, [`${which}-${index}`]: 'x' })),
    ),
  );
  assert.deepEqual(
    await Promise.all(changes),
    changes.map(() => null),
  );
  assert.equal(Object.keys(served.store.getFunction('f')!.tags).length, 20);
  for (const gateway of gateways) {
    await until('it knows', () => Object.keys(gateway.getFunction('f')?.tags ?? {}).length === 20);
    await gateway.close();
  }
  await served.close();
});

test('what was asked for before the end is waited for; what is asked for after it is refused', async (context) => {
  const served = await serveStore(temporaryFolder(context), { identity: IDENTITIES.store });
  const remote = await openRemote(null, served.listener.port);
  ok((await create(remote, 'f')) as object);
  const asked = [1, 2, 3].map((max) => remote.setReservedConcurrency('f', max));
  const enqueued = remote.enqueue(asyncInvocation());
  await remote.close();
  assert.deepEqual(await Promise.all([...asked, enqueued]), [null, null, null, null]);
  assert.equal(served.store.getFunction('f')?.reservedConcurrency, 3);
  refused(await remote.setTags('f', () => ({})), 'ServiceUnavailableException', /shutting down/);
  await served.close();
});

const KILLS = Number(process.env['PERCH_KILL_COUNT'] ?? 6);

test(`the store's process is killed ${KILLS} times among calls: what was answered is there, nothing is there twice`, async (context) => {
  const folder = temporaryFolder(context);
  let node = await startStoreProcess(folder);
  const { port } = node;
  context.after(() => node.kill());
  const remote = await openRemote(context, port);
  const code = ok(await remote.putCode(smallZip(1)));
  const rest = { layerName: 'l', code, licenseInfo: '', compatibleRuntimes: [], compatibleArchitectures: [] };
  /** The number that each was given. Publishing is what shows when it is done twice. */
  const answered = new Map<string, number>();
  const counts = { answered: 0, refused: 0, unknown: 0 };
  let asked = 0;
  let stop = false;
  const work = (async () => {
    while (!stop) {
      const description = String(asked++);
      const result = await remote.publishLayerVersion({ ...rest, description });
      if (!(result instanceof UserError)) {
        answered.set(description, result.version);
        counts.answered++;
        assert.equal(remote.getLayerVersion('l', result.version)?.description, description, 'who changed it sees it');
      } else if (result.code === 'ServiceUnavailableException') {
        counts.refused++;
        asked--;
        await new Promise((resolve) => setTimeout(resolve, 5));
      } else {
        assert.match(result.message, /Whether it was made shows when it is read/);
        counts.unknown++;
      }
    }
  })();
  for (let round = 0; round < KILLS; round++) {
    const before = counts.answered;
    await until('some were answered', () => counts.answered >= before + 3 + round);
    await node.kill();
    node = await startStoreProcess(folder, port);
  }
  const before = counts.answered;
  await until('it goes on', () => counts.answered > before);
  stop = true;
  await work;
  for (const [description, version] of answered) {
    assert.equal(remote.getLayerVersion('l', version)?.description, description);
  }
  const found = remote.listLayerVersions('l', () => true, null, 100_000).items.map((each) => each.description);
  assert.equal(new Set(found).size, found.length, 'no change was made twice');
  const extra = found.filter((each) => !answered.has(each)).length;
  assert.ok(extra <= counts.unknown, `${extra} are there that were not answered; ${counts.unknown} were in doubt`);
  context.diagnostic(JSON.stringify({ ...counts, extra }));
});
