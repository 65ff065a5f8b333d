import type { Command } from 'commander';
import type { CoreView } from '../../gateway/platform.ts';
import { Client } from '../client.ts';
import { listCores } from '../perch-api.ts';
import type { EndpointOptions } from '../options.ts';
import { withEndpoint } from '../options.ts';
import { type Column, formatTable, formatUs, printJson } from '../terminal.ts';

interface CoresOptions extends EndpointOptions {
  readonly watch?: boolean;
}

const WATCH_INTERVAL_MS = 500;
const PAINTS: Readonly<Record<string, 'green' | 'yellow'>> = {
  leased: 'green',
  running: 'green',
  waiting: 'yellow',
  withdrawn: 'yellow',
};

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

/** An extra seat has a '+' before its number. */
function numberOf({ core, isExtra }: CoreView): string {
  return isExtra === true ? `+${core}` : String(core);
}

/** Where cores are shared: on which core it is, and who is in the foreground there. */
function placeColumns(views: readonly CoreView[]): Column<CoreView>[] {
  const byNumber = new Map(views.map((view) => [view.core, view]));
  const behindOf = ({ resident }: CoreView): string => {
    const behind = resident?.behind ?? null;
    const view = behind === null ? undefined : byNumber.get(behind);
    return view === undefined ? String(behind ?? '-') : `${numberOf(view)} ${view.functionName}`.trim();
  };
  return [
    { title: 'ON', value: ({ resident }) => String(resident?.core ?? '-'), alignRight: true },
    { title: 'BEHIND', value: behindOf },
  ];
}

function stateOf({ state, resident }: CoreView): string {
  return resident?.state ?? state;
}

function table(views: readonly CoreView[]): string {
  const isShared = views.some(({ resident }) => (resident ?? null) !== null);
  return formatTable<CoreView>(
    [
      { title: 'CORE', value: numberOf, alignRight: true },
      { title: 'CPUS', value: (view) => view.cpus.join(',') },
      {
        title: 'STATE',
        value: stateOf,
        paint: (view) => PAINTS[stateOf(view)] ?? 'dim',
      },
      ...(isShared ? placeColumns(views) : []),
      { title: 'SINCE', value: (view) => formatUs(view.sinceUs), alignRight: true },
      { title: 'INVOCATIONS', value: (view) => String(view.invocationCount), alignRight: true },
      { title: 'FUNCTION', value: (view) => view.functionName || '-' },
      { title: 'REQUEST', value: (view) => view.requestId || '-' },
    ],
    views,
  );
}
