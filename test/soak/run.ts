/**
 * `npm run soak [-- NAME [--minutes N]]`: what is too long for every commit. Each soak is a test file of the suite with larger counts, run
 * one after the other; seeds are printed by the tests themselves. Exits non-zero if any of them fails.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

interface Soak {
  readonly name: string;
  readonly what: string;
  readonly files: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

const { values, positionals } = parseArgs({ options: { minutes: { type: 'string' } }, allowPositionals: true });
const { minutes } = values;
if (minutes !== undefined && !(Number(minutes) > 0)) {
  console.error(`--minutes is '${minutes}'; it is a number above 0.`);
  process.exit(2);
}

const SOAKS: readonly Soak[] = [
  {
    name: 'storm',
    what: 'kill -9 of the platform in a storm of deploys and invokes, 50 times',
    files: ['test/crash/storm.test.ts'],
    env: { PERCH_STORM_KILLS: '50' },
  },
  {
    name: 'store',
    what: 'the store against its model, and killed 300 times',
    files: ['test/store/model.test.ts', 'test/store/kill.test.ts'],
    env: { PERCH_PROPERTY_RUNS: '500', PERCH_KILL_COUNT: '300' },
  },
  {
    name: 'machines',
    what: 'the machines against their models, a hundred times as long',
    files: ['test/scheduler/*.test.ts', 'test/worker/machine/*.test.ts'],
    env: { PERCH_PROPERTY_RUNS: '20000' },
  },
  {
    name: 'wire',
    what: 'the decoder of cluster frames against broken and cut streams, for some minutes',
    files: ['test/wire/*.test.ts'],
    env: { PERCH_PROPERTY_RUNS: '30000' },
  },
  {
    name: 'shards',
    what: 'shards of the scheduler on real threads: storms ten times as long with twenty seeds, and more orders of all accesses',
    files: [
      'test/scheduler/shards/*.test.ts',
      'test/scheduler/cluster-scheduler.property.test.ts',
      'test/cluster/shards.test.ts',
    ],
    env: {
      PERCH_STORM_GRANTS: '100000',
      PERCH_STORM_ROUNDS: '20',
      PERCH_MORE_SWITCHES: '1',
      CLUSTER_RUNS: '20000',
      PERCH_SHARD_ROUNDS: '20000',
    },
  },
  {
    name: 'models',
    what: 'the models of the shared words with more requests and shards',
    files: ['test/models/models.test.ts'],
    env: { PERCH_MODELS: 'large' },
  },
  {
    name: 'faults',
    what: 'functions at their worst, ten times over',
    files: Array.from({ length: 10 }, () => 'test/crash/faults.test.ts'),
    env: {},
  },
  {
    name: 'copies',
    what: 'ten thousand fresh invocations of one function, and a thousand functions',
    files: ['test/platform/copies-many.test.ts'],
    env: { PERCH_FRESH_COUNT: '10000', PERCH_FUNCTION_COUNT: '1000' },
  },
  {
    name: 'sharing',
    what: 'cores that change hands under every policy, among sleepers, workers and liars: half an hour, or --minutes N',
    files: ['test/platform/sharing-path.test.ts', 'test/platform/sharing-soak.test.ts'],
    env: { PERCH_PROPERTY_RUNS: '5000', PERCH_SOAK_MINUTES: minutes ?? '30' },
  },
  {
    name: 'fuzz',
    what: 'random clusters of the machines in virtual time, from the newest commit: ten minutes, or --minutes N; and every bug that can be planted',
    files: ['test/sim/fuzz.test.ts', 'test/sim/fuzz/plants.test.ts'],
    env: { PERCH_FUZZ_MINUTES: minutes ?? '10' },
  },
];

const root = fileURLToPath(new URL('../..', import.meta.url));
const guard = fileURLToPath(new URL('../lib/guard.ts', import.meta.url));
const [wanted] = positionals;
const chosen = SOAKS.filter((soak) => wanted === undefined || soak.name === wanted);
if (chosen.length === 0) {
  console.error(`There is no soak '${wanted}'. There is: ${SOAKS.map((soak) => soak.name).join(', ')}.`);
  process.exit(2);
}
const failed: string[] = [];
for (const soak of chosen) {
  console.log(`${soak.name}: ${soak.what}`);
  for (const file of soak.files) {
    const { status } = spawnSync(process.execPath, ['--import', guard, '--test', '--test-concurrency=1', file], {
      cwd: root,
      env: { ...process.env, ...soak.env },
      stdio: 'inherit',
    });
    if (status !== 0) failed.push(`${soak.name} (${file})`);
  }
}
console.log(failed.length === 0 ? `all of ${chosen.length} soaks passed` : `failed: ${failed.join(', ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;
