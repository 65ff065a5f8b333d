/**
 * The scheduler of a cluster as a process of its own, reached over connections as nodes reach it. Each part is one row, or
 * one group of rows, of what the cluster has to show. The load generator has the other CPU.
 */
import { decisions } from './lib/cluster/decisions.ts';
import { latencyBetweenHosts } from './lib/cluster/hosts.ts';
import { latencyOfGrants } from './lib/cluster/latency.ts';
import { overload } from './lib/cluster/overload.ts';
import { rateOverConnections } from './lib/cluster/rate.ts';
import { restartOfTheScheduler } from './lib/cluster/restart.ts';
import type { BenchOptions, Figure, Part, Report } from './lib/report.ts';

const PARTS: readonly Part[] = [
  {
    name: 'decisions',
    notes: [
      'decisions: the scheduler machine inside one process, without connections; the benchmark `schedule`, which says what a',
      'decision is in each row. Times are of the wall clock, of a process that never waits: what else runs makes them longer.',
    ],
    run: decisions,
  },
  {
    name: 'rate',
    notes: [
      'rate: one shard, one worker with that many cores, one gateway; an invocation is a REQUEST, a GRANT and a RELEASE. The',
      "generator is one process, as busy as the scheduler. CPU time is the scheduler process's, TLS included.",
    ],
    run: rateOverConnections,
  },
  {
    name: 'latency',
    notes: [
      'latency: 200,000 invocations/s, open loop, what is due in a turn of the generator in one batch, each measured from the',
      'moment it was due; beside it as many messages of 16 bytes to a server that sends them back.',
    ],
    run: latencyOfGrants,
  },
  {
    name: 'restart',
    notes: [
      'restart: as many workers of 32 cores as this machine lets a process have connections, in one process, 25 cores of each leased, without TLS. The scheduler is killed with SIGKILL and',
      'started again at once; whole: a gateway was told of every worker. Each worker dials again once, 0.5 to 1 s after its connection',
      'ended; that and the start of the process count. All workers are one program, which has put their bytes together beforehand, each with an address of its own.',
      'Over TLS one worker joins after the other, each with a handshake.',
    ],
    run: restartOfTheScheduler,
  },
  {
    name: 'hosts',
    notes: [
      'hosts: network namespaces with a switch between them, each of Node; a client on the host of the gateway, one connection,',
      'the next question after the answer. Two hosts: gateway and scheduler on one, the worker on the other. Round trips are of 64',
      'bytes; what several hosts add to the p50 of one machine is compared with the p50 of a round trip over TCP.',
    ],
    run: latencyBetweenHosts,
  },
  {
    name: 'overload',
    notes: [
      'overload: a function of 10 ms of CPU on one core, all else on another. What is served in a closed loop first; then five times',
      'as much in an open loop for 30 s; then one client again, while those of the load that still wait do so. A client that leaves',
      'closes its connection. Served: answers with 200 while the load lasted; latencies are from the moment a request was due.',
    ],
    run: overload,
  },
];

async function run(options: BenchOptions): Promise<Report> {
  const parts = PARTS.filter(({ name }) => options.only.length === 0 || options.only.includes(name));
  const figures: Figure[] = [];
  for (const part of parts) figures.push(...(await part.run(options)));
  const notes = ['Medians of rounds in which the rivals take turns.', ...parts.flatMap(({ notes }) => notes)];
  return { name: 'cluster', notes, figures };
}

export default {
  summary: 'the scheduler of a cluster, over its connections',
  parts: PARTS.map(({ name }) => name),
  run,
};
