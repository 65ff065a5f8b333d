import type { Command } from 'commander';
import { Client } from '../client.ts';
import { CORES_DEFAULT, ISOLATION_DEFAULT } from '../../store/settings.ts';
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
  const settings = new Map((await listSettings(client)).map((each) => [each.functionName, each]));
  const isolation = shownUnless(ISOLATION_DEFAULT, (fn) => settings.get(fn.FunctionName)?.isolation);
  const cores = shownUnless(CORES_DEFAULT, (fn) => settings.get(fn.FunctionName)?.cores);
  // Where all have the default, a column of nothing would only take room.
  const isShown = (value: (fn: FunctionConfiguration) => string): boolean => functions.some((fn) => value(fn) !== '');
  process.stdout.write(
    formatTable<FunctionConfiguration>(
      [
        { title: 'NAME', value: (fn) => fn.FunctionName },
        { title: 'RUNTIME', value: (fn) => fn.Runtime },
        { title: 'HANDLER', value: (fn) => fn.Handler },
        { title: 'MEMORY', value: (fn) => `${fn.MemorySize} MB`, alignRight: true },
        { title: 'TIMEOUT', value: (fn) => `${fn.Timeout} s`, alignRight: true },
        { title: 'CODE', value: (fn) => `${Math.ceil(fn.CodeSize / 1024)} KB`, alignRight: true },
        ...(isShown(cores) ? [{ title: 'CORES', value: cores, alignRight: true }] : []),
        ...(isShown(isolation) ? [{ title: 'ISOLATION', value: isolation }] : []),
        { title: 'CHANGED', value: (fn) => fn.LastModified.slice(0, 19).replace('T', ' ') },
      ],
      functions,
    ),
  );
}

function shownUnless<T extends string | number>(
  usual: T,
  of: (fn: FunctionConfiguration) => T | undefined,
): (fn: FunctionConfiguration) => string {
  return (fn) => {
    const value = of(fn) ?? usual;
    return value === usual ? '' : String(value);
  };
}
