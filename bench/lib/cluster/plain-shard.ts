/** The entry of a shard's thread behind bare TCP. Each listens at a port of its own, so that who connects knows which it is. */
import { workerData } from 'node:worker_threads';
import type { ThreadData } from '../../../src/scheduler/server/threads/messages.ts';
import { hostShard } from '../../../src/scheduler/server/threads/shard-host.ts';
import { createLog } from '../../../src/telemetry/log.ts';
import { listenPlain, portOf } from './plain-door.ts';

const data = workerData as ThreadData;
await hostShard(data, {
  log: createLog('warn'),
  listen: async (server) => {
    const first = data.door as number;
    const listener = await listenPlain(server, first === 0 ? 0 : first + data.shard);
    return { port: portOf(listener) - data.shard, close: async () => void listener.close() };
  },
  revoke: () => {},
});
