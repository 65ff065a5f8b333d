import type { Command } from 'commander';
import { Client } from '../client.ts';
import { deleteFunction } from '../lambda-api.ts';
import type { EndpointOptions } from '../options.ts';
import { withEndpoint } from '../options.ts';
import { printJson, printLine } from '../terminal.ts';

interface DeleteOptions extends EndpointOptions {
  readonly qualifier?: string;
}

export function register(program: Command): void {
  const command = program
    .command('delete')
    .description('delete a function, its versions and its logs')
    .argument('<name>', 'the function')
    .option('--qualifier <version>', 'delete only this published version');
  withEndpoint(command).action(remove);
}

async function remove(name: string, options: DeleteOptions): Promise<void> {
  await deleteFunction(new Client(options.endpoint), name, options.qualifier);
  const { qualifier } = options;
  if (options.json === true) return printJson({ name, version: qualifier ?? null, deleted: true });
  // A name may bear the number of a version itself.
  if (qualifier !== undefined) printLine(`deleted version ${qualifier} of ${name}`);
  else if (/:\d+$/.test(name)) printLine(`deleted ${name}`);
  else printLine(`deleted ${name}, all its versions and its log`);
}
