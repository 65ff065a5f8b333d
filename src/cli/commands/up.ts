/** `perch up`: the platform on this machine, until it is told to stop. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { DEFAULT_ACCOUNT } from '../../base/arn.ts';
import type { PlatformOptions, RunningPlatform } from '../compose/platform.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { logLevelOption, wholeNumber } from '../options.ts';
import { stopSignal } from '../stop-signal.ts';
import { type WorkerCommandOptions, withWorker, workerOptionsOf } from '../worker-options.ts';

interface UpOptions extends WorkerCommandOptions {
  readonly port: number;
  readonly host: string;
  readonly keys?: string;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  readonly json?: boolean;
}

const DEFAULT_PORT = 9400;

const HELP = `
Functions run on every core of the machine; where it has 4 or more, the first is left to Perch itself.
--cores takes the kernel's CPU numbers; hardware threads of one physical core make one core.

Without --keys only this machine can call it, unsigned. The file for --keys has a line "ACCESS_KEY_ID SECRET"
for each key; then every request must be signed (AWS Signature Version 4), and --host may be any address.`;

export function register(program: Command): void {
  const command = program.command('up').description('start the platform on this machine');
  withWorker(command, 'functions, code and logs')
    .option('--port <port>', 'port of the gateway; 0: any free one', wholeNumber(0, 65_535), DEFAULT_PORT)
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--keys <file>', 'access keys of the callers (see below)')
    .addOption(logLevelOption())
    .option('--json', 'print one JSON line when ready')
    .addHelpText('after', HELP)
    .action(up);
}

async function up(options: UpOptions): Promise<void> {
  const platform = await start(options);
  const ready =
    options.json === true ? JSON.stringify({ url: platform.url, pid: process.pid }) : `Perch is up at ${platform.url}`;
  process.stdout.write(ready + '\n');
  await stopSignal();
  // A second signal does not wait for what runs.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(EXIT.internal));
  await platform.close();
  process.exit(EXIT.ok);
}

async function start(options: UpOptions): Promise<RunningPlatform> {
  const [{ startPlatform, operatorMessage }, { createLog }] = await Promise.all([
    import('../compose/platform.ts'),
    import('../../telemetry/log.ts'),
  ]);
  const platformOptions: PlatformOptions = {
    ...(await workerOptionsOf(options, createLog(options.logLevel))),
    host: options.host,
    port: options.port,
    allowHostNetwork: options.allowHostNetwork === true,
    keys: readKeys(options.keys),
    region: options.region,
    accountId: DEFAULT_ACCOUNT.accountId,
    version: packageVersion(),
  };
  try {
    return await startPlatform(platformOptions);
  } catch (error) {
    const message = operatorMessage(error);
    throw message === null ? error : new CliError(EXIT.refused, message);
  }
}

function readKeys(file: string | undefined): ReadonlyMap<string, string> {
  if (file === undefined) return new Map();
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new CliError(EXIT.usage, `--keys ${file} cannot be read: ${(error as Error).message}.`);
  }
  const keys = new Map<string, string>();
  for (const [index, line] of text.split('\n').entries()) {
    const fields = line.trim().split(/\s+/);
    if (line.trim() === '' || line.startsWith('#')) continue;
    // The line itself is a secret and is not repeated.
    if (fields.length !== 2)
      throw new CliError(
        EXIT.usage,
        `--keys ${file}, line ${index + 1}: it has to be ACCESS_KEY_ID and SECRET, with a space between.`,
      );
    keys.set(fields[0]!, fields[1]!);
  }
  if (keys.size === 0) throw new CliError(EXIT.usage, `--keys ${file} holds no key.`);
  return keys;
}

function packageVersion(): string {
  const file = new URL('../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
