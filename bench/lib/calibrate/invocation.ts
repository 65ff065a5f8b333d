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
import { type MeasuredCosts, spreadOf } from './spread.ts';

/** Long enough that the platform is at rest before the next one ends, and each CPU has slept. */
const DEMAND_US = 3000;
const GAP_US = 25_000;
const SEED = 1;

export async function invocationCosts({ smoke }: { readonly smoke: boolean }): Promise<MeasuredCosts> {
  const platform = await CalibratedPlatform.start();
  try {
    await platform.warmUp(smoke);
    const alone = await served(platform, oneByOne(smoke ? 10 : 250));
    const turnsUs: number[] = [];
    for (let round = 0; round < (smoke ? 1 : 6); round++)
      turnsUs.push(...turnsOf(await served(platform, atOnce((smoke ? 5 : 60) * platform.coreCount, DEMAND_US))));
    return costsOf(alone, turnsUs);
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

function costsOf(alone: readonly SeenInvocation[], turnsUs: readonly number[]): MeasuredCosts {
  const startsUs = alone.map(({ startUs, runUs, beganUs, endedUs }) => startUs + (runUs - (endedUs - beganUs)) / 2);
  const beyondUs = alone.map(({ latencyUs, beganUs, endedUs }) => latencyUs - (endedUs - beganUs));
  return {
    gatewayUs: spreadOf(beyondUs.map((us) => Math.max(0, us - median(turnsUs)))),
    startUs: spreadOf(startsUs),
    endUs: spreadOf(turnsUs.map((us) => Math.max(0, us - median(startsUs)))),
  };
}
