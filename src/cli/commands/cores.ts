import type { Command } from 'commander';
import type { CoreView } from '../../gateway/platform.ts';
import { Client } from '../client.ts';
import { listCores } from '../perch-api.ts';
import type { EndpointOptions } from '../options.ts';
import { withEndpoint } from '../options.ts';
import { formatTable, formatUs, printJson } from '../terminal.ts';

interface CoresOptions extends EndpointOptions {
  readonly watch?: boolean;
}

const WATCH_INTERVAL_MS = 500;

export function register(program: Command): void {
  const command = program
    .command('cores')
    .description('show what each core does now')
    .option('-w, --watch', 'show it again twice a second (with --json: one line each time)');
  withEndpoint(command).action(cores);
}

async function cores(options: CoresOptions): Promise<void> {
  const client = new Client(options.endpoint);
  for (;;) {
    const views = await listCores(client);
    if (options.json === true) printJson(views);
    else process.stdout.write((options.watch === true && process.stdout.isTTY ? '\x1b[H\x1b[2J' : '') + table(views));
    if (options.watch !== true) return;
    await new Promise((resolve) => setTimeout(resolve, WATCH_INTERVAL_MS));
  }
}

function table(views: readonly CoreView[]): string {
  return formatTable<CoreView>(
    [
      { title: 'CORE', value: ({ core, isExtra }) => (isExtra === true ? `+${core}` : String(core)), alignRight: true },
      { title: 'CPUS', value: (view) => view.cpus.join(',') },
      {
        title: 'STATE',
        value: (view) => view.state,
        paint: ({ state }) => (state === 'leased' ? 'green' : state === 'withdrawn' ? 'yellow' : 'dim'),
      },
      { title: 'SINCE', value: (view) => formatUs(view.sinceUs), alignRight: true },
      { title: 'INVOCATIONS', value: (view) => String(view.invocationCount), alignRight: true },
      { title: 'FUNCTION', value: (view) => view.functionName || '-' },
      { title: 'REQUEST', value: (view) => view.requestId || '-' },
    ],
    views,
  );
}
