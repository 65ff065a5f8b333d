/** `networkUs` and `decisionUs`: a scheduler process with one worker and one gateway, over loopback TCP and TLS, as nodes are connected. */
import { ClusterLoad } from '../cluster/load.ts';
import { Schedule } from '../cluster/open-schedule.ts';
import { cpuSeconds, startOverTls } from '../cluster/processes.ts';
import { type MeasuredCosts, spreadOfRounds } from './spread.ts';

const CORES = 1024;
const WARM_UP_RATE = 50_000;
const ROUNDS = 3;
/** Enough to keep it busy. */
const ON_WAY = 1000;

export async function schedulerCosts({ smoke }: { readonly smoke: boolean }): Promise<MeasuredCosts> {
  const networkUs: number[] = [];
  const decisionUs: number[] = [];
  for (let round = 0; round < (smoke ? 1 : ROUNDS); round++) {
    const measured = await measure(smoke ? 0.2 : 0.8);
    networkUs.push(measured.networkUs);
    decisionUs.push(measured.decisionUs);
  }
  return { networkUs: spreadOfRounds(networkUs), decisionUs: spreadOfRounds(decisionUs) };
}

async function measure(seconds: number): Promise<{ networkUs: number; decisionUs: number }> {
  const scheduler = await startOverTls(CORES);
  try {
    const load = await ClusterLoad.open(scheduler, CORES);
    await load.openLoop(new Schedule(WARM_UP_RATE, seconds));
    // One on its way: the next request follows the grant, so a turn is a frame's way there and back.
    const turnUs = 1e6 / (await load.closedLoop(1, seconds));
    // All that the scheduler does for an invocation: three frames, read and written, are in it.
    const before = cpuSeconds(scheduler.child.pid!);
    const rate = await load.closedLoop(ON_WAY, seconds);
    const decisionUs = ((cpuSeconds(scheduler.child.pid!) - before) * 1e6) / (rate * seconds);
    load.close();
    return { networkUs: (turnUs - decisionUs) / 2, decisionUs };
  } finally {
    await scheduler.close();
  }
}
