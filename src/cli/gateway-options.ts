/** What the commands that answer clients have in common: `perch up` and `perch gateway`. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { readSecretFile, WITH_KEY } from '../cluster/identity/secret-file.ts';
import { CliError, EXIT } from './exit-codes.ts';
import { wholeNumber } from './options.ts';

export interface GatewayCommandOptions {
  readonly port: number;
  readonly host: string;
  readonly keys?: string;
}

const DEFAULT_PORT = 9400;

export const KEYS_HELP = `
Without --keys only this machine can call it, unsigned. The file for --keys has a line "ACCESS_KEY_ID SECRET"
for each key; then every request must be signed (AWS Signature Version 4), and --host may be any address.`;

/** --port, --host and --keys. */
export function withGateway(command: Command): Command {
  return command
    .option('--port <port>', 'port of the gateway; 0: any free one', wholeNumber(0, 65_535), DEFAULT_PORT)
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--keys <file>', 'access keys of the callers (see below)');
}

/** Secret by access key id; empty where there is no file. */
export function readKeys(file: string | undefined): ReadonlyMap<string, string> {
  if (file === undefined) return new Map();
  const { text, message } = { message: '', ...readSecretFile(file, WITH_KEY) };
  if (text === null) throw new CliError(EXIT.usage, `--keys: ${message}`);
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

export function packageVersion(): string {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
