import type { Command } from 'commander';
import { Client } from '../client.ts';
import { payload, showAnswer } from '../invocation.ts';
import { invokePath } from '../lambda-api.ts';
import type { EndpointOptions } from '../options.ts';
import { withEndpoint } from '../options.ts';

interface InvokeOptions extends EndpointOptions {
  readonly data?: string;
  readonly async?: boolean;
  readonly log?: boolean;
  readonly qualifier?: string;
}

export function register(program: Command): void {
  const command = program
    .command('invoke')
    .description('run a function and print what it returns')
    .argument('<name>', 'the function')
    .option('-d, --data <json>', 'the payload: JSON, @FILE, or - for stdin (default {})')
    .option('--async', 'put it in the queue and do not wait for the result')
    .option('--log', 'print the end of its log on stderr')
    .option('--qualifier <version>', 'run this version instead of $LATEST')
    .addHelpText('after', '\nExits with 1 where the function fails; its error is then on stderr.');
  withEndpoint(command).action(invoke);
}

async function invoke(name: string, options: InvokeOptions): Promise<void> {
  const client = new Client(options.endpoint);
  const answer = await client.send({
    method: 'POST',
    path: invokePath(name, options.qualifier),
    headers: {
      'content-type': 'application/json',
      'x-amz-invocation-type': options.async === true ? 'Event' : 'RequestResponse',
      'x-amz-log-type': options.log === true ? 'Tail' : 'None',
    },
    body: payload(options.data),
  });
  showAnswer(() => `function '${name}'`, answer, options);
}
