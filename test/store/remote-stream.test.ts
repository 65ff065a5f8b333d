/**
 * Replicas of a store under random changes, over connections that are cut at random: in the end all hold what the store does, and on the
 * way none is ever without a function that was there all the time. PERCH_SEED replays a run.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { Prng } from '../../src/base/prng.ts';
import type { EmbeddedStore } from '../../src/store/embedded/embedded-store.ts';
import type { CodeRef, Store } from '../../src/store/store.ts';
import { config, ok, smallZip, temporaryFolder } from './fixtures.ts';
import { IDENTITIES, openRemote, until } from './remote-nodes.ts';
import { serveStore } from './served-store.ts';
import { Wire } from './wire.ts';

const SEED = Number(process.env['PERCH_SEED'] ?? randomInt(2 ** 31));
const STEPS = 400;

test('replicas under random changes and cuts', async (context) => {
  context.diagnostic(`seed ${SEED}`);
  const prng = new Prng(SEED);
  const served = await serveStore(temporaryFolder(context), { identity: IDENTITIES.store });
  const wires = [
    await new Wire(served.listener.port).open(context),
    await new Wire(served.listener.port).open(context),
  ];
  const codes = [ok(await served.store.putCode(smallZip(1))), ok(await served.store.putCode(smallZip(2)))];
  ok(await served.store.createFunction({ ...request('always', codes[0]!), publish: true }));
  const replicas = [await openRemote(context, wires[0]!.port), await openRemote(context, wires[1]!.port)];
  let missing = 0;
  for (const replica of replicas) replica.onChange(() => void (replica.getVersion('always', '1') ?? missing++));
  let cutCount = 0;
  for (let step = 0; step < STEPS; step++) {
    await change(served.store, codes, prng);
    if (prng.below(20) === 0) {
      wires[prng.below(2)]!.cut();
      cutCount++;
    }
    if (prng.below(10) === 0) await new Promise((resolve) => setTimeout(resolve, prng.below(50)));
  }
  const wanted = contents(served.store);
  for (const replica of replicas) {
    await until('it has everything, and nothing else', () => isDeepStrictEqual(contents(replica), wanted));
  }
  assert.equal(missing, 0);
  context.diagnostic(`${cutCount} cuts, ${wanted.versions.length} versions`);
  for (const replica of replicas) await replica.close();
  await served.close();
});

function request(functionName: string, code: CodeRef): Parameters<Store['createFunction']>[0] {
  return { functionName, config: config(), code, tags: {}, publish: false };
}

/** One change, which may be refused. */
async function change(store: EmbeddedStore, codes: readonly CodeRef[], prng: Prng): Promise<void> {
  const functionName = `f${prng.below(5)}`;
  const layerName = `l${prng.below(3)}`;
  const code = codes[prng.below(2)]!;
  const version = String(1 + prng.below(8));
  const timeoutS = 1 + prng.below(900);
  const changes: readonly (() => Promise<unknown>)[] = [
    () => store.createFunction({ ...request(functionName, code), publish: prng.below(2) === 0 }),
    () => store.updateFunction({ functionName, code, config: config({ timeoutS }), publish: prng.below(2) === 0 }),
    () => store.publishVersion({ functionName, description: `at ${timeoutS}` }),
    () => store.deleteFunction(functionName, prng.below(4) === 0 ? null : version),
    () => store.setProvisioned(functionName, version, prng.below(3) === 0 ? null : 1),
    () => store.setReservedConcurrency(functionName, prng.below(2) === 0 ? null : 50),
    () => store.setTags('always', (before) => ({ ...before, [version]: String(timeoutS) })),
    () => store.deleteLayerVersion(layerName, prng.below(8)),
    () =>
      store.publishLayerVersion({
        layerName,
        code,
        description: String(timeoutS),
        licenseInfo: '',
        compatibleRuntimes: [],
        compatibleArchitectures: [],
      }),
  ];
  await changes[prng.below(changes.length)]!();
}

function contents(store: Store): { functions: readonly unknown[]; versions: readonly unknown[]; layers: unknown[] } {
  const every = (): boolean => true;
  const layers = store.listLayers(every, null, 100).items;
  return {
    functions: store.listFunctions(null, 100).items,
    versions: store.listAllVersions(null, 10_000).items,
    layers: layers.map(({ layerName }) => store.listLayerVersions(layerName, every, null, 1000).items),
  };
}
