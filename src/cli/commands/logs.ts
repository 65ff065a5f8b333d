import { createInterface } from 'node:readline';
import type { Command } from 'commander';
import type { Answer } from '../client.ts';
import { Client, refusal } from '../client.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import type { EndpointOptions } from '../options.ts';
import { wholeNumber, withEndpoint } from '../options.ts';
import { printJson, printLine } from '../terminal.ts';

interface LogsOptions extends EndpointOptions {
  readonly lines: number;
  readonly follow?: boolean;
}

const LINES_DEFAULT = 100;
const LINES_MAX = 10_000;

export function register(program: Command): void {
  const command = program
    .command('logs')
    .description('print what a function has logged')
    .argument('<name>', 'the function')
    .option('-n, --lines <count>', 'how many of the last lines', wholeNumber(0, LINES_MAX), LINES_DEFAULT)
    .option('-f, --follow', 'go on printing as it logs more');
  withEndpoint(command).action(logs);
}

async function logs(name: string, options: LogsOptions): Promise<void> {
  const client = new Client(options.endpoint);
  const follow = options.follow === true ? '&follow=1' : '';
  const path = `/perch/v1/logs/${encodeURIComponent(name)}?lines=${options.lines}${follow}`;
  const response = await client.open({ method: 'GET', path });
  if (response.statusCode !== 200) {
    const body = Buffer.concat(await response.toArray());
    throw refusal({ status: response.statusCode ?? 0, headers: response.headers, body } satisfies Answer);
  }
  try {
    for await (const line of createInterface({ input: response, crlfDelay: Infinity })) {
      if (options.json === true) printJson({ line });
      else printLine(line);
    }
  } catch {
    throw new CliError(EXIT.unreachable, `${client.endpoint.href} broke the log off; is the platform still up?`);
  }
}
