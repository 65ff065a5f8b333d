/** `perch scheduler`: the scheduler of a cluster, until it is told to stop. */
import type { Command } from 'commander';
import { CliError, EXIT } from '../exit-codes.ts';
import { hostAndPort, logLevelOption, wholeNumber } from '../options.ts';
import { stopSignal } from '../stop-signal.ts';
import type { LogLevel } from '../../telemetry/log.ts';

interface SchedulerCommandOptions {
  readonly join: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly revoked?: string;
  readonly coresMax: number;
  readonly workersMax: number;
  readonly logLevel: LogLevel;
  readonly json?: boolean;
}

const DEFAULT_LISTEN = '0.0.0.0:9401';
const CORES_MAX = 640_000;
const WORKERS_MAX = 20_000;

export function register(program: Command): void {
  program
    .command('scheduler')
    .description('run the scheduler of a cluster on this machine')
    .requiredOption('--join <file>', "this node's join file (see 'perch cluster add')")
    .option('--listen <host:port>', 'where workers and gateways reach it', hostAndPort, hostAndPort(DEFAULT_LISTEN))
    .option('--revoked <file>', 'the list of revoked certificates; read again whenever it changes')
    .option('--cores-max <count>', 'cores of all workers, at most', wholeNumber(1, CORES_MAX), CORES_MAX / 10)
    .option('--workers-max <count>', 'workers, at most', wholeNumber(1, WORKERS_MAX), WORKERS_MAX / 10)
    .addOption(logLevelOption())
    .option('--json', 'print one JSON line when ready')
    .action(run);
}

async function run(options: SchedulerCommandOptions): Promise<void> {
  const [{ openScheduler }, { readJoinFile }, revocation, { createLog }, { realClock }] = await Promise.all([
    import('../../scheduler/server/open.ts'),
    import('../../cluster/identity/join-file.ts'),
    import('../../cluster/identity/revoked.ts'),
    import('../../telemetry/log.ts'),
    import('../../base/clock.ts'),
  ]);
  const log = createLog(options.logLevel);
  const identity = readJoinFile(options.join, realClock.wallMs());
  if (typeof identity === 'string') throw new CliError(EXIT.refused, identity);
  if (!identity.roles.includes('scheduler'))
    throw new CliError(
      EXIT.refused,
      `${options.join} makes ${identity.name} no scheduler: 'perch cluster add' says what a node may be.`,
    );
  const warning = identity.expiryWarning(realClock.wallMs());
  if (warning !== null) log.warn(warning);
  const watcher =
    options.revoked === undefined
      ? { current: () => revocation.NONE_REVOKED, stop: () => {} }
      : revocation.watchRevoked(options.revoked, realClock, (revoked, message) => {
          if (message !== null) log.error(message);
          running?.dismiss(revoked);
        });
  if (typeof watcher === 'string') throw new CliError(EXIT.refused, watcher);
  let running: Awaited<ReturnType<typeof openScheduler>> | undefined;
  const { host, port } = options.listen;
  try {
    running = await openScheduler({
      identity,
      revoked: watcher.current,
      host,
      port,
      coreCountMax: options.coresMax,
      workerCountMax: options.workersMax,
      clock: realClock,
      log,
    });
  } catch (error) {
    throw new CliError(EXIT.refused, `Cannot listen on ${host}:${port}: ${(error as NodeJS.ErrnoException).code}.`);
  }
  const ready = { host, port: running.port, epoch: running.scheduler.epoch, pid: process.pid };
  const text = `The scheduler of ${identity.cluster} listens on ${host}:${running.port}`;
  process.stdout.write((options.json === true ? JSON.stringify(ready) : text) + '\n');
  await stopSignal();
  watcher.stop();
  await running.close();
  process.exit(EXIT.ok);
}
