import type { Command } from 'commander';
import { Client } from '../client.ts';
import { ISOLATION_DEFAULT } from '../../store/settings.ts';
import { listFunctions } from '../lambda-api.ts';
import type { FunctionConfiguration } from '../lambda-api.ts';
import type { EndpointOptions } from '../options.ts';
import { withEndpoint } from '../options.ts';
import { listSettings } from '../perch-api.ts';
import { formatTable, printJson, printNote } from '../terminal.ts';

export function register(program: Command): void {
  withEndpoint(program.command('list').description('list the functions')).action(list);
}

async function list(options: EndpointOptions): Promise<void> {
  const client = new Client(options.endpoint);
  const functions = await listFunctions(client);
  if (options.json === true) return printJson(functions);
  if (functions.length === 0) return printNote("no functions yet; 'perch deploy FILE' makes one");
  const isolations = new Map((await listSettings(client)).map((each) => [each.functionName, each.isolation]));
  const isolation = (fn: FunctionConfiguration): string => {
    const value = isolations.get(fn.FunctionName) ?? ISOLATION_DEFAULT;
    return value === ISOLATION_DEFAULT ? '' : value;
  };
  // Where all have the default, a column of nothing would only take room.
  const isShown = functions.some((fn) => isolation(fn) !== '');
  process.stdout.write(
    formatTable<FunctionConfiguration>(
      [
        { title: 'NAME', value: (fn) => fn.FunctionName },
        { title: 'RUNTIME', value: (fn) => fn.Runtime },
        { title: 'HANDLER', value: (fn) => fn.Handler },
        { title: 'MEMORY', value: (fn) => `${fn.MemorySize} MB`, alignRight: true },
        { title: 'TIMEOUT', value: (fn) => `${fn.Timeout} s`, alignRight: true },
        { title: 'CODE', value: (fn) => `${Math.ceil(fn.CodeSize / 1024)} KB`, alignRight: true },
        ...(isShown ? [{ title: 'ISOLATION', value: isolation }] : []),
        { title: 'CHANGED', value: (fn) => fn.LastModified.slice(0, 19).replace('T', ' ') },
      ],
      functions,
    ),
  );
}
