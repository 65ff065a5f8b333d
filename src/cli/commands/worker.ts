/** `perch worker`: this machine's cores for a cluster, until it is told to stop. */
import { type Command, InvalidArgumentError } from 'commander';
import { LIMITS } from '../../base/limits.ts';
import type { Identity } from '../../cluster/identity/join-file.ts';
import { isAddress } from '../../cluster/identity/names.ts';
import type { Address } from '../../cluster/node/connect.ts';
import type { RunningWorkerNode } from '../compose/worker-node.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { type Node, type NodeOptions, openNode, startOn, whereIs, withNode } from '../node-options.ts';
import { hostAndPort, listenOption, wholeNumber } from '../options.ts';
import { startError } from '../start-error.ts';
import { knowledgeOption, observerOption, sharingOption } from '../sharing-option.ts';
import { startUnlessStopped, stopSignal, untilStopped } from '../stop-signal.ts';
import { type WorkerCommandOptions, withWorker, workerOptionsOf } from '../worker-options.ts';

interface Options extends NodeOptions, WorkerCommandOptions {
  readonly scheduler?: Address;
  readonly store?: Address;
  readonly listen: Address;
  readonly advertise?: string;
  readonly drain: number;
}

const DEFAULT_LISTEN = '0.0.0.0:9402';
const DRAIN_S_MAX = 86_400;

const HELP = `
Functions run on every core of the machine; where it has 4 or more, the first is left to Perch itself.
--cores takes the kernel's CPU numbers; hardware threads of one physical core make one core.

Unless --advertise says otherwise, gateways are told the address of --listen, or where that is any, the one from which this machine
reaches the scheduler; and one of those in its certificate, if that has any.

Cores whose functions sleep are lent to others of the cluster, unless --sharing says otherwise, as 'perch up --help' explains; each worker has
its own. See docs/SHARING.md.

On SIGTERM it takes no more, lets what runs end (for --drain seconds at most), and exits. A second signal ends it at once.`;

export function register(program: Command): void {
  const command = program.command('worker').description('run functions of a cluster on this machine');
  withWorker(withNode(command), 'code is kept')
    .option('--scheduler <host:port>', 'where the scheduler is (default: as the join file says)', hostAndPort)
    .option('--store <host:port>', 'where the gateway with the store is (default: the same)', hostAndPort)
    .addOption(listenOption('where gateways and other workers reach it', DEFAULT_LISTEN))
    .option('--advertise <host>', 'the address that gateways are told (default: see below)', parseHost)
    .addOption(sharingOption())
    .addOption(observerOption())
    .addOption(knowledgeOption())
    .option('--drain <seconds>', 'on SIGTERM, for what runs to end', wholeNumber(0, DRAIN_S_MAX), LIMITS.timeoutSMax)
    .addHelpText('after', HELP)
    .action(run);
}

async function run(options: Options): Promise<void> {
  const stop = stopSignal();
  const node = await openNode(options, 'worker');
  const running = await startUnlessStopped(stop, () => start(options, node, stop));
  node.onRevoked((revoked) => running.dismiss(revoked));
  const stopped = untilStopped(stop);
  await Promise.race([stopped, running.joined.then(() => sayReady(options, node.identity.name, running.address()))]);
  await stopped;
  await running.drain(options.drain * 1000);
  node.stop();
  await running.close();
  process.exit(EXIT.ok);
}

async function start(options: Options, node: Node, stop: AbortSignal): Promise<RunningWorkerNode> {
  const { startWorkerNode } = await import('../compose/worker-node.ts');
  return startOn(node, async () => {
    checkAdvertised(options, node.identity);
    const workerOptions = {
      ...(await workerOptionsOf(options, node.log)),
      identity: node.identity,
      revoked: node.revoked,
      scheduler: whereIs('scheduler', options.scheduler, node),
      store: whereIs('store', options.store, node),
      listen: options.listen,
      advertise: options.advertise ?? null,
      region: options.region,
    };
    return startWorkerNode(workerOptions, stop);
  }).catch(async (error: unknown) => {
    throw await startError(error, options.listen);
  });
}

/** Gateways would refuse whom they reach there, one by one and each time. */
function checkAdvertised({ advertise, join }: Options, identity: Identity): void {
  if (advertise === undefined || identity.answersAt(advertise)) return;
  throw new CliError(
    EXIT.usage,
    `The certificate in ${join} is for ${identity.addresses.join(', ')}: --advertise has to be one of these, and not ${advertise}.`,
  );
}

function sayReady({ json }: Options, name: string, { host, port }: Address): void {
  const ready = { name, host, port, pid: process.pid };
  const text = `The worker ${name} has joined, and is reached at ${host}:${port}`;
  process.stdout.write((json === true ? JSON.stringify(ready) : text) + '\n');
}

function parseHost(text: string): string {
  if (isAddress(text)) return text;
  throw new InvalidArgumentError('It has to be a host name or an IP address.');
}
