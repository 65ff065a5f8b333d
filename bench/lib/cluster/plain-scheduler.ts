/**
 * The scheduler of a cluster without TLS: the shipped server behind bare TCP, to tell what TLS costs from what the
 * scheduler does. Arguments: port, cores, workers, shards; each shard after the first has the next port.
 * Prints one JSON line when it listens, as `perch scheduler --json` does.
 */
import { realClock } from '../../../src/base/clock.ts';
import { openOneShard } from '../../../src/scheduler/server/one-shard.ts';
import { schedulerLimits } from '../../../src/scheduler/server/open.ts';
import { Shards } from '../../../src/scheduler/server/threads/shards.ts';
import { createLog } from '../../../src/telemetry/log.ts';
import { listenPlain, portOf } from './plain-door.ts';

const [port, coreCountMax, workerCountMax, shards] = process.argv.slice(2).map(Number) as [
  number,
  number,
  number,
  number,
];
const limits = schedulerLimits({ coreCountMax, workerCountMax, clock: realClock, shards });
const node = { name: 'scheduler', clock: realClock, log: createLog('warn') };

process.once('SIGTERM', () => process.exit());
if (shards === 1) {
  const { server } = openOneShard(limits, node);
  console.log(JSON.stringify({ port: portOf(await listenPlain(server, port)), epoch: limits.epoch }));
} else {
  const opened = await Shards.open({
    ...node,
    limits,
    shardCount: shards,
    entry: new URL('plain-shard.ts', import.meta.url),
    door: (known) => (known === 0 ? port : known),
    failed: (error) => {
      throw error;
    },
  });
  console.log(JSON.stringify({ port: opened.port, epoch: limits.epoch }));
}
