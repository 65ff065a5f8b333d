/**
 * Many workers in one process: each dials as a worker does, with the same back-off, and announces its cores, four of five
 * under leases from before. Arguments: port, workers, cores of each. Prints a line when all have announced for the
 * first time; they go on dialling until standard input ends.
 */
import { realClock } from '../../../src/base/clock.ts';
import { Dialer } from '../../../src/cluster/link/dialer.ts';
import { DIALER_DELAYS, LINK_LIMITS } from '../../../src/cluster/link/limits.ts';
import type { FrameLink } from '../../../src/cluster/link/link.ts';
import { ClusterKind, Role } from '../../../src/wire/cluster-frame.ts';
import { SchedulerToWorker } from '../../../src/wire/cluster/directions.ts';
import { HelloFrame, NameVersionFrame } from '../../../src/wire/cluster/large-frames.ts';
import { CountFrame, LeaseFrame } from '../../../src/wire/cluster/small-frames.ts';
import { connectPlain } from './processes.ts';

const [port, workerCount, coreCount] = process.argv.slice(2).map(Number);
const HELD_SHARE = 0.8;
const MEMORY_MB = 128;
const KEY = 'cd'.repeat(16);
const NOTHING = (): void => {};

const heldCount = Math.floor(coreCount! * HELD_SHARE);
const name = Object.assign(new NameVersionFrame(), { handle: 1, memoryMb: MEMORY_MB, key: KEY, functionKey: KEY });
const held = Object.assign(new LeaseFrame(ClusterKind.held), { handle: 1, epoch: 1 });
const announce = Object.assign(new CountFrame(ClusterKind.announce), { flag: 1 });
const direction = new SchedulerToWorker({
  probe: NOTHING,
  version: NOTHING,
  nameVersion: NOTHING,
  dropVersion: NOTHING,
  provision: NOTHING,
});
let announcedCount = 0;

function say(link: FrameLink, firstCore: number): void {
  link.send(name);
  for (let core = 0; core < heldCount; core++) {
    held.core = firstCore + core;
    held.sequence = core + 1;
    link.send(held);
  }
  announce.first = firstCore;
  // Which of the word's cores are busy.
  announce.second = (2 ** heldCount - 1) | 0;
  link.send(announce);
  if (++announcedCount === workerCount) console.log(JSON.stringify({ port, epoch: 0 }));
}

const dialers = Array.from({ length: workerCount! }, (_, index) => {
  const worker = `worker-${index}`;
  let firstCore = 0;
  const said = {
    role: Role.worker,
    name: worker,
    life: index + 1,
    coreCount: coreCount!,
    memoryMb: coreCount! * MEMORY_MB,
    host: '127.0.0.1',
    port: 1,
  };
  return new Dialer(
    DIALER_DELAYS,
    { clock: realClock, random: Math.random, connect: () => connectPlain(port!, worker, 'worker') },
    {
      setting: () => ({
        hello: Object.assign(new HelloFrame(ClusterKind.hello), said),
        dialled: Role.scheduler,
        limits: LINK_LIMITS,
        clock: realClock,
      }),
      greeted: (welcome) => {
        firstCore = welcome.firstCore;
        return direction;
      },
      opened: (link) => say(link, firstCore),
      closed: NOTHING,
    },
  );
});
// Not all in one turn: the first start is not what is measured.
const WAVE = 500;
for (let first = 0; first < dialers.length; first += WAVE)
  setTimeout(() => dialers.slice(first, first + WAVE).forEach((dialer) => dialer.start()), first / 5);
process.stdin.resume();
process.stdin.once('end', () => process.exit());
