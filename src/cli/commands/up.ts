/** `perch up`: the platform on this machine, until it is told to stop. */
import type { Command } from 'commander';
import { DEFAULT_ACCOUNT } from '../../base/arn.ts';
import type { PlatformOptions, RunningPlatform } from '../compose/platform.ts';
import { EXIT } from '../exit-codes.ts';
import { type GatewayCommandOptions, KEYS_HELP, packageVersion, readKeys, withGateway } from '../gateway-options.ts';
import { logLevelOption } from '../options.ts';
import { startError } from '../start-error.ts';
import { knowledgeOption, observerOption, sharingOption } from '../sharing-option.ts';
import { startUnlessStopped, stopSignal, untilStopped } from '../stop-signal.ts';
import { type WorkerCommandOptions, withWorker, workerOptionsOf } from '../worker-options.ts';

interface UpOptions extends WorkerCommandOptions, GatewayCommandOptions {
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  readonly json?: boolean;
}

const HELP = `
Functions run on every core of the machine; where it has 4 or more, the first is left to Perch itself.
--cores takes the kernel's CPU numbers; hardware threads of one physical core make one core.

--sharing lend:N, the default: while an invocation sleeps another one may have its core, and it has it back at once when it wakes,
up to N for each core (lend: 8). Where the machine cannot, and the log says why, it is dedicated: every invocation has a core of its
own until it ends. packed:N admits N invocations for each core, and who came first goes first (packed: 3); preempt:N lets go first who
has used least (preempt: 128 on the machine); fair:N leaves it all to the kernel, as a comparison (fair: 3). See docs/SHARING.md.
${KEYS_HELP}`;

export function register(program: Command): void {
  const command = program.command('up').description('start the platform on this machine');
  withGateway(withWorker(command, 'functions, code and logs are kept'))
    .addOption(sharingOption())
    .addOption(observerOption())
    .addOption(knowledgeOption())
    .addOption(logLevelOption())
    .option('--json', 'print one JSON line when ready')
    .addHelpText('after', HELP)
    .action(up);
}

async function up(options: UpOptions): Promise<void> {
  const stop = stopSignal();
  const platform = await startUnlessStopped(stop, () => start(options, stop));
  const ready =
    options.json === true ? JSON.stringify({ url: platform.url, pid: process.pid }) : `Perch is up at ${platform.url}`;
  process.stdout.write(ready + '\n');
  await untilStopped(stop);
  await platform.close();
  process.exit(EXIT.ok);
}

async function start(options: UpOptions, stop: AbortSignal): Promise<RunningPlatform> {
  const [{ startPlatform }, { createLog }] = await Promise.all([
    import('../compose/platform.ts'),
    import('../../telemetry/log.ts'),
  ]);
  const platformOptions: PlatformOptions = {
    ...(await workerOptionsOf(options, createLog(options.logLevel))),
    host: options.host,
    port: options.port,
    keys: readKeys(options.keys),
    region: options.region,
    accountId: DEFAULT_ACCOUNT.accountId,
    version: packageVersion(),
  };
  try {
    return await startPlatform(platformOptions, stop);
  } catch (error) {
    throw await startError(error);
  }
}
