import type { Command } from 'commander';
import { Client } from '../client.ts';
import { listFunctions } from '../lambda-api.ts';
import type { FunctionConfiguration } from '../lambda-api.ts';
import type { EndpointOptions } from '../options.ts';
import { withEndpoint } from '../options.ts';
import { formatTable, printJson, printNote } from '../terminal.ts';

export function register(program: Command): void {
  withEndpoint(program.command('list').description('list the functions')).action(list);
}

async function list(options: EndpointOptions): Promise<void> {
  const functions = await listFunctions(new Client(options.endpoint));
  if (options.json === true) return printJson(functions);
  if (functions.length === 0) return printNote("no functions yet; 'perch deploy FILE' makes one");
  process.stdout.write(
    formatTable<FunctionConfiguration>(
      [
        { title: 'NAME', value: (fn) => fn.FunctionName },
        { title: 'RUNTIME', value: (fn) => fn.Runtime },
        { title: 'HANDLER', value: (fn) => fn.Handler },
        { title: 'MEMORY', value: (fn) => `${fn.MemorySize} MB`, alignRight: true },
        { title: 'TIMEOUT', value: (fn) => `${fn.Timeout} s`, alignRight: true },
        { title: 'CODE', value: (fn) => `${Math.ceil(fn.CodeSize / 1024)} KB`, alignRight: true },
        { title: 'CHANGED', value: (fn) => fn.LastModified.slice(0, 19).replace('T', ' ') },
      ],
      functions,
    ),
  );
}
