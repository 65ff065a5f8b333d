/**
 * The policy perch is a hot path of its own for the largest clusters, perch-dedicated the shipped machines with servers set to share no core. They are one policy:
 * the same arrivals have to fare the same under both, wherever both can simulate them.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FREE } from '../../src/sim/costs.ts';
import type { Result } from '../../src/sim/measure/result.ts';
import { simulate } from '../../src/sim/simulate.ts';
import { setupOf } from '../../src/sim/spec.ts';

/** Warm everywhere, as instances of perch are. */
const COSTS = { ...FREE, networkUs: 33, gatewayUs: 65, decisionUs: 6.5, startUs: 40, endUs: 25 };

function run(policy: string, workload: string, load: number): Result {
  return simulate(
    setupOf({
      policy,
      workload,
      servers: 5,
      cores: 8,
      memoryMb: 4096,
      costs: COSTS,
      load,
      seconds: 2,
      warmUpSeconds: 0.5,
      seed: 7,
    }),
  );
}

function figuresOf(result: Result): readonly number[] {
  const { latencyUs, slowdown, waitUs, startUs } = result;
  return [
    result.arrived,
    result.refused,
    result.unfinished,
    ...[latencyUs, slowdown, waitUs, startUs].flatMap(({ mean, p50, p90, p99, p999, max }) => [
      mean,
      p50,
      p90,
      p99,
      p999,
      max,
    ]),
  ];
}

for (const [workload, queue] of [
  ['exponential', 1000],
  ['deterministic:mean=20', 1000],
  ['bimodal:short=10,share=0.02', 1000],
  ['lognormal:mu=-4,sigma=1.5', 1000],
  ['bursts:n=60,every=0.3', 1000],
  ['sleepy:mean=20,share=50', 1000],
  ['azure2019:cut=0.5,functions=50', 1000],
  ['bimodal:short=10,share=0.02', 3],
] as const) {
  test(`perch and perch-dedicated fare the same: ${workload}, ${queue} may wait`, () => {
    for (const load of [0.6, 0.95]) {
      const [hot, general] = ['perch', 'perch-dedicated'].map((policy) =>
        run(`${policy}:queue=${queue}`, workload, load),
      );
      assert.ok(hot!.arrived > 100, `${hot!.arrived} arrived`);
      const others = figuresOf(general!);
      for (const [i, figure] of figuresOf(hot!).entries()) assertClose(figure, others[i]!, `figure ${i} at ${load}`);
      // To perch a core is at work while its holder sleeps.
      if (workload.startsWith('sleepy')) assert.ok(hot!.utilisation > general!.utilisation);
      else assertClose(hot!.utilisation, general!.utilisation, 'cores at work');
    }
  });
}

/** Sums of floats come out a little different in another order. */
function assertClose(figure: number, other: number, what: string): void {
  assert.ok(Math.abs(figure - other) <= 1e-9 * figure, `${what}: ${figure} and ${other}`);
}
