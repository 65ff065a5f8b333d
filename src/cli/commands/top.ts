/** `perch top`: what the whole cluster does now, once a second until it is interrupted. */
import type { Command } from 'commander';
import { Client } from '../client.ts';
import { type EndpointOptions, withEndpoint } from '../options.ts';
import { getOverview } from '../perch-api.ts';
import { printJson } from '../terminal.ts';
import { formatOverview, type Sample } from '../top.ts';

interface TopOptions extends EndpointOptions {
  readonly once?: boolean;
}

const INTERVAL_MS = 1000;
const HOME_AND_CLEAR = '\x1b[H\x1b[2J';

export function register(program: Command): void {
  const command = program
    .command('top')
    .description('show cores, workers and functions, again each second')
    .option('--once', 'show them once (rates are those of one second)');
  withEndpoint(command).action(top);
}

async function top(options: TopOptions): Promise<void> {
  const client = new Client(options.endpoint);
  let before = await sample(client);
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
    const now = await sample(client);
    if (options.json === true) printJson(now.overview);
    else process.stdout.write((process.stdout.isTTY ? HOME_AND_CLEAR : '') + formatOverview(before, now));
    if (options.once === true) return;
    before = now;
  }
}

async function sample(client: Client): Promise<Sample> {
  const overview = await getOverview(client);
  return { overview, atMs: performance.now() };
}
