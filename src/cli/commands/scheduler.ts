/** `perch scheduler`: the scheduler of a cluster, until it is told to stop. */
import type { Command } from 'commander';
import { realClock } from '../../base/clock.ts';
import { EXIT } from '../exit-codes.ts';
import { listenOption, wholeNumber } from '../options.ts';
import { startError } from '../start-error.ts';
import { stopSignal, untilStopped } from '../stop-signal.ts';
import { type NodeOptions, openNode, startOn, withNode } from '../node-options.ts';

interface SchedulerCommandOptions extends NodeOptions {
  readonly listen: { readonly host: string; readonly port: number };
  readonly coresMax: number;
  readonly workersMax: number;
  readonly shards: number;
}

const DEFAULT_LISTEN = '0.0.0.0:9401';
const CORES_MAX = 640_000;
const WORKERS_MAX = 20_000;
const SHARDS_MAX = 64;

export function register(program: Command): void {
  withNode(program.command('scheduler').description('run the scheduler of a cluster on this machine'))
    .addOption(listenOption('where workers and gateways reach it', DEFAULT_LISTEN))
    .option(
      '--cores-max <count>',
      'cores and extra seats of all workers, at most',
      wholeNumber(1, CORES_MAX),
      CORES_MAX,
    )
    .option('--workers-max <count>', 'workers, at most', wholeNumber(1, WORKERS_MAX), WORKERS_MAX / 10)
    .option('--shards <count>', `threads that decide, 1 to ${SHARDS_MAX}`, wholeNumber(1, SHARDS_MAX), 1)
    .action(run);
}

async function run(options: SchedulerCommandOptions): Promise<void> {
  // It comes up in a moment, and changes nothing that outlives the process: told to stop meanwhile, it does so then.
  const stop = stopSignal();
  const { openScheduler } = await import('../../scheduler/server/open.ts');
  const node = await openNode(options, 'scheduler');
  const { host, port } = options.listen;
  const running = await startOn(node, () =>
    openScheduler({
      identity: node.identity,
      revoked: node.revoked,
      host,
      port,
      coreCountMax: options.coresMax,
      workerCountMax: options.workersMax,
      shards: options.shards,
      clock: realClock,
      log: node.log,
      failed: (error) => {
        process.stderr.write(`perch: this is a bug of Perch: ${error.stack ?? error.message}\n`);
        process.exit(EXIT.internal);
      },
    }),
  ).catch(async (error: unknown) => {
    throw await startError(error, options.listen);
  });
  node.onRevoked((revoked) => running.dismiss(revoked));
  const ready = { host, port: running.port, epoch: running.epoch, pid: process.pid };
  const text = `The scheduler of ${node.identity.cluster} listens on ${host}:${running.port}`;
  process.stdout.write((options.json === true ? JSON.stringify(ready) : text) + '\n');
  await untilStopped(stop);
  node.stop();
  await running.close();
  process.exit(EXIT.ok);
}
