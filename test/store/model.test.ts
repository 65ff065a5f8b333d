/** Random calls against a plain model of the contract, with restarts at random points: the same answers. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { UserError } from '../../src/base/errors.ts';
import { type EmbeddedStore, openEmbeddedStore } from '../../src/store/embedded/embedded-store.ts';
import type { AsyncInvocation, ChainStep, CodeRef } from '../../src/store/store.ts';
import { asyncInvocation, config, ok, smallZip } from './fixtures.ts';

const QUEUE_MAX = 3;

interface ModelVersion {
  readonly timeoutS: number;
  readonly sha256: string;
}

interface ModelFunction {
  latest: ModelVersion;
  readonly published: Map<string, ModelVersion>;
  publishedAs: (ModelVersion & { readonly version: string }) | null;
  tags: Record<string, string>;
  reserved: number | null;
  rules: string | null;
}

interface ModelQueued {
  readonly invocation: AsyncInvocation;
  attempts: number;
  dueMs: number;
  handedOut: boolean;
}

/** What the contract says, as plainly as it can be said. */
class Model {
  readonly functions = new Map<string, ModelFunction>();
  readonly lastNumbers = new Map<string, number>();
  /** The steps of each, as name and version. */
  readonly chains = new Map<string, readonly ChainStep[]>();
  /** In order of arrival. */
  queue: ModelQueued[] = [];

  publish(name: string): string {
    const fn = this.functions.get(name)!;
    const { publishedAs, latest } = fn;
    const same = publishedAs && publishedAs.sha256 === latest.sha256 && publishedAs.timeoutS === latest.timeoutS;
    if (same && fn.published.has(publishedAs.version)) return publishedAs.version;
    const number = (this.lastNumbers.get(name) ?? 0) + 1;
    this.lastNumbers.set(name, number);
    fn.published.set(String(number), latest);
    fn.publishedAs = { ...latest, version: String(number) };
    return String(number);
  }

  due(nowMs: number): ModelQueued[] {
    return this.queue.filter((each) => !each.handedOut && each.dueMs <= nowMs).toSorted((a, b) => a.dueMs - b.dueMs);
  }
}

interface Real {
  readonly folder: string;
  readonly codes: readonly CodeRef[];
  store: EmbeddedStore;
}

type Step = (model: Model, real: Real) => Promise<void>;

async function expect(actual: Promise<unknown>, code: string | null): Promise<void> {
  const result = await actual;
  assert.equal(result instanceof UserError ? result.code : null, code);
}

const name = fc.constantFrom('a', 'b', 'c');
const codeIndex = fc.nat(1);
const timeoutS = fc.integer({ min: 1, max: 2 });
const timeMs = fc.nat(5);

const create = fc.tuple(name, codeIndex, timeoutS, fc.boolean()).map(([fn, code, timeout, publish]): Step => {
  return async (model, real) => {
    const exists = model.functions.has(fn);
    const ref = real.codes[code]!;
    const request = { functionName: fn, config: config({ timeoutS: timeout }), code: ref, tags: {}, publish };
    await expect(real.store.createFunction(request), exists ? 'ResourceConflictException' : null);
    if (exists) return;
    const latest = { timeoutS: timeout, sha256: ref.sha256 };
    model.functions.set(fn, { latest, published: new Map(), publishedAs: null, tags: {}, reserved: null, rules: null });
    if (publish) model.publish(fn);
  };
});

const update = fc
  .tuple(name, fc.option(codeIndex), fc.option(timeoutS), fc.boolean())
  .map(([fn, code, timeout, publish]): Step => {
    return async (model, real) => {
      const known = model.functions.get(fn);
      const ref = code === null ? undefined : real.codes[code]!;
      const request = {
        functionName: fn,
        publish,
        ...(ref && { code: ref }),
        ...(timeout !== null && { config: config({ timeoutS: timeout }) }),
      };
      await expect(real.store.updateFunction(request), known ? null : 'ResourceNotFoundException');
      if (!known) return;
      known.latest = { timeoutS: timeout ?? known.latest.timeoutS, sha256: ref?.sha256 ?? known.latest.sha256 };
      if (publish) model.publish(fn);
    };
  });

const publish = name.map((fn): Step => async (model, real) => {
  const result = await real.store.publishVersion({ functionName: fn });
  if (!model.functions.has(fn)) {
    assert.ok(result instanceof UserError);
    return;
  }
  assert.equal(ok(result).version, model.publish(fn));
});

const remove = fc.tuple(name, fc.option(fc.constantFrom('1', '2', '$LATEST'))).map(([fn, version]): Step => {
  return async (model, real) => {
    const known = model.functions.get(fn);
    const found = version === null ? known : known?.published.get(version);
    const refusal = known && version === '$LATEST' ? 'InvalidParameterValueException' : 'ResourceNotFoundException';
    await expect(real.store.deleteFunction(fn, version), found ? null : refusal);
    if (!found) return;
    if (version === null) model.functions.delete(fn);
    else known!.published.delete(version);
    const gone = ({ invocation }: ModelQueued): boolean =>
      invocation.functionName === fn && (version === null || invocation.version === version);
    model.queue = model.queue.filter((each) => !gone(each));
  };
});

const settings = fc
  .tuple(name, fc.option(fc.nat(3)), fc.dictionary(fc.string(), fc.string(), { noNullPrototype: true }))
  .map(([fn, max, tags]): Step => {
    return async (model, real) => {
      const known = model.functions.get(fn);
      const both = [real.store.setReservedConcurrency(fn, max), real.store.setTags(fn, () => tags)];
      for (const each of both) await expect(each, known ? null : 'ResourceNotFoundException');
      if (known) Object.assign(known, { reserved: max, tags });
    };
  });

const knowledge = fc.tuple(name, fc.option(fc.string())).map(([fn, rules]): Step => {
  return async (model, real) => {
    const known = model.functions.get(fn);
    const said = rules === null ? null : { sources: null, rules, plugin: null };
    await expect(real.store.setKnowledge(fn, said), known ? null : 'ResourceNotFoundException');
    if (known) known.rules = rules;
  };
});

const step = fc.record({ functionName: name, version: fc.constantFrom('$LATEST', '1') }, { noNullPrototype: true });
const chainName = fc.constantFrom('a', 'x');

const putChain = fc
  .tuple(chainName, fc.array(step, { minLength: 1, maxLength: 3 }), fc.boolean())
  .map(([chain, steps, isUpdate]): Step => async (model, real) => {
    const exists = model.chains.has(chain);
    const missing = steps.some(({ functionName, version }) => {
      const fn = model.functions.get(functionName);
      return fn === undefined || (version !== '$LATEST' && !fn.published.has(version));
    });
    const request = { chainName: chain, steps };
    const call = isUpdate ? real.store.updateChain(request) : real.store.createChain(request);
    const conflict = exists && !isUpdate ? 'ResourceConflictException' : null;
    const notFound = missing || (isUpdate && !exists) ? 'ResourceNotFoundException' : null;
    await expect(call, conflict ?? notFound);
    if ((conflict ?? notFound) === null) model.chains.set(chain, steps);
  });

const removeChain = chainName.map((chain): Step => async (model, real) => {
  await expect(real.store.deleteChain(chain), model.chains.delete(chain) ? null : 'ResourceNotFoundException');
  model.queue = model.queue.filter((each) => each.invocation.chain?.chainName !== chain);
});

const enqueueChain = fc.tuple(chainName, timeMs).map(([chain, dueMs]): Step => async (model, real) => {
  const full = model.queue.length >= QUEUE_MAX;
  const invocation = asyncInvocation({
    functionName: '',
    version: '',
    chain: { chainName: chain, steps: [], at: 0 },
    dueMs,
  });
  const refusal = model.chains.has(chain) ? (full ? 'TooManyRequestsException' : null) : 'ResourceNotFoundException';
  await expect(real.store.enqueue(invocation), refusal);
  if (refusal === null) model.queue.push({ invocation, attempts: 0, dueMs, handedOut: false });
});

const enqueue = fc
  .tuple(name, fc.constantFrom('$LATEST', '1'), timeMs, fc.nat(2000))
  .map(([fn, version, dueMs, bytes]): Step => {
    return async (model, real) => {
      const known = model.functions.get(fn);
      const found = known && (version === '$LATEST' || known.published.has(version));
      const full = model.queue.length >= QUEUE_MAX;
      const invocation = asyncInvocation({ functionName: fn, version, dueMs, payload: Buffer.alloc(bytes, 1) });
      const refusal = found ? (full ? 'TooManyRequestsException' : null) : 'ResourceNotFoundException';
      await expect(real.store.enqueue(invocation), refusal);
      if (refusal === null) model.queue.push({ invocation, attempts: 0, dueMs, handedOut: false });
    };
  });

const take = fc.tuple(timeMs, fc.nat(3)).map(([nowMs, max]): Step => async (model, real) => {
  const expected = model.due(nowMs).slice(0, max);
  const plain = expected.map(({ invocation, attempts, dueMs }) => ({ ...invocation, attempts, dueMs }));
  assert.deepEqual(real.store.takeDue(nowMs, max), plain);
  for (const each of expected) each.handedOut = true;
});

const finish = fc.tuple(fc.nat(QUEUE_MAX), fc.option(timeMs)).map(([index, retryMs]): Step => async (model, real) => {
  const handedOut = model.queue.filter((each) => each.handedOut);
  const chosen = handedOut[index % Math.max(1, handedOut.length)];
  if (!chosen) return real.store.done('unknown');
  if (retryMs === null) {
    await real.store.done(chosen.invocation.id);
    model.queue = model.queue.filter((each) => each !== chosen);
  } else {
    await real.store.retry(chosen.invocation.id, chosen.attempts + 1, retryMs);
    Object.assign(chosen, { attempts: chosen.attempts + 1, dueMs: retryMs, handedOut: false });
  }
});

const restart = fc.constant<Step>(async (model, real) => {
  await real.store.close();
  real.store = await open(real.folder);
  // Uploaded again, since code that nothing uses goes at a start.
  for (const zip of [smallZip(0), smallZip(1)]) ok(await real.store.putCode(zip));
  for (const each of model.queue) each.handedOut = false;
});

function open(folder: string): Promise<EmbeddedStore> {
  return openEmbeddedStore(folder, { limits: { asyncQueueMax: QUEUE_MAX, asyncMemoryBytesMax: 2000 } });
}

function compare(model: Model, { store }: Real): void {
  const found = store.listFunctions(null, 100).items.map((record) => ({
    name: record.latest.functionName,
    latest: { timeoutS: record.latest.config.timeoutS, sha256: record.latest.code.sha256 },
    tags: record.tags,
    reserved: record.reservedConcurrency,
    rules: record.knowledge?.rules ?? null,
    published: store
      .listVersions(record.latest.functionName, '$LATEST', 100)
      .items.map((each) => [each.version, { timeoutS: each.config.timeoutS, sha256: each.code.sha256 }]),
  }));
  const expected = [...model.functions]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([fn, { latest, tags, reserved, rules, published }]) => {
      return { name: fn, latest, tags, reserved, rules, published: [...published] };
    });
  assert.deepEqual(found, expected);
  const chains = store.listChains(null, 100).items.map((chain) => [chain.chainName, chain.steps]);
  assert.deepEqual(
    chains,
    [...model.chains].toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );
  assert.equal(store.asyncQueueLength(), model.queue.length);
  assert.equal(store.nextDueMs(), model.due(Infinity)[0]?.dueMs ?? null);
}

test('random calls and restarts give what the model gives', async () => {
  const call = fc.oneof(
    { weight: 4, arbitrary: create },
    { weight: 4, arbitrary: update },
    { weight: 3, arbitrary: publish },
    { weight: 2, arbitrary: remove },
    { weight: 1, arbitrary: settings },
    { weight: 1, arbitrary: knowledge },
    { weight: 3, arbitrary: putChain },
    { weight: 1, arbitrary: removeChain },
    { weight: 3, arbitrary: enqueueChain },
    { weight: 6, arbitrary: enqueue },
    { weight: 4, arbitrary: take },
    { weight: 4, arbitrary: finish },
    { weight: 1, arbitrary: restart },
  );
  const runCount = Number(process.env['PERCH_PROPERTY_RUNS'] ?? 30);
  await fc.assert(
    fc.asyncProperty(fc.array(call, { minLength: 10, maxLength: 60, size: 'max' }), async (steps) => {
      const folder = mkdtempSync(join(tmpdir(), 'perch-model-'));
      const model = new Model();
      const store = await open(folder);
      const codes = [ok(await store.putCode(smallZip(0))), ok(await store.putCode(smallZip(1)))];
      const real: Real = { folder, codes, store };
      try {
        for (const each of steps) {
          await each(model, real);
          compare(model, real);
        }
      } finally {
        await real.store.close();
        rmSync(folder, { recursive: true, force: true });
      }
    }),
    { numRuns: runCount },
  );
});
