/** `perch chain`: functions that run in order, each fed the output of the one before. docs/API.md says what holds for them. */
import type { Command } from 'commander';
import type { Answer } from '../client.ts';
import { Client } from '../client.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { payload, showAnswer } from '../invocation.ts';
import type { EndpointOptions } from '../options.ts';
import { withEndpoint } from '../options.ts';
import {
  type Chain,
  chainInvocationsPath,
  createChain,
  deleteChain,
  getChain,
  listChains,
  updateChain,
} from '../perch-api.ts';
import { formatTable, printJson, printLine, printNote } from '../terminal.ts';

interface CreateOptions extends EndpointOptions {
  readonly replace?: boolean;
}

interface InvokeOptions extends EndpointOptions {
  readonly data?: string;
  readonly payload?: string;
  readonly async?: boolean;
  readonly event?: boolean;
  readonly log?: boolean;
}

const HELP = `
Each step is a function, or a published version of one as NAME:VERSION. The first gets the payload, each other one what the one before
returned; what the last one returns is what the chain returns. An error of a step ends the chain with that error.

Examples:
  perch chain create thumbnail blur resize store:3
  perch chain invoke thumbnail -d '{"key":"a.png"}'`;

const INVOKE_HELP = `
Exits with 1 where a function fails; its error is then on stderr, with its name.

With --json also: 'step' and 'stepNumber', which ended the chain, and 'steps', those that ran, in order, each with 'number', 'betweenUs' (from its
predecessor's result to the start of its handler) and 'runUs' (how long its handler ran); none of them with --async.`;

export function register(program: Command): void {
  const chain = program
    .command('chain')
    .description('run functions in order, each fed the output of the one before')
    .addHelpText('after', HELP);
  withEndpoint(chain.command('create').description('make a chain'))
    .argument('<name>', 'of the chain')
    .argument('<steps...>', 'functions, in order; NAME:VERSION for a published version')
    .option('--replace', 'where there is a chain of that name, give it these steps')
    .action(create);
  withEndpoint(chain.command('list').description('list the chains')).action(list);
  withEndpoint(chain.command('show').description('show the steps of a chain')).argument('<name>').action(show);
  withEndpoint(chain.command('delete').description('delete a chain, and what is queued for it; not its functions'))
    .argument('<name>')
    .action(remove);
  withEndpoint(chain.command('invoke').description('run a chain and print what its last function returns'))
    .argument('<name>')
    .option('-d, --data <json>', 'the payload of the first: JSON, @FILE, or - for stdin (default {})')
    .option('--payload <json>', 'the same as --data')
    .option('--async', 'put it in the queue and do not wait for the result')
    .option('--event', 'the same as --async')
    .option('--log', 'print the end of the log of the last function that ran on stderr')
    .addHelpText('after', INVOKE_HELP)
    .action(invoke);
}

async function create(name: string, steps: readonly string[], options: CreateOptions): Promise<void> {
  const client = new Client(options.endpoint);
  const isThere = options.replace === true && (await getChain(client, name)) !== null;
  const chain = isThere ? await updateChain(client, name, steps) : await createChain(client, name, steps);
  if (options.json === true) return printJson(chain);
  printLine(`${isThere ? 'changed' : 'created'} ${chainLine(chain)}`);
}

async function list(options: EndpointOptions): Promise<void> {
  const chains = await listChains(new Client(options.endpoint));
  if (options.json === true) return printJson(chains);
  if (chains.length === 0) return printNote("no chains yet; 'perch chain create NAME FUNCTION...' makes one");
  process.stdout.write(
    formatTable<Chain>(
      [
        { title: 'NAME', value: (chain) => chain.name },
        { title: 'STEPS', value: (chain) => chain.steps.join(' > ') },
        { title: 'CHANGED', value: (chain) => chain.lastModified.slice(0, 19).replace('T', ' ') },
      ],
      chains,
    ),
  );
}

async function show(name: string, options: EndpointOptions): Promise<void> {
  const chain = await getChain(new Client(options.endpoint), name);
  if (chain === null) throw new CliError(EXIT.notFound, `there is no chain '${name}'; 'perch chain list' lists them`);
  if (options.json === true) return printJson(chain);
  printLine(chainLine(chain));
}

async function remove(name: string, options: EndpointOptions): Promise<void> {
  await deleteChain(new Client(options.endpoint), name);
  if (options.json === true) return printJson({ name, deleted: true });
  printLine(`deleted chain ${name}`);
}

async function invoke(name: string, options: InvokeOptions): Promise<void> {
  if (options.data !== undefined && options.payload !== undefined)
    throw new CliError(EXIT.usage, '--data and --payload are the same; give one of them');
  const isAsync = options.async === true || options.event === true;
  const answer = await new Client(options.endpoint).send({
    method: 'POST',
    path: chainInvocationsPath(name),
    headers: {
      'content-type': 'application/json',
      'x-amz-invocation-type': isAsync ? 'Event' : 'RequestResponse',
      'x-amz-log-type': options.log === true ? 'Tail' : 'None',
    },
    body: payload(options.data ?? options.payload),
  });
  showAnswer((failed) => failedStep(name, failed), answer, options);
}

function failedStep(name: string, { headers }: Answer): string {
  return `function '${String(headers['x-perch-step'])}', step ${String(headers['x-perch-step-number'])} of chain '${name}',`;
}

function chainLine({ name, steps }: Chain): string {
  return `${name}: ${steps.join(' > ')}`;
}
