/** `perch gateway`: answers the clients of a cluster at this machine, until it is told to stop. */
import type { Command } from 'commander';
import { DEFAULT_ACCOUNT } from '../../base/arn.ts';
import type { Address } from '../../cluster/node/connect.ts';
import type { RunningGatewayNode } from '../compose/gateway-node.ts';
import { EXIT } from '../exit-codes.ts';
import { type GatewayCommandOptions, KEYS_HELP, packageVersion, readKeys, withGateway } from '../gateway-options.ts';
import { type Node, type NodeOptions, openNode, startOn, whereIs, withNode } from '../node-options.ts';
import {
  dataFolderDefault,
  hostAndPort,
  hostNetworkOption,
  listenOption,
  parseHostAndPort,
  regionOption,
} from '../options.ts';
import { startError } from '../start-error.ts';
import { startUnlessStopped, stopSignal, untilStopped } from '../stop-signal.ts';

interface Options extends NodeOptions, GatewayCommandOptions {
  readonly scheduler?: Address;
  readonly store?: Address;
  readonly listen: Address;
  readonly data: string;
  readonly region: string;
  readonly allowHostNetwork?: boolean;
}

const DEFAULT_LISTEN = '0.0.0.0:9403';

const HELP = `
One gateway of a cluster has the store: functions, code, logs and asynchronous invocations are in its data folder, and the other nodes
reach it at --listen. All other gateways are told with --store where that is, and keep nothing. Without --store it is where the join
file says, and here, if that is an address of this node's certificate and the port of --listen, or the join file does not say.

It starts and answers also while the scheduler cannot be reached: what is invoked then waits for a moment, and is refused with 503.
${KEYS_HELP}`;

export function register(program: Command): void {
  const command = program.command('gateway').description('answer the clients of a cluster at this machine');
  withGateway(withNode(command))
    .option('--scheduler <host:port>', 'where the scheduler is (default: as the join file says)', hostAndPort)
    .option('--store <host:port>', 'where the gateway with the store is (default: see below)', hostAndPort)
    .addOption(listenOption('where other nodes reach the store', DEFAULT_LISTEN))
    .option('--data <folder>', 'where functions, code and logs are kept', dataFolderDefault())
    .addOption(hostNetworkOption())
    .addOption(regionOption())
    .addHelpText('after', HELP)
    .action(run);
}

async function run(options: Options): Promise<void> {
  const stop = stopSignal();
  const node = await openNode(options, 'gateway');
  const running = await startUnlessStopped(stop, () => start(options, node, stop));
  node.onRevoked((revoked) => running.dismiss(revoked));
  const { url, clusterPort } = running;
  const text = `The gateway ${node.identity.name} is up at ${url}`;
  process.stdout.write((options.json === true ? JSON.stringify({ url, clusterPort, pid: process.pid }) : text) + '\n');
  await untilStopped(stop);
  await running.close();
  node.stop();
  process.exit(EXIT.ok);
}

async function start(options: Options, node: Node, stop: AbortSignal): Promise<RunningGatewayNode> {
  const { startGatewayNode } = await import('../compose/gateway-node.ts');
  return startOn(node, () => {
    const gatewayOptions = {
      identity: node.identity,
      revoked: node.revoked,
      log: node.log,
      scheduler: whereIs('scheduler', options.scheduler, node),
      store: storeOf(options, node),
      listen: options.listen,
      dataDir: options.data,
      host: options.host,
      port: options.port,
      allowHostNetwork: options.allowHostNetwork === true,
      keys: readKeys(options.keys),
      region: options.region,
      accountId: DEFAULT_ACCOUNT.accountId,
      version: packageVersion(),
    };
    return startGatewayNode(gatewayOptions, stop);
  }).catch(async (error: unknown) => {
    throw await startError(error, options.listen);
  });
}

/** Null: it is here. */
function storeOf({ store, listen }: Options, { identity }: Node): Address | null {
  const known = store ?? parseHostAndPort(identity.whereabouts.store ?? '');
  const isHere =
    store === undefined &&
    known?.port === listen.port &&
    identity.addresses.length > 0 &&
    identity.answersAt(known.host);
  return isHere ? null : known;
}
