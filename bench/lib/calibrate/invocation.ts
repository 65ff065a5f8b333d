/**
 * `gatewayUs`, `startUs` and `endUs`, from invocations of a warm function on the platform. Handlers say on the machine's clock when they began and ended.
 *
 *   T   alone: from sending until the answer is there, less the handler's run
 *   G   many at once: from the end of one handler to the begin of the next on its core: endUs + decision + startUs
 *   W   the way to the instance and back: what the platform's time has more than the handler's own
 *
 * So startUs is what the platform says plus half of W, endUs the rest of G, and gatewayUs the rest of T: the answer's way out and the
 * client's HTTP are in it, since in the simulator the answer leaves when the core is free.
 */
import { Random } from '../../../src/sim/engine/random.ts';
import { median } from '../report.ts';
import type { PlannedInvocation, SeenInvocation } from './load.ts';
import { atOnce, CalibratedPlatform } from './platform.ts';
import { type MeasuredCosts, type Spread, spreadOf } from './spread.ts';

/** As long as what is compared then: between two turns the CPUs sleep, and caches are used by others. */
const DEMAND_US = 20_000;
const GAP_US = 40_000;
const SEED = 1;

export async function invocationCosts({ smoke }: { readonly smoke: boolean }): Promise<MeasuredCosts> {
  const platform = await CalibratedPlatform.start();
  try {
    await platform.warmUp(smoke);
    const alone = await served(platform, oneByOne(smoke ? 5 : 120));
    const bursts: (readonly SeenInvocation[])[] = [];
    for (let round = 0; round < (smoke ? 1 : 10); round++)
      bursts.push(await served(platform, atOnce((smoke ? 3 : 25) * platform.coreCount, DEMAND_US)));
    return costsOf(alone, bursts);
  } finally {
    await platform.stop();
  }
}

async function served(
  platform: CalibratedPlatform,
  plan: readonly PlannedInvocation[],
): Promise<readonly SeenInvocation[]> {
  const seen = await platform.play(plan);
  if (seen === null) throw new Error('the platform refused invocations: others have too much of this machine');
  return seen;
}

function oneByOne(count: number): PlannedInvocation[] {
  const random = new Random(SEED, 0);
  let atUs = 0;
  return Array.from({ length: count }, () => ({ atUs: (atUs += GAP_US * (0.5 + random.unit())), demandUs: DEMAND_US }));
}

/** From each end to the next begin on the same core. */
function turnsOf(seen: readonly SeenInvocation[]): number[] {
  return [...Map.groupBy(seen, ({ core }) => core).values()].flatMap((own) => {
    const sorted = own.toSorted((a, b) => a.beganUs - b.beganUs);
    return sorted.slice(1).map(({ beganUs }, index) => beganUs - sorted[index]!.endedUs);
  });
}

function costsOf(alone: readonly SeenInvocation[], bursts: readonly (readonly SeenInvocation[])[]): MeasuredCosts {
  const ranUs = ({ beganUs, endedUs }: SeenInvocation): number => endedUs - beganUs;
  const turnsUs = bursts.flatMap(turnsOf);
  // Of a core that never waits, as the turn is. One that has waited for long takes longer, which is in gatewayUs then.
  const startsUs = bursts.flat().map((each) => each.startUs + (each.runUs - ranUs(each)) / 2);
  const less = (valuesUs: readonly number[], taken: readonly number[]): Spread =>
    spreadOf(valuesUs.map((us) => Math.max(0, us - median(taken))));
  return {
    gatewayUs: less(
      alone.map((each) => each.latencyUs - ranUs(each)),
      turnsUs,
    ),
    startUs: spreadOf(startsUs),
    endUs: less(turnsUs, startsUs),
  };
}
