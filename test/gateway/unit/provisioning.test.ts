/** What the agent is told to keep ready follows from what is stored, whatever happened to the functions before. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { after } from 'node:test';
import fc from 'fast-check';
import { SimulatedClock } from '../../../src/base/clock.ts';
import { UserError } from '../../../src/base/errors.ts';
import { Provisioning } from '../../../src/gateway/provisioning.ts';
import { type VersionEntry, VersionTable } from '../../../src/gateway/versions.ts';
import { eachFunction } from '../../../src/store/each-function.ts';
import { openEmbeddedStore } from '../../../src/store/embedded/embedded-store.ts';
import type { CodeRef, FunctionVersion, Store } from '../../../src/store/store.ts';
import type { CopyState, ProvisionedState, Provisioner, VersionTarget } from '../../../src/worker/agent/contract.ts';
import { config, ok, smallZip } from '../../store/fixtures.ts';

const folders: string[] = [];
after(() => folders.forEach((folder) => rmSync(folder, { recursive: true })));

/** An agent that remembers what it was asked for. */
class Remembering implements Provisioner {
  readonly wanted = new Map<number, { target: VersionTarget; count: number }>();
  readonly told = new Map<number, VersionTarget>();

  setVersion(target: VersionTarget): void {
    this.told.set(target.versionIndex, target);
  }

  provision(versionIndex: number, count: number): void {
    const target = this.told.get(versionIndex);
    assert.ok(target !== undefined);
    if (count === 0) assert.ok(this.wanted.delete(versionIndex), 'what was never provisioned is given up');
    else this.wanted.set(versionIndex, { target, count });
  }

  provisionedState(): ProvisionedState {
    return { allocated: 0, available: 0, failed: null };
  }

  copyReasons(): readonly string[] {
    return [];
  }

  copyState(): CopyState {
    return { copyable: null, reasons: [], zygote: 'none', lacks: '', failure: '', waiting: 0 };
  }

  /** As 'name:version isolation count', in order. */
  lines(): string[] {
    return [...this.wanted.values()]
      .map(({ target, count }) => `${target.fn.functionName}:${target.fn.version} ${target.isolation} ${count}`)
      .toSorted();
  }
}

class CountingClock extends SimulatedClock {
  alarmCount = 0;

  override every(intervalMs: number, listener: () => void): () => void {
    this.alarmCount++;
    const stop = super.every(intervalMs, listener);
    return () => {
      this.alarmCount--;
      stop();
    };
  }
}

class Scene {
  readonly store: Store;
  readonly code: CodeRef;
  readonly agent = new Remembering();
  readonly clock = new CountingClock();
  readonly versions: VersionTable;
  readonly provisioning: Provisioning;
  refused: string | null = null;

  constructor(store: Store, code: CodeRef, indexCountMax: number) {
    this.store = store;
    this.code = code;
    this.versions = new VersionTable(store, indexCountMax, {
      refuse: () => (this.refused === null ? null : new UserError('InvalidRuntimeException', this.refused)),
      added: ({ index: versionIndex, fn, isolation }) => this.agent.setVersion({ versionIndex, fn, isolation }),
      retired: (entry) => assert.ok(!this.agent.wanted.has(entry.index), 'retired, and still provisioned'),
      concurrency: () => {},
    });
    this.provisioning = new Provisioning(store, this.versions, this.agent, this.clock);
  }

  async create(functionName: string): Promise<FunctionVersion> {
    return ok(
      await this.store.createFunction({ functionName, config: config(), code: this.code, tags: {}, publish: true }),
    );
  }

  check(): void {
    const users = new Map<VersionEntry, number>();
    for (const entry of this.provisioning.entries()) users.set(entry, (users.get(entry) ?? 0) + 1);
    this.versions.checkInvariants((entry) => users.get(entry) ?? 0);
    const stored = [...eachFunction(this.store)].flatMap(({ latest, provisioned, tags }) =>
      Object.entries(provisioned).map(
        ([version, { count }]) => `${latest.functionName}:${version} ${tags['perch:isolation'] ?? 'reuse'} ${count}`,
      ),
    );
    assert.deepEqual(this.agent.lines(), stored.toSorted());
  }
}

async function scene(indexCountMax = 32): Promise<Scene> {
  const folder = mkdtempSync(path.join(tmpdir(), 'perch-provisioning-'));
  folders.push(folder);
  const store = await openEmbeddedStore(folder);
  return new Scene(store, ok(await store.putCode(smallZip(1))), indexCountMax);
}

type Step = (scene: Scene) => Promise<unknown>;

const name = fc.constantFrom('a', 'b');
const version = fc.constantFrom('1', '2', '3');
const step: fc.Arbitrary<Step> = fc.oneof(
  name.map(
    (each): Step =>
      (on) =>
        on.store.getFunction(each) === null ? on.create(each) : Promise.resolve(),
  ),
  fc.tuple(name, fc.integer({ min: 1, max: 900 })).map(([each, timeoutS]): Step => {
    return ({ store }) => store.updateFunction({ functionName: each, config: config({ timeoutS }), publish: true });
  }),
  fc.tuple(name, version, fc.option(fc.integer({ min: 1, max: 3 }))).map(
    ([each, number, count]): Step =>
      ({ store }) =>
        store.setProvisioned(each, number, count),
  ),
  fc.tuple(name, version).map(
    ([each, number]): Step =>
      ({ store }) =>
        store.deleteFunction(each, number),
  ),
  name.map(
    (each): Step =>
      ({ store }) =>
        store.deleteFunction(each, null),
  ),
  fc.tuple(name, fc.constantFrom('reuse', 'fresh')).map(([each, isolation]): Step => {
    return ({ store }) => store.setTags(each, () => ({ 'perch:isolation': isolation }));
  }),
);

test('the agent keeps ready what is stored, after whatever happened, and after a restart', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 14, size: 'max' }), async (steps) => {
      const on = await scene();
      for (const each of steps) {
        await each(on);
        on.check();
      }
      const restarted = new Scene(on.store, on.code, 32);
      restarted.check();
      await on.store.close();
    }),
    { numRuns: 15 },
  );
});

test('a version that gets no index says why, and is tried again at the next change', async () => {
  const on = await scene();
  const fn = await on.create('f');
  on.refused = 'no python3';
  ok(await on.store.setProvisioned('f', '1', 2));
  assert.deepEqual(on.provisioning.stateOf(fn), { allocated: 0, available: 0, failed: 'no python3' });
  assert.deepEqual(on.agent.lines(), []);
  on.refused = null;
  ok(await on.store.setTags('f', () => ({})));
  assert.deepEqual(on.agent.lines(), ['f:1 reuse 2']);
  assert.deepEqual(on.provisioning.stateOf(fn), { allocated: 0, available: 0, failed: null });
  ok(await on.store.setProvisioned('f', '1', null));
  assert.equal(on.provisioning.stateOf(fn), null);
  await on.store.close();
});

test('a version that gets no index is tried again now and then, and nobody looks at the time for nothing', async () => {
  const on = await scene();
  const fn = await on.create('f');
  on.refused = 'its code is damaged';
  ok(await on.store.setProvisioned('f', '1', 2));
  on.clock.advanceUs(3600e6);
  assert.equal(on.provisioning.stateOf(fn)?.failed, 'its code is damaged');
  // As by an upload for another function: no change of this one tells of it.
  on.refused = null;
  on.clock.advanceUs(60e6);
  assert.deepEqual(on.agent.lines(), ['f:1 reuse 2']);
  assert.equal(on.clock.alarmCount, 0);
  on.check();
  await on.store.close();
});

test('another count is told to the agent; another isolation is another index, and the old one is given back', async () => {
  const on = await scene(1);
  await on.create('f');
  ok(await on.store.setProvisioned('f', '1', 1));
  ok(await on.store.setProvisioned('f', '1', 3));
  assert.deepEqual(on.agent.lines(), ['f:1 reuse 3']);
  ok(await on.store.setTags('f', () => ({ 'perch:isolation': 'fresh' })));
  assert.deepEqual(on.agent.lines(), ['f:1 fresh 3']);
  on.check();
  await on.store.close();
});
