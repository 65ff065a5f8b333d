/** `perch up`: the platform on this machine, until it is told to stop. */
import { readFileSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { LIMITS } from '../../base/limits.ts';
import type { PlatformOptions, RunningPlatform } from '../compose/platform.ts';
import { parseCpuList } from '../../worker/agent/topology.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { dataFolderDefault, logLevelOption, wholeNumber } from '../options.ts';
import { stopSignal } from '../stop-signal.ts';

interface UpOptions {
  readonly port: number;
  readonly host: string;
  readonly data: string;
  readonly cores?: number[];
  readonly sandbox: 'bubblewrap' | 'none';
  readonly memory?: number;
  readonly codeCacheMb: number;
  readonly allowHostNetwork?: boolean;
  readonly keys?: string;
  readonly region: string;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  readonly json?: boolean;
}

const DEFAULT_PORT = 9400;
const MB = 1024 * 1024;
const REGION_LENGTH_MAX = 32;

const HELP = `
Functions run on every core of the machine; where it has 4 or more, the first is left to Perch itself.
--cores takes the kernel's CPU numbers; hardware threads of one physical core make one core.

Without --keys only this machine can call it, unsigned. The file for --keys has a line "ACCESS_KEY_ID SECRET"
for each key; then every request must be signed (AWS Signature Version 4), and --host may be any address.`;

export function register(program: Command): void {
  program
    .command('up')
    .description('start the platform on this machine')
    .option('--port <port>', 'port of the gateway; 0: any free one', wholeNumber(0, 65_535), DEFAULT_PORT)
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--data <folder>', 'where functions, code and logs are kept', dataFolderDefault())
    .option('--cores <list>', 'CPUs for functions, such as 0-1,3 (default: see below)', parseCores)
    .option(
      '--memory <MB>',
      'what all instances may use together (default: three quarters of the machine)',
      wholeNumber(128, 2 ** 31 - 1),
    )
    .addOption(
      new Option('--sandbox <kind>', 'what separates functions from each other and from you')
        .choices(['bubblewrap', 'none'])
        .default('bubblewrap'),
    )
    .option(
      '--code-cache-mb <MB>',
      'disk for unpacked code',
      wholeNumber(LIMITS.codeCacheBytesMin / MB, 2 ** 31 - 1),
      LIMITS.codeCacheBytesMax / MB,
    )
    .option('--allow-host-network', 'let functions ask for the network of this machine (PERCH_NETWORK=host)')
    .option('--keys <file>', 'access keys of the callers (see below)')
    .option('--region <name>', 'AWS region to report', parseRegion, 'us-east-1')
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
  const [{ startPlatform, operatorMessage, warningOf }, { defaultMemoryMb }, { createLog }, { readTopology }] =
    await Promise.all([
      import('../compose/platform.ts'),
      import('../compose/worker-parts.ts'),
      import('../../telemetry/log.ts'),
      import('../../worker/agent/topology.ts'),
    ]);
  const topology = readTopology(options.cores ?? null);
  if (topology instanceof Error) throw new CliError(EXIT.usage, `${topology.message}.`);
  const warning = warningOf(options.sandbox);
  if (warning !== '') process.stderr.write(warning + '\n');
  const platformOptions: PlatformOptions = {
    host: options.host,
    port: options.port,
    dataDir: options.data,
    topology,
    sandbox: options.sandbox,
    allowHostNetwork: options.allowHostNetwork === true,
    memoryMb: options.memory ?? defaultMemoryMb(),
    codeCacheMb: options.codeCacheMb,
    keys: readKeys(options.keys),
    region: options.region,
    accountId: '000000000000',
    version: packageVersion(),
    log: createLog(options.logLevel),
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

function parseCores(text: string): number[] {
  const cpus = parseCpuList(text);
  if (cpus === null || cpus.length === 0) throw new InvalidArgumentError('It has to be a list of CPUs such as 0-1,3.');
  return cpus;
}

/** It becomes part of every ARN, so it has to look like a region; it need not be one that AWS has. */
function parseRegion(text: string): string {
  if (/^[a-z]{2,8}(-[a-z0-9]{1,16}){1,4}$/.test(text) && text.length <= REGION_LENGTH_MAX) return text;
  throw new InvalidArgumentError("It has to look like AWS's, such as us-east-1.");
}

function packageVersion(): string {
  const file = new URL('../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
