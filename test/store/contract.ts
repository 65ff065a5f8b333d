/** What every store backend has to do. A backend's test file calls it once. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { UserError } from '../../src/base/errors.ts';
import type { CodeRef, EnqueuedInvocations, FunctionVersion, Store } from '../../src/store/store.ts';
import { asyncInvocation, config, ok, refused, smallZip, temporaryFolder } from './fixtures.ts';

/** One that does not hand out what was enqueued is tested together with the one that it reaches. */
export type WholeStore = Store & EnqueuedInvocations;

export interface Backend {
  readonly name: string;
  /** Opening the same folder again after `close` finds what was there. */
  open(folder: string, limits: { asyncQueueMax?: number; asyncMemoryBytesMax?: number }): Promise<WholeStore>;
}

interface Scene {
  readonly store: WholeStore;
  readonly code: CodeRef;
  readonly otherCode: CodeRef;
  create(functionName: string, publish?: boolean): Promise<FunctionVersion>;
  reopen(): Promise<WholeStore>;
}

type SceneTest = (scene: Scene) => Promise<void>;

export function storeContract(backend: Backend): void {
  const scene = (name: string, body: SceneTest, limits: Parameters<Backend['open']>[1] = {}): void => {
    test(name, async (context) => {
      const folder = temporaryFolder(context);
      let store = await backend.open(folder, limits);
      const code = ok(await store.putCode(smallZip(1)));
      const otherCode = ok(await store.putCode(smallZip(2)));
      const create = async (functionName: string, publish = false): Promise<FunctionVersion> =>
        ok(await store.createFunction({ functionName, config: config(), code, tags: {}, publish }));
      const reopen = async (): Promise<WholeStore> => {
        await store.close();
        store = await backend.open(folder, limits);
        return store;
      };
      await body({ store, code, otherCode, create, reopen }).finally(() => store.close());
    });
  };
  describe(`${backend.name}: functions`, () => functionTests(scene));
  describe(`${backend.name}: versions`, () => versionTests(scene));
  describe(`${backend.name}: lists`, () => listTests(scene));
  describe(`${backend.name}: asynchronous invocations`, () => queueTests(scene));
  describe(`${backend.name}: chains`, () => chainTests(scene));
}

type DefineScene = (name: string, body: SceneTest, limits?: Parameters<Backend['open']>[1]) => void;

function functionTests(scene: DefineScene): void {
  scene('a function is there once created, and after a restart', async ({ store, create, reopen }) => {
    const created = await create('f');
    assert.equal(created.version, '$LATEST');
    assert.deepEqual(store.getFunction('f')?.latest, created);
    assert.deepEqual(store.getVersion('f', '$LATEST'), created);
    const before = store.getFunction('f');
    assert.deepEqual((await reopen()).getFunction('f'), before);
  });
  scene('a name is taken once', async ({ store, code, create }) => {
    await create('f');
    const again = await store.createFunction({ functionName: 'f', config: config(), code, tags: {}, publish: false });
    refused(again, 'ResourceConflictException', 'Function already exist: f');
  });
  scene('of two that create it at once, one wins', async ({ store, code }) => {
    const request = { functionName: 'f', config: config(), code, tags: {}, publish: false };
    const both = await Promise.all([store.createFunction(request), store.createFunction(request)]);
    assert.equal(both.filter((result) => result instanceof UserError).length, 1);
  });
  scene('code that was never uploaded is refused', async ({ store }) => {
    const code = { sha256: 'a'.repeat(64), zipBytes: 1 };
    const result = await store.createFunction({ functionName: 'f', config: config(), code, tags: {}, publish: false });
    refused(result, 'InvalidParameterValueException', /upload it again/);
    assert.equal(store.getFunction('f'), null);
  });
  scene('an update changes what it names, and the revision', async ({ store, code, otherCode, create }) => {
    const before = await create('f');
    const updated = ok(
      await store.updateFunction({ functionName: 'f', config: config({ timeoutS: 9 }), publish: false }),
    );
    assert.equal(updated.config.timeoutS, 9);
    assert.deepEqual(updated.code, code);
    assert.notEqual(updated.revisionId, before.revisionId);
    const second = ok(await store.updateFunction({ functionName: 'f', code: otherCode, publish: false }));
    assert.deepEqual([second.config.timeoutS, second.code], [9, otherCode]);
    assert.deepEqual(store.getFunction('f')?.latest, second);
  });
  scene('an update of an old revision is refused', async ({ store, create }) => {
    const { revisionId } = await create('f');
    const update = { functionName: 'f', config: config({ timeoutS: 9 }), publish: false, revisionId };
    const latest = ok(await store.updateFunction(update));
    refused(
      await store.updateFunction(update),
      'PreconditionFailedException',
      /^The RevisionId provided does not match/,
    );
    assert.deepEqual(store.getFunction('f')?.latest, latest);
  });
  scene('what is not there is not found', async ({ store, create }) => {
    const message = 'Function not found: arn:aws:lambda:us-east-1:000000000000:function:g';
    await create('f');
    refused(await store.updateFunction({ functionName: 'g', publish: false }), 'ResourceNotFoundException', message);
    refused(await store.publishVersion({ functionName: 'g' }), 'ResourceNotFoundException', message);
    refused(await store.deleteFunction('g', null), 'ResourceNotFoundException', message);
    refused(await store.setTags('g', () => ({})), 'ResourceNotFoundException', message);
    refused(await store.setKnowledge('g', null), 'ResourceNotFoundException', message);
    refused(await store.setReservedConcurrency('g', 1), 'ResourceNotFoundException', message);
    refused(await store.deleteFunction('f', '7'), 'ResourceNotFoundException', `${message.slice(0, -1)}f:7`);
    assert.deepEqual(
      [store.getFunction('g'), store.getVersion('g', '1'), store.getVersion('f', '1')],
      [null, null, null],
    );
  });
  scene('tags and reserved concurrency are kept', async ({ store, create, reopen }) => {
    const created = await create('f');
    // At once: each sees what the one before decided.
    const tagged = ['1', '2'].map((tag) => store.setTags('f', (before) => ({ ...before, [tag]: tag })));
    assert.deepEqual(await Promise.all(tagged), [null, null]);
    assert.equal(await store.setReservedConcurrency('f', 0), null);
    const record = (await reopen()).getFunction('f');
    assert.deepEqual([record?.tags, record?.reservedConcurrency], [{ 1: '1', 2: '2' }, 0]);
    assert.equal(record?.latest.revisionId, created.revisionId);
  });
  scene('what is said of when a function sleeps is kept, and changes no version', async (each) => {
    const { store, create, reopen } = each;
    await create('f', true);
    assert.equal(store.getFunction('f')?.knowledge ?? null, null);
    const knowledge = { sources: ['directed'], rules: 'after sent sleep until 1s\n', plugin: null };
    const version = store.getVersion('f', '1');
    const other = { sources: null, rules: null, plugin: 'AAAA' };
    const set = [store.setKnowledge('f', other), store.setKnowledge('f', knowledge)];
    assert.deepEqual(await Promise.all(set), [null, null]);
    assert.equal(store.getVersion('f', '1'), version);
    const reopened = await reopen();
    assert.deepEqual(reopened.getFunction('f')?.knowledge, knowledge);
    assert.equal(await reopened.setKnowledge('f', null), null);
    assert.equal(reopened.getFunction('f')?.knowledge ?? null, null);
  });
  scene('provisioned concurrency is kept, and goes with its version', async ({ store, create, reopen }) => {
    await create('f', true);
    assert.equal(await store.setProvisioned('f', '1', 2), null);
    const before = store.getFunction('f')?.provisioned;
    assert.equal(before?.['1']?.count, 2);
    const reopened = await reopen();
    assert.deepEqual(reopened.getFunction('f')?.provisioned, before);
    refused(await reopened.setProvisioned('f', '2', 1), 'ResourceNotFoundException', /function:f:2$/);
    refused(await reopened.setProvisioned('g', '1', 1), 'ResourceNotFoundException', /function:g$/);
    refused(await reopened.setProvisioned('f', '$LATEST', 1), 'InvalidParameterValueException', /unpublished/);
    ok(await reopened.deleteFunction('f', '1'));
    assert.deepEqual(reopened.getFunction('f')?.provisioned, {});
    const both = await Promise.all([
      reopened.publishVersion({ functionName: 'f' }),
      reopened.setProvisioned('f', '2', 1),
    ]);
    assert.deepEqual([ok(both[0]).version, both[1]], ['2', null]);
    const gone = await Promise.all([reopened.deleteFunction('f', '2'), reopened.setProvisioned('f', '2', 3)]);
    refused(gone[1], 'ResourceNotFoundException');
    assert.deepEqual(reopened.getFunction('f')?.provisioned, {});
  });
  scene('provisioned concurrency is never more than what is reserved', async ({ store, create }) => {
    await create('f', true);
    ok(await store.updateFunction({ functionName: 'f', config: config({ timeoutS: 9 }), publish: true }));
    ok(await store.setReservedConcurrency('f', 3));
    ok(await store.setProvisioned('f', '1', 2));
    refused(
      await store.setProvisioned('f', '2', 2),
      'InvalidParameterValueException',
      /would have 4, and 3 are reserved/,
    );
    ok(await store.setProvisioned('f', '2', 1));
    ok(await store.setProvisioned('f', '1', 1));
    refused(await store.setReservedConcurrency('f', 1), 'InvalidParameterValueException', /of f, which is 2/);
    ok(await store.setReservedConcurrency('f', null));
    ok(await store.setProvisioned('f', '1', 100));
  });
  scene('changes are told once they are there to be read', async ({ store, create }) => {
    const seen: [string, boolean][] = [];
    store.onChange((name) => seen.push([name, store.getFunction(name) !== null]));
    await create('f');
    ok(await store.deleteFunction('f', null));
    assert.deepEqual(seen, [
      ['f', true],
      ['f', false],
    ]);
  });
  scene('keys and texts that are odd come back as they were', async ({ store, code, reopen }) => {
    const environment = JSON.parse(
      String.raw`{"__proto__":"x","constructor":"y","":"z","\u0000\ud800":"\ud83d\ude00"}`,
    ) as {};
    const tags = { 'a:b': 'ä'.repeat(100) };
    ok(await store.createFunction({ functionName: 'f', config: config({ environment }), code, tags, publish: false }));
    const record = (await reopen()).getFunction('f');
    assert.deepEqual([record?.latest.config.environment, record?.tags], [environment, tags]);
  });
  scene('after close every change is refused', async ({ store, create, reopen }) => {
    await create('f');
    const reopened = await reopen();
    refused(await store.updateFunction({ functionName: 'f', publish: false }), 'ServiceUnavailableException');
    refused(await store.putCode(smallZip(3)), 'ServiceUnavailableException');
    refused(await store.enqueue(asyncInvocation()), 'ServiceUnavailableException');
    assert.notEqual(reopened.getFunction('f'), null);
  });
}

function versionTests(scene: DefineScene): void {
  scene('publishing gives 1, 2, …; a version stays as it was', async ({ store, create, otherCode, reopen }) => {
    const first = await create('f', true);
    assert.equal(first.version, '1');
    const second = ok(await store.updateFunction({ functionName: 'f', code: otherCode, publish: true }));
    assert.equal(second.version, '2');
    ok(await store.updateFunction({ functionName: 'f', config: config({ memoryMb: 512 }), publish: false }));
    const reopened = await reopen();
    assert.deepEqual([reopened.getVersion('f', '1'), reopened.getVersion('f', '2')], [first, second]);
    assert.equal(reopened.getVersion('f', '$LATEST')?.config.memoryMb, 512);
  });
  scene('publishing what has not changed gives the same version', async ({ store, create }) => {
    await create('f');
    const first = ok(await store.publishVersion({ functionName: 'f', description: 'first' }));
    assert.deepEqual([first.version, first.config.description], ['1', 'first']);
    assert.deepEqual(ok(await store.publishVersion({ functionName: 'f', description: 'other' })), first);
    // The same settings anew are no change either.
    assert.deepEqual(ok(await store.updateFunction({ functionName: 'f', config: config(), publish: true })), first);
    ok(await store.updateFunction({ functionName: 'f', config: config({ timeoutS: 4 }), publish: false }));
    assert.equal(ok(await store.publishVersion({ functionName: 'f' })).version, '2');
  });
  scene('publishing checks the code and the revision that it is told', async ({ store, create, code, otherCode }) => {
    await create('f');
    const wrongCode = await store.publishVersion({ functionName: 'f', codeSha256: otherCode.sha256 });
    refused(wrongCode, 'InvalidParameterValueException', /is different from current CodeSHA256 in \$LATEST/);
    const wrongRevision = await store.publishVersion({ functionName: 'f', revisionId: crypto.randomUUID() });
    refused(wrongRevision, 'PreconditionFailedException');
    const { revisionId } = store.getFunction('f')!.latest;
    ok(await store.publishVersion({ functionName: 'f', codeSha256: code.sha256, revisionId }));
  });
  scene('a number is never used again', async ({ store, create, otherCode, reopen }) => {
    await create('f', true);
    assert.equal(await store.deleteFunction('f', '1'), null);
    assert.equal(store.getVersion('f', '1'), null);
    assert.equal(ok(await store.publishVersion({ functionName: 'f' })).version, '2');
    assert.equal(await store.deleteFunction('f', null), null);
    const reopened = await reopen();
    const request = { functionName: 'f', config: config(), code: otherCode, tags: {}, publish: true };
    // Its code was swept at the restart, with nothing that uses it.
    ok(await reopened.putCode(smallZip(2)));
    assert.equal(ok(await reopened.createFunction(request)).version, '3');
    assert.deepEqual(
      reopened.listVersions('f', null, 9).items.map((version) => version.version),
      ['$LATEST', '3'],
    );
  });
  scene('$LATEST goes only with its function', async ({ store, create }) => {
    await create('f', true);
    const message = '$LATEST version cannot be deleted without deleting the function.';
    refused(await store.deleteFunction('f', '$LATEST'), 'InvalidParameterValueException', message);
    assert.equal(await store.deleteFunction('f', null), null);
    assert.deepEqual([store.getFunction('f'), store.getVersion('f', '1')], [null, null]);
  });
}

function listTests(scene: DefineScene): void {
  scene('lists come in order and by pages of any size', async ({ store, create }) => {
    await Promise.all(['b', 'a', 'd', 'C', 'e1', 'e'].map((name) => create(name, name === 'a' || name === 'e')));
    const names = ['C', 'a', 'b', 'd', 'e', 'e1'];
    const versions = names.flatMap((name) =>
      name === 'a' || name === 'e' ? [`${name}:$LATEST`, `${name}:1`] : [`${name}:$LATEST`],
    );
    for (let max = 1; max <= 9; max++) {
      const functions = walk((marker) => store.listFunctions(marker, max), max);
      assert.deepEqual(
        functions.map((record) => record.latest.functionName),
        names,
      );
      const all = walk((marker) => store.listAllVersions(marker, max), max);
      assert.deepEqual(
        all.map((version) => `${version.functionName}:${version.version}`),
        versions,
      );
    }
  });
  scene('versions come in order of their numbers', async ({ store, create }) => {
    await create('f', true);
    for (let timeoutS = 4; timeoutS < 15; timeoutS++) {
      ok(await store.updateFunction({ functionName: 'f', config: config({ timeoutS }), publish: true }));
    }
    for (let max = 1; max <= 14; max++) {
      const versions = walk((marker) => store.listVersions('f', marker, max), max).map((version) => version.version);
      assert.deepEqual(versions, ['$LATEST', ...Array.from({ length: 12 }, (_, index) => String(index + 1))]);
    }
  });
  scene('a marker whose function is gone still says where to go on', async ({ store, create }) => {
    for (const name of ['a', 'b', 'c']) await create(name);
    const { nextMarker } = store.listFunctions(null, 2);
    ok(await store.deleteFunction('b', null));
    assert.deepEqual(
      store.listFunctions(nextMarker, 2).items.map((record) => record.latest.functionName),
      ['c'],
    );
    assert.deepEqual(store.listVersions('a', 'nonsense', 2), { items: [], nextMarker: null });
    assert.deepEqual(store.listVersions('zz', null, 2), { items: [], nextMarker: null });
  });
}

function queueTests(scene: DefineScene): void {
  scene('they are handed out when due, oldest first, and come back until done', async ({ store, create, reopen }) => {
    await create('f');
    const late = asyncInvocation({ dueMs: 3000 });
    const first = asyncInvocation({ dueMs: 1000, payload: Buffer.from([0, 255, 10]), clientContext: '{"a":"\u0000"}' });
    const second = asyncInvocation({ dueMs: 1000 });
    for (const each of [late, first, second]) assert.equal(await store.enqueue(each), null);
    assert.equal(store.nextDueMs(), 1000);
    assert.deepEqual(store.takeDue(999, 9), []);
    assert.deepEqual(store.takeDue(2999, 1), [first]);
    assert.deepEqual(store.takeDue(2999, 9), [second]);
    assert.deepEqual([store.takeDue(2999, 9), store.nextDueMs(), store.asyncQueueLength()], [[], 3000, 3]);
    await store.done(second.id);
    await store.retry(first.id, 1, 2000);
    assert.deepEqual([store.nextDueMs(), store.asyncQueueLength()], [2000, 2]);
    const retried = { ...first, attempts: 1, dueMs: 2000 };
    assert.deepEqual(store.takeDue(2000, 9), [retried]);
    const reopened = await reopen();
    assert.deepEqual(reopened.takeDue(9000, 9), [retried, late]);
    await Promise.all([
      reopened.done(first.id),
      reopened.done(late.id),
      reopened.done(late.id),
      reopened.done('unknown'),
    ]);
    assert.deepEqual([reopened.asyncQueueLength(), reopened.nextDueMs()], [0, null]);
  });
  const tiny = { asyncQueueMax: 4, asyncMemoryBytesMax: 0 };
  scene('a full queue refuses, and takes again', fullQueue, tiny);
  scene('they go with their function, and with their version', queueOfDeleted);
  scene('the same without any in memory', queueOfDeleted, { asyncMemoryBytesMax: 0 });
  scene('nothing is queued for what is not there', async ({ store, create }) => {
    await create('f');
    refused(await store.enqueue(asyncInvocation({ functionName: 'g' })), 'ResourceNotFoundException', /:g$/);
    refused(await store.enqueue(asyncInvocation({ version: '1' })), 'ResourceNotFoundException', /:f:1$/);
    assert.equal(store.asyncQueueLength(), 0);
  });
}

const LATEST_F = { functionName: 'f', version: '$LATEST' };

function chainTests(scene: DefineScene): void {
  scene('a chain is there once created, and after a restart', async ({ store, create, reopen }) => {
    await create('f', true);
    assert.equal(store.getChain('c'), null);
    const steps = [LATEST_F, { functionName: 'f', version: '1' }, LATEST_F];
    const created = ok(await store.createChain({ chainName: 'c', steps }));
    assert.deepEqual([created.chainName, created.steps], ['c', steps]);
    assert.deepEqual(store.getChain('c'), created);
    assert.deepEqual((await reopen()).getChain('c'), created);
  });
  scene('its name is taken once, and a function may have the same', async ({ store, create }) => {
    await create('f');
    ok(await store.createChain({ chainName: 'f', steps: [LATEST_F] }));
    const again = await store.createChain({ chainName: 'f', steps: [LATEST_F] });
    refused(again, 'ResourceConflictException', 'Chain already exists: f');
    const both = ['g', 'g'].map((chainName) => store.createChain({ chainName, steps: [LATEST_F] }));
    assert.equal((await Promise.all(both)).filter((result) => result instanceof UserError).length, 1);
  });
  scene('a step that there is not is named, and nothing changes', async ({ store, create }) => {
    await create('f');
    const steps = [LATEST_F, { functionName: 'f', version: '2' }];
    const wrong = /^Step 2 of chain 'c' is 'f:2', and there is no such/;
    refused(await store.createChain({ chainName: 'c', steps }), 'ResourceNotFoundException', wrong);
    assert.equal(store.getChain('c'), null);
    const chain = ok(await store.createChain({ chainName: 'c', steps: [LATEST_F] }));
    refused(await store.updateChain({ chainName: 'c', steps }), 'ResourceNotFoundException', wrong);
    assert.deepEqual(store.getChain('c'), chain);
    // A function that goes later takes no chain with it.
    assert.equal(await store.deleteFunction('f', null), null);
    assert.deepEqual(store.getChain('c'), chain);
  });
  scene('an update and a deletion are of a chain that there is', async ({ store, create }) => {
    await create('f');
    const none = 'Chain not found: c';
    refused(await store.updateChain({ chainName: 'c', steps: [LATEST_F] }), 'ResourceNotFoundException', none);
    refused(await store.deleteChain('c'), 'ResourceNotFoundException', none);
    const { createdMs } = ok(await store.createChain({ chainName: 'c', steps: [LATEST_F] }));
    const updated = ok(await store.updateChain({ chainName: 'c', steps: [LATEST_F, LATEST_F] }));
    assert.deepEqual([updated.steps.length, updated.createdMs], [2, createdMs]);
    assert.deepEqual(store.getChain('c'), updated);
    assert.equal(await store.deleteChain('c'), null);
    assert.equal(store.getChain('c'), null);
    refused(await store.deleteChain('c'), 'ResourceNotFoundException', none);
  });
  scene('they are listed in order, in pages', async ({ store, create }) => {
    await create('f');
    for (const chainName of ['c', 'a', 'b']) ok(await store.createChain({ chainName, steps: [LATEST_F] }));
    const names = walk((marker) => store.listChains(marker, 2), 2).map((chain) => chain.chainName);
    assert.deepEqual(names, ['a', 'b', 'c']);
  });
  scene('changes are told', async ({ store, create }) => {
    await create('f');
    const told: string[] = [];
    store.onChainChange((name) => told.push(name));
    ok(await store.createChain({ chainName: 'c', steps: [LATEST_F] }));
    ok(await store.updateChain({ chainName: 'c', steps: [LATEST_F, LATEST_F] }));
    assert.equal(await store.deleteChain('c'), null);
    assert.deepEqual([...new Set(told)], ['c']);
    assert.ok(told.length >= 2);
  });
  scene('their invocations wait with those of functions, and go with their chain', chainQueue);
  scene('the same without any in memory', chainQueue, { asyncMemoryBytesMax: 0 });
}

async function chainQueue({ store, create, reopen }: Scene): Promise<void> {
  await create('f');
  await create('c');
  const ofChain = asyncInvocation({
    functionName: '',
    version: '',
    chain: { chainName: 'c', steps: [LATEST_F, LATEST_F], at: 0 },
    dueMs: 1,
  });
  refused(await store.enqueue(ofChain), 'ResourceNotFoundException', 'Chain not found: c');
  ok(await store.createChain({ chainName: 'c', steps: [LATEST_F] }));
  const ofFunction = asyncInvocation({ functionName: 'c', dueMs: 2 });
  for (const each of [ofChain, ofFunction]) assert.equal(await store.enqueue(each), null);
  const reopened = await reopen();
  assert.deepEqual(reopened.takeDue(1, 9), [ofChain]);
  // The function of that name is another thing.
  assert.equal(await reopened.deleteFunction('c', null), null);
  assert.equal(reopened.asyncQueueLength(), 1);
  await reopened.retry(ofChain.id, 1, 5);
  assert.deepEqual(reopened.takeDue(5, 9)[0], { ...ofChain, attempts: 1, dueMs: 5 });
  const resume = { chain: { ...ofChain.chain!, at: 1 }, payload: Buffer.from('{"half":1}') };
  await reopened.retry(ofChain.id, 2, 6, resume);
  assert.deepEqual(reopened.takeDue(6, 9), [{ ...ofChain, ...resume, attempts: 2, dueMs: 6 }]);
  assert.equal(await reopened.deleteChain('c'), null);
  assert.deepEqual([reopened.asyncQueueLength(), reopened.nextDueMs()], [0, null]);
}

async function fullQueue({ store, create }: Scene): Promise<void> {
  await create('f');
  const many = Array.from({ length: 6 }, () => asyncInvocation());
  const results = await Promise.all(many.map((each) => store.enqueue(each)));
  assert.deepEqual(results.slice(0, 4), [null, null, null, null]);
  refused(results[4], 'TooManyRequestsException', /\(4\)/);
  refused(results[5], 'TooManyRequestsException');
  assert.deepEqual(store.takeDue(5000, 9), many.slice(0, 4));
  refused(await store.enqueue(many[4]!), 'TooManyRequestsException');
  await store.done(many[0]!.id);
  assert.equal(await store.enqueue(many[4]!), null);
  assert.deepEqual(store.takeDue(5000, 9), [many[4]]);
}

async function queueOfDeleted({ store, create }: Scene): Promise<void> {
  await create('f', true);
  await create('g');
  const kept = [asyncInvocation({ functionName: 'g', dueMs: 3 }), asyncInvocation({ dueMs: 2 })];
  const gone = [asyncInvocation({ version: '1', dueMs: 1 }), asyncInvocation({ version: '1', dueMs: 4 })];
  for (const each of [...kept, ...gone]) assert.equal(await store.enqueue(each), null);
  assert.deepEqual(store.takeDue(1, 9), [gone[0]]);
  assert.equal(await store.deleteFunction('f', '1'), null);
  assert.deepEqual([store.asyncQueueLength(), store.nextDueMs()], [2, 2]);
  await store.retry(gone[0]!.id, 1, 0);
  await store.done(gone[0]!.id);
  assert.deepEqual([store.asyncQueueLength(), store.nextDueMs()], [2, 2]);
  assert.equal(await store.deleteFunction('f', null), null);
  assert.deepEqual([store.asyncQueueLength(), store.nextDueMs()], [1, 3]);
  assert.deepEqual(store.takeDue(9, 9), [kept[0]]);
}

function walk<T>(
  page: (marker: string | null) => { items: readonly T[]; nextMarker: string | null },
  max: number,
): T[] {
  const all: T[] = [];
  for (let marker: string | null = null; ;) {
    const { items, nextMarker } = page(marker);
    assert.ok(items.length <= max);
    all.push(...items);
    if (nextMarker === null) return all;
    assert.equal(items.length, max);
    marker = nextMarker;
  }
}
