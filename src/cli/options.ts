/** Options that several commands share, declared once so that they read the same everywhere. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { InvalidArgumentError, Option } from 'commander';
import { DEFAULT_ACCOUNT } from '../base/arn.ts';
import { parseCpuList } from '../worker/agent/topology.ts';
import { DEFAULT_ENDPOINT } from './client.ts';

export interface EndpointOptions {
  readonly endpoint?: string;
  readonly json?: boolean;
}

/** --endpoint and --json: every command that talks to a platform has them. */
export function withEndpoint(command: Command): Command {
  return command
    .option('--endpoint <url>', `the platform to talk to (PERCH_ENDPOINT; default ${DEFAULT_ENDPOINT})`)
    .option('--json', 'print JSON');
}

/** A parser for whole numbers in a range. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It has to be a whole number from ${min} to ${max}.`);
  };
}

/** Of `--memory`. */
export const parseMemoryMb: (text: string) => number = wholeNumber(128, 2 ** 31 - 1);

/** Of `--cores`. */
export function parseCores(text: string): number[] {
  const cpus = parseCpuList(text);
  if (cpus === null || cpus.length === 0) throw new InvalidArgumentError('It has to be a list of CPUs such as 0-1,3.');
  return cpus;
}

export function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

/** Where a platform keeps what it has to keep, unless --data says otherwise: as a service, or for one user. */
export function dataFolderDefault(): string {
  if (process.getuid?.() === 0) return '/var/lib/perch';
  return join(process.env['XDG_DATA_HOME'] ?? join(homedir(), '.local', 'share'), 'perch');
}

const PORT_MAX = 65_535;

/** `host:port`, `[IPv6]:port`; null if it is neither. */
export function parseHostAndPort(text: string): { host: string; port: number } | null {
  const [, host = '', port = ''] = /^(?:\[(?=.*\]))?(.+?)\]?:(\d{1,5})$/.exec(text) ?? [];
  return host !== '' && Number(port) <= PORT_MAX ? { host, port: Number(port) } : null;
}

/** The same for an option. */
export function hostAndPort(text: string): { host: string; port: number } {
  const parsed = parseHostAndPort(text);
  if (parsed === null) throw new InvalidArgumentError('It has to be HOST:PORT.');
  return parsed;
}

/** --listen of a node; `where` as people write it, in the help too. */
export function listenOption(what: string, where: string): Option {
  return new Option('--listen <host:port>', what).argParser(hostAndPort).default(hostAndPort(where), where);
}

/** --log-level, of whatever stays up. */
export function logLevelOption(): Option {
  return new Option('--log-level <level>', 'of the log on stderr')
    .choices(['debug', 'info', 'warn', 'error', 'silent'])
    .default('warn');
}

const REGION_LENGTH_MAX = 32;

/** --region, of whatever answers as AWS does. */
export function regionOption(): Option {
  return new Option('--region <name>', 'AWS region to report')
    .argParser((text) => {
      // It becomes part of every ARN, so it has to look like a region; it need not be one that AWS has.
      if (/^[a-z]{2,8}(-[a-z0-9]{1,16}){1,4}$/.test(text) && text.length <= REGION_LENGTH_MAX) return text;
      throw new InvalidArgumentError("It has to look like AWS's, such as us-east-1.");
    })
    .default(DEFAULT_ACCOUNT.region);
}

/** --allow-host-network, of whatever takes or runs functions. */
export function hostNetworkOption(): Option {
  return new Option(
    '--allow-host-network',
    'let functions ask for the network of this machine (PERCH_NETWORK=host); where they run, twice as many stem cells wait',
  );
}
