/** The entry of a shard's thread. */
import { workerData } from 'node:worker_threads';
import type { ThreadData } from './messages.ts';
import { hostShard } from './shard-host.ts';
import { openTlsDoor, type TlsDoor } from './tls-door.ts';

const data = workerData as ThreadData;
await hostShard(data, openTlsDoor(data.door as TlsDoor));
